"""The golden model: docs/specification.md as numpy, one function for each RTL unit of its name.

    activations -> precompute -> table -> lookup -> rescale -> output

`precompute` to `rescale` compute one segment (one pass of the core); `core` is the whole GEMM.
Every result is meant to the bit. Nothing here knows of tiles, beats or cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import FP16, FP32, INT8, FloatFormat, IntegerFormat
from lutcore.layout import (
    AffineWeights,
    Segment,
    TernaryWeights,
    check_array,
    check_weights,
    fold,
    segments,
)

__all__ = [
    "Precomputed",
    "activation_sum",
    "check_activations",
    "core",
    "error_bound",
    "fma",
    "lookup",
    "precompute",
    "rescale",
    "table",
]

_FORMATS = {np.dtype(np.int8): INT8, np.dtype(np.float16): FP16}


class Precomputed(NamedTuple):
    """Activations of one segment, aligned to one exponent a row.

    aligned    [M, steps * k] int64, units of 2^(exponent - guard), zero padded
    exponent   [M] int64, e: a table step is 2^e; 0 for integers and nonfinite rows
    nonfinite  [M] bool, the row holds an infinity or NaN
    """

    aligned: NDArray[np.int64]
    exponent: NDArray[np.int64]
    nonfinite: NDArray[np.bool_]


def precompute(
    activations: NDArray[Any], fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig
) -> Precomputed:
    """Align the activations [M, L] of one segment, L <= block, and pad them to whole steps."""
    rows, length = activations.shape
    if isinstance(fmt, IntegerFormat):
        aligned = activations.astype(np.int64) << config.guard
        exponent = np.zeros(rows, dtype=np.int64)
        nonfinite = np.zeros(rows, dtype=np.bool_)
    else:
        nonfinite = np.any(~np.isfinite(activations), axis=1)
        values = np.where(nonfinite[:, None], 0, activations).astype(np.float64)
        peak = _peak(values, fmt, config)
        exponent = np.full(rows, 1 + config.step_offset(fmt), dtype=np.int64)
        limit = config.doubled_peak_limit
        while (over := np.ldexp(2 * peak, config.guard - exponent) >= limit).any():
            exponent += over
        aligned = _scaled(values, config.guard - exponent[:, None]).astype(np.int64)
        exponent[nonfinite] = 0
    return Precomputed(
        np.pad(aligned, ((0, 0), (0, -length % config.k))),
        exponent,
        nonfinite,
    )


def _peak(
    values: NDArray[np.float64], fmt: FloatFormat, config: TensorCoreConfig
) -> NDArray[np.float64]:
    """[M]: the largest sum of a lookup group's magnitudes in values [M, L], each rounded up to
    the unit in the last place of the group's largest."""
    rows, length = values.shape
    padded = np.pad(np.abs(values), ((0, 0), (0, -length % config.lookup_group)))
    groups = padded.reshape(rows, -1, config.lookup_group)
    _, exponent = np.frexp(groups.max(axis=2, keepdims=True))  # largest < 2^exponent
    unit = np.maximum(exponent - fmt.significand_bits, 1 - fmt.bias - fmt.fraction_bits)
    sums = np.ceil(np.ldexp(groups, -unit)).sum(axis=2)
    return np.ldexp(sums, unit[:, :, 0]).max(axis=1)


