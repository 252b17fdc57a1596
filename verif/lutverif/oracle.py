"""The oracle of the golden model: exact rationals, one number at a time, slow and plain.

`exact` is the real-valued definition of the product. `specified` is docs/specification.md again,
from the bits of the inputs to the bits of the outputs, by other means than `golden`: weights are
neither folded nor packed, numbers are decoded by hand, and the block exponent is found by trial.
Only the containers of weights are shared, and the terms of `PlaneWeights`, which hold them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.weights import AffineWeights, PlaneWeights, TernaryWeights

__all__ = ["cut", "decode", "exact", "rn", "specified"]

Weights = AffineWeights | TernaryWeights | PlaneWeights

FLOATS = {"fp32": (8, 23), "fp16": (5, 10), "bf16": (8, 7), "e5m2": (5, 2), "e4m3": (4, 3)}
"""Bits of exponent and fraction."""

INTEGERS = {"int4": 4, "int8": 8, "int16": 16}

INFINITY = {"fp32": 0x7F800000, "fp16": 0x7C00, "bf16": 0x7F80, "e5m2": 0x7C}
NAN = {"fp32": 0x7FC00000, "fp16": 0x7E00, "bf16": 0x7FC0, "e5m2": 0x7E, "e4m3": 0x7F}


@functools.cache
def _power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def _binade(magnitude: Fraction) -> int:
    """The x of 2^x <= magnitude < 2^(x + 1)."""
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return exponent - (magnitude < _power(exponent))


def decode(code: int, name: str) -> Fraction | None:
    """The value of a code of the format `name`; None for infinity and NaN."""
    if name in INTEGERS:
        bits = INTEGERS[name]
        return Fraction(code - (1 << bits) if code >> (bits - 1) else code)
    if name == "e8m0":
        return None if code == 0xFF else _power(code - 127)
    exponent_bits, fraction_bits = FLOATS[name]
    sign = -1 if code >> (exponent_bits + fraction_bits) else 1
    field, fraction = (code >> fraction_bits) % 2**exponent_bits, code % 2**fraction_bits
    ones = field == 2**exponent_bits - 1
    if ones and (name != "e4m3" or fraction == 0b111):
        return None
    bias = 2 ** (exponent_bits - 1) - 1
    if field == 0:
        return sign * Fraction(fraction, 2**fraction_bits) * _power(1 - bias)
    return sign * (1 + Fraction(fraction, 2**fraction_bits)) * _power(field - bias)


def rn(value: Fraction, name: str, whole: Callable[[Fraction], int] = round) -> int:
    """The code of `value` rounded to nearest, ties to even, in a float format; zeros are +0.

    `whole` int: rounded toward zero. Beyond the largest number lies infinity, or NaN where there
    is none.
    """
    if value == 0:
        return 0
    exponent_bits, fraction_bits = FLOATS[name]
    magnitude = abs(value)
    lowest = 2 - 2 ** (exponent_bits - 1)
    exponent = max(_binade(magnitude), lowest)
    # round() of a Fraction is to nearest, ties to even. A carry out of the significand runs into
    # the exponent field, as does the hidden bit, which subnormal numbers lack.
    significand = whole(magnitude / _power(exponent - fraction_bits))
    code = ((exponent - lowest) << fraction_bits) + significand
    code = min(code, INFINITY.get(name, NAN[name]))
    return code | 1 << (exponent_bits + fraction_bits) if code and value < 0 else code


def cut(
    start: Fraction, difference: int, scale: Fraction, exponent: int, config: TensorCoreConfig
) -> int:
    """The FP32 code of start + difference * scale * 2^(exponent - 1), with `config.truncate`."""
    product = difference * scale * _power(exponent - 1)
    bits = config.difference_bits - 1
    digits = max(1 + FLOATS[name][1] if name in FLOATS else 1 for name in config.scales)
    first = max(_binade(abs(start)), -126) if start else -126
    if product:
        first = max(first, _binade(abs(scale)) + bits + exponent - 1)
    unit = _power(first + 1 - max(bits + digits, 24))
    return rn((int(start / unit) + int(product / unit)) * unit, "fp32", int)


def _value(array: NDArray[Any], *index: int) -> Fraction | None:
    """The element of an array of integers, float16 or float32; None for infinity and NaN."""
    if array.dtype == np.float16:
        return decode(int(array.view(np.uint16)[index]), "fp16")
    if array.dtype == np.float32:
        return decode(int(array.view(np.uint32)[index]), "fp32")
    return Fraction(int(array[index]))


def _scale(array: NDArray[np.float32], column: int, group: int) -> Fraction:
    value = _value(array, column, group)
    assert value is not None
    return value


def exact(activations: NDArray[Any], weights: Weights) -> list[list[Fraction | None]]:
    """[M][N]: the products of activations [M, K] and weights, exactly; None in nonfinite rows."""
    rows, k = activations.shape
    columns = weights.shape[0]
    real = [[_real(weights, column, at) for at in range(k)] for column in range(columns)]
    outputs: list[list[Fraction | None]] = []
    for row in range(rows):
        values = [_value(activations, row, at) for at in range(k)]
        finite = [value for value in values if value is not None]
        if len(finite) < k:
            outputs.append([None] * columns)
        else:
            outputs.append([_dot(finite, real[column]) for column in range(columns)])
    return outputs


def _dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def _real(weights: Weights, column: int, k: int) -> Fraction:
    """One weight, by its definition."""
    group = k // weights.group
    if isinstance(weights, TernaryWeights):
        return int(weights.ternary[column, k]) * _scale(weights.scales, column, group)
    if isinstance(weights, AffineWeights):
        zero = Fraction(float(weights.zeros[column, group]))
        value = _scale(weights.scales, column, group) * (int(weights.codes[column, k]) - zero)
        if weights.offsets is not None:
            value += _scale(weights.offsets, column, group)
        return value
    total = Fraction(0)
    for term in weights.parts:
        digits = [int(plane[column, k]) for plane in term.digits]
        places = _places(len(digits), term.equal)
        value = sum(p * d for p, d in zip(places, digits, strict=True))
        zero = int(term.zeros[column, group])
        total += _scale(term.scales, column, group) / 2 * (value - zero)
        if term.offsets is not None:
            total += _scale(term.offsets, column, group)
    return total


def _places(planes: int, equal: bool) -> list[int]:
    return [1 if equal else 2 ** (planes - 1 - plane) for plane in range(planes)]


class _Term(NamedTuple):
    """A term of one column in one segment.

    digits  for each plane its weight, and its digits along the segment
    rounds  scale and z' of the first round, and of the second if there is an offset
    """

    digits: list[tuple[int, list[int]]]
    rounds: list[tuple[Fraction, int]]


def _terms(
    weights: Weights, config: TensorCoreConfig, column: int, start: int, stop: int
) -> list[_Term]:
    """What the column adds over the segment, pass by pass."""
    group = start // weights.group
    along = range(start, stop)
    if isinstance(weights, PlaneWeights):
        terms: list[_Term] = []
        for part in weights.parts:
            places = _places(len(part.digits), part.equal)
            planes = [[int(plane[column, k]) for k in along] for plane in part.digits]
            rounds = [(_scale(part.scales, column, group), int(part.zeros[column, group]))]
            if part.offsets is not None:
                rounds.append((2 * _scale(part.offsets, column, group), -1))
            terms.append(_Term(list(zip(places, planes, strict=True)), rounds))
        return terms
    scale = _scale(weights.scales, column, group)
    if isinstance(weights, TernaryWeights):
        trits = [int(weights.ternary[column, k]) for k in along]
        if config.table_digits == 3:
            return [_Term([(1, trits)], [(2 * scale, 0)])]
        first = (1, [1 if v >= 0 else -1 for v in trits])
        second = (1, [1 if v == 1 else -1 for v in trits])
        if config.weight_bits == 1:
            return [_Term([first], [(scale, 0)]), _Term([second], [(scale, 0)])]
        return [_Term([first, second], [(scale, 0)])]
    codes = [int(weights.codes[column, k]) for k in along]
    count = math.ceil(weights.bits / config.weight_bits)
    terms = []
    top = weights.bits
    for index in range(count):
        size = math.ceil(top / (count - index))
        bottom = top - size
        planes = [
            (2 ** (bit - bottom), [1 if q // 2**bit % 2 else -1 for q in codes])
            for bit in reversed(range(bottom, top))
        ]
        zero = int(2 * Fraction(float(weights.zeros[column, group]))) + 1 - 2**weights.bits
        rounds = [(scale * 2**bottom, 0 if bottom else zero)]
        if weights.offsets is not None and bottom == 0:
            rounds.append((2 * _scale(weights.offsets, column, group), -1))
        terms.append(_Term(planes, rounds))
        top = bottom
    return terms


class _Segment(NamedTuple):
    """A segment of one row: its aligned activations, and e; None where it is nonfinite."""

    start: int
    stop: int
    aligned: list[int] | None
    exponent: int


def specified(
    activations: NDArray[Any],
    weights: Weights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[Any] | None = None,
) -> list[list[int]]:
    """[M][N]: the codes of the core's output; for int32 the values."""
    inferred = {"int8": "int8", "int16": "int16", "float16": "fp16"}
    name = activation_type or inferred[activations.dtype.name]
    rows, k = activations.shape
    columns = range(weights.shape[0])
    outputs: list[list[int]] = []
    for row in range(rows):
        cuts = [
            _segment([_value(activations, row, at) for at in range(*cut)], cut, name, config)
            for cut in _cuts(k, weights.group, config.block)
        ]
        starts = np.zeros(len(columns), np.uint32) if addends is None else addends[row]
        start = starts.view(np.uint32).tolist()
        if output == "int32":
            doubled = isinstance(weights, TernaryWeights) and config.table_digits == 3
            outputs.append(
                [_raw(cuts, weights, config, at, start[at]) << doubled for at in columns]
            )
        else:
            outputs.append(
                [_scaled(cuts, weights, config, at, output, start[at]) for at in columns]
            )
    return outputs


