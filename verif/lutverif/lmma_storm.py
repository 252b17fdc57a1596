"""Dense runs of LMMA instructions on few slots and few places of memory.

Each one needs what its neighbours are still at work on: loads over a slot that is being read or
loaded, results into a slot that is being stored, stores of what is not there yet, loads of what is
being stored and stores over what is being loaded, once or in a loop.
"""

from __future__ import annotations

import math

import numpy as np

from lutcore.formats import ACTIVATIONS
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import Op, encode, new

__all__ = ["storm"]

PASSES = 8
"""Most passes of an lmma: the simulator takes its time for each."""

A, W, S, RESULTS, OVER, ADDENDS = range(6)
"""Address registers: one for each area of operands, one for results, one that has them written
over operands, one for addends, which are activations as they come."""


def storm(random: np.random.Generator, config: EngineConfig, area: int, loops: bool) -> list[int]:
    """The words of a run, which loads all that it needs; legal where memory has the four areas of
    `lmma_random.memory`, unless a register leaves them. `loops`: whether it may have a loop."""
    maker = _Storm(random, config, area)
    words = [encode(op) for op in maker.prologue()]
    parts = [maker.any_ops() for _ in range(int(random.integers(4, 10)))]
    body = [encode(op) for part in parts for op in part]
    if not loops or random.integers(2):
        return words + body
    count = int(random.integers(2, 4))
    return [*words, encode(new("loop", count=count)), *body, encode(new("end"))]


