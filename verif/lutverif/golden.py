"""The golden model: docs/specification.md as numpy, one function for each RTL unit of its name.

    activations -> precompute -> table -> lookup -> rescale -> output

`precompute` to `rescale` compute one segment (one pass of the core for each term of the weights);
`core` is the whole GEMM. Every result is meant to the bit. Nothing here knows of tiles, beats,
cycles or folded codes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, FP32, OUTPUTS, FloatFormat, IntegerFormat
from lutcore.layout import OFFSET_ZERO, check_weights, segments
from lutcore.numbers import representable, rounded
from lutcore.weights import Term, Weights, check_array, raw_factor

__all__ = [
    "LookedUp",
    "Precomputed",
    "Tables",
    "activation_format",
    "activation_sum",
    "built_in",
    "check_activations",
    "check_addends",
    "core",
    "error_bound",
    "fma",
    "lookup",
    "precompute",
    "rescale",
    "table",
    "truncating_fma",
]

_INFERRED = {np.dtype(np.int8): "int8", np.dtype(np.int16): "int16", np.dtype(np.float16): "fp16"}
_DTYPES = (*_INFERRED, np.dtype(np.float32))


class Precomputed(NamedTuple):
    """Activations of one segment, aligned to one exponent a row.

    aligned    [M, steps * k] int64, units of 2^exponent, zero padded
    exponent   [M] int64, e; 0 for exact formats and nonfinite rows
    nonfinite  [M] bool, the row holds an infinity or NaN
    """

    aligned: NDArray[np.int64]
    exponent: NDArray[np.int64]
    nonfinite: NDArray[np.bool_]


class Tables(NamedTuple):
    """Tables of one segment. With `config.parity` a sum of a group is 2 entry + odd.

    entries  [M, groups, entries] int64
    odd      [M, groups] int64, 0 or 1: the low bit that all sums of a group share; 0 without parity
    """

    entries: NDArray[np.int64]
    odd: NDArray[np.int64]


def precompute(
    activations: NDArray[Any], fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig
) -> Precomputed:
    """Align the activations [M, L] of one segment, L <= block, and pad them to whole steps."""
    rows, length = activations.shape
    nonfinite = np.any(~np.isfinite(activations), axis=1)
    values = np.where(nonfinite[:, None], 0, activations).astype(np.float64)
    if config.exact(fmt):
        exponent = np.zeros(rows, dtype=np.int64)
    else:
        exponent = _exponent(_peak(values, fmt, config), fmt, config)
    # The scaling is exact: binary64 is wide enough for every format.
    aligned = np.rint(np.ldexp(values, -exponent[:, None])).astype(np.int64)
    exponent[nonfinite] = 0
    return Precomputed(np.pad(aligned, ((0, 0), (0, -length % config.k))), exponent, nonfinite)


def _peak(
    values: NDArray[np.float64], fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig
) -> NDArray[np.float64]:
    """[M]: the largest sum of a lookup group's magnitudes in values [M, L], each rounded up to
    the unit in the last place of the group's largest."""
    rows, length = values.shape
    padded = np.pad(np.abs(values), ((0, 0), (0, -length % config.lookup_group)))
    groups = padded.reshape(rows, -1, config.lookup_group)
    _, exponent = np.frexp(groups.max(axis=2, keepdims=True))  # largest < 2^exponent
    unit = np.maximum(exponent - fmt.significand_bits, fmt.unit_exponent)
    sums = np.ceil(np.ldexp(groups, -unit)).sum(axis=2)
    return np.ldexp(sums, unit[:, :, 0]).max(axis=1)


def _exponent(
    peak: NDArray[np.float64], fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig
) -> NDArray[np.int64]:
    """[M]: e, the least that keeps the peaks [M] within the tables."""
    limit = config.doubled_peak_limit
    # Below this, 2^exponent <= 2 peak alone exceeds the limit.
    exponent = np.frexp(peak)[1] + 1 - limit.bit_length()
    exponent = np.where(peak > 0, exponent, fmt.unit_exponent).astype(np.int64)
    exponent = np.maximum(exponent, fmt.unit_exponent)
    while (over := np.ldexp(2 * peak, -exponent) >= limit).any():
        exponent += over
    return exponent


