"""`lutcore.formats` against numpy's and ml_dtypes' own account of the formats."""

import re

import ml_dtypes
import numpy as np
import pytest

from lutcore.errors import ConfigError
from lutcore.formats import ACTIVATIONS, FP16, FP32, INT8, activation

FLOATS = [(FP16, np.float16, np.uint16), (FP32, np.float32, np.uint32)]


@pytest.mark.parametrize(("fmt", "dtype", "codes"), FLOATS)
def test_float_fields(fmt, dtype, codes):
    info = ml_dtypes.finfo(dtype)
    assert fmt.bits == info.bits
    assert fmt.exponent_bits == info.iexp or fmt.exponent_bits == info.nexp
    assert fmt.fraction_bits == info.nmant
    assert fmt.significand_bits == info.nmant + 1
    assert 1 - fmt.bias == info.minexp
    assert fmt.special_field - fmt.bias == info.maxexp


@pytest.mark.parametrize(("fmt", "dtype", "codes"), FLOATS)
def test_float_codes(fmt, dtype, codes):
    def value(code):
        return np.array(code, dtype=codes).view(dtype)[()]

    special = fmt.special_field << fmt.fraction_bits
    assert value(special) == np.inf
    assert np.isnan(value(special + 1))
    assert value(special - 1) == np.finfo(dtype).max
    assert value(fmt.bias << fmt.fraction_bits) == 1
    assert value(1 << fmt.fraction_bits) == np.finfo(dtype).tiny
    assert value(1) == np.finfo(dtype).smallest_subnormal
    assert fmt.quiet_nan == int(np.array(np.nan, dtype=dtype).view(codes))


def test_quiet_nan_bits():
    assert FP16.quiet_nan == 0x7E00
    assert FP32.quiet_nan == 0x7FC00000


def test_int8():
    assert (INT8.bits, INT8.min, INT8.max) == (8, np.iinfo(np.int8).min, np.iinfo(np.int8).max)


def test_activation_by_name():
    assert ACTIVATIONS == {"int8": INT8, "fp16": FP16}
    assert activation("int8") is INT8
    assert activation("fp16") is FP16


@pytest.mark.parametrize("name", ["fp32", "", 8, None, ["int8"]])
def test_unknown_activation(name):
    text = f"activations: {name!r} is not a format; known are int8, fp16"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        activation(name)
