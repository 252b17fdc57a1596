"""What `golden.core` and its kin refuse, by the text of the error."""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import re

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig, preset
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, FP16, INT8, INT16
from lutcore.weights import AffineWeights, TernaryWeights
from lutverif import golden

WEIGHTS = TernaryWeights(np.ones((2, 5), np.int8), np.ones((2, 1), np.float32), 5)
FLOAT_ONLY = TensorCoreConfig(name="floats", m=1, n=1, activations=("fp16",))
TINY = preset("tiny")


def exactly(text):
    return f"^{re.escape(text)}$"


def with_value(value, dtype=np.float32):
    activations = np.ones((3, 5), dtype)
    activations[2, 1] = value
    activations[2, 4] = value
    return activations


@pytest.mark.parametrize(
    ("activations", "config", "activation_type", "text"),
    [
        ([[1] * 5], TINY, None, "activations must be a numpy array, not list"),
        (
            np.ones(5, np.int8),
            TINY,
            None,
            "activations must have 2 dimensions, not shape (5,)",
        ),
        (
            np.ones((0, 5), np.int8),
            TINY,
            None,
            "activations must not be empty, but has shape (0, 5)",
        ),
        *(
            (
                np.ones((1, 5), dtype),
                TINY,
                name,
                f"activations must be int8, int16, float16 or float32, not {dtype}",
            )
            for dtype, name in (("float64", None), ("uint8", None), ("float64", "bf16"))
        ),
        (
            np.ones((1, 5), np.float32),
            TINY,
            None,
            "activations of float32 need an activation type; the configuration 'tiny' is built "
            "for int4, int8, int16, fp16, bf16, e4m3, e5m2",
        ),
        (
            np.ones((1, 5), np.float32),
            TINY,
            "fp32",
            "activation type must be one of int4, int8, int16, fp16, bf16, e4m3, e5m2, not 'fp32'",
        ),
        (
            np.ones((1, 5), np.int8),
            FLOAT_ONLY,
            None,
            "activations are int8, but the configuration 'floats' is built for fp16; "
            "add 'int8' to its activations",
        ),
        (
            np.ones((1, 5), np.float16),
            FLOAT_ONLY,
            "bf16",
            "activations are bf16, but the configuration 'floats' is built for fp16; "
            "add 'bf16' to its activations",
        ),
        (
            np.ones((3, 4), np.int8),
            TINY,
            None,
            "activations must have K = 5 columns to match the weights, not shape (3, 4)",
        ),
        (
            with_value(8, np.int8),
            TINY,
            "int4",
            "activations must be int4, but activations[2, 1] is 8; activation type int8 would do",
        ),
        (
            with_value(1.0625, np.float16),
            TINY,
            "e4m3",
            "activations must be e4m3, but activations[2, 1] is 1.0625; "
            "activation type fp16 would do",
        ),
        (
            with_value(-np.inf),
            TINY,
            "e4m3",
            "activations must be e4m3, but activations[2, 1] is -inf; "
            "activation type fp16 would do",
        ),
        (
            with_value(np.nan),
            TINY,
            "int16",
            "activations must be int16, but activations[2, 1] is nan; "
            "activation type fp16 would do",
        ),
        (
            with_value(1 + 2.0**-20),
            TINY,
            "bf16",
            f"activations must be bf16, but activations[2, 1] is {np.float32(1 + 2.0**-20)}; "
            f"round them to bf16",
        ),
    ],
)
def test_activation_errors(activations, config, activation_type, text):
    for function in (golden.check_activations, golden.core, golden.error_bound):
        with pytest.raises(InputError, match=exactly(text)):
            function(activations, WEIGHTS, config, activation_type=activation_type)


def test_format_of_activations():
    for dtype, fmt in ((np.int8, INT8), (np.int16, INT16), (np.float16, FP16)):
        assert golden.check_activations(np.ones((1, 5), dtype), WEIGHTS, TINY) is fmt
    for fmt in ACTIVATIONS.values():
        for dtype in (np.int8, np.int16, np.float16, np.float32):
            ones = np.ones((1, 5), dtype)
            assert golden.check_activations(ones, WEIGHTS, TINY, activation_type=fmt.name) is fmt


def test_weight_errors():
    narrow = TensorCoreConfig(m=1, n=1, zero_bits=2)
    ones = np.ones((1, 1), np.float32)
    weights = AffineWeights(np.ones((1, 5), np.uint8), 4, ones, ones, 5)
    text = "zeros[0, 0] makes z' = 2z + 1 - 2^bits = -13, which does not fit zero_bits = 2 (-2..1)"
    for function in (golden.core, golden.error_bound):
        with pytest.raises(InputError, match=exactly(text)):
            function(np.ones((1, 5), np.int8), weights, narrow)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("int8", "output must be one of fp32, fp16, bf16, int32, not 'int8'"),
        (
            "bf16",
            "output is bf16, but the configuration 'floats' is built for fp32, int32; "
            "add 'bf16' to its outputs",
        ),
        (
            "int32",
            "output int32 needs tables that hold sums of 4 activations exactly, but table_bits is "
            "9 and activations are fp16; output fp32 would do",
        ),
    ],
)
def test_output_errors(output, text):
    for function in (golden.check_activations, golden.core, golden.error_bound):
        with pytest.raises(InputError, match=exactly(text)):
            function(np.ones((1, 5), np.float16), WEIGHTS, FLOAT_ONLY, output)


def test_int32_needs_exact_tables_and_one_term():
    activations = np.ones((1, 5), np.int8)
    ones = np.ones((1, 1), np.float32)
    coarse = TensorCoreConfig(name="coarse", m=1, n=1, table_bits=8)
    text = (
        "output int32 needs tables that hold sums of 4 activations exactly, but table_bits is 8 "
        "and activations are int8; output fp32 would do"
    )
    with pytest.raises(InputError, match=exactly(text)):
        golden.core(activations, WEIGHTS, coarse, "int32")
    text = (
        "output int32 has no scales, but the weights are 2 terms on the configuration 'narrow'; "
        "output fp32 would do"
    )
    narrow = TensorCoreConfig(name="narrow", m=1, n=1, weight_bits=1)
    with pytest.raises(InputError, match=exactly(text)):
        golden.core(activations, WEIGHTS, narrow, "int32")
    text = (
        "output int32 has no scales, but the weights have offsets on the configuration 'tiny'; "
        "output fp32 would do"
    )
    weights = AffineWeights(np.ones((1, 5), np.uint8), 4, ones, ones, 5, ones)
    with pytest.raises(InputError, match=exactly(text)):
        golden.core(activations, weights, TINY, "int32")


def test_int32_bound():
    config = TensorCoreConfig(m=1, n=1, zero_bits=16, weight_bits=8)

    def product(length):
        ones = np.ones((1, 1), np.float32)
        weights = AffineWeights(np.zeros((1, length), np.uint8), 8, ones, 16384 * ones, length)
        return golden.core(np.full((1, length), -128, np.int8), weights, config, "int32")

    limit = (2**31 - 1) // (128 * (255 + 32513))
    assert product(limit).tolist() == [[limit * 128 * 32768]]
    text = (
        "output int32 could overflow: K must be at most 511 for these weights "
        "(terms up to 4194304), not 513; output fp32 would do"
    )
    with pytest.raises(InputError, match=exactly(text)):
        product(513)
