"""Bench of `StreamCore` on cocotbext-axi: passes through AXI4-Stream, against the golden model."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from . import stimulus
from .core import OUTPUTS, core_beats, core_inputs
from .runner import configuration


def _pauses(rng: random.Random, rate: float) -> Iterator[bool]:
    while True:
        yield rng.random() < rate


def _bytes(words: list[int], width: int) -> bytes:
    return b"".join(word.to_bytes(width // 8, "little") for word in words)


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Every tile of results is a frame of its own; pauses on every stream."""
    config, rng = configuration(), np.random.default_rng(41)
    pauses = random.Random(42)
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    ends: dict[str, Any] = {}
    inputs = core_inputs(config)
    for name in (*inputs, *OUTPUTS):
        kind, side = (AxiStreamSource, "s") if name in inputs else (AxiStreamSink, "m")
        bus = AxiStreamBus.from_prefix(dut, f"{side}_axis_{name.partition('_')[2]}")
        ends[name] = kind(bus, dut.clk, dut.rst)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    for index in range(12):
        for end in ends.values():
            end.set_pause_generator(_pauses(pauses, (0.0, 0.4, 0.8)[index % 3]))
        kinds = [kind for _ in range(4) for kind in stimulus.kinds(rng, config, 2)]
        beats = core_beats(stimulus.random_passes(rng, config, kinds), config, rng)
        for name in inputs:
            if not beats[name]:  # no pass of the lot begins with addends
                continue
            width = len(ends[name].bus.tdata)
            await ends[name].send(AxiStreamFrame(_bytes(beats[name], width)))
        want = beats["o_outputs"]
        width = len(ends["o_outputs"].bus.tdata)
        for first in range(0, len(want), config.column_groups):
            tile = want[first : first + config.column_groups]
            frame = await with_timeout(ends["o_outputs"].recv(), 1, "ms")
            assert bytes(frame.tdata) == _bytes(tile, width), f"lot {index}, beat {first}"
