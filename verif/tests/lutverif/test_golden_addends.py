"""Addends: the golden model against exact rationals, special values, and what is refused."""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from lutcore import AffineWeights, TensorCoreConfig, TernaryWeights, preset
from lutcore.errors import InputError
from lutcore.formats import OUTPUTS
from lutcore.numbers import encode
from lutverif import driver, golden, oracle
from lutverif.bench import stimulus
from lutverif.soak import CONFIGURATIONS

STARTED = CONFIGURATIONS["started"]


def codes_of(values, output):
    return values.tolist() if output == "int32" else encode(values, OUTPUTS[output]).tolist()


@pytest.mark.parametrize("output", STARTED.outputs)
def test_results_equal_the_oracle(rng, output):
    """Addends of all sizes, so that either operand may be lost in the other; the bound holds."""
    for _ in range(12):
        m, n, k = (int(rng.integers(1, high)) for high in (4, 5, 40))
        weights = stimulus.weights(rng, n, k, STARTED, output == "int32")
        a = stimulus.activations(rng, STARTED.formats[0], m, k)
        addends = stimulus.addends(rng, (m, n), output)
        got = golden.core(a, weights, STARTED, output, "int8", addends)
        assert codes_of(got, output) == oracle.specified(
            a, weights, STARTED, output, "int8", addends
        )
        if output == "int32":
            continue
        bound = golden.error_bound(a, weights, STARTED, output, "int8", addends)
        exact = oracle.exact(a, weights)
        for at in zip(*np.nonzero(np.isfinite(got)), strict=True):
            row, column = (int(i) for i in at)
            value = exact[row][column]
            assert value is not None
            error = Fraction(float(got[at])) - value - Fraction(float(addends[at]))
            assert abs(error) <= Fraction(float(bound[at]))


ONE = TernaryWeights(np.ones((1, 3), np.int8), np.ones((1, 1), np.float32), 3)


def test_special_addends_by_hand():
    """NaN of any payload is the canonical one, infinities stay, and -0 has no effect."""
    codes = np.array([[0xFF812345], [0x7F800000], [0xFF800000], [0x80000000], [1]], np.uint32)
    a = np.zeros((5, 3), np.int8)
    got = golden.core(a, ONE, STARTED, addends=codes.view(np.float32))
    assert got.view(np.uint32).ravel().tolist() == [0x7FC00000, 0x7F800000, 0xFF800000, 0, 1]
    start = np.array([[2**31 - 1]], np.int32)
    weights = AffineWeights(
        np.ones((1, 3), np.uint8), 1, np.ones((1, 1), np.float32), np.full((1, 1), 0.5), 3
    )
    got = golden.core(np.ones((1, 3), np.int8), weights, STARTED, "int32", addends=start)
    assert got.tolist() == [[-(2**31) + 2]]


@pytest.mark.parametrize(
    ("addends", "output", "config", "text"),
    [
        ([[1.0]], "fp32", STARTED, "addends must be a numpy array, not list"),
        (np.ones((1, 1)), "fp32", STARTED, "addends must be float32 for output fp32, not float64"),
        (
            np.ones((1, 1), np.float32),
            "int32",
            STARTED,
            "addends must be int32 for output int32, not float32",
        ),
        (
            np.ones((1, 2), np.float32),
            "bf16",
            STARTED,
            "addends must have shape (1, 1) of the results, not (1, 2)",
        ),
        (
            np.ones((1, 1), np.float32),
            "fp32",
            preset("tiny"),
            "the configuration 'tiny' takes no addends; addends = true would do",
        ),
        (
            np.ones((1, 1), np.int32),
            "int32",
            replace(preset("ternary"), addends=True),
            "output int32 of the configuration 'ternary' is half of the product for ternary "
            "weights and takes no addends; output fp32 would do",
        ),
    ],
)
def test_what_is_refused(addends, output, config, text):
    a = np.ones((1, 3), np.int8)
    for product in (golden.core, driver.gemm):
        with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
            product(a, ONE, config, output, "int8", addends)


def test_beats_by_hand():
    """Two row tiles by two column tiles; rows lie inside columns."""
    config = TensorCoreConfig(m=2, n=2, block=4, rescale_columns=2, addends=True)
    beats = driver._addend_beats(np.arange(1, 10).reshape(3, 3).astype(np.int32), config)
    assert beats.view("<u4").tolist() == [[1, 4, 2, 5], [3, 6, 0, 0], [7, 0, 8, 0], [9, 0, 0, 0]]
