"""Drivers, monitors and the clock of a bench.

    driver -> input stream -> unit -> output stream -> monitor -> checker

One loop drives, settles, samples and clocks, so that nothing depends on the order of coroutines.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from cocotb.triggers import Timer

__all__ = ["Bench"]

PATIENCE = 400  # cycles without a beat before the unit counts as stuck
QUIET = 12  # cycles after the last beat in which nothing more may come


class _Driver:
    """Offers the payloads of a queue on an input stream, with random gaps between them."""

    def __init__(self, dut: Any, name: str) -> None:
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.queue: deque[int] = deque()
        self.offered = False
        self.gap = 0.0
        self.moves: list[int] = []

    def drive(self, rng: random.Random) -> None:
        """An offered beat stays; without one the payload is noise."""
        if not self.offered:
            self.offered = bool(self.queue) and rng.random() >= self.gap
            self.valid.value = int(self.offered)
            self.payload.value = self.queue[0] if self.offered else rng.getrandbits(self.bits)

    @property
    def bits(self) -> int:
        """Width of the payload."""
        return len(self.payload)

    def sample(self, cycle: int) -> bool:
        """Whether a beat moves at the coming edge."""
        if self.offered and int(self.ready.value):
            self.queue.popleft()
            self.offered = False
            self.moves.append(cycle)
            return True
        return False


class _Monitor:
    """Takes beats with random back-pressure, checks the stream's rules and every payload."""

    def __init__(self, dut: Any, name: str) -> None:
        self.name = name
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.expected: deque[int] = deque()
        self.held: int | None = None
        self.pressure = 0.0
        self.taking = False
        self.moves: list[int] = []
        self.shown: list[int] = []

    def drive(self, rng: random.Random) -> None:
        self.taking = rng.random() >= self.pressure
        self.ready.value = int(self.taking)

    def sample(self, cycle: int) -> bool:
        """Whether a beat moves at the coming edge."""
        if not int(self.valid.value):
            assert self.held is None, f"{self.name}: valid fell before the beat moved"
            return False
        payload = int(self.payload.value)
        if self.held is None:
            self.shown.append(cycle)
            self.check(payload, cycle)
        else:
            assert payload == self.held, f"{self.name}: the payload changed before it moved"
        self.held = None if self.taking else payload
        if self.taking:
            self.moves.append(cycle)
        return self.taking

    def check(self, payload: int, cycle: int) -> None:
        """Compares with the golden model's next beat."""
        assert self.expected, f"{self.name}: a beat too many in cycle {cycle}: {payload:#x}"
        want = self.expected.popleft()
        if payload != want:
            difference = payload ^ want
            bit = (difference & -difference).bit_length() - 1
            raise AssertionError(
                f"{self.name}: beat {len(self.shown) - 1} in cycle {cycle} differs first at bit "
                f"{bit} of {len(self.payload)}:\n   got {payload:#x}\n  want {want:#x}"
            )


class Bench:
    """The streams of a clocked unit, by name; agents drive and sample what is no stream."""

    def __init__(
        self,
        dut: Any,
        inputs: Sequence[str],
        outputs: Sequence[str],
        seed: int = 1,
        agents: Sequence[Any] = (),
    ) -> None:
        self.dut = dut
        self.rng = random.Random(seed)
        self.inputs = {name: _Driver(dut, name) for name in inputs}
        self.outputs = {name: _Monitor(dut, name) for name in outputs}
        self.agents = agents
        self.cycle = 0
        self.idle = 0

    def stall(self, gap: float, pressure: float) -> None:
        """How likely an input withholds valid, and an output ready, in a cycle."""
        for driver in self.inputs.values():
            driver.gap = gap
        for monitor in self.outputs.values():
            monitor.pressure = pressure

    def send(self, beats: Mapping[str, Sequence[int]]) -> None:
        """Queues payloads for inputs, and expected ones for outputs, by the stream's name."""
        for name, payloads in beats.items():
            if name in self.inputs:
                self.inputs[name].queue.extend(payloads)
            else:
                self.outputs[name].expected.extend(payloads)

    async def clock(self) -> None:
        """One cycle, the same for every test: drive, settle, sample, rising edge."""
        streams = [*self.inputs.values(), *self.outputs.values(), *self.agents]
        for stream in streams:
            stream.drive(self.rng)
        await Timer(5, "ns")
        moved = [stream.sample(self.cycle) for stream in streams]
        self.dut.clk.value = 1
        await Timer(5, "ns")
        self.dut.clk.value = 0
        self.cycle += 1
        self.idle = 0 if any(moved) else self.idle + 1

    async def reset(self, cycles: int = 2) -> None:
        """Forgets all work, here and in the unit; afterwards no output may be valid."""
        for driver in self.inputs.values():
            driver.queue.clear()
            driver.offered = False
            driver.valid.value = 0
            driver.moves.clear()
        for monitor in self.outputs.values():
            monitor.expected.clear()
            monitor.held = None
            monitor.ready.value = self.rng.getrandbits(1)
            monitor.moves.clear()
            monitor.shown.clear()
        self.dut.rst.value = 1
        for _ in range(cycles):
            await Timer(5, "ns")
            self.dut.clk.value = 1
            await Timer(5, "ns")
            self.dut.clk.value = 0
        self.dut.rst.value = 0
        self.idle = 0

    async def finish(self) -> None:
        """Runs until every input has been taken and every output given, and a little longer."""
        while any(driver.queue for driver in self.inputs.values()) or any(
            monitor.expected for monitor in self.outputs.values()
        ):
            await self.clock()
            left = {name: len(monitor.expected) for name, monitor in self.outputs.items()}
            assert self.idle < PATIENCE, f"stuck in cycle {self.cycle}; still expected: {left}"
        for _ in range(QUIET):
            await self.clock()

    async def exercise(self, traffic: Any, rounds: int) -> None:
        """`rounds` lots of `traffic()` under every mixture of gaps and back-pressure.

        Between them the unit is reset in the middle of a lot that is never finished.
        """
        await self.reset()
        for index in range(rounds):
            self.stall(*((0, 0), (0.5, 0), (0, 0.5), (0.4, 0.4), (0.9, 0.1), (0.1, 0.9))[index % 6])
            self.send(traffic())
            await self.finish()
            if index % 2:
                self.send(traffic())
                for _ in range(self.rng.randrange(1, 60)):
                    await self.clock()
                await self.reset(self.rng.randrange(1, 4))
