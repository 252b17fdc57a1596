"""Bench of `MacCore`: activations, codes and scales to FP32 sums, against the golden model."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from lutppa.baselines.dequantise import CoreConfig
from lutppa.baselines.golden_mac import dequantised, matmul, narrow_codes
from lutppa.baselines.mac_config import NARROW
from lutppa.bench.mac import LONGEST, below, numbers, with_fields
from lutppa.bench.rounds import configuration, moves, traffic
from lutverif.bench.payloads import join
from lutverif.bench.streams import Bench

INPUTS, OUTPUTS = ("i_activations", "i_weights", "i_scales"), ("o_results",)


def _round(rng: np.random.Generator, config: CoreConfig) -> dict[str, list[int]]:
    """One sum of every tile that takes turns, in groups of any length; tiles share the scales."""
    c, mac = config, config.mac
    steps, tiles = int(rng.integers(1, LONGEST + 1)), mac.turns
    length = steps * mac.k
    ends = np.r_[rng.random(steps - 1) < 0.4, True]
    group = np.repeat(np.cumsum(ends) - ends, mac.k)
    half = 1 << c.zero_bits >> 1
    scales = numbers(rng, (mac.n, ends.sum()), mac.fmt)
    zeros = rng.integers(-half, half or 1, (mac.n, ends.sum()))
    activations = [numbers(rng, (mac.m, length), mac.fmt) for _ in range(tiles)]
    digits = [rng.choice(NARROW[c.codes], (mac.n, length)) for _ in range(tiles)]
    if rng.random() < 0.3:  # products of the first column, at the edge of alignment
        for a, d in zip(activations, digits, strict=True):
            (weights,) = dequantised(d[:1], scales[:1, group], zeros[:1, group], mac.fmt)
            fields = weights >> mac.fmt.fraction_bits & mac.fmt.special_field
            away = below(rng, length, mac)
            leaders = np.repeat(fields[away == 0], mac.k)
            a[...] = with_fields(a, mac.fmt.largest_field - 1 + leaders - fields - away, mac.fmt)
    beats: dict[str, list[int]] = {name: [] for name in (*INPUTS, *OUTPUTS)}
    for scale, zero in zip(scales.T, zeros.T, strict=True):
        pairs = [
            join((s, mac.fmt.bits), (z, c.zero_bits)) for s, z in zip(scale, zero, strict=True)
        ]
        beats["i_scales"].append(join((np.array(pairs, object), mac.fmt.bits + c.zero_bits)))
    for step in range(steps):
        own = slice(step * mac.k, (step + 1) * mac.k)
        control = [(step == 0, 1), (step == steps - 1, 1)]
        for tile in range(tiles):
            codes = narrow_codes(digits[tile][:, own], c.codes)
            beats["i_activations"].append(join((activations[tile][:, own], mac.fmt.bits), *control))
            end = ends[step] and tile == tiles - 1
            beats["i_weights"].append(join((codes, c.code_bits), (end, 1)))
    for a, d in zip(activations, digits, strict=True):
        weights = dequantised(d, scales[:, group], zeros[:, group], mac.fmt)
        beats["o_results"].append(join((matmul(a, weights, mac.fmt, mac.numerics).T, 32)))
    return beats


@cocotb.test()
async def random_rounds(dut: Any) -> None:
    """Codes, scales and zero points of every kind; stalls on all streams; resets in the middle."""
    config, rng = CoreConfig.from_json(configuration()), np.random.default_rng(25)
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.exercise(lambda: traffic(lambda: _round(rng, config), 12)[0], 18)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Groups and sums without a gap; results 2 + stages cycles after their last steps."""
    config, rng = CoreConfig.from_json(configuration()), np.random.default_rng(26)
    bench = Bench(dut, INPUTS, OUTPUTS)
    beats, steps = traffic(lambda: _round(rng, config), 12)
    taken = await moves(bench, beats)
    tiles = config.mac.turns
    ends = [end - tiles + tile for end in np.cumsum(steps) for tile in range(tiles)]
    assert bench.outputs["o_results"].moves == [taken[end] + 2 + config.mac.stages for end in ends]