class _Storm:
    """What all lmmas of a run have in common, so that each may follow each."""

    def __init__(self, random: np.random.Generator, config: EngineConfig, area: int) -> None:
        self.random, self.config, self.area = random, config, area
        core = config.core
        name = str(random.choice(core.activations))
        raw = config.raw(ACTIVATIONS[name]) and random.integers(3) == 0
        floats = [name for name in core.outputs if name != "int32"]
        self.offset = 0 if raw else int(random.integers(2))
        # Mostly long ones: they are still at work when what follows comes.
        steps, planes = (
            most if random.integers(2) else int(random.integers(1, most + 1))
            for most in (core.max_steps, core.weight_bits)
        )
        half = area // 2
        takes = (steps, planes * steps, (1 + self.offset) * core.column_groups)
        most = (
            config.a_steps,
            min(config.w_beats, half // core.weight_beat_bytes),
            min(config.s_beats, half // config.scale_beat_bytes),
        )
        fit = [limit // count for limit, count in zip(most, takes, strict=True)]
        self.passes = passes = max(1, min(*fit, PASSES))
        self.needs = [count * passes for count in takes]
        self.limits = [max(a, b) for a, b in zip(self.needs, most, strict=True)]
        self.shared = {
            "m": core.m,
            "n": core.n,
            "k": core.k,
            "a_type": name,
            "w_type": f"w{planes}" + "e" * int(random.integers(2)),
            "acc_type": "int32" if raw else "fp32",
            "o_type": "int32" if raw else str(random.choice(floats)),
            "steps": steps,
            "scale": core.scales[0],
        }
        self.pools = {name: (0, 1) if random.integers(2) else (int(random.integers(2)),)
                      for name in "awsd" + "c" * core.addends}  # fmt: skip
        self.open = False

    def _one(self, options: tuple[int, ...]) -> int:
        return options[int(self.random.integers(len(options)))]

    def prologue(self) -> list[Op]:
        """Registers, operands in every slot, and results in every slot of D."""
        word, core = self.config.word_bytes, self.config.core
        ternary = core.table_digits == 3
        # Weights of ternary digits are read as they were written, and not written over.
        unit = {W: math.lcm(word, core.weight_beat_bytes)} if ternary else {}
        places = [int(self.random.integers(self.area // 4)) for _ in range(4)]
        places = [at // unit.get(i, word) * unit.get(i, word) for i, at in enumerate(places)]
        over = A if ternary else self._one((A, W, S))
        found = [new("set", address=f"r{i}", value=i * self.area + places[i]) for i in range(4)]
        found.append(new("set", address=f"r{OVER}", value=over * self.area + places[over]))
        for buffer, name in enumerate("aws"):
            found += [self._load(buffer, slot) for slot in self.pools[name]]
        if core.addends:
            found.append(new("set", address=f"r{ADDENDS}", value=places[A]))
            found += [self._load_c(slot) for slot in self.pools["c"]]
        return found + [self._lmma(d, first=1, last=1) for d in self.pools["d"]]

    def any_ops(self) -> list[Op]:
        """One that may follow what is there, or a load over what is read by several lmmas."""
        kind = self.random.random()
        if kind < 0.4:
            return [self._any_lmma()]
        if kind < 0.5 and "c" in self.pools:
            return [self._load_c(self._one(self.pools["c"]))]
        if kind < 0.7:
            buffer = self._one((A, W, S))
            return [self._load(buffer, self._one(self.pools["aws"[buffer]]))]
        if kind < 0.8:
            last = self._lmma(self._one(self.pools["d"]), first=1, last=1)
            early = Op(last.instruction, {**last.values, "last": 0})
            self.open, buffer = False, self._one((A, W, S))
            if last["addend"] and self.random.integers(2):
                return [early, early, last, self._load_c(last["addend"] - 1)]
            return [early, early, last, self._load(buffer, last["aws"[buffer]])]
        return [self._store() if kind < 0.97 else new("fence")]

    def _any_lmma(self) -> Op:
        first = int(not self.open or self.random.integers(2))
        last = int(self.random.integers(3) != 0)
        self.open = not last
        keep = int(self.random.integers(4) == 0)
        return self._lmma(self._one(self.pools["d"]), first=first, last=last, keep=keep)

    def _lmma(self, d: int, **flags: int) -> Op:
        slots = {name: self._one(self.pools[name]) for name in "aws"}
        whole = dict.fromkeys((f"rewind_{name}" for name in "aws"), 1)
        passes = self.passes if self.random.integers(2) else 1
        if flags["first"] and "c" in self.pools and self.random.integers(3):
            flags["addend"] = 1 + self._one(self.pools["c"])
        return new(
            "lmma", **self.shared, **slots, d=d, passes=passes, offset=self.offset, **whole, **flags
        )

    def _load(self, buffer: int, slot: int) -> Op:
        """As many beats as an lmma needs, or some more."""
        name, core = "aws"[buffer], self.config.core
        count = int(self.random.integers(self.needs[buffer], self.limits[buffer] + 1))
        count = count if self.random.integers(2) else self.needs[buffer]
        # From somewhere else each time, or the slot would have what it had.
        moves = buffer != W or core.table_digits == 2
        shared = {"address": buffer, "next": self._one((0, 1, 2)) * moves * self.config.word_bytes}
        shared[name] = slot
        if buffer == W and not self.random.integers(3):
            shared["part"] = int(self.random.integers(self.config.weight_halvings + 1))
        if buffer != A:
            return new(f"load_{name}", **shared, beats=count)
        bits = str(core.activation_bits)
        stride = self.config.aligned(self.config.row_bytes(count, int(bits)))
        stride = stride if self.random.integers(2) else 0
        rows = core.m if self.random.integers(3) else int(self.random.integers(1, core.m + 1))
        return new("load_a", **shared, bits=bits, rows=rows, steps=count, stride=stride)

    def _load_c(self, slot: int) -> Op:
        core = self.config.core
        return new(
            "load_c",
            c=slot,
            address=ADDENDS,
            rows=int(self.random.integers(1, core.m + 1)),
            columns=int(self.random.integers(1, core.n + 1)),
            stride=self._one((0, 1, 2, 4)) * self.config.word_bytes,
            next=self._one((0, 1, 2)) * self.config.word_bytes,
        )

    def _store(self) -> Op:
        core = self.config.core
        wide = self.config.output_bits == 32 and self.random.integers(2)
        return new(
            "store_d",
            d=self._one(self.pools["d"]),
            address=self._one((RESULTS, OVER)),
            bits="32" if wide else "16",
            rows=int(self.random.integers(1, core.m + 1)),
            columns=int(self.random.integers(1, core.n + 1)),
            stride=self._one((0, 1, 2, 4)) * self.config.word_bytes,
            next=self._one((-1, 0, 0, 0, 1)) * self.config.word_bytes,
        )
