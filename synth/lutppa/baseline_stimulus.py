"""Stimulus of the integer baselines: activations, weights and psums of quantised layers.

A baseline multiplies codes q that stand for weights s (q - z), or another form of the same number,
and leaves s, z and the sum of activations that z needs to what comes after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import ConfigError
from lutcore.weights import TernaryWeights

from .activity import words
from .baselines import golden
from .baselines.config import BaselineConfig
from .stimulus import Stimulus, Workload, streamed

__all__ = ["FORMS", "baseline_stimulus", "forms"]

FORMS = ("code", "centred", "odd", "planes")
"""Numbers of a weight of b bits that a baseline can be given.

code      q, and 1 more than a ternary digit
centred   q - 2^(b-1), a ternary digit itself
odd       2q - (2^b - 1)
planes    of a ternary digit: the half of the sum of two digits of -1 and +1
"""


def forms(config: BaselineConfig, weights: str) -> tuple[str, ...]:
    """The forms in which a design takes weights `w1` to `w8` or `ternary`; none if it cannot."""
    ternary = weights == "ternary"
    bits = 2 if ternary else int(weights[1:])
    if config.design == "mac":
        return ("code", "centred") if ternary else ("code", "centred", "odd")
    if config.bit_serial:
        form = {"unsigned": "code", "odd": "planes" if ternary else "odd"}[config.coding]
        return (form,) if bits <= config.weight_bits else ()
    if (config.coding == "ternary") != ternary or config.weight_bits != bits:
        return ()
    form = {"unsigned": "code", "integer": "centred", "odd": "odd", "ternary": "centred"}
    return (form[config.coding],)


def _codes(work: Workload, form: str, config: BaselineConfig) -> tuple[NDArray[Any], bool]:
    """Codes [planes, N, K], most significant first, as the array takes them; equal planes."""
    weights = work.weights
    ternary = isinstance(weights, TernaryWeights)
    bits = 2 if ternary else weights.bits
    stored = weights.ternary.astype(np.int64) + 1 if ternary else weights.codes.astype(np.int64)
    if config.design == "mac":
        offset = {"code": 0, "centred": 1 if ternary else 1 << (bits - 1)}
        value = 2 * stored - ((1 << bits) - 1) if form == "odd" else stored - offset[form]
        return value[None] & ((1 << config.weight_bits) - 1), False
    if form == "planes":
        # -1 is both digits low, +1 both high, 0 one of each.
        return np.stack([stored >= 1, stored >= 2]).astype(np.int64), True
    if config.bit_serial:
        return np.stack([stored >> i & 1 for i in reversed(range(bits))]), False
    if config.coding == "integer":
        stored ^= 1 << (bits - 1)
    return stored[None], False


def baseline_stimulus(work: Workload, config: BaselineConfig, form: str, cycles: int) -> Stimulus:
    """Stimulus of `baselines.array.BaselineArray`: whole tiles, at least `cycles` of steps.

    Sums end where a weight group ends, or `config.block` does; planes outside, steps inside.
    ConfigError for activations that are no integers of the array's width.
    """
    c = config
    if work.activations.dtype.kind != "i" or work.fmt.bits != c.activation_bits:
        raise ConfigError(
            f"activation_bits of {c.design} must be those of {work.fmt.name}, not "
            f"{c.activation_bits}"
        )
    codes, equal = _codes(work, form, c)
    size, length = min(c.block, work.weights.group), work.activations.shape[1]
    parts = [(start, min(start + size, length)) for start in range(0, length, size)]
    if any((stop - start) % c.terms for start, stop in parts):
        raise ConfigError(f"terms must divide sums of {size} of {length}, not {c.terms}")
    planes, steps = len(codes), length // c.terms
    tiles = work.tiles(c.m, c.n, -(-cycles // (planes * steps)))
    activations: list[NDArray[Any]] = []
    weights: list[NDArray[Any]] = []
    sums: list[NDArray[Any]] = []
    folded = golden.fold(codes, c)
    for tile in range(tiles.rows.shape[1]):
        rows, columns = tiles.rows[:, tile], tiles.columns[:, tile]
        for start, stop in parts:
            count = (stop - start) // c.terms
            beat = np.arange(planes * count)
            control = np.stack(
                [
                    beat == 0,
                    (beat % count == 0) & (beat > 0) & (not equal),
                    beat == len(beat) - 1,
                ],
                axis=-1,
            )
            own = work.activations[rows, start:stop].reshape(*rows.shape, count, c.terms)
            own = np.tile(own.transpose(2, 0, 1, 3), (planes, 1, 1, 1))
            fields = [
                words(own, c.activation_bits),
                words(np.broadcast_to(control[:, None], (len(beat), len(rows), 3)), 1),
            ]
            activations.append(np.concatenate(fields, axis=1))
            code = folded[:, columns, start:stop].reshape(planes, *columns.shape, count, c.terms)
            code = code.transpose(0, 3, 1, 2, 4).reshape(len(beat), *columns.shape, c.terms)
            weights.append(words(code, c.code_bits))
            whole = golden.psums(work.activations[:, start:stop], codes[..., start:stop], equal, c)
            sums.append(words(whole[rows[:, None, :], columns[:, :, None]][None],
                              c.accumulator_bits))  # fmt: skip
    return streamed(
        f"{c.design} {c.coding} on {work.name}, {form}",
        {"i_activations": np.concatenate(activations), "i_weights": np.concatenate(weights)},
        "i_weights",
        c.m * c.n * length / (planes * steps),
        "o_psums",
        np.concatenate(sums),
    )
