"""The oracle of the golden model: exact rationals, one number at a time, slow and plain.

`exact` is the real-valued definition of the product. `specified` is docs/specification.md again,
from the bits of the inputs to the bits of the outputs, by other means than `golden`: weights are
neither folded nor packed, numbers are decoded by hand, and the block exponent is found by trial.
Only the containers of weights are shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.layout import AffineWeights, TernaryWeights

__all__ = ["decode_fp16", "decode_fp32", "exact", "rn32", "specified"]

INFINITY = 0x7F800000
NAN = 0x7FC00000

Weights = AffineWeights | TernaryWeights


def _power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def decode_fp16(bits: int) -> Fraction | None:
    """The value of an FP16 bit pattern; None for infinity and NaN."""
    sign = -1 if bits & 0x8000 else 1
    field, fraction = (bits >> 10) & 0x1F, bits & 0x3FF
    if field == 0x1F:
        return None
    if field == 0:
        return sign * fraction * _power(-24)
    return sign * (0x400 + fraction) * _power(field - 25)


def decode_fp32(bits: int) -> Fraction | None:
    """The value of an FP32 bit pattern; None for infinity and NaN."""
    sign = -1 if bits & 0x80000000 else 1
    field, fraction = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    if field == 0xFF:
        return None
    if field == 0:
        return sign * fraction * _power(-149)
    return sign * (0x800000 + fraction) * _power(field - 150)


def rn32(value: Fraction) -> int:
    """FP32 bits of `value` rounded to nearest, ties to even; zero results are +0."""
    if value == 0:
        return 0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < _power(exponent):
        exponent -= 1
    exponent = max(exponent, -126)
    # round() of a Fraction is to nearest, ties to even. A carry out of the significand runs into
    # the exponent field, as does the hidden bit, which subnormal numbers lack.
    significand = round(magnitude / _power(exponent - 23))
    bits = min(((exponent + 126) << 23) + significand, INFINITY)
    return bits | 0x80000000 if bits and value < 0 else bits


def _value(array: NDArray[Any], *index: int) -> Fraction | None:
    """The element of an int8 or float16 array."""
    if array.dtype == np.int8:
        return Fraction(int(array[index]))
    return decode_fp16(int(array.view(np.uint16)[index]))


def _scale(weights: Weights, column: int, group: int) -> Fraction:
    value = decode_fp32(int(weights.scales.view(np.uint32)[column, group]))
    assert value is not None
    return value


def exact(activations: NDArray[Any], weights: Weights) -> list[list[Fraction | None]]:
    """[M][N]: the products of activations [M, K] and weights, exactly; None in nonfinite rows."""
    return [
        [_exact(activations, weights, row, column) for column in range(len(weights.scales))]
        for row in range(len(activations))
    ]


def _exact(activations: NDArray[Any], weights: Weights, row: int, column: int) -> Fraction | None:
    total = Fraction(0)
    for k in range(activations.shape[1]):
        activation = _value(activations, row, k)
        if activation is None:
            return None
        group = k // weights.group
        if isinstance(weights, TernaryWeights):
            real = Fraction(int(weights.ternary[column, k]))
        else:
            zero = Fraction(float(weights.zeros[column, group]))
            real = int(weights.codes[column, k]) - zero
        total += activation * real * _scale(weights, column, group)
    return total


def specified(
    activations: NDArray[Any],
    weights: Weights,
    config: TensorCoreConfig,
    raw: bool = False,
) -> list[list[int]]:
    """[M][N]: FP32 bit patterns of the core's output, or with `raw` int32 values."""
    columns = len(weights.scales)
    outputs: list[list[int]] = []
    for row in range(len(activations)):
        acc = [0] * columns
        for start, stop in _cuts(activations.shape[1], weights.group, config.block):
            values = [_value(activations, row, k) for k in range(start, stop)]
            finite = [value for value in values if value is not None]
            if len(finite) < len(values):
                acc = [NAN] * columns
                continue
            exponent = 0 if activations.dtype == np.int8 else _exponent(finite, config)
            unit = _power(exponent - config.guard_bits)
            aligned = [round(value / unit) for value in finite]
            for column in range(columns):
                difference = _difference(aligned, weights, column, start, config)
                if raw:
                    acc[column] = (acc[column] + difference + 2**31) % 2**32 - 2**31
                elif (value := decode_fp32(acc[column])) is not None:  # infinity and NaN stay
                    scale = _scale(weights, column, start // weights.group)
                    acc[column] = rn32(value + difference * scale * _power(exponent - 1))
        outputs.append(acc)
    return outputs


def _cuts(k: int, group: int, block: int) -> list[tuple[int, int]]:
    """Where segments start and stop: at every group, and every block inside a group."""
    cuts: list[tuple[int, int]] = []
    start = 0
    while start < k:
        stop = start + 1
        while stop < k and stop % group and stop - start < block:
            stop += 1
        cuts.append((start, stop))
        start = stop
    return cuts


def _exponent(values: Sequence[Fraction], config: TensorCoreConfig) -> int:
    """e of a segment of floats: the least that keeps its peak within the limit."""
    g, t, u = config.lookup_group, config.table_bits, config.guard_bits
    peak = Fraction(0)
    for first in range(0, len(values), g):
        magnitudes = [abs(value) for value in values[first : first + g]]
        unit = _power(-24)
        while max(magnitudes) >= 2048 * unit:
            unit *= 2
        peak = max(peak, sum(math.ceil(value / unit) for value in magnitudes) * unit)
    field = 1
    while True:
        exponent = field + (1 - 15 - (t - 1))
        if peak / _power(exponent - u) + Fraction(g, 2) < (_power(t - 1) - Fraction(1, 2)) * 2**u:
            return exponent
        field += 1


def _difference(
    aligned: Sequence[int], weights: Weights, column: int, start: int, config: TensorCoreConfig
) -> int:
    """psum - z' sum of one column over the segment of `aligned` that begins at `start`."""
    g, u = config.lookup_group, config.guard_bits
    zero = 0
    if isinstance(weights, AffineWeights):
        zero = int(2 * Fraction(float(weights.zeros[column, start // weights.group])))
        zero += 1 - 2**weights.bits
    total = 0
    for first in range(0, len(aligned), g):
        group = aligned[first : first + g]
        stored = range(start + first, start + first + len(group))
        if isinstance(weights, TernaryWeights):
            trits = [int(weights.ternary[column, k]) for k in stored]
            planes = [(1, [v >= 0 for v in trits]), (1, [v == 1 for v in trits])]
        else:
            codes = [int(weights.codes[column, k]) for k in stored]
            planes = [(2**i, [q // 2**i % 2 == 1 for q in codes]) for i in range(weights.bits)]
        for weight, plane in [*planes, (-zero, [True] * len(group))]:
            signed = sum(x if bit else -x for x, bit in zip(group, plane, strict=True))
            total += weight * round(Fraction(signed, 2**u))
    return total