def _entry_digits(config: TensorCoreConfig) -> NDArray[np.int64]:
    """[entries, g]: the factors of the activations in every stored entry."""
    g, d = config.lookup_group, config.table_digits
    # Of all combinations in the order of their value, the upper half, or all but the first; 0 lies
    # just below.
    values = np.arange(d**g - config.entries, d**g, dtype=np.int64)
    places = values[:, None] // d ** np.arange(g, dtype=np.int64) % d
    return places if config.subsets else 2 * places - 1 if d == 2 else places - 1


def table(aligned: NDArray[np.int64], config: TensorCoreConfig) -> Tables:
    """The tables of aligned activations [M, groups * g]; all their sums are exact."""
    grouped = aligned.reshape(len(aligned), -1, config.lookup_group)
    sums = grouped @ _entry_digits(config).T
    if config.parity:
        return Tables(sums >> 1, sums[..., 0] & 1)
    return Tables(sums, np.zeros(sums.shape[:2], np.int64))


def activation_sum(tables: Tables, config: TensorCoreConfig) -> NDArray[np.int64]:
    """[M]: sum of a segment's aligned activations, from the entries of all +1."""
    ones = tables.entries[..., -1]
    return (2 * ones + tables.odd if config.parity else ones).sum(axis=1)


class LookedUp(NamedTuple):
    """What a segment's lookups add up to: factor * psum + base, in units of 2^e.

    psum    [M, N] int64: the lanes' accumulators
    base    [M] int64: what all columns share; with parity the low bits of the sums, of subsets what
            digits of -1 throughout would give, else 0
    factor  2, or 1 where digits are ternary
    """

    psum: NDArray[np.int64]
    base: NDArray[np.int64]
    factor: int

    @property
    def total(self) -> NDArray[np.int64]:
        """[M, N]: the sum over planes and groups of the signed sums of activations."""
        return self.factor * self.psum + self.base[:, None]


def lookup(
    tables: Tables, digits: NDArray[np.int8], equal: bool, config: TensorCoreConfig
) -> LookedUp:
    """The lookups of a segment: tables [M, groups] read by digits [planes, N, K].

    K is groups * g. Planes come most significant first and weigh 2^i, or 1 each where `equal`.
    """
    g, d = config.lookup_group, config.table_digits
    entries, odd = tables
    planes, columns, length = digits.shape
    groups = length // g
    if length % g or entries.shape[1:] != (groups, config.entries):
        raise ValueError(f"entries have shape {entries.shape} for digits {digits.shape}")
    # All combinations in the order of their value, as in `_entry_digits`. With the low bit apart,
    # -(2 t + odd) is 2 (-t - odd) + odd.
    below = np.zeros((len(entries), groups, d**g - config.entries), np.int64)
    if not config.subsets:
        below[..., : config.entries] = -entries[..., ::-1] - odd[..., None]
    whole = np.concatenate([below, entries], axis=2).transpose(1, 2, 0).copy()
    places = (digits.reshape(planes, columns, groups, g).astype(np.int64) + 1) * (d - 1) // 2
    index = places @ d ** np.arange(g)
    shared = -activation_sum(tables, config) if config.subsets else odd.sum(axis=1)
    psum = np.zeros((columns, len(entries)), dtype=np.int64)
    base = np.zeros(len(entries), dtype=np.int64)
    for plane in index:
        if not equal:
            psum *= 2
            base *= 2
        for group in range(groups):
            psum += whole[group].take(plane[:, group], axis=0)
        base += shared
    return LookedUp(psum.T.copy(), base, 1 if d == 3 else 2)