def _raw(
    cuts: list[_Segment], weights: Weights, config: TensorCoreConfig, column: int, start: int
) -> int:
    total = start
    for cut in cuts:
        (term,) = _terms(weights, config, column, cut.start, cut.stop)
        ((_, zero),) = term.rounds
        assert cut.aligned is not None
        total += _difference(cut.aligned, term.digits, zero)
    return (total + 2**31) % 2**32 - 2**31


def _scaled(
    cuts: list[_Segment],
    weights: Weights,
    config: TensorCoreConfig,
    column: int,
    output: str,
    start: int,
) -> int:
    """The code of the sum from an FP32 code on, in the format `output`."""
    additions: list[tuple[int, Fraction, int] | None] = []
    for part in cuts:
        if part.aligned is None:
            additions.append(None)
            continue
        for term in _terms(weights, config, column, part.start, part.stop):
            digits = term.digits
            for scale, zero in term.rounds:
                difference = _difference(part.aligned, digits, zero)
                additions.append((difference, scale, part.exponent))
                digits = []  # the second round has no planes
    acc = NAN["fp32"] if start & (2**31 - 1) > INFINITY["fp32"] else start
    for index, addition in enumerate(additions):
        name = output if index == len(additions) - 1 else "fp32"
        number = decode(acc, "fp32")
        if addition is None or acc == NAN["fp32"]:
            acc = NAN[name]
        elif number is not None and config.truncate:
            acc = cut(number, *addition, config)
        elif number is not None:
            difference, scale, exponent = addition
            acc = rn(number + difference * scale * _power(exponent - 1), name)
        else:
            acc = rn(_power(200) if acc == INFINITY["fp32"] else -_power(200), name)
    return acc


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


