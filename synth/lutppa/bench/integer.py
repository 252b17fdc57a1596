"""Bench of `BaselineArray`: activations and codes to psums, against the golden model."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from lutppa.baselines import golden
from lutppa.baselines.config import BaselineConfig
from lutppa.bench.rounds import configuration, moves, traffic
from lutverif.bench.payloads import join
from lutverif.bench.streams import Bench

INPUTS, OUTPUTS = ("i_activations", "i_weights"), ("o_psums",)


def _block(rng: np.random.Generator, config: BaselineConfig) -> dict[str, list[int]]:
    """A block of any length, planes and weighting, its operands random or extreme."""
    c = config
    steps = int(rng.integers(1, c.block // c.terms + 1))
    equal = c.bit_serial and c.weight_bits > 1 and rng.random() < 0.25
    planes = 2 if equal else int(rng.integers(1, c.weight_bits + 1)) if c.bit_serial else 1
    limit = 1 << (c.activation_bits - 1)
    top = 3 if c.coding == "ternary" else 1 << c.code_bits
    activations = rng.integers(-limit, limit, (c.m, steps * c.terms))
    codes = rng.integers(0, top, (planes, c.n, steps * c.terms))
    if rng.random() < 0.3:  # the largest sums
        activations[...] = rng.choice([-limit, limit - 1], (c.m, 1))
        codes[...] = rng.choice([0, top - 1], (1, c.n, 1))
    elif rng.random() < 0.2:
        activations[rng.random(activations.shape) < 0.5] = -limit
        codes[rng.random(codes.shape) < 0.5] = rng.integers(top)
    folded = golden.fold(codes, c)
    beats: dict[str, list[int]] = {"i_activations": [], "i_weights": []}
    for plane in range(planes):
        for step in range(steps):
            own = slice(step * c.terms, (step + 1) * c.terms)
            beats["i_activations"].append(
                join(
                    (activations[:, own], c.activation_bits),
                    (plane == step == 0, 1),
                    (step == 0 and plane > 0 and not equal, 1),
                    (plane == planes - 1 and step == steps - 1, 1),
                )
            )
            beats["i_weights"].append(join((folded[plane, :, own], c.code_bits)))
    sums = golden.psums(activations, codes, equal, c)
    return beats | {"o_psums": [join((sums.T, c.accumulator_bits))]}


@cocotb.test()
async def random_blocks(dut: Any) -> None:
    """Blocks of every kind; stalls on all streams; resets in the middle."""
    config, rng = BaselineConfig.from_json(configuration()), np.random.default_rng(21)
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.exercise(lambda: traffic(lambda: _block(rng, config), 8)[0], 18)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Psums 2 + stages cycles after the last step of a block, and no idle cycle between blocks."""
    config, rng = BaselineConfig.from_json(configuration()), np.random.default_rng(22)
    bench = Bench(dut, INPUTS, OUTPUTS)
    beats, steps = traffic(lambda: _block(rng, config), 12)
    taken = await moves(bench, beats)
    ends = np.cumsum(steps) - 1
    assert bench.outputs["o_psums"].moves == [taken[end] + 2 + config.stages for end in ends]