def fma(
    acc: NDArray[np.float32],
    difference: NDArray[np.int64],
    scale: NDArray[np.float32],
    exponent: NDArray[np.int64],
    fmt: FloatFormat = FP32,
) -> NDArray[np.float32]:
    """acc + difference * scale * 2^(exponent - 1), rounded once to `fmt`; shapes broadcast.

    |difference| < 2^52, |exponent| below 500. A zero result is +0; a NaN acc and a scale that is
    not finite give the canonical NaN; an infinite acc stays. The exact sum is rounded to odd in
    binary64, then to nearest in `fmt`, at most FP32: rounding to odd keeps every "not quite half"
    visible (Boldo and Melquiond, Emulation of FMA and correctly rounded sums).
    """
    start = _finite(acc)
    low = difference & 0xFFFFFF  # 24 bits, and 28 remain at most: both products are exact
    high = difference - low
    wide = _finite(scale)
    product, product_error = _two_sum(
        np.ldexp(high * wide, exponent - 1), np.ldexp(low * wide, exponent - 1)
    )
    total, total_error = _two_sum(start, product)
    # What this sum of errors itself loses is below its last place: it never turns the rest's sign.
    total, rest = _two_sum(total, total_error + product_error)
    even = (total.view(np.int64) & 1) == 0
    to_odd = np.where(even & (rest != 0), np.nextafter(total, np.copysign(np.inf, rest)), total)
    if fmt is not FP32:
        to_odd = rounded(to_odd, fmt)
    with np.errstate(over="ignore"):
        result = to_odd.astype(np.float32) + np.float32(0)  # -0 becomes +0
    return _with_specials(result, acc, scale)


