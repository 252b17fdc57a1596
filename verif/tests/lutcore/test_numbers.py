"""`lutcore.numbers` against ml_dtypes and gfloat, on every code and on every midpoint."""

from __future__ import annotations

import re

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest

from lutcore.formats import (
    ACTIVATIONS,
    BF16,
    E4M3,
    E5M2,
    E8M0,
    FP16,
    FP32,
    INT32,
    SCALES,
    IntegerFormat,
)
from lutcore.numbers import code_dtype, decode, encode, representable, rounded

PEERS = {
    "fp32": (np.float32, gfloat.formats.format_info_binary32),
    "fp16": (np.float16, gfloat.formats.format_info_binary16),
    "bf16": (ml_dtypes.bfloat16, gfloat.formats.format_info_bfloat16),
    "e5m2": (ml_dtypes.float8_e5m2, gfloat.formats.format_info_ocp_e5m2),
    "e4m3": (ml_dtypes.float8_e4m3fn, gfloat.formats.format_info_ocp_e4m3),
    "e8m0": (ml_dtypes.float8_e8m0fnu, gfloat.formats.format_info_ocp_e8m0),
}
FLOATS = [FP32, FP16, BF16, E5M2, E4M3]
SMALL = [FP16, BF16, E5M2, E4M3]
INTEGERS = [fmt for fmt in ACTIVATIONS.values() if isinstance(fmt, IntegerFormat)]


def every_code(rng, fmt):
    """All codes, or of FP32 many with every exponent."""
    if fmt.bits < 32:
        return np.arange(1 << fmt.bits).astype(code_dtype(fmt))
    fields = np.arange(1 << 9, dtype=np.uint32) << 23
    fractions = rng.integers(0, 1 << 23, (512, 40), dtype=np.uint32)
    fractions[:, :4] = [0, 1, (1 << 22), (1 << 23) - 1]
    return (fields[:, None] | fractions).ravel()


def same(left, right):
    """Equal values and signs of zero; every NaN is alike."""
    nan = np.isnan(left)
    return np.array_equal(nan, np.isnan(right)) and np.array_equal(
        left[~nan].view(np.uint64), right[~nan].view(np.uint64)
    )


def name(fmt):
    return fmt.name


@pytest.mark.parametrize("fmt", [*FLOATS, E8M0], ids=name)
def test_decode_like_ml_dtypes_and_gfloat(rng, fmt):
    codes = every_code(rng, fmt)
    got = decode(codes, fmt)
    dtype, info = PEERS[fmt.name]
    with np.errstate(invalid="ignore"):  # signalling NaN
        assert same(got, codes.view(dtype).astype(np.float64))
    some = codes if len(codes) <= 256 else rng.choice(codes, 3000)
    values = [gfloat.decode_float(info, int(code)).fval for code in some]
    assert same(decode(some, fmt), np.array(values))


@pytest.mark.parametrize("fmt", [*FLOATS, E8M0], ids=name)
def test_encode_is_the_inverse(rng, fmt):
    codes = every_code(rng, fmt)
    values = decode(codes, fmt)
    got = encode(values, fmt)
    assert got.dtype == code_dtype(fmt)
    assert np.array_equal(got, np.where(np.isnan(values), fmt.quiet_nan, codes))
    assert representable(values, fmt).all()
    dtype, info = PEERS[fmt.name]
    finite = np.isfinite(values)
    assert np.array_equal(got[finite], values[finite].astype(dtype).view(code_dtype(fmt)))
    some = rng.choice(np.flatnonzero(finite), 2000) if len(codes) > 256 else np.flatnonzero(finite)
    assert got[some].tolist() == [gfloat.encode_float(info, float(values[i])) for i in some]


def midpoints(rng, fmt):
    """Halves between neighbours, with the two float64 numbers next to each, of both signs."""
    codes = every_code(rng, fmt)
    values = decode(codes, fmt)
    values = np.unique(np.abs(values[np.isfinite(values)]))
    top = np.ldexp(1.0, fmt.unit_exponent + fmt.largest_field - 1)  # the unit in the last place
    values = np.append(values, values[-1] + top * np.arange(1, 4) / 2)
    exact = (values[:-1] + values[1:]) / 2
    around = [exact, np.nextafter(exact, 0), np.nextafter(exact, np.inf), values]
    flat = np.concatenate(around)
    return np.concatenate([flat, -flat])


