"""`lutverif.oracle` against numpy's formats, and by hand-worked examples."""

from fractions import Fraction

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig
from lutcore.layout import AffineWeights, TernaryWeights
from lutverif import oracle


def test_decode_fp16_every_code():
    codes = np.arange(1 << 16, dtype=np.uint16)
    for code, value in zip(codes.tolist(), codes.view(np.float16).tolist(), strict=True):
        expected = Fraction(value) if np.isfinite(value) else None
        assert oracle.decode_fp16(code) == expected


def test_decode_and_round_fp32(rng):
    codes = rng.integers(0, 1 << 32, 20000, dtype=np.uint32)
    codes[:1000] &= 0x807FFFFF  # subnormals
    codes[1000:1100] |= 0x7F800000
    for code, value in zip(codes.tolist(), codes.view(np.float32).tolist(), strict=True):
        decoded = oracle.decode_fp32(code)
        assert decoded == (Fraction(value) if np.isfinite(value) else None)
        if decoded is not None:
            assert oracle.rn32(decoded) == (code if decoded else 0)


def test_round_fp32_like_numpy(rng):
    values = np.ldexp(rng.uniform(-2, 2, 20000), rng.integers(-160, 135, 20000))
    values[:4000] = (rng.integers(0, 1 << 25, 4000) - (1 << 24)) * 2.0**-150  # subnormal halves
    with np.errstate(over="ignore"):
        expected = (values.astype(np.float32) + np.float32(0)).view(np.uint32)
    got = [oracle.rn32(Fraction(value)) for value in values.tolist()]
    assert got == expected.tolist()
    assert {0, 0x7F800000, 0xFF800000} <= set(got)


def test_round_fp32_by_hand():
    one, ulp = Fraction(1), Fraction(2) ** -23
    tiny = Fraction(1, 10**60)
    assert oracle.rn32(one + ulp / 2) == 0x3F800000
    assert oracle.rn32(one + ulp / 2 + tiny) == 0x3F800001
    assert oracle.rn32(one + 3 * ulp / 2) == 0x3F800002
    assert oracle.rn32(-one - 3 * ulp / 2 + tiny) == 0xBF800001
    assert oracle.rn32(Fraction(2) ** -150) == 0
    assert oracle.rn32(-(Fraction(2) ** -150)) == 0
    assert oracle.rn32(-(Fraction(2) ** -150) - tiny) == 0x80000001
    top = Fraction(2) ** 128 - Fraction(2) ** 103
    assert oracle.rn32(top - tiny) == 0x7F7FFFFF
    assert oracle.rn32(-top) == 0xFF800000


def affine(codes, bits, scale, zero, group):
    shape = (len(codes), -(-len(codes[0]) // group))
    return AffineWeights(
        np.array(codes, np.uint8),
        bits,
        np.full(shape, scale, np.float32),
        np.full(shape, zero),
        group,
    )


def test_exact_product():
    activations = np.array([[1, -2, 3], [0, 5, -128]], np.int8)
    weights = affine([[0, 1, 3], [2, 2, 0]], 2, 0.25, 1.5, 2)
    # weights: s (q - z) = [-3/8, -1/8, 3/8] and [1/8, 1/8, -3/8]
    assert oracle.exact(activations, weights) == [
        [Fraction(8, 8), Fraction(-10, 8)],
        [Fraction(-389, 8), Fraction(389, 8)],
    ]
    trits = TernaryWeights(np.array([[1, 0, -1]], np.int8), np.array([[2, 3]], np.float32), 2)
    assert oracle.exact(activations, trits) == [[-7], [384]]
    halves = activations.astype(np.float16)
    halves[1, 0] = np.inf
    assert oracle.exact(halves, trits) == [[-7], [None]]


@pytest.mark.parametrize("raw", [False, True])
def test_specified_integers_are_the_product(raw):
    config = TensorCoreConfig(m=1, n=1, lookup_group=2, block=2)
    activations = np.array([[1, -2, 3], [0, 5, -128]], np.int8)
    weights = affine([[0, 1, 3], [2, 2, 0]], 2, 0.25, 1.5, 2)
    got = oracle.specified(activations, weights, config, raw)
    if raw:  # units of s/2
        assert got == [[8, -10], [-389, 389]]
    else:
        values = np.array([[1.0, -1.25], [-48.625, 48.625]], np.float32)
        assert got == values.view(np.uint32).tolist()


def test_specified_floats_by_hand():
    # g = 2, t = 4, u = 0: peak / step + 1 < 7.5. Peak 8: steps of 1 give 9, of 2 give 5. Aligned
    # [4 (RNE of 7/2), 0 (RNE of 1/2), 0, -2], entries of all +1: 4 and -2.
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=4, guard_bits=0, block=4, activations=("fp16",)
    )
    activations = np.array([[7, 1, 1, -4]], np.float16)
    weights = TernaryWeights(
        np.array([[1, 1, 0, -1], [1, 1, 1, 1]], np.int8), np.ones((2, 1), np.float32), 4
    )
    got = oracle.specified(activations, weights, config)
    assert got == np.array([[12.0, 4.0]], np.float32).view(np.uint32).tolist()
    # With one guard bit the limit is 15 half steps: steps of 1 give 16 + 1, of 2 give 8 + 1. The
    # aligned are [7, 1, 1, -4] half steps; entries RNE(8/2) = 4, RNE(-3/2) = -2, RNE(5/2) = 2.
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=4, guard_bits=1, block=4, activations=("fp16",)
    )
    got = oracle.specified(activations, weights, config)
    assert got == np.array([[12.0, 4.0]], np.float32).view(np.uint32).tolist()


def test_specified_overflow_and_nonfinite():
    config = TensorCoreConfig(m=1, n=1, block=4)
    activations = np.full((3, 8), 60000, np.float16)
    activations[1, 4:] *= -1
    activations[2, 5] = np.nan
    weights = TernaryWeights(np.ones((1, 8), np.int8), np.full((1, 1), 3e38, np.float32), 8)
    got = oracle.specified(activations, weights, config)
    assert got == [[0x7F800000], [0x7F800000], [0x7FC00000]]