def _scaled(values: NDArray[np.float64], exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    """RNE(values * 2^exponent); the scaling is exact, as binary64 is wide enough for any format."""
    return np.rint(np.ldexp(values, exponent))


def table(aligned: NDArray[np.int64], config: TensorCoreConfig) -> NDArray[np.int64]:
    """Entries [M, groups, 2^(g-1)] in table steps of aligned activations [M, groups * g]."""
    g = config.lookup_group
    grouped = aligned.reshape(len(aligned), -1, g)
    bits = (np.arange(config.entries)[:, None] >> np.arange(g - 1)) & 1
    sums = grouped[..., -1:] + grouped[..., :-1] @ (2 * bits - 1).T
    # RNE(sums / 2^u): adding just under a half, or a half if the quotient is odd, then flooring.
    odd = (sums >> config.guard) & 1
    half = (1 << config.guard) >> 1
    return (sums + np.where(odd, half, max(half - 1, 0))) >> config.guard


def activation_sum(entries: NDArray[np.int64]) -> NDArray[np.int64]:
    """[M]: sum of a segment's activations in table steps, from the entries of all +1."""
    return entries[..., -1].sum(axis=1)


def lookup(
    entries: NDArray[np.int64], codes: NDArray[np.uint8], equal: bool, config: TensorCoreConfig
) -> NDArray[np.int64]:
    """psum [M, N] in table steps: tables [M, groups, 2^(g-1)] read by codes [planes, N, groups].

    Planes come most significant first and weigh 2^i, or 1 each where `equal`.
    """
    _, columns, groups = codes.shape
    if entries.shape[1:] != (groups, config.entries):
        raise ValueError(f"entries have shape {entries.shape} for {groups} groups of codes")
    # The top bit of a code negates: it selects the second half of [T, -T].
    signed = np.concatenate([entries, -entries], axis=2).transpose(1, 2, 0).copy()
    psum = np.zeros((columns, len(entries)), dtype=np.int64)
    for plane in codes:
        if not equal:
            psum *= 2
        for group in range(groups):
            psum += signed[group].take(plane[:, group], axis=0)
    return psum.T.copy()


def fma(
    acc: NDArray[np.float32],
    difference: NDArray[np.int64],
    scale: NDArray[np.float32],
    exponent: NDArray[np.int64],
) -> NDArray[np.float32]:
    """RN32(acc + difference * scale * 2^(exponent - 1)), rounded once; shapes broadcast.

    |difference| < 2^52, scale finite, |exponent| below 500. A zero result is +0; a NaN acc gives
    the canonical NaN; an infinite acc stays. The exact sum is rounded to odd in binary64, then to
    nearest in binary32: rounding to odd keeps every "not quite half" visible (Boldo and Melquiond,
    Emulation of FMA and correctly rounded sums).
    """
    start = np.where(np.isfinite(acc), acc, np.float32(0)).astype(np.float64)
    low = difference & 0xFFFFFF  # 24 bits, and 28 remain at most: both products are exact
    high = difference - low
    wide = scale.astype(np.float64)
    product, product_error = _two_sum(
        np.ldexp(high * wide, exponent - 1), np.ldexp(low * wide, exponent - 1)
    )
    total, total_error = _two_sum(start, product)
    # What this sum of errors itself loses is below its last place: it never turns the rest's sign.
    total, rest = _two_sum(total, total_error + product_error)
    even = (total.view(np.int64) & 1) == 0
    to_odd = np.where(even & (rest != 0), np.nextafter(total, np.copysign(np.inf, rest)), total)
    with np.errstate(over="ignore"):
        result = to_odd.astype(np.float32) + np.float32(0)  # -0 becomes +0
    result = np.where(np.isinf(acc), acc, result)
    return np.where(np.isnan(acc), _nan(), result)


def _nan() -> np.float32:
    return np.uint32(FP32.quiet_nan).view(np.float32)


def _two_sum(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(s, error) with s = RN64(a + b) and s + error = a + b exactly (Knuth)."""
    s = a + b
    back = s - a
    return s, (a - (s - back)) + (b - back)


def rescale(
    acc: NDArray[np.float32] | NDArray[np.int32],
    psum: NDArray[np.int64],
    sum: NDArray[np.int64],
    exponent: NDArray[np.int64],
    nonfinite: NDArray[np.bool_],
    scale: NDArray[np.float32],
    zero: NDArray[np.int64],
    raw: bool,
) -> NDArray[np.float32] | NDArray[np.int32]:
    """The accumulator [M, N] after one pass.

    psum [M, N]; sum, exponent, nonfinite [M]; scale, zero (z') [N]. With `raw`, acc is int32 and
    takes psum - z' sum modulo 2^32; otherwise it is float32 and takes the scaled difference.
    """
    difference = psum - zero * sum[:, None]
    if raw:
        return (acc + difference).astype(np.int32)
    result = fma(acc.astype(np.float32), difference, scale, exponent[:, None])
    return np.where(nonfinite[:, None], _nan(), result)


def check_activations(
    activations: object,
    weights: AffineWeights | TernaryWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
) -> FloatFormat | IntegerFormat:
    """The format of activations [M, K]; InputError where they do not fit weights, core or output.

    Output int32 needs integer activations, and K so short that no product can overflow.
    """
    if output not in ("fp32", "int32"):
        raise InputError(f"output must be fp32 or int32, not {output!r}")
    array = check_array("activations", activations, 2)
    fmt = _FORMATS.get(array.dtype)
    if fmt is None:
        raise InputError(f"activations must be int8 or float16, not {array.dtype}")
    if fmt.name not in config.activations:
        raise InputError(
            f"activations are {fmt.name}, but the configuration {config.name!r} is built for "
            f"{', '.join(config.activations)}; add {fmt.name!r} to its activations"
        )
    codes = weights.codes if isinstance(weights, AffineWeights) else weights.ternary
    k = codes.shape[1]
    if array.shape[1] != k:
        raise InputError(
            f"activations must have K = {k} columns to match the weights, not shape {array.shape}"
        )
    if output == "int32":
        _check_raw(fmt, weights, k)
    return fmt


def _plane_sum(weights: AffineWeights | TernaryWeights) -> int:
    """Sum of the weights of the planes: the largest |q'|."""
    return (1 << weights.bits) - 1 if isinstance(weights, AffineWeights) else 2


def _check_raw(
    fmt: FloatFormat | IntegerFormat, weights: AffineWeights | TernaryWeights, k: int
) -> None:
    if not isinstance(fmt, IntegerFormat):
        raise InputError(f"output int32 is defined for int8 activations only, not {fmt.name}")
    largest = -fmt.min * (_plane_sum(weights) + int(np.abs(weights.doubled_zeros).max()))
    limit = ((1 << 31) - 1) // largest
    if k > limit:
        raise InputError(
            f"output int32 could overflow: K must be at most {limit} for these weights "
            f"(terms up to {largest}), not {k}; output fp32 would do"
        )


class _Pass(NamedTuple):
    segment: Segment
    activations: Precomputed
    psum: NDArray[np.int64]
    sum: NDArray[np.int64]
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]

    def accumulate(
        self, acc: NDArray[np.float32] | NDArray[np.int32], raw: bool
    ) -> NDArray[np.float32] | NDArray[np.int32]:
        _, exponent, nonfinite = self.activations
        return rescale(acc, self.psum, self.sum, exponent, nonfinite, self.scale, self.zero, raw)


def _passes(
    activations: NDArray[Any],
    fmt: FloatFormat | IntegerFormat,
    weights: AffineWeights | TernaryWeights,
    config: TensorCoreConfig,
) -> Iterator[_Pass]:
    """What reaches `rescale`, segment by segment along K."""
    planes, zeros = weights.planes, weights.doubled_zeros
    for cut in segments(activations.shape[1], weights.group, config):
        aligned = precompute(activations[:, cut.start : cut.stop], fmt, config)
        entries = table(aligned.aligned, config)
        bits = planes[:, :, cut.start : cut.stop]
        bits = np.pad(bits, ((0, 0), (0, 0), (0, -bits.shape[2] % config.k)))
        codes = fold(bits.reshape(*bits.shape[:2], -1, config.lookup_group))
        yield _Pass(
            cut,
            aligned,
            lookup(entries, codes, isinstance(weights, TernaryWeights), config),
            activation_sum(entries),
            weights.scales[:, cut.group],
            zeros[:, cut.group],
        )


def core(
    activations: NDArray[Any],
    weights: AffineWeights | TernaryWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
) -> NDArray[np.float32] | NDArray[np.int32]:
    """The GEMM activations [M, K] times weights [N, K] transposed: [M, N], any M, N, K.

    `fp32` gives scaled results, `int32` raw integers in units of scale / 2 (int8 activations
    only). Raises InputError where activations, weights and configuration do not fit together.
    """
    fmt = check_activations(activations, weights, config, output)
    check_weights(weights, config)
    raw = output == "int32"
    shape = (len(activations), len(weights.scales))
    acc = np.zeros(shape, np.int32) if raw else np.zeros(shape, np.float32)
    for step in _passes(activations, fmt, weights, config):
        acc = step.accumulate(acc, raw)
    return acc


def error_bound(
    activations: NDArray[Any],
    weights: AffineWeights | TernaryWeights,
    config: TensorCoreConfig,
) -> NDArray[np.float64]:
    """[M, N]: a bound on |core - exact product| for fp32 output.

    docs/specification.md, "Error of float activations": the tables' part (none for integers) and
    half a unit in the last place of every accumulation. Infinite where the result overflows, NaN
    where it is NaN. Raises InputError as `core` does.
    """
    fmt = check_activations(activations, weights, config)
    check_weights(weights, config)
    g = config.lookup_group
    exact = isinstance(fmt, IntegerFormat)
    lookup_error = 0.0 if exact else 0.5 + g * 2.0 ** -(config.guard + 1)  # table steps
    acc = np.zeros((len(activations), len(weights.scales)), np.float32)
    bound = np.zeros(acc.shape)
    for step in _passes(activations, fmt, weights, config):
        acc = step.accumulate(acc, raw=False)
        groups = -(-(step.segment.stop - step.segment.start) // g)
        lookups = groups * (_plane_sum(weights) + np.abs(step.zero))
        unit = np.ldexp(
            np.abs(step.scale.astype(np.float64)), step.activations.exponent[:, None] - 1
        )
        bound += unit * lookups * lookup_error
        finite = np.where(np.isfinite(acc), acc, np.float32(0))
        bound += np.spacing(np.abs(finite)).astype(np.float64) / 2
    bound *= 1 + 2.0**-30  # the roundings of this sum itself
    return np.where(np.isfinite(acc), bound, np.abs(acc.astype(np.float64)))
