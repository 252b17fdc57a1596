"""`lutverif.oracle` against numpy's formats, and by hand-worked examples."""

from dataclasses import replace
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from lutcore.config import TensorCoreConfig
from lutcore.weights import AffineWeights, PlaneWeights, TernaryWeights
from lutverif import oracle

PEERS = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


@pytest.mark.parametrize("name", PEERS)
def test_decode_every_code_and_round_it_back(name):
    dtype = np.dtype(PEERS[name])
    codes = np.arange(1 << (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = codes.view(dtype).astype(np.float64).tolist()
    for code, value in zip(codes.tolist(), values, strict=True):
        expected = Fraction(value) if np.isfinite(value) else None
        assert oracle.decode(code, name) == expected
        if expected is not None and name != "e8m0":
            assert oracle.rn(expected, name) == (code if expected else 0)


def test_decode_integers():
    assert [oracle.decode(code, "int4") for code in (0, 7, 8, 15)] == [0, 7, -8, -1]
    assert oracle.decode(0x80, "int8") == -128 and oracle.decode(0xFFFF, "int16") == -1


def test_decode_and_round_fp32(rng):
    codes = rng.integers(0, 1 << 32, 20000, dtype=np.uint32)
    codes[:1000] &= 0x807FFFFF  # subnormals
    codes[1000:1100] |= 0x7F800000
    with np.errstate(invalid="ignore"):
        values = codes.view(np.float32).astype(np.float64).tolist()
    for code, value in zip(codes.tolist(), values, strict=True):
        decoded = oracle.decode(code, "fp32")
        assert decoded == (Fraction(value) if np.isfinite(value) else None)
        if decoded is not None:
            assert oracle.rn(decoded, "fp32") == (code if decoded else 0)


@pytest.mark.parametrize(
    ("name", "dtype", "least", "specials"),
    [
        ("fp32", np.float32, -149, {0, 0x7F800000, 0xFF800000}),
        ("fp16", np.float16, -24, {0, 0x7C00, 0xFC00}),
    ],
)
def test_round_like_numpy(rng, name, dtype, least, specials):
    values = np.ldexp(rng.uniform(-2, 2, 10000), rng.integers(least - 10, 8 - least, 10000))
    values[:4000] = (rng.integers(0, 1 << 25, 4000) - (1 << 24)) * 2.0 ** (least - 1)  # halves
    with np.errstate(over="ignore"):
        expected = values.astype(dtype) + dtype(0)
    got = [oracle.rn(Fraction(value), name) for value in values.tolist()]
    assert got == expected.view(f"u{expected.itemsize}").tolist()
    assert specials <= set(got)


@pytest.mark.parametrize("name", ["bf16", "e5m2", "e4m3"])
def test_round_like_ml_dtypes(rng, name):
    values = rng.integers(0, 1 << 32, 20000, dtype=np.uint32).view(np.float32)
    values[:10000] = np.ldexp(rng.integers(-64, 64, 10000) / 8, rng.integers(-18, 12, 10000))
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        expected = values.astype(PEERS[name]) + PEERS[name](0)  # -0 becomes +0
    codes = expected.view(f"u{expected.itemsize}")
    number = ~np.isnan(expected)
    got = np.array([oracle.rn(Fraction(float(value)), name) for value in values])
    assert np.array_equal(got[number], codes[number])
    assert number.sum() > 12000
    assert (got[~number] & 0x7F == oracle.NAN[name]).all() and number.all() == (name != "e4m3")


def test_round_fp32_by_hand():
    one, ulp = Fraction(1), Fraction(2) ** -23
    tiny = Fraction(1, 10**60)

    def rn32(value):
        return oracle.rn(value, "fp32")

    assert rn32(one + ulp / 2) == 0x3F800000
    assert rn32(one + ulp / 2 + tiny) == 0x3F800001
    assert rn32(one + 3 * ulp / 2) == 0x3F800002
    assert rn32(-one - 3 * ulp / 2 + tiny) == 0xBF800001
    assert rn32(Fraction(2) ** -150) == 0
    assert rn32(-(Fraction(2) ** -150)) == 0
    assert rn32(-(Fraction(2) ** -150) - tiny) == 0x80000001
    top = Fraction(2) ** 128 - Fraction(2) ** 103
    assert rn32(top - tiny) == 0x7F7FFFFF
    assert rn32(-top) == 0xFF800000


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
    offset = replace(weights, offsets=np.ones((2, 2), np.float32))
    expected = [[1 + 2, -Fraction(10, 8) + 2], [-Fraction(389, 8) - 123, Fraction(389, 8) - 123]]
    assert oracle.exact(activations, offset) == expected
    planes = PlaneWeights(offset.terms(TensorCoreConfig(m=1, n=1, weight_bits=1)), 2)
    assert oracle.exact(activations.astype(np.float32), planes) == expected


@pytest.mark.parametrize("raw", [False, True])
def test_specified_integers_are_the_product(raw):
    config = TensorCoreConfig(m=1, n=1, lookup_group=2, block=2)
    activations = np.array([[1, -2, 3], [0, 5, -128]], np.int8)
    weights = affine([[0, 1, 3], [2, 2, 0]], 2, 0.25, 1.5, 2)
    got = oracle.specified(activations, weights, config, "int32" if raw else "fp32")
    if raw:  # units of s/2
        assert got == [[8, -10], [-389, 389]]
    else:
        values = np.array([[1.0, -1.25], [-48.625, 48.625]], np.float32)
        assert got == values.view(np.uint32).tolist()


def test_specified_floats_by_hand():
    # Pairs, t = 5: peak / 2^e + 1 < 16. Peak 16: units of 1 give 17, of 2 give 9. Aligned are
    # [8 (RNE of 15/2), 0 (RNE of 1/2), 0, -2].
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=4, block=4, activations=("fp16",)
    )
    activations = np.array([[15, 1, 1, -4]], np.float16)
    weights = TernaryWeights(
        np.array([[1, 1, 0, -1], [1, 1, 1, 1]], np.int8), np.ones((2, 1), np.float32), 4
    )
    got = oracle.specified(activations, weights, config)
    assert got == np.array([[20.0, 12.0]], np.float32).view(np.uint32).tolist()
    # Ternary tables hold whole sums: 16 / 2^e + 1 < 8, units of 4. Aligned [4, 0, 0, -1].
    config = TensorCoreConfig(
        m=1, n=1, table_digits=3, lookup_group=2, groups_per_step=3, table_bits=4, block=6,
        activations=("fp16",),
    )  # fmt: skip
    got = oracle.specified(activations, weights, config)
    assert got == np.array([[20.0, 12.0]], np.float32).view(np.uint32).tolist()


def test_specified_terms_and_outputs_by_hand():
    """1 + 2^-8 times one, as two terms and an offset: each rounded to FP32, the last to BF16."""
    config = TensorCoreConfig(m=1, n=1, weight_bits=1, block=4, outputs=("fp32", "bf16", "fp16"))
    activations = np.array([[1, 0]], np.int8)
    weights = replace(affine([[3, 0]], 2, 0.5, 1, 2), offsets=np.full((1, 1), 2.0**-8, np.float32))
    for output, code in (("fp32", 0x3F808000), ("bf16", 0x3F80), ("fp16", 0x3C04)):
        assert oracle.specified(activations, weights, config, output) == [[code]]
    # A tie in BF16, unless the offset is a little larger: FP32 would not hold the sum.
    weights = replace(weights, offsets=np.full((1, 1), 2.0**-8 + 2.0**-30, np.float32))
    assert oracle.specified(activations, weights, config, "bf16") == [[0x3F81]]
    assert oracle.specified(activations, weights, config, "fp32") == [[0x3F808000]]


def test_specified_ternary_digits_by_hand():
    config = TensorCoreConfig(
        m=1, n=1, table_digits=3, lookup_group=2, groups_per_step=3, block=6, table_bits=9
    )
    activations = np.array([[3, 5, 7, 100]], np.int8)
    weights = TernaryWeights(
        np.array([[1, 0, -1, 0]], np.int8), np.full((1, 1), 0.5, np.float32), 4
    )
    assert oracle.specified(activations, weights, config) == [[0xC0000000]]  # (3 - 7) / 2
    assert oracle.specified(activations, weights, config, "int32") == [[-8]]


def test_specified_overflow_and_nonfinite():
    config = TensorCoreConfig(m=1, n=1, block=4)
    activations = np.full((3, 8), 60000, np.float16)
    activations[1, 4:] *= -1
    activations[2, 5] = np.nan
    weights = TernaryWeights(np.ones((1, 8), np.int8), np.full((1, 1), 3e38, np.float32), 8)
    got = oracle.specified(activations, weights, config)
    assert got == [[0x7F800000], [0x7F800000], [0x7FC00000]]
