"""Random operands with the awkward ones often among them; used by the benches and by the soak."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import AffineWeights, TensorCoreConfig, TernaryWeights
from lutcore.formats import SCALES, FloatFormat, IntegerFormat, PowerFormat
from lutcore.numbers import decode

from .payloads import Kind, Pass

__all__ = [
    "activations",
    "addends",
    "kinds",
    "largest_code",
    "random_pass",
    "random_passes",
    "scales",
    "values",
    "weights",
    "zeros",
]


def values(codes: NDArray[Any], fmt: FloatFormat | IntegerFormat) -> NDArray[Any]:
    """The values of codes [...] in the type that carries activations of `fmt`."""
    if isinstance(fmt, IntegerFormat):
        dtype: Any = np.int16 if fmt.bits == 16 else np.int8
    else:
        dtype = np.float16 if fmt.name == "fp16" else np.float32
    return decode(codes, fmt).astype(dtype)


def largest_code(fmt: FloatFormat | PowerFormat) -> int:
    """The code of the largest finite number."""
    special = fmt.infinity if isinstance(fmt, FloatFormat) and fmt.infinities else fmt.quiet_nan
    return special - 1


def activations(
    rng: np.random.Generator, fmt: FloatFormat | IntegerFormat, rows: int, length: int
) -> NDArray[Any]:
    """[rows, length] values of `fmt`; each row of a kind of its own."""
    if isinstance(fmt, IntegerFormat):
        codes = [_integers(rng, fmt, length) & ((1 << fmt.bits) - 1) for _ in range(rows)]
    else:
        codes = [_floats(rng, fmt, length) for _ in range(rows)]
    return values(np.stack(codes), fmt)


def _integers(rng: np.random.Generator, fmt: IntegerFormat, length: int) -> NDArray[np.int64]:
    kind = rng.integers(7)
    if kind == 0:
        return rng.choice([fmt.min, fmt.max], length)
    if kind == 1:
        return np.full(length, rng.choice([fmt.min, -1, 0, 1, fmt.max]))
    numbers = rng.integers(fmt.min, fmt.max + 1, length)
    if kind == 2:
        numbers[rng.random(length) < 0.8] = 0
    elif kind == 3:  # a peak of any size
        numbers >>= rng.integers(fmt.bits)
    elif kind == 4:  # one value above many
        numbers >>= rng.integers(fmt.bits, size=length)
        numbers[rng.integers(length)] = rng.choice([fmt.min, fmt.max])
    return numbers


def _floats(rng: np.random.Generator, fmt: FloatFormat, length: int) -> NDArray[np.int64]:
    """Codes of a row."""
    kind = rng.integers(9)
    low, top = fmt.fraction_bits, largest_code(fmt)
    codes = rng.integers(top + 1, size=length)  # every exponent
    if kind == 1:  # subnormals and the smallest normals
        codes = rng.integers(2 << low, size=length)
    elif kind == 2:
        codes[...] = top
    elif kind == 3:  # zeros, of both signs
        codes[...] = 0
    elif kind == 4:  # few significant bits: ties in alignment and in entries
        field = rng.integers(fmt.largest_field + 1) + rng.integers(-12, 1, length)
        fraction = rng.integers(8, size=length) << low >> 3
        codes = np.clip(field, 0, fmt.largest_field) << low | fraction
    elif kind == 5:  # one value above many
        codes %= (top >> 1) + 1
        codes[rng.integers(length)] = rng.integers(top >> 1, top + 1)
    elif kind >= 6:  # of about one size
        field = rng.integers(fmt.largest_field + 1) + rng.integers(-3, 4, length)
        codes = np.clip(field, 0, fmt.largest_field) << low | rng.integers(1 << low, size=length)
    codes = np.minimum(codes, top)
    if kind != 6:
        codes |= rng.integers(2, size=length) << (fmt.bits - 1)
    if rng.random() < 0.08:
        special = [fmt.quiet_nan]
        if fmt.infinities:
            special += [fmt.infinity, fmt.infinity | 1 << (fmt.bits - 1)]
        codes[rng.integers(length)] = rng.choice(special)
    return codes


def scales(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    fmt: FloatFormat | PowerFormat,
    doublings: int = 0,
) -> NDArray[np.float32]:
    """Finite numbers of `fmt`: of any exponent, subnormal, powers of two, or of a usual size.

    They can be doubled so many times as `doublings` and remain numbers of `fmt`.
    """
    kind = rng.integers(5)
    top = largest_code(fmt)
    codes = rng.integers(top + 1, size=shape)
    if isinstance(fmt, PowerFormat):
        if kind > 1:
            codes = rng.integers(fmt.bias - 12, fmt.bias + 1, size=shape)
    else:
        low = fmt.fraction_bits
        if kind == 1:
            codes = rng.integers(2 << low, size=shape)
        elif kind > 1:
            usual = rng.integers(max(1, fmt.bias - 12), fmt.bias + 1, size=shape) << low
            codes = usual if kind == 2 else usual | rng.integers(1 << low, size=shape)
        codes[rng.random(shape) < 0.05] = 0
        codes |= rng.integers(2, size=shape) << (fmt.bits - 1)
    limit = np.ldexp(decode(np.array(top), fmt), -doublings)
    return np.clip(decode(codes, fmt), -limit, limit).astype(np.float32)


def zeros(
    rng: np.random.Generator, shape: tuple[int, ...], config: TensorCoreConfig
) -> NDArray[np.int64]:
    """Doubled zero points z' of `config.zero_bits`: none, small, any, or the extremes."""
    fits = config.zero_range
    kind = rng.integers(4)
    if kind == 0 or len(fits) == 1:
        return np.zeros(shape, np.int64)
    if kind == 1:
        return rng.choice([fits.start, fits.stop - 1], shape)
    bound = fits.stop if kind == 2 else min(fits.stop, 8)
    return rng.integers(-bound, bound, shape)


