"""Bench of `MacArray`: codes of activations and weights to FP32 sums, against the golden model."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from lutcore.formats import FloatFormat
from lutppa.baselines.golden_mac import matmul, narrow_codes
from lutppa.baselines.mac_config import NARROW, MacConfig
from lutppa.bench.rounds import configuration, moves, traffic
from lutverif.bench.payloads import join
from lutverif.bench.streams import Bench

INPUTS, OUTPUTS = ("i_activations", "i_weights"), ("o_results",)
LONGEST = 6  # steps of a sum


def numbers(rng: np.random.Generator, shape: tuple[int, ...], fmt: FloatFormat) -> NDArray[Any]:
    """Codes of a format, by chance of neighbouring exponents, extreme, tiny, or of every kind."""
    sign = rng.integers(2, size=shape) << (fmt.bits - 1)
    fraction = rng.integers(1 << fmt.fraction_bits, size=shape)
    top = fmt.largest_field
    kind = rng.random()
    if kind < 0.5:
        span = int(rng.integers(1, top))
        field = rng.integers(low := int(rng.integers(0, top - span + 1)), low + span, shape)
    elif kind < 0.65:  # the largest and the smallest
        field = rng.choice([0, 1, top - 1], shape)
        fraction = rng.choice([0, 1, (1 << fmt.fraction_bits) - 1], shape)
    elif kind < 0.8:
        field = rng.integers(0, 3, shape)
    else:
        return rng.integers(1 << fmt.bits, size=shape)
    codes = sign | field << fmt.fraction_bits | fraction
    rare = rng.random(shape)
    codes = np.where(rare < 0.1, sign, codes)
    if rng.random() < 0.3:
        codes = np.where(rare > 0.98, rng.integers(1 << fmt.bits, size=shape), codes)
    return codes


def below(rng: np.random.Generator, length: int, config: MacConfig) -> NDArray[np.int64]:
    """How far exponents of products [length] are to be below that of one in their step: about F.

    Where alignment shifts out all but the last bits; random exponents hardly ever do that.
    """
    away = config.fraction_bits + rng.integers(-4, 5, length)
    away[int(rng.integers(config.k)) :: config.k] = 0
    return away


def with_fields(codes: NDArray[Any], fields: Any, fmt: FloatFormat) -> NDArray[Any]:
    """Codes with these exponent fields, as far as they are of finite numbers."""
    kept = codes & ~(fmt.special_field << fmt.fraction_bits)
    return kept | np.clip(fields, 0, fmt.largest_field - 1) << fmt.fraction_bits


def distant(rng: np.random.Generator, a: NDArray[Any], b: NDArray[Any], config: MacConfig) -> None:
    """Gives products of the first column exponents as `below` has them."""
    c, fmt = config, config.fmt
    length, top = a.shape[1], fmt.largest_field - 1
    target = (top if c.weights else 2 * top) - below(rng, length, c)
    own = 0 if c.weights else np.clip(target // 2 + rng.integers(-2, 3, length), 1, top)
    a[...] = with_fields(a, target - own, fmt)
    if not c.weights:
        b[:1] = with_fields(b[:1], own, fmt)


def _round(rng: np.random.Generator, config: MacConfig) -> dict[str, list[int]]:
    """One sum of every tile that takes turns."""
    c = config
    steps, tiles = int(rng.integers(1, LONGEST + 1)), c.turns
    length = steps * c.k
    activations = [numbers(rng, (c.m, length), c.fmt) for _ in range(tiles)]
    if c.weights:
        weights = [rng.choice(NARROW[c.weights], (c.n, length)) for _ in range(tiles)]
        codes = [narrow_codes(weight, c.weights) for weight in weights]
    else:
        weights = codes = [numbers(rng, (c.n, length), c.fmt) for _ in range(tiles)]
        if rng.random() < 0.2:  # sums that cancel
            even, odd = slice(0, length - length % 2, 2), slice(1, None, 2)
            for a, b in zip(activations, weights, strict=True):
                a[:, odd], b[:, odd] = a[:, even], b[:, even] ^ 1 << (c.fmt.bits - 1)
    if rng.random() < 0.3:
        for a, b in zip(activations, weights, strict=True):
            distant(rng, a, b, c)
    beats: dict[str, list[int]] = {"i_activations": [], "i_weights": [], "o_results": []}
    for step in range(steps):
        own = slice(step * c.k, (step + 1) * c.k)
        control = [(step == 0, 1), (step == steps - 1, 1)]
        for a, b in zip(activations, codes, strict=True):
            beats["i_activations"].append(join((a[:, own], c.fmt.bits), *control))
            beats["i_weights"].append(join((b[:, own], c.weight_bits)))
    for a, b in zip(activations, weights, strict=True):
        sums = matmul(a, b, c.fmt, c.numerics, bool(c.weights))
        beats["o_results"].append(join((sums.T, 32)))
    return beats


@cocotb.test()
async def random_rounds(dut: Any) -> None:
    """Sums of every kind; stalls on all streams; resets in the middle."""
    config, rng = MacConfig.from_json(configuration()), np.random.default_rng(23)
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.exercise(lambda: traffic(lambda: _round(rng, config), 12)[0], 18)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Results 2 + stages cycles after the last steps of a round, and no idle cycle between."""
    config, rng = MacConfig.from_json(configuration()), np.random.default_rng(24)
    bench = Bench(dut, INPUTS, OUTPUTS)
    beats, steps = traffic(lambda: _round(rng, config), 12)
    taken = await moves(bench, beats)
    tiles = config.turns
    ends = [end - tiles + tile for end in np.cumsum(steps) for tile in range(tiles)]
    assert bench.outputs["o_results"].moves == [taken[end] + 2 + config.stages for end in ends]
