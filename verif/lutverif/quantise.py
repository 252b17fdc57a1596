"""Quantisers: real weights to affine or ternary ones, real activations to any format.

They are plain and deterministic, for workloads; a model that comes quantised needs none of them.
Scales are float16 values, as weight formats store them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.formats import FP16, FloatFormat, IntegerFormat
from lutcore.numbers import decode, rounded
from lutcore.weights import AffineWeights, TernaryWeights

__all__ = ["activation_rows", "affine", "ternary"]

RANGES = np.linspace(1, 0.7, 16)
"""Parts of a group's range that `affine` tries."""


def affine(weights: NDArray[np.floating], bits: int, group: int) -> AffineWeights:
    """Weights [N, K] rounded to nearest in `bits` (1 to 8), a scale and zero point per group.

    From two bits on the levels divide a range evenly: that of the group, that widened to hold 0, or
    one clipped about its middle, whichever has the least squared error; zero points are multiples
    of 1/2 from -(2^bits - 1)/2 to 3/2 (2^bits - 1). One bit keeps the sign: w = +-mean |w| as scale
    2 mean |w| and zero 1/2.
    InputError for weights that are not finite or too large for float16 scales.
    """
    if bits not in range(1, 9):
        raise InputError(f"bits must be 1..8, not {bits!r}")
    w, starts, index = _groups(weights, group)
    if bits == 1:
        scales = _float16(2 * _mean_magnitude(w, starts))
        return AffineWeights(
            (w >= 0).astype(np.uint8), 1, scales, np.full(scales.shape, 0.5), group
        )
    low = np.minimum.reduceat(w, starts, axis=1)
    high = np.maximum.reduceat(w, starts, axis=1)
    # Widened to hold 0, which keeps the zero point among the codes however far off a group lies.
    best = _affine_in(w, np.minimum(low, 0), np.maximum(high, 0), bits, starts, index)
    for kept in RANGES:
        inset = (high - low) * (1 - kept) / 2
        other = _affine_in(w, low + inset, high - inset, bits, starts, index)
        better = other.error < best.error
        best = _Rounded(
            np.where(better[:, index], other.codes, best.codes),
            np.where(better, other.scales, best.scales),
            np.where(better, other.zeros, best.zeros),
            np.where(better, other.error, best.error),
        )
    return AffineWeights(best.codes, bits, best.scales, best.zeros, group)


class _Rounded(NamedTuple):
    codes: NDArray[np.uint8]  # [N, K]
    scales: NDArray[np.float32]  # [N, groups], as the rest
    zeros: NDArray[np.float64]
    error: NDArray[np.float64]  # squared, of a group


def _affine_in(
    w: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    bits: int,
    starts: NDArray[np.intp],
    index: NDArray[np.intp],
) -> _Rounded:
    """Weights rounded to 2^bits levels from about `low` to about `high` of their group."""
    top = (1 << bits) - 1
    scales = _float16((high - low) / top)
    zeros = (top - _round_ratio(low + high, scales)) / 2
    zeros = np.clip(zeros, -top / 2, top * 3 / 2)
    codes = np.clip(np.rint(_ratio(w, scales[:, index]) + zeros[:, index]), 0, top)
    error = (scales[:, index] * (codes - zeros[:, index]) - w) ** 2
    return _Rounded(codes.astype(np.uint8), scales, zeros, np.add.reduceat(error, starts, axis=1))


def ternary(weights: NDArray[np.floating], group: int) -> TernaryWeights:
    """Weights [N, K] as -1, 0, +1 times the mean magnitude of their group (BitNet b1.58).

    InputError for weights that are not finite or too large for float16 scales.
    """
    w, starts, index = _groups(weights, group)
    scales = _float16(_mean_magnitude(w, starts))
    values = np.clip(_round_ratio(w, scales[:, index]), -1, 1)
    return TernaryWeights(values.astype(np.int8), scales, group)


def activation_rows(
    activations: NDArray[np.floating], fmt: FloatFormat | IntegerFormat
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Activations [M, K] as numbers of `fmt` [M, K] times scale [M].

    Integers have the largest of each row at +-fmt.max. FP16 and BF16 are rounded to nearest even,
    with scale 1. E4M3 and E5M2 have the least power of two that keeps the row below the format's
    largest number. The dtype is that in which `golden.core` takes the format: int8, int16,
    float16, or float32. InputError for activations that are not finite.
    """
    a = _real("activations", activations)
    largest = np.abs(a).max(axis=1)
    if isinstance(fmt, IntegerFormat):
        scales = (largest / fmt.max).astype(np.float32)
        codes = np.clip(_round_ratio(a, scales[:, None]), -fmt.max, fmt.max)
        return codes.astype(np.int16 if fmt.bits > 8 else np.int8), scales
    scales = np.ones(len(a))
    if fmt.bits == 8:
        top = decode(np.array(fmt.quiet_nan - 1 if not fmt.infinities else fmt.infinity - 1), fmt)
        fraction, exponent = np.frexp(largest / top)
        scales = np.ldexp(1.0, exponent - (fraction == 0.5))
    values = rounded(a / scales[:, None], fmt)
    return values.astype(np.float16 if fmt is FP16 else np.float32), scales.astype(np.float32)


def _real(name: str, value: NDArray[np.floating]) -> NDArray[np.float64]:
    if value.ndim != 2 or not value.size or value.dtype.kind != "f":
        raise InputError(
            f"{name} must be floats of shape [rows, K], not {value.dtype} of shape {value.shape}"
        )
    if not np.isfinite(value).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(value))[0]]
        raise InputError(f"{name} must be finite, but {name}{where} is {value[*where]}")
    return value.astype(np.float64)


def _groups(
    weights: NDArray[np.floating], group: int
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Weights [N, K] in float64, the start of every group along K, and the group of every k."""
    w = _real("weights", weights)
    if isinstance(group, bool) or not isinstance(group, (int, np.integer)) or group < 1:
        raise InputError(f"group must be an integer of 1 or more, not {group!r}")
    k = w.shape[1]
    return w, np.arange(0, k, group), np.arange(k) // group


def _mean_magnitude(w: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    counts = np.diff(starts, append=w.shape[1])
    return np.add.reduceat(np.abs(w), starts, axis=1) / counts


def _float16(scales: NDArray[np.float64]) -> NDArray[np.float32]:
    limit = float(np.finfo(np.float16).max)
    if scales.max() > limit:
        raise InputError(
            f"weights need a scale of {scales.max():.6g}, but float16 scales end at {limit:g}; "
            f"scale the weights down"
        )
    return scales.astype(np.float16).astype(np.float32)


def _ratio(value: NDArray[np.float64], scale: NDArray[np.floating]) -> NDArray[np.float64]:
    """value / scale, and 0 where the scale is 0 (all weights vanish there)."""
    wide = np.broadcast_to(scale.astype(np.float64), value.shape)
    return np.divide(value, wide, out=np.zeros(value.shape), where=wide != 0)


def _round_ratio(value: NDArray[np.float64], scale: NDArray[np.floating]) -> NDArray[np.float64]:
    """value / scale rounded to nearest even."""
    return np.rint(_ratio(value, scale))