def weights(
    rng: np.random.Generator, n: int, k: int, config: TensorCoreConfig, raw: bool = False
) -> AffineWeights | TernaryWeights:
    """[n, k] of any bits and scale format, with offsets or not, or ternary; groups of any length.

    `raw`: of one term and without offsets, so that INT32 results are defined.
    """
    group = int(rng.choice([k, int(rng.integers(1, k + 1)), min(k, 2 * config.block)]))
    shape = (n, -(-k // group))
    fmt = SCALES[config.scales[rng.integers(len(config.scales))]]
    one_term = config.weight_bits > 1 or config.table_digits == 3
    if (one_term or not raw) and rng.random() < 0.25:
        ternary = rng.integers(-1, 2, (n, k)).astype(np.int8)
        return TernaryWeights(ternary, scales(rng, shape, fmt, doublings=1), group)
    most = config.weight_bits if raw or rng.random() < 0.5 else 8
    bits = int(rng.integers(1, most + 1))
    top = (1 << bits) - 1
    if rng.random() < 0.2:
        codes = np.broadcast_to(rng.choice([0, top], (n, 1)), (n, k)).astype(np.uint8)
    else:
        codes = rng.integers(0, top + 1, (n, k)).astype(np.uint8)
    factors = scales(rng, shape, fmt, doublings=bits)
    offsets = None if raw or rng.random() < 0.5 else scales(rng, shape, fmt)
    # z' = 2z + 1 - 2^bits.
    points = (zeros(rng, shape, config) + top) / 2
    return AffineWeights(codes, bits, factors, points, group, offsets)


def kinds(rng: np.random.Generator, config: TensorCoreConfig, count: int) -> list[Kind]:
    """The passes of one output, in any format that the configuration can give."""
    formats = [name for name in config.outputs if name != "int32" or config.raw]
    output = formats[rng.integers(len(formats))]
    # Of a pass that is not the first it means nothing.
    addend = config.addends and rng.random() < 0.6
    return [Kind(i == 0, i == count - 1, output, addend) for i in range(count)]


def addends(rng: np.random.Generator, shape: tuple[int, ...], output: str) -> NDArray[Any]:
    """FP32 of all kinds, or INT32 for such an output: of any bits, or of a usual size."""
    codes = rng.integers(1 << 32, size=shape).astype(np.uint32)
    if output == "int32":
        return codes.view(np.int32)
    usual = (rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 20, shape)).astype(np.float32)
    values = np.where(rng.random(shape) < 0.6, usual, codes.view(np.float32))
    tiny = (codes & 0x80FFFFFF).view(np.float32)  # subnormals and the smallest normals
    values = np.where(rng.random(shape) < 0.1, tiny, values)
    special = rng.choice(np.array([np.inf, -np.inf, np.nan, -0.0, 0.0], np.float32), shape)
    return np.where(rng.random(shape) < 0.05, special, values)


def random_pass(
    rng: np.random.Generator, config: TensorCoreConfig, kind: Kind, before: Pass | None = None
) -> Pass:
    """A pass of any format (exact and without offset for INT32), length, planes and digits.

    It may keep the activations of the pass `before`.
    """
    raw = kind.output == "int32"
    if before and not (raw and not config.exact(before.fmt)) and rng.random() < 0.3:
        keep, fmt, block = True, before.fmt, before.activations
    else:
        formats = [fmt for fmt in config.formats if config.exact(fmt) or not raw]
        keep, fmt = False, formats[rng.integers(len(formats))]
        block = activations(rng, fmt, config.m, int(rng.integers(1, config.block + 1)))
    equal = config.weight_bits > 1 and rng.random() < 0.25
    planes = 2 if equal else int(rng.integers(1, config.weight_bits + 1))
    shape = (planes, config.n, -(-block.shape[1] // config.k) * config.k)
    choices = np.array([-1, 1] if config.table_digits == 2 else [-1, 0, 1], np.int8)
    digits = rng.choice(choices, shape)
    if rng.random() < 0.2:
        digits[...] = rng.choice(choices)
    offset = not raw and rng.random() < 0.3
    scale = config.scales[rng.integers(len(config.scales))]
    return Pass(fmt, block, digits, equal, kind, keep, offset, scale)


def random_passes(
    rng: np.random.Generator, config: TensorCoreConfig, kinds: list[Kind]
) -> list[Pass]:
    """Passes that follow each other; all but the first may keep the activations before them."""
    items: list[Pass] = []
    for kind in kinds:
        items.append(random_pass(rng, config, kind, items[-1] if items else None))
    return items