@pytest.mark.parametrize("fmt", SMALL, ids=name)
def test_rounded_on_midpoints(rng, fmt):
    values = midpoints(rng, fmt)
    got = rounded(values, fmt)
    dtype, info = PEERS[fmt.name]
    if fmt is FP16:  # the others go through float32 in ml_dtypes
        with np.errstate(over="ignore"):
            assert same(got, values.astype(dtype).astype(np.float64))
    with np.errstate(over="ignore"):
        once = values.astype(np.float32) == values
        assert once.any() and same(
            got[once], values[once].astype(np.float32).astype(dtype).astype(np.float64)
        )
    some = values if len(values) < 4000 else np.append(rng.choice(values, 4000), values[-8:])
    expected = [gfloat.round_float(info, float(v), gfloat.RoundMode.TiesToEven) for v in some]
    if fmt is not E4M3:
        assert same(rounded(some, fmt), np.array(expected))
    else:  # gfloat keeps what overflows where there is no infinity; ml_dtypes makes it NaN
        within = np.abs(some) < 464
        assert within.sum() > 400
        assert same(rounded(some, fmt)[within], np.array(expected)[within])
        assert np.isnan(rounded(some, fmt)[np.abs(some) > 464]).all()


def test_rounded_to_fp32_like_numpy(rng):
    values = np.ldexp(rng.uniform(-2, 2, 20000), rng.integers(-160, 135, 20000))
    values[:4000] = (rng.integers(0, 1 << 25, 4000) - (1 << 24)) * 2.0**-150
    with np.errstate(over="ignore"):
        assert same(rounded(values, FP32), values.astype(np.float32).astype(np.float64))


def test_rounded_special_values():
    special = np.array([np.inf, -np.inf, np.nan])
    for fmt in FLOATS:
        expected = special if fmt.infinities else np.full(3, np.nan)
        assert same(rounded(special, fmt), expected)


@pytest.mark.parametrize("fmt", INTEGERS, ids=name)
def test_integers(fmt):
    values = np.arange(fmt.min, fmt.max + 1)
    codes = encode(values, fmt)
    assert np.array_equal(np.sort(codes), np.arange(1 << fmt.bits))
    assert np.array_equal(decode(codes, fmt), values)
    assert codes[values == -1] == (1 << fmt.bits) - 1
    outside = np.array([fmt.min - 1, fmt.max + 1, 0.5, np.nan, np.inf])
    assert not representable(outside, fmt).any()


def test_int32_codes():
    values = np.array([-(2**31), -1, 0, 2**31 - 1])
    assert encode(values, INT32).tolist() == [0x80000000, 0xFFFFFFFF, 0, 0x7FFFFFFF]
    assert decode(encode(values, INT32), INT32).tolist() == values.tolist()


@pytest.mark.parametrize("fmt", SMALL, ids=name)
def test_representable_is_a_fixed_point_of_rounding(rng, fmt):
    values = midpoints(rng, fmt)
    dtype, _ = PEERS[fmt.name]
    with np.errstate(over="ignore"):
        there = values.astype(np.float32).astype(dtype).astype(np.float64)
    assert np.array_equal(representable(values, fmt), there == values)


def test_powers_of_two_alone_are_e8m0():
    values = np.array([2.0**-127, 2.0**127, 1, 0, -1, 3, 2.0**128, 2.0**-128, np.inf, np.nan])
    assert representable(values, E8M0).tolist() == [True] * 3 + [False] * 6 + [True]
    assert encode(values[:3], E8M0).tolist() == [0, 254, 127]


def test_encode_refuses():
    text = "[1, 0] is 1.1, which no bf16 is"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        encode(np.array([[1.0], [1.1]]), BF16)
    for fmt in SCALES.values():
        with pytest.raises(ValueError, match=f"which no {fmt.name} is$"):
            encode(np.array([2.0**-160]), fmt)
