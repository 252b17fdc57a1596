"""Bench of `LookupArray`: tables and codes to psums and activation sums."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from .payloads import Kind, Pass, Payloads
from .runner import configuration
from .stimulus import random_pass
from .streams import Bench

INPUTS, OUTPUTS = ("i_tables", "i_weights"), ("o_psums",)


def _beats(items: list[Pass], payloads: Payloads) -> dict[str, list[int]]:
    return {
        "i_tables": [word for item in items for word in payloads.tables(item)],
        "i_weights": [word for item in items for word in payloads.weights(item)],
        "o_psums": [
            payloads.psums(*payloads.looked_up(item), payloads.scaling(item)) for item in items
        ],
    }


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Passes of every kind; stalls; resets in the middle."""
    config, rng = configuration(), np.random.default_rng(9)
    payloads = Payloads(config)
    bench = Bench(dut, INPUTS, OUTPUTS)

    def traffic() -> dict[str, list[int]]:
        items = [random_pass(rng, config, Kind(first=index % 3 == 0)) for index in range(6)]
        return _beats(items, payloads)

    await bench.exercise(traffic, 18)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Psums one cycle after the last step of a pass, and no idle cycle between passes; weights
    move with their tables, with `pipeline` a step before."""
    config, rng = configuration(), np.random.default_rng(10)
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.reset()
    items = [random_pass(rng, config, Kind()) for _ in range(8)]
    bench.send(_beats(items, Payloads(config)))
    await bench.finish()
    taken = bench.inputs["i_tables"].moves
    assert taken == list(range(taken[0], taken[0] + len(taken))), "a gap"
    early = 1 if config.pipeline else 0
    assert bench.inputs["i_weights"].moves == [cycle - early for cycle in taken]
    ends = np.cumsum([len(Payloads(config).weights(item)) for item in items]) - 1
    assert bench.outputs["o_psums"].moves == [taken[end] + 1 for end in ends]
