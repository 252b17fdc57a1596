"""`lutcore.formats` against numpy's and ml_dtypes' own account of the formats."""

import re

import ml_dtypes
import numpy as np
import pytest

from lutcore.errors import ConfigError
from lutcore.formats import (
    ACTIVATIONS,
    BF16,
    E4M3,
    E5M2,
    E8M0,
    FP16,
    FP32,
    INT4,
    INT8,
    INT16,
    INT32,
    OUTPUTS,
    SCALES,
    named,
)

FLOATS = [
    (FP16, np.float16, np.uint16),
    (FP32, np.float32, np.uint32),
    (BF16, ml_dtypes.bfloat16, np.uint16),
    (E5M2, ml_dtypes.float8_e5m2, np.uint8),
    (E4M3, ml_dtypes.float8_e4m3fn, np.uint8),
]


@pytest.mark.parametrize(("fmt", "dtype", "codes"), FLOATS)
def test_float_fields(fmt, dtype, codes):
    info = ml_dtypes.finfo(dtype)
    assert fmt.bits == info.bits
    assert fmt.exponent_bits == info.iexp or fmt.exponent_bits == info.nexp
    assert fmt.fraction_bits == info.nmant
    assert fmt.significand_bits == info.nmant + 1
    assert 1 - fmt.bias == info.minexp
    assert fmt.largest_field + 1 - fmt.bias == info.maxexp
    assert 2.0**fmt.unit_exponent == float(info.smallest_subnormal)


@pytest.mark.parametrize(("fmt", "dtype", "codes"), FLOATS)
def test_float_codes(fmt, dtype, codes):
    def value(code):
        return float(np.array(code, dtype=codes).view(dtype)[()])

    info = ml_dtypes.finfo(dtype)
    special = fmt.special_field << fmt.fraction_bits
    if fmt.infinities:
        assert fmt.infinity == special and value(special) == np.inf
        assert np.isnan(value(special + 1))
        assert value(special - 1) == float(info.max)
    else:
        assert np.isnan(value(fmt.quiet_nan)) and value(fmt.quiet_nan - 1) == float(info.max)
        with pytest.raises(AssertionError):
            _ = fmt.infinity
    assert value(fmt.bias << fmt.fraction_bits) == 1
    assert value(1 << fmt.fraction_bits) == float(info.smallest_normal)
    assert value(1) == float(info.smallest_subnormal)
    assert fmt.quiet_nan == int(np.array(np.nan, dtype=dtype).view(codes))


def test_quiet_nan_bits():
    assert (FP16.quiet_nan, FP32.quiet_nan, BF16.quiet_nan) == (0x7E00, 0x7FC00000, 0x7FC0)
    assert (E5M2.quiet_nan, E4M3.quiet_nan, E8M0.quiet_nan) == (0x7E, 0x7F, 0xFF)


def test_power_of_two():
    info = ml_dtypes.finfo(ml_dtypes.float8_e8m0fnu)
    assert (E8M0.bits, E8M0.significand_bits) == (info.bits, info.nmant + 1)
    assert 2.0**-E8M0.bias == float(info.smallest_normal)
    assert 2.0 ** (E8M0.quiet_nan - 1 - E8M0.bias) == float(info.max)


@pytest.mark.parametrize(
    ("fmt", "dtype"), [(INT4, ml_dtypes.int4), (INT8, "i1"), (INT16, "i2"), (INT32, "i4")]
)
def test_integers(fmt, dtype):
    info = ml_dtypes.iinfo(dtype)
    assert (fmt.bits, fmt.min, fmt.max) == (info.bits, info.min, info.max)
    assert (fmt.largest_field, fmt.unit_exponent) == (1, 0)
    assert -fmt.min < 1 << fmt.significand_bits


def test_tables_by_name():
    assert list(ACTIVATIONS) == ["int4", "int8", "int16", "fp16", "bf16", "e4m3", "e5m2"]
    assert list(SCALES) == ["fp32", "fp16", "bf16", "e8m0", "e4m3"]
    assert list(OUTPUTS) == ["fp32", "fp16", "bf16", "int32"]
    for table in (ACTIVATIONS, SCALES, OUTPUTS):
        for name, fmt in table.items():
            assert fmt.name == name and named("field", name, table) is fmt


@pytest.mark.parametrize("name", ["fp8", "", 8, None, ["int8"]])
def test_unknown_name(name):
    text = f"outputs: {name!r} is not a format; known are fp32, fp16, bf16, int32"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        named("outputs", name, OUTPUTS)
