"""Golden model of floating-point tensor cores: fused dot products, truncated, bit for bit.

A step adds some products and an FP32 accumulator at once:

* A product is exact. Its exponent is the sum of its operands' exponents, its significand lies in
  [1, 4) and is not normalised; a subnormal operand has the exponent of the smallest normal number
  and a significand below 1.
* E is the largest exponent of all terms that are not zero, and LOWEST at least.
* Every term's magnitude is truncated to a multiple of 2^(E - F); the sum is exact.
* The sum's magnitude is truncated to FP32, to subnormals where it is small. What needs a larger
  exponent than FP32 has becomes infinity. A sum of zero is +0; one that truncation makes zero keeps
  its sign.
* NaN, infinity times zero and infinities of both signs give the NaN 0x7fffffff, which is what
  NVIDIA's cores return, whatever the payload; other infinities give infinity.

Longer rows are taken some terms at a time, the first terms first, each result being the accumulator
of the next step; a short step is filled up with zeros.

With V100's, A100's, Ada's or H100's numbers this computes what those GPUs do in FP16 and BF16.
Sources: Fasi et al., "Numerical behavior of NVIDIA tensor cores", PeerJ CS 2021; Khattak and
Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv 2512.07004; Xie et al., "MMA-Sim", arXiv
2511.10909. The last two differ in E where every term is tiny: LOWEST is from the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.formats import FP32, FloatFormat
from lutcore.numbers import decode, encode, rounded

__all__ = ["GPUS", "LOWEST", "NAN", "Numerics", "fused_dot", "matmul", "narrow_codes", "narrow_dot"]

LOWEST = -133
"""No alignment goes below this exponent."""

NAN = 0x7FFF_FFFF
"""The code of every NaN that a core gives."""


@dataclass(frozen=True)
class Numerics:
    """How a core adds: `terms` products at a time, in units of 2^(E - fraction_bits)."""

    terms: int
    fraction_bits: int


GPUS = {
    "v100": Numerics(4, 23),
    "a100": Numerics(8, 24),
    "ada": Numerics(8, 24),
    "h100": Numerics(16, 25),
}
"""Numerics of GPUs for FP16 and BF16."""


class _Parts(NamedTuple):
    """Codes taken apart. value = (-1)^negative significand 2^(exponent - fraction bits)."""

    negative: NDArray[np.bool_]
    exponent: NDArray[np.int64]
    significand: NDArray[np.int64]
    infinite: NDArray[np.bool_]
    nan: NDArray[np.bool_]


def _parts(codes: NDArray[Any], fmt: FloatFormat) -> _Parts:
    wide = codes.astype(np.int64)
    fraction = wide & ((1 << fmt.fraction_bits) - 1)
    field = (wide >> fmt.fraction_bits) & fmt.special_field
    significand = np.where(field == 0, fraction, fraction | 1 << fmt.fraction_bits)
    top = field == fmt.special_field
    if fmt.infinities:
        infinite, nan = top & (fraction == 0), top & (fraction != 0)
    else:
        infinite = np.zeros_like(top)
        nan = top & (fraction == (1 << fmt.fraction_bits) - 1)
    negative = (wide >> (fmt.bits - 1) & 1).astype(np.bool_)
    return _Parts(negative, np.maximum(field, 1) - fmt.bias, significand, infinite, nan)


def _aligned(
    significand: NDArray[np.int64], place: NDArray[np.int64], negative: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """significand * 2^place, its magnitude truncated to an integer."""
    up, down = np.maximum(place, 0), np.minimum(np.maximum(-place, 0), 62)
    magnitude = significand << up >> down
    return np.where(negative, -magnitude, magnitude)


def _truncated(total: NDArray[np.int64], unit: NDArray[np.int64]) -> NDArray[np.int64]:
    """FP32 codes of total * 2^unit, truncated."""
    magnitude = np.abs(total)
    _, length = np.frexp(magnitude.astype(np.float64))  # below 2^53, so exact
    last = np.maximum(unit + length - FP32.significand_bits, FP32.unit_exponent)
    significand = _aligned(magnitude, unit - last, np.zeros_like(total, np.bool_))
    # The hidden bit runs into the exponent field, which subnormals leave at 0.
    code = (last - FP32.unit_exponent << FP32.fraction_bits) + significand
    code = np.where(total == 0, 0, np.minimum(code, FP32.infinity))
    return np.where(total < 0, code | 1 << (FP32.bits - 1), code)


def _step(
    products: _Parts,
    fraction_bits: int,
    accumulator: NDArray[np.int64],
    numerics: Numerics,
) -> NDArray[np.int64]:
    """The next accumulators [...] of products [..., terms]; exponents below E's reach do not count.

    fraction_bits are those of the products' significands.
    """
    acc = _parts(accumulator, FP32)
    acc_exponent = np.where(acc.significand == 0, LOWEST, acc.exponent)
    largest = np.maximum(products.exponent.max(axis=-1), np.maximum(acc_exponent, LOWEST))
    unit = largest - numerics.fraction_bits
    place = products.exponent - fraction_bits - unit[..., None]
    total = _aligned(products.significand, place, products.negative).sum(axis=-1)
    total += _aligned(acc.significand, acc.exponent - FP32.fraction_bits - unit, acc.negative)
    code = _truncated(total, unit)
    up = (products.infinite & ~products.negative).any(axis=-1) | acc.infinite & ~acc.negative
    down = (products.infinite & products.negative).any(axis=-1) | acc.infinite & acc.negative
    nan = products.nan.any(axis=-1) | acc.nan | up & down
    code = np.where(up, FP32.infinity, code)
    code = np.where(down, FP32.infinity | 1 << (FP32.bits - 1), code)
    return np.where(nan, NAN, code)


def _steps(codes: NDArray[Any], terms: int) -> NDArray[Any]:
    """[..., K] as [..., steps, terms], filled up with zeros."""
    padding = [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % terms)]
    filled = np.pad(codes, padding)
    return filled.reshape(*codes.shape[:-1], -1, terms)


def fused_dot(
    a: NDArray[Any],
    b: NDArray[Any],
    accumulator: NDArray[Any],
    fmt: FloatFormat,
    numerics: Numerics,
) -> NDArray[np.uint32]:
    """FP32 codes [...]: `accumulator` [...] plus the dot products of `a` and `b` [..., K].

    a and b are codes of `fmt`, broadcast against each other; K may be any length.
    """
    a, b = np.broadcast_arrays(a, b)
    code = accumulator.astype(np.int64)
    a_steps, b_steps = _steps(a, numerics.terms), _steps(b, numerics.terms)
    for step in range(a_steps.shape[-2]):
        x, y = _parts(a_steps[..., step, :], fmt), _parts(b_steps[..., step, :], fmt)
        x_zero, y_zero = x.significand == 0, y.significand == 0
        infinite = x.infinite | y.infinite
        products = _Parts(
            x.negative ^ y.negative,
            np.where(x_zero | y_zero, LOWEST, x.exponent + y.exponent),
            x.significand * y.significand,
            infinite,
            x.nan | y.nan | infinite & (x_zero | y_zero),
        )
        code = _step(products, 2 * fmt.fraction_bits, code, numerics)
    return code.astype(np.uint32)


def narrow_dot(
    a: NDArray[Any],
    weights: NDArray[Any],
    accumulator: NDArray[Any],
    fmt: FloatFormat,
    numerics: Numerics,
) -> NDArray[np.uint32]:
    """The same for small integers as weights: a multiplier-free core.

    The exponent of a product is that of its activation, and an activation that is not zero counts
    whatever its weight: so the largest exponent is one for a row of activations. Infinity times
    zero is NaN.
    """
    a, weights = np.broadcast_arrays(a, weights)
    code = accumulator.astype(np.int64)
    a_steps, weight_steps = _steps(a, numerics.terms), _steps(weights, numerics.terms)
    for step in range(a_steps.shape[-2]):
        x = _parts(a_steps[..., step, :], fmt)
        weight = weight_steps[..., step, :].astype(np.int64)
        products = _Parts(
            x.negative ^ (weight < 0),
            np.where(x.significand == 0, LOWEST, x.exponent),
            x.significand * np.abs(weight),
            x.infinite,
            x.nan | x.infinite & (weight == 0),
        )
        code = _step(products, fmt.fraction_bits, code, numerics)
    return code.astype(np.uint32)


def matmul(
    activations: NDArray[Any],
    weights: NDArray[Any],
    fmt: FloatFormat,
    numerics: Numerics,
    narrow: bool = False,
) -> NDArray[np.uint32]:
    """FP32 codes [M, N]: what an array of dot products gives for codes [M, K] and weights [N, K].

    Weights are codes of `fmt`, or small integers if they are `narrow`. Sums start from zero.
    """
    dot = narrow_dot if narrow else fused_dot
    start = np.zeros((len(activations), len(weights)), np.uint32)
    return dot(activations[:, None, :], weights[None, :, :], start, fmt, numerics)


def narrow_codes(weights: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The codes of integer weights of a kind of `mac_config.NARROW`: q of 2q - (2^n - 1) for w1,
    w2 and w4, two's complement of as few bits as hold all values for others."""
    wide = np.asarray(weights, np.int64)
    if name.startswith("w"):
        return (wide + (1 << int(name[1:])) - 1) >> 1
    return wide & (15 if name == "int4" else 3)


def dequantised(
    digits: NDArray[Any], scales: NDArray[Any], zeros: NDArray[Any], fmt: FloatFormat
) -> NDArray[np.int64]:
    """Codes of RN(scale (d - zero)) for integers d, codes of scales, and integer zero points.

    All are broadcast. Ties go to even; what is too large becomes infinity, or NaN where there is
    none. A scale that is no number passes with the sign of d - zero.
    """
    factor = np.asarray(digits, np.int64) - zeros
    scale = decode(scales, fmt)
    sign = 1 << (fmt.bits - 1)
    # A significand times a small integer is exact in float64.
    value = rounded(np.where(np.isfinite(scale), scale, 0.0) * factor, fmt)
    negative = (scales & sign != 0) ^ (factor < 0)
    code = (encode(value, fmt).astype(np.int64) & (sign - 1)) | negative * sign
    passed = (scales & (sign - 1)) | negative * sign
    return np.where(np.isfinite(scale), code, passed)
