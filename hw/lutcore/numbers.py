"""Values of number formats as numpy arrays: codes to values and back.

`float64` holds every number of every format of `lutcore.formats` exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import FloatFormat, IntegerFormat, PowerFormat

__all__ = ["code_dtype", "decode", "encode", "representable", "rounded"]

Format = FloatFormat | IntegerFormat | PowerFormat


def code_dtype(fmt: Format) -> np.dtype[Any]:
    """The unsigned integers that hold a code."""
    width = next(bits for bits in (8, 16, 32) if bits >= fmt.bits)
    return np.dtype(f"u{width // 8}")


def decode(codes: NDArray[Any], fmt: Format) -> NDArray[np.float64]:
    """The values of unsigned codes [...]; bits above the format's width must be 0."""
    wide = codes.astype(np.int64)
    if isinstance(fmt, IntegerFormat):
        sign = 1 << (fmt.bits - 1)
        return ((wide ^ sign) - sign).astype(np.float64)
    if isinstance(fmt, PowerFormat):
        return np.where(wide == fmt.quiet_nan, np.nan, np.ldexp(1.0, wide - fmt.bias))
    fraction = wide & ((1 << fmt.fraction_bits) - 1)
    field = (wide >> fmt.fraction_bits) & fmt.special_field
    significand = np.where(field == 0, fraction, fraction + (1 << fmt.fraction_bits))
    values = np.ldexp(significand.astype(np.float64), np.maximum(field, 1) - 1 + fmt.unit_exponent)
    if fmt.infinities:
        special = field == fmt.special_field
        values = np.where(special, np.where(fraction == 0, np.inf, np.nan), values)
    else:
        values = np.where((wide & fmt.quiet_nan) == fmt.quiet_nan, np.nan, values)
    return np.where(wide >> (fmt.bits - 1), -values, values)


def _wide(values: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # signalling NaN
        return values.astype(np.float64)


def rounded(values: NDArray[Any], fmt: FloatFormat) -> NDArray[np.float64]:
    """Values [...] of float32 or float64 rounded to the nearest number of `fmt`, ties to even.

    What rounds beyond the largest number becomes infinity, or NaN where the format has none.
    """
    wide = _wide(values)
    finite = np.isfinite(wide)
    safe = np.where(finite, wide, 0.0)
    _, exponent = np.frexp(safe)
    unit = np.maximum(exponent - fmt.significand_bits, fmt.unit_exponent)
    nearest = np.ldexp(np.rint(np.ldexp(safe, -unit)), unit)
    top_unit = fmt.unit_exponent + fmt.largest_field - 1
    top = (1 << fmt.significand_bits) - (1 if fmt.infinities else 2)  # all ones is NaN without
    over = np.copysign(np.inf if fmt.infinities else np.nan, wide)
    result = np.where(np.abs(nearest) > np.ldexp(float(top), top_unit), over, nearest)
    special = wide if fmt.infinities else np.full_like(wide, np.nan)
    return np.where(finite, result, special)


def representable(values: NDArray[Any], fmt: Format) -> NDArray[np.bool_]:
    """[...]: whether a value is a number of `fmt` (NaN and infinity where it has them)."""
    wide = _wide(values)
    if isinstance(fmt, IntegerFormat):
        with np.errstate(invalid="ignore"):
            return (wide >= fmt.min) & (wide <= fmt.max) & (np.rint(wide) == wide)
    if isinstance(fmt, PowerFormat):
        fraction, exponent = np.frexp(wide)
        low, high = -fmt.bias, fmt.quiet_nan - 1 - fmt.bias
        return (fraction == 0.5) & (exponent - 1 >= low) & (exponent - 1 <= high) | np.isnan(wide)
    return (rounded(wide, fmt) == wide) | np.isnan(wide)


def encode(values: NDArray[Any], fmt: Format) -> NDArray[Any]:
    """The unsigned codes of values that `fmt` represents exactly; every NaN becomes the quiet one.

    ValueError names the first value that is no number of `fmt`.
    """
    wide = _wide(values)
    held = representable(wide, fmt)
    if not held.all():
        where = tuple(int(i) for i in np.argwhere(~held)[0])
        raise ValueError(f"[{', '.join(map(str, where))}] is {wide[where]}, which no {fmt.name} is")
    if isinstance(fmt, IntegerFormat):
        return (wide.astype(np.int64) & ((1 << fmt.bits) - 1)).astype(code_dtype(fmt))
    nan = np.isnan(wide)
    if isinstance(fmt, PowerFormat):
        codes = np.frexp(np.where(nan, 1.0, wide))[1].astype(np.int64) - 1 + fmt.bias
        return np.where(nan, fmt.quiet_nan, codes).astype(code_dtype(fmt))
    finite = np.isfinite(wide)
    nonzero = np.where(finite & (wide != 0), wide, np.ldexp(1.0, fmt.unit_exponent))
    _, exponent = np.frexp(nonzero)
    unit = np.maximum(exponent - fmt.significand_bits, fmt.unit_exponent)
    significand = np.ldexp(np.abs(np.where(finite, wide, 0.0)), -unit).astype(np.int64)
    # The hidden bit runs into the exponent field, which subnormals leave at 0.
    codes = ((unit - fmt.unit_exponent) << fmt.fraction_bits) + significand
    if fmt.infinities:
        codes = np.where(np.isinf(wide), fmt.infinity, codes)
    codes |= np.signbit(wide).astype(np.int64) << (fmt.bits - 1)
    return np.where(nan, fmt.quiet_nan, codes).astype(code_dtype(fmt))