def _segment(
    values: Sequence[Fraction | None], cut: tuple[int, int], name: str, config: TensorCoreConfig
) -> _Segment:
    finite = [value for value in values if value is not None]
    if len(finite) < len(values):
        return _Segment(*cut, None, 0)
    bits = INTEGERS.get(name, math.inf)
    exact = 2 ** (bits - 1) * config.lookup_group <= _limit(config)
    exponent = 0 if exact else _exponent(finite, name, config)
    unit = _power(exponent)
    return _Segment(*cut, [round(value / unit) for value in finite], exponent)


def _limit(config: TensorCoreConfig) -> int:
    """What the magnitude of a table's sums stays below."""
    halved = config.table_digits == 2 and config.lookup_group > 2
    return 2**config.table_bits if halved else 2 ** (config.table_bits - 1)


def _exponent(values: Sequence[Fraction], name: str, config: TensorCoreConfig) -> int:
    """e of a segment: the least that keeps its peak within the limit."""
    g = config.lookup_group
    lowest, significand = 0, 0
    if name in FLOATS:
        exponent_bits, fraction_bits = FLOATS[name]
        lowest, significand = 2 - 2 ** (exponent_bits - 1) - fraction_bits, 1 + fraction_bits
    peak = Fraction(0)
    for first in range(0, len(values), g):
        magnitudes = [abs(value) for value in values[first : first + g]]
        unit = _power(lowest)
        if name in FLOATS and any(magnitudes):
            unit = max(unit, _power(_binade(max(magnitudes)) + 1 - significand))
        peak = max(peak, sum(math.ceil(value / unit) for value in magnitudes) * unit)
    limit = _limit(config) - Fraction(g, 2)
    exponent = lowest
    while peak >= limit * _power(exponent):
        exponent += 1
    return exponent


def _difference(
    aligned: Sequence[int], digits: Sequence[tuple[int, Sequence[int]]], zero: int
) -> int:
    """Sum over planes minus z' times the sum of activations, of one column over a segment."""
    planes = [*digits, (-zero, [1] * len(aligned))]
    return sum(w * sum(x * d for x, d in zip(aligned, plane, strict=True)) for w, plane in planes)
