"""`lutcore.weights`: terms against the weights' own definition, and every error."""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig, preset
from lutcore.errors import InputError
from lutcore.weights import AffineWeights, PlaneWeights, Term, TernaryWeights, raw_factor

PAPER, TERNARY = preset("paper"), preset("ternary")


def exactly(text):
    return f"^{re.escape(text)}$"


def affine(rng, n, k, bits, group, offsets=False):
    shape = (n, -(-k // group))
    return AffineWeights(
        codes=rng.integers(0, 1 << bits, (n, k), dtype=np.uint8),
        bits=bits,
        scales=rng.uniform(-2, 2, shape).astype(np.float32),
        zeros=rng.integers(0, 2 << bits, shape) / 2,
        group=group,
        offsets=rng.uniform(-2, 2, shape).astype(np.float32) if offsets else None,
    )


def value(terms, n, k, group):
    """What the terms say of one weight, exactly."""
    total = Fraction(0)
    for term in terms:
        places = [1] * len(term.digits) if term.equal else [2**i for i in range(len(term.digits))]
        digits = [int(plane[n, k]) for plane in reversed(term.digits)]
        code = sum(p * d for p, d in zip(places, digits, strict=True))
        scale = Fraction(float(term.scales[n, k // group]))
        total += scale / 2 * (code - int(term.zeros[n, k // group]))
        if term.offsets is not None:
            total += Fraction(float(term.offsets[n, k // group]))
    return total


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("most", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("offsets", [False, True])
def test_reinterpretation_is_an_identity(rng, bits, most, offsets):
    weights = affine(rng, 3, 21, bits, 8, offsets)
    terms = weights.terms(TensorCoreConfig(m=1, n=1, weight_bits=most))
    sizes = [len(term.digits) for term in terms]
    assert sum(sizes) == bits and len(sizes) == -(-bits // most) and max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
    assert all(set(np.unique(term.digits)) <= {-1, 1} for term in terms)
    assert not any(term.equal or term.zeros.any() for term in terms[:-1])
    assert [term.offsets is not None for term in terms] == [False] * (len(terms) - 1) + [offsets]
    real = weights.real()
    for n, k in np.ndindex(3, 21):
        scale = Fraction(float(weights.scales[n, k // 8]))
        expected = scale * (int(weights.codes[n, k]) - Fraction(weights.zeros[n, k // 8]))
        if weights.offsets is not None:
            expected += Fraction(float(weights.offsets[n, k // 8]))
        assert value(terms, n, k, 8) == expected
        assert real[n, k] == pytest.approx(float(expected), rel=1e-14, abs=1e-14)
    assert np.any(real)


def test_ternary_terms(rng):
    ternary = rng.integers(-1, 2, (4, 19), dtype=np.int8)
    weights = TernaryWeights(ternary, rng.uniform(-2, 2, (4, 4)).astype(np.float32), 5)
    assert set(np.unique(ternary)) == {-1, 0, 1}
    for config, shapes in (
        (PAPER, [(2, True)]),
        (TensorCoreConfig(m=1, n=1, weight_bits=1), [(1, False), (1, False)]),
        (TERNARY, [(1, False)]),
    ):
        terms = weights.terms(config)
        assert [(len(term.digits), term.equal) for term in terms] == shapes
        for n, k in np.ndindex(4, 19):
            scale = Fraction(float(weights.scales[n, k // 5]))
            assert value(terms, n, k, 5) == int(ternary[n, k]) * scale
    first, second = weights.terms(PAPER)[0].digits[:, ternary == 0]
    assert (first == 1).all() and (second == -1).all()
    assert not weights.doubled_zeros.any()
    index = np.arange(19) // 5
    assert np.array_equal(weights.real(), ternary * weights.scales.astype(np.float64)[:, index])
    assert (raw_factor(weights, PAPER), raw_factor(weights, TERNARY)) == (1, 2)
    assert raw_factor(affine(rng, 1, 4, 2, 4), TERNARY) == 1


@pytest.mark.parametrize("equal", [False, True])
def test_plane_weights(rng, equal):
    digits = rng.integers(-1, 2, (3, 2, 10), dtype=np.int8)
    scales, offsets = rng.uniform(-2, 2, (2, 2, 3)).astype(np.float32)
    parts = (
        Term(digits, equal, scales, rng.integers(-9, 9, (2, 3)), offsets),
        Term(digits[:1], False, offsets, np.zeros((2, 3), np.int64)),
    )
    assert parts[0].plane_weights.tolist() == ([1, 1, 1] if equal else [4, 2, 1])
    weights = PlaneWeights(parts, 4)
    assert weights.shape == (2, 10) and weights.terms(TERNARY) is parts
    real = weights.real()
    for n, k in np.ndindex(2, 10):
        assert real[n, k] == pytest.approx(float(value(parts, n, k, 4)), rel=1e-14, abs=1e-14)
    assert raw_factor(weights, TERNARY) == 1


def test_arrays_of_narrow_types():
    fields = {
        "codes": np.array([[1, 2]], dtype=np.uint16),
        "bits": 2,
        "scales": np.array([[2.0**-24]], dtype=np.float16),  # subnormal there, normal in float32
        "zeros": np.array([[2]]),
        "group": 2,
    }
    weights = AffineWeights(**fields)
    assert weights.scales.dtype == np.float32
    assert weights.codes.dtype == np.uint8
    assert weights.real().tolist() == [[-(2.0**-24), 0.0]]
    half = AffineWeights(**fields, offsets=np.array([[0.5]], np.float16))
    assert half.offsets is not None and half.offsets.dtype == np.float32
    assert AffineWeights(**fields, offsets=np.zeros((1, 1), np.float32)).offsets is None


def test_subnormal_scales():
    scales = np.array([[1e-44, 1e-39]], np.float32)
    weights = TernaryWeights(np.ones((1, 4), np.int8), scales, 2)
    assert np.array_equal(weights.scales, scales)
    assert np.array_equal(weights.terms(TERNARY)[0].scales, 2 * scales)


def test_scales_that_grow_too_large():
    large = np.full((1, 1), 3e38, np.float32)
    text = (
        "scales up to 3e+38 times 2^2 are beyond float32; weight_bits = 4 in the configuration "
        "would do"
    )
    weights = AffineWeights(np.ones((1, 4), np.uint8), 4, large, np.zeros((1, 1)), 4)
    with pytest.raises(InputError, match=exactly(text)):
        weights.terms(TensorCoreConfig(m=1, n=1, weight_bits=2))
    text = "scales up to 3e+38 are too large to be doubled for ternary digits; below 2^127 would do"
    with pytest.raises(InputError, match=exactly(text)):
        TernaryWeights(np.ones((1, 4), np.int8), large, 4).terms(TERNARY)


GOOD = {
    "codes": np.ones((2, 5), np.uint8),
    "bits": 2,
    "scales": np.ones((2, 2), np.float32),
    "zeros": np.ones((2, 2)),
    "group": 3,
}


def with_value(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bits": 2.0}, "bits must be an integer from 1 to 8, not 2.0"),
        ({"bits": True}, "bits must be an integer from 1 to 8, not True"),
        ({"bits": 0}, "bits must be 1..8, not 0"),
        ({"bits": 9}, "bits must be 1..8, not 9"),
        ({"codes": [[1]]}, "codes must be a numpy array, not list"),
        ({"codes": np.ones(5, np.uint8)}, "codes must have 2 dimensions, not shape (5,)"),
        (
            {"codes": np.ones((2, 0), np.uint8)},
            "codes must not be empty, but has shape (2, 0)",
        ),
        ({"codes": np.ones((2, 5), np.int8)}, "codes must be unsigned integers, not int8"),
        (
            {"codes": with_value(GOOD["codes"], (1, 3), 4)},
            "codes must be below 2^2 = 4, but codes[1, 3] is 4",
        ),
        (
            {"codes": np.full((2, 5), 256, np.uint16), "bits": 8},
            "codes must be below 2^8 = 256, but codes[0, 0] is 256",
        ),
        ({"group": 0}, "group must be an integer of 1 or more, not 0"),
        ({"group": 2.5}, "group must be an integer of 1 or more, not 2.5"),
        ({"group": True}, "group must be an integer of 1 or more, not True"),
        ({"scales": None}, "scales must be a numpy array, not NoneType"),
        (
            {"scales": np.ones((2, 2))},
            "scales must be float32 or float16, not float64",
        ),
        (
            {"scales": np.ones((2, 3), np.float32)},
            "scales must have shape (2, 2) for 2 columns and 5 weights in groups of 3, not (2, 3)",
        ),
        (
            {"scales": with_value(GOOD["scales"], (1, 0), np.nan)},
            "scales must be finite, but scales[1, 0] is nan",
        ),
        (
            {"scales": with_value(GOOD["scales"], (0, 1), -np.inf)},
            "scales must be finite, but scales[0, 1] is -inf",
        ),
        ({"zeros": 1}, "zeros must be a numpy array, not int"),
        ({"zeros": np.ones((2, 3))}, "zeros must have the shape of scales, (2, 2), not (2, 3)"),
        ({"zeros": np.ones((2, 2), complex)}, "zeros must be real numbers, not complex128"),
        *(
            (
                {"zeros": with_value(GOOD["zeros"], (1, 1), value)},
                "zeros must be multiples of 1/2 within -32768..32768, but "
                f"zeros[1, 1] is {float(value)}",
            )
            for value in (0.25, np.nan, np.inf, 32768.5, -1.7e308)
        ),
        ({"offsets": 1.0}, "offsets must be a numpy array, not float"),
        ({"offsets": np.ones((2, 2))}, "offsets must be float32 or float16, not float64"),
        (
            {"offsets": np.ones((2, 1), np.float32)},
            "offsets must have the shape of scales, (2, 2), not (2, 1)",
        ),
        (
            {"offsets": with_value(GOOD["scales"], (1, 1), np.inf)},
            "offsets must be finite, but offsets[1, 1] is inf",
        ),
    ],
)
def test_affine_errors(fields, text):
    AffineWeights(**GOOD)
    with pytest.raises(InputError, match=exactly(text)):
        AffineWeights(**(GOOD | fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ternary": (1,)}, "ternary must be a numpy array, not tuple"),
        (
            {"ternary": np.ones((1, 2, 5), np.int8)},
            "ternary must have 2 dimensions, not shape (1, 2, 5)",
        ),
        ({"ternary": np.ones((0, 5), np.int8)}, "ternary must not be empty, but has shape (0, 5)"),
        ({"ternary": np.ones((2, 5), np.uint8)}, "ternary must be int8, not uint8"),
        (
            {"ternary": np.array([[1, 0, -1, 0, 0], [0, -2, 0, 0, 0]], np.int8)},
            "ternary must be -1, 0 or 1, but ternary[1, 1] is -2",
        ),
        ({"group": -1}, "group must be an integer of 1 or more, not -1"),
        (
            {"scales": np.ones((2, 1), np.float32)},
            "scales must have shape (2, 2) for 2 columns and 5 weights in groups of 3, not (2, 1)",
        ),
    ],
)
def test_ternary_errors(fields, text):
    good = {"ternary": np.ones((2, 5), np.int8), "scales": GOOD["scales"], "group": 3}
    TernaryWeights(**good)
    with pytest.raises(InputError, match=exactly(text)):
        TernaryWeights(**(good | fields))


ONE = {
    "digits": np.ones((2, 2, 5), np.int8),
    "equal": False,
    "scales": GOOD["scales"],
    "zeros": np.zeros((2, 2), np.int64),
}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"digits": 1}, "digits must be a numpy array, not int"),
        ({"digits": np.ones((2, 5), np.int8)}, "digits must have 3 dimensions, not shape (2, 5)"),
        ({"digits": np.ones((2, 2, 5))}, "digits must be int8 of -1, 0, 1, not float64"),
        ({"digits": np.full((2, 2, 5), 2, np.int8)}, "digits must be int8 of -1, 0, 1, not int8"),
        ({"digits": np.ones((2, 2, 4), np.int8)}, "digits must be of shape (2, 5), not (2, 4)"),
        (
            {"scales": np.ones((2, 1), np.float32)},
            "scales must have shape (2, 2) for 2 columns and 5 weights in groups of 3, not (2, 1)",
        ),
        (
            {"zeros": np.zeros((2, 1), np.int64)},
            "zeros must have the shape of scales, (2, 2), not (2, 1)",
        ),
        (
            {"offsets": np.full((2, 2), np.nan, np.float32)},
            "offsets must be finite, but offsets[0, 0] is nan",
        ),
    ],
)
def test_plane_errors(fields, text):
    PlaneWeights((Term(**ONE),), 3)
    with pytest.raises(InputError, match=exactly(text)):
        PlaneWeights((Term(**ONE), Term(**(ONE | fields))), 3)


def test_plane_weights_need_a_part():
    with pytest.raises(InputError, match=exactly("parts must hold one term or more, not none")):
        PlaneWeights((), 3)