def _finite(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The values, with 0 for infinities and NaN."""
    return np.where(np.isfinite(values), values, np.float32(0)).astype(np.float64)


def _with_specials(
    result: NDArray[np.float32], acc: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The result, but an infinite acc, or the one NaN for a NaN acc or a scale not finite."""
    result = np.where(np.isinf(acc), acc, result)
    return np.where(np.isnan(acc) | ~np.isfinite(scale), _nan(), result)


def truncating_fma(
    acc: NDArray[np.float32],
    difference: NDArray[np.int64],
    scale: NDArray[np.float32],
    exponent: NDArray[np.int64],
    config: TensorCoreConfig,
) -> NDArray[np.float32]:
    """acc + difference * scale * 2^(exponent - 1), cut off twice toward zero; shapes broadcast.

    First the two operands, to multiples of 2^`_frame`, then their sum, to FP32. Otherwise as `fma`.
    """
    product, unit = _product(difference, scale, exponent, config)
    finite = _finite(acc)
    start_unit = _exponent_of(finite) - FP32.fraction_bits
    start = np.ldexp(finite, -start_unit).astype(np.int64)
    last = _frame(finite, np.where(product == 0, np.iinfo(np.int32).min, unit), config)
    total = _moved(start, start_unit - last) + _moved(product, unit - last)
    size = np.abs(total)
    length = np.frexp(size.astype(np.float64))[1]
    length -= size >> np.maximum(length - 1, 0) == 0  # rounded up to a power of two
    lost = np.maximum(np.maximum(length - FP32.significand_bits, FP32.unit_exponent - last), 0)
    with np.errstate(over="ignore"):
        result = np.ldexp(_moved(total, -lost).astype(np.float64), last + lost).astype(np.float32)
    return _with_specials(result, acc, scale)


def _product(
    difference: NDArray[np.int64],
    scale: NDArray[np.float32],
    exponent: NDArray[np.int64],
    config: TensorCoreConfig,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """difference * scale * 2^(exponent - 1) as (p, unit) for p * 2^unit. The scale, 0 where it is
    not finite, has as many digits as the widest format of `config`, the first of them not 0."""
    digits = _scale_digits(config)
    fraction, place = np.frexp(_finite(scale))
    product = difference * np.ldexp(fraction, digits).astype(np.int64)
    return product, place.astype(np.int64) + exponent - 1 - digits


def _scale_digits(config: TensorCoreConfig) -> int:
    return max(fmt.significand_bits for fmt in config.scale_formats)


def _frame(
    acc: NDArray[np.float64], unit: NDArray[np.int64], config: TensorCoreConfig
) -> NDArray[np.int64]:
    """Exponent of the last digit that a truncating sum of acc and a product in 2^unit keeps.

    The first digit is that of acc or the highest that a product of that unit may have. Either
    operand has no more digits: the one that decides loses nothing.
    """
    length = config.difference_bits - 1 + _scale_digits(config)
    first = np.maximum(_exponent_of(acc), unit + length - 1)
    return first + 1 - max(length, FP32.significand_bits)


def _exponent_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The exponents of FP32 numbers, at least that of the smallest normal one."""
    lowest = FP32.unit_exponent + FP32.fraction_bits
    exponent = np.frexp(values)[1].astype(np.int64) - 1
    return np.where(values == 0, lowest, np.maximum(exponent, lowest))


def _moved(values: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """values * 2^places, cut off toward zero."""
    size = np.abs(values) << np.clip(places, 0, 63) >> np.clip(-places, 0, 63)
    return np.sign(values) * size


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
    total: NDArray[np.int64] | None,
    sum: NDArray[np.int64],
    exponent: NDArray[np.int64],
    nonfinite: NDArray[np.bool_],
    scale: NDArray[np.float32],
    zero: NDArray[np.int64],
    output: str | None,
    config: TensorCoreConfig,
) -> NDArray[np.float32] | NDArray[np.int32]:
    """The accumulator [M, N] after one round of scales.

    total [M, N] (`LookedUp.total`), or None in the round of the offsets; sum, exponent, nonfinite
    [M]; scale, zero (z') [N]. `output` is None for an accumulation in FP32, the name of a float
    format for the last round, whose result is of that format; both are float32 arrays. With
    `int32`, acc is int32 and takes total - z' sum modulo 2^32.
    """
    difference = (0 if total is None else total) - zero * sum[:, None]
    unit = exponent[:, None] + (total is None)
    if output == "int32":
        return (acc + difference).astype(np.int32)
    fmt = OUTPUTS[output or "fp32"]
    assert isinstance(fmt, FloatFormat)
    if config.truncate:
        result = truncating_fma(acc.astype(np.float32), difference, scale, unit, config)
    else:
        result = fma(acc.astype(np.float32), difference, scale, unit, fmt)
    return np.where(nonfinite[:, None], _nan(), result)


def check_activations(
    activations: object,
    weights: Weights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
) -> FloatFormat | IntegerFormat:
    """The format of activations [M, K]; InputError where they do not fit weights, core or output.

    Without `activation_type` it is int8, int16 or fp16 by dtype; with it, activations are int8,
    int16, float16 or float32 and every one a number of that format. Output int32 needs an exact
    format, weights of one term without offsets, and K so short that no product can overflow.
    """
    _check_output(output, config)
    array = check_array("activations", activations, 2)
    fmt = activation_format(array, config, activation_type)
    _, k = weights.shape
    if array.shape[1] != k:
        raise InputError(
            f"activations must have K = {k} columns to match the weights, not shape {array.shape}"
        )
    _check_values(array, fmt, config)
    if output == "int32":
        _check_raw(fmt, weights, config)
    return fmt


def check_addends(
    addends: object, shape: tuple[int, int], weights: Weights, config: TensorCoreConfig, output: str
) -> NDArray[np.float32] | NDArray[np.int32]:
    """The addends if they are those of results of `shape` (M, N); InputError if not.

    float32, any codes, or int32 for output int32. Integers need a core that gives whole sums.
    """
    array = check_array("addends", addends, 2)
    if not config.addends:
        raise InputError(
            f"the configuration {config.name!r} takes no addends; addends = true would do"
        )
    kind = np.int32 if output == "int32" else np.float32
    if array.dtype != kind:
        raise InputError(f"addends must be {np.dtype(kind)} for output {output}, not {array.dtype}")
    if array.shape != shape:
        raise InputError(f"addends must have shape {shape} of the results, not {array.shape}")
    if output == "int32" and raw_factor(weights, config) != 1:
        raise InputError(
            f"output int32 of the configuration {config.name!r} is half of the product for ternary "
            "weights and takes no addends; output fp32 would do"
        )
    return array


def _check_output(output: str, config: TensorCoreConfig) -> None:
    if output not in OUTPUTS:
        raise InputError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    if output not in config.outputs:
        raise InputError(
            f"output is {output}, but the configuration {config.name!r} is built for "
            f"{', '.join(config.outputs)}; add {output!r} to its outputs"
        )


def built_in(activation_type: str, config: TensorCoreConfig) -> FloatFormat | IntegerFormat:
    """The activation format of that name; InputError where there is none or `config` lacks it."""
    if activation_type not in ACTIVATIONS:
        raise InputError(
            f"activation type must be one of {', '.join(ACTIVATIONS)}, not {activation_type!r}"
        )
    if activation_type not in config.activations:
        raise InputError(
            f"activations are {activation_type}, but the configuration {config.name!r} is built "
            f"for {', '.join(config.activations)}; add {activation_type!r} to its activations"
        )
    return ACTIVATIONS[activation_type]


def activation_format(
    array: NDArray[Any], config: TensorCoreConfig, activation_type: str | None
) -> FloatFormat | IntegerFormat:
    """The built-in format that is named, or else follows from the dtype; InputError if none."""
    if array.dtype not in _DTYPES:
        names = ", ".join(str(dtype) for dtype in _DTYPES[:-1])
        raise InputError(f"activations must be {names} or {_DTYPES[-1]}, not {array.dtype}")
    name = _INFERRED.get(array.dtype) if activation_type is None else activation_type
    if name is None:
        raise InputError(
            f"activations of {array.dtype} need an activation type; the configuration "
            f"{config.name!r} is built for {', '.join(config.activations)}"
        )
    return built_in(name, config)


def _check_values(
    array: NDArray[Any], fmt: FloatFormat | IntegerFormat, config: TensorCoreConfig
) -> None:
    held = representable(array, fmt)
    if held.all():
        return
    where = tuple(int(i) for i in np.argwhere(~held)[0])
    others = [f.name for f in config.formats if representable(array, f).all()]
    advice = f"activation type {others[0]} would do" if others else f"round them to {fmt.name}"
    raise InputError(
        f"activations must be {fmt.name}, but activations{list(where)} is {array[where]}; {advice}"
    )


def _check_raw(
    fmt: FloatFormat | IntegerFormat, weights: Weights, config: TensorCoreConfig
) -> None:
    if not isinstance(fmt, IntegerFormat) or not config.exact(fmt):
        raise InputError(
            f"output int32 needs tables that hold sums of {config.lookup_group} activations "
            f"exactly, but table_bits is {config.table_bits} and activations are {fmt.name}; "
            f"output fp32 would do"
        )
    term, *more = weights.terms(config)
    if more or term.offsets is not None:
        what = f"are {1 + len(more)} terms" if more else "have offsets"
        raise InputError(
            f"output int32 has no scales, but the weights {what} on the configuration "
            f"{config.name!r}; output fp32 would do"
        )
    reach = int(term.plane_weights.sum()) + int(np.abs(term.zeros).max())
    largest = -fmt.min * reach * raw_factor(weights, config)
    limit = ((1 << 31) - 1) // largest
    _, k = weights.shape
    if k > limit:
        raise InputError(
            f"output int32 could overflow: K must be at most {limit} for these weights "
            f"(terms up to {largest}), not {k}; output fp32 would do"
        )


class _Round(NamedTuple):
    """What reaches `rescale`."""

    activations: Precomputed
    total: NDArray[np.int64] | None
    sum: NDArray[np.int64]
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]

    def accumulate(
        self, acc: NDArray[Any], output: str | None, config: TensorCoreConfig
    ) -> NDArray[np.float32] | NDArray[np.int32]:
        _, exponent, nonfinite = self.activations
        return rescale(
            acc, self.total, self.sum, exponent, nonfinite, self.scale, self.zero, output, config
        )

    def lost(
        self, acc: NDArray[np.float32], config: TensorCoreConfig
    ) -> NDArray[np.float64] | float:
        """[M, N]: what an accumulation on `acc` loses at most before its sum is cut or rounded."""
        if not config.truncate:
            return 0.0
        exponent = self.activations.exponent[:, None] + (self.total is None)
        _, unit = _product(np.ones((), np.int64), self.scale, exponent, config)
        finite = _finite(acc)
        return np.ldexp(1.0, _frame(finite, unit, config))


def _rounds(
    activations: NDArray[Any],
    fmt: FloatFormat | IntegerFormat,
    terms: tuple[Term, ...],
    group: int,
    config: TensorCoreConfig,
) -> Iterator[_Round]:
    """The rounds of scales: segment by segment along K, term by term, the offsets after a term."""
    for cut in segments(activations.shape[1], group, config):
        aligned = precompute(activations[:, cut.start : cut.stop], fmt, config)
        tables = table(aligned.aligned, config)
        sum = activation_sum(tables, config)
        for term in terms:
            digits = term.digits[:, :, cut.start : cut.stop]
            padding = ((0, 0), (0, 0), (0, -digits.shape[2] % config.k))
            digits = np.pad(digits, padding, constant_values=-1)
            total = lookup(tables, digits, term.equal, config).total
            yield _Round(aligned, total, sum, term.scales[:, cut.group], term.zeros[:, cut.group])
            if term.offsets is not None:
                offset = term.offsets[:, cut.group]
                zero = np.full(offset.shape, OFFSET_ZERO, np.int64)
                yield _Round(aligned, None, sum, offset, zero)


def _accumulated(
    activations: NDArray[Any],
    weights: Weights,
    config: TensorCoreConfig,
    output: str,
    activation_type: str | None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None,
) -> Iterator[tuple[_Round, NDArray[Any], NDArray[Any], FloatFormat | IntegerFormat]]:
    """Every round, the accumulator [M, N] before and after it, and the format it then has."""
    fmt = check_activations(activations, weights, config, output, activation_type)
    terms = check_weights(weights, config)
    raw = output == "int32"
    shape = (len(activations), weights.shape[0])
    acc = np.zeros(shape, np.int32) if raw else np.zeros(shape, np.float32)
    if addends is not None:
        acc = check_addends(addends, shape, weights, config, output)
    rounds = _rounds(activations, fmt, terms, weights.group, config)
    for step, after in pairwise(chain(rounds, [None])):
        assert step is not None
        last = output if raw or after is None else None
        before, acc = acc, step.accumulate(acc, last, config)
        yield step, before, acc, OUTPUTS[last or "fp32"]


def core(
    activations: NDArray[Any],
    weights: Weights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
) -> NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int32]:
    """The GEMM activations [M, K] times weights [N, K] transposed, and addends [M, N] if there are.

    [M, N], any M, N, K. `fp32`, `fp16` and `bf16` give scaled results (bf16 as float32 of such
    values), `int32` raw integers in units of scale / 2. Raises InputError where operands and
    configuration do not fit together; `check_activations` and `check_addends` have the details.
    """
    rounds = _accumulated(activations, weights, config, output, activation_type, addends)
    ((_, _, acc, _),) = deque(rounds, maxlen=1)
    if output == "int32":
        return acc * np.int32(raw_factor(weights, config))
    return acc.astype(np.float16) if output == "fp16" else acc


def error_bound(
    activations: NDArray[Any],
    weights: Weights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
) -> NDArray[np.float64]:
    """[M, N]: a bound on |core - exact product and addends|; for int32, which is exact, zeros.

    docs/specification.md, "Error": half a unit for every activation that was aligned (none in exact
    formats) and half a unit in the last place of every accumulation; with `truncate` a whole one
    and one of the frame. Infinite where the result
    overflows, NaN where it is NaN. Raises InputError as `core` does.
    """
    fmt = check_activations(activations, weights, config, output, activation_type)
    bound = np.zeros((len(activations), weights.shape[0]))
    if output == "int32":
        return bound
    magnitudes = np.abs(weights.real())
    for cut in segments(activations.shape[1], weights.group, config):
        along = slice(cut.start, cut.stop)
        exponent = precompute(activations[:, along], fmt, config).exponent
        # Multiples of the format's own unit lose nothing.
        half = np.where(exponent == fmt.unit_exponent, 0.0, np.ldexp(0.5, exponent))
        bound += half[:, None] * magnitudes[:, along].sum(axis=1)
    acc: NDArray[Any] = bound
    rounds = _accumulated(activations, weights, config, output, activation_type, addends)
    units = 2 if config.truncate else 1
    for step, before, acc, accumulated in rounds:
        assert isinstance(accumulated, FloatFormat)
        bound += step.lost(before, config) + units * _half_unit(acc, accumulated)
    bound *= 1 + 2.0**-30  # the roundings of this sum itself
    return np.where(np.isfinite(acc), bound, np.abs(acc.astype(np.float64)))


def _half_unit(values: NDArray[np.float32], fmt: FloatFormat) -> NDArray[np.float64]:
    """Half a unit in the last place of `values` in `fmt`; of zeros, half the smallest subnormal."""
    _, exponent = np.frexp(np.where(np.isfinite(values), values, 0))
    unit = np.maximum(exponent - fmt.significand_bits, fmt.unit_exponent)
    return np.ldexp(0.5, np.where(values == 0, fmt.unit_exponent, unit))
