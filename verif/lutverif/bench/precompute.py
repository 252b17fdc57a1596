"""Bench of `Precompute`: block buffer, scale, alignment and replay."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from lutcore.precompute import Precompute

from .payloads import Kind, Pass, Payloads
from .runner import configuration
from .stimulus import random_pass
from .streams import Bench

INPUTS, OUTPUTS = ("i_passes", "i_activations"), ("o_steps",)


def _beats(items: list[Pass], payloads: Payloads, rng: np.random.Generator) -> dict[str, list[int]]:
    return {
        "i_passes": [payloads.descriptor(item) for item in items],
        "i_activations": [word for item in items for word in payloads.activations(item, rng)],
        "o_steps": [word for item in items for word in payloads.steps(item)],
    }


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Passes of every format, length and number of planes; stalls; resets in the middle."""
    config, rng = configuration(), np.random.default_rng(5)
    payloads = Payloads(config)
    bench = Bench(dut, INPUTS, OUTPUTS)

    def traffic() -> dict[str, list[int]]:
        kinds = [Kind(*(bool(bit) for bit in rng.integers(2, size=2))) for _ in range(8)]
        return _beats([random_pass(rng, config, kind) for kind in kinds], payloads, rng)

    await bench.exercise(traffic, 36)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """The first step `latency` cycles after the last activation, then a step in every cycle."""
    config, rng = configuration(), np.random.default_rng(6)
    bench = Bench(dut, INPUTS, OUTPUTS)
    steps = config.block // config.k
    for planes in range(1, config.weight_bits + 1):
        await bench.reset()
        fmt = config.formats[planes % len(config.formats)]
        shape = (planes, config.n, steps * config.groups_per_step)
        item = Pass(
            fmt,
            np.ones((config.m, config.block), np.float16 if fmt.bits == 16 else np.int8),
            np.zeros(shape, np.uint8),
            False,
            Kind(),
        )
        bench.send(_beats([item] * 4, Payloads(config), rng))
        await bench.finish()
        taken, given = bench.inputs["i_activations"].moves, bench.outputs["o_steps"].moves
        assert given[0] - taken[steps - 1] == Precompute.latency
        assert given == list(range(given[0], given[0] + 4 * planes * steps)), "a gap"
        assert bench.inputs["i_passes"].moves == taken[steps - 1 :: steps]
