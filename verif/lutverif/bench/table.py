"""Bench of `Table`: the entries of a step and their registers."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from .payloads import Kind, Payloads
from .runner import configuration
from .stimulus import random_pass
from .streams import Bench


@cocotb.test()
async def random_steps(dut: Any) -> None:
    """Steps of every kind; stalls; resets in the middle; latency 1 and a step every cycle."""
    config, rng = configuration(), np.random.default_rng(7)
    payloads = Payloads(config)
    bench = Bench(dut, ("i_steps",), ("o_tables",))

    def traffic() -> dict[str, list[int]]:
        items = [random_pass(rng, config, Kind(last=index % 2 == 0)) for index in range(4)]
        return {
            "i_steps": [word for item in items for word in payloads.steps(item)],
            "o_tables": [word for item in items for word in payloads.tables(item)],
        }

    await bench.exercise(traffic, 18)
    await bench.reset()
    bench.stall(0, 0)
    bench.send(traffic())
    await bench.finish()
    taken, given = bench.inputs["i_steps"].moves, bench.outputs["o_tables"].moves
    assert given == [cycle + 1 for cycle in taken]
    assert taken == list(range(taken[0], taken[0] + len(taken)))
