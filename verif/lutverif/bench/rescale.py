"""Bench of `Rescale`: zero point, scale and accumulation over passes, against `golden.rescale`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from lutcore import TensorCoreConfig
from lutcore.formats import FloatFormat, IntegerFormat
from lutcore.rescale import Rescale
from lutverif import golden

from . import stimulus
from .payloads import Kind, Payloads
from .runner import configuration
from .streams import Bench

INPUTS, OUTPUTS = ("i_psums", "i_scales"), ("o_outputs",)


def _bounded(rng: np.random.Generator, shape: tuple[int, ...], limit: int) -> Any:
    """Integers within -limit..limit: of any size, or the extremes."""
    if rng.random() < 0.2:
        return rng.choice([-limit, 0, limit], shape)
    small = max(1, limit >> int(rng.integers(limit.bit_length())))
    return rng.integers(-small, small + 1, shape)


class _Passes:
    """Random passes; the accumulator goes on from one to the next, as in the unit."""

    def __init__(self, config: TensorCoreConfig, rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.payloads = Payloads(config)

    def beats(self, kinds: list[Kind]) -> dict[str, list[int]]:
        c, rng = self.config, self.rng
        beats: dict[str, list[int]] = {name: [] for name in (*INPUTS, *OUTPUTS)}
        acc: Any = None
        fields = [f for f in c.formats if isinstance(f, FloatFormat)]
        for kind in kinds:
            sums = c.block // c.lookup_group << (c.table_bits - 1)
            psum = _bounded(rng, (c.m, c.n), ((1 << c.weight_bits) - 1) * sums)
            total = _bounded(rng, (c.m,), sums)
            exponent, nonfinite = np.zeros(c.m, np.int64), np.zeros(c.m, np.bool_)
            if fields and not kind.raw:
                field = rng.integers(1, fields[0].special_field + 1, c.m)
                exponent = field + c.step_offset(fields[0])
                nonfinite = rng.random(c.m) < 0.05
                exponent[nonfinite] = 0
            scale, zero = stimulus.scales(rng, (c.n,)), stimulus.zeros(rng, (c.n,), c)
            if kind.first:
                acc = np.zeros((c.m, c.n), np.int32 if kind.raw else np.float32)
            acc = golden.rescale(acc, psum, total, exponent, nonfinite, scale, zero, kind.raw)
            scaling = [(exponent, c.exponent_bits), (nonfinite, 1), *kind.fields]
            beats["i_psums"].append(self.payloads.psums(psum, total, scaling))
            beats["i_scales"] += self.payloads.scales(scale, zero)
            if kind.last:
                beats["o_outputs"] += self.payloads.outputs(acc)
        return beats

    def kinds(self, count: int) -> list[Kind]:
        """Sequences of some passes; at times an output in the middle of one."""
        integers = any(isinstance(fmt, IntegerFormat) for fmt in self.config.formats)
        kinds: list[Kind] = []
        raw = False
        for index in range(count):
            first = index == 0 or self.rng.random() < 0.4
            raw = bool(integers and self.rng.random() < 0.3) if first else raw
            kinds.append(Kind(first, bool(self.rng.random() < 0.5), raw))
        return kinds


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Sequences of passes, raw or scaled; stalls; resets in the middle."""
    config = configuration()
    passes = _Passes(config, np.random.default_rng(11))
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.exercise(lambda: passes.beats(passes.kinds(12)), 36)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """A pass takes max(N/R, 3) cycles; outputs come `latency` cycles after their scales."""
    config = configuration()
    passes = _Passes(config, np.random.default_rng(12))
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.reset()
    bench.send(passes.beats([Kind()] * 6))
    await bench.finish()
    beats = config.n // config.rescale_columns
    taken = bench.inputs["i_scales"].moves
    assert bench.outputs["o_outputs"].moves == [cycle + Rescale.latency for cycle in taken]
    starts = taken[::beats]
    period = max(beats, 3)
    assert starts == list(range(starts[0], starts[0] + 6 * period, period)), starts
    assert bench.inputs["i_psums"].moves[1:] == taken[beats - 1 :: beats][:-1]
