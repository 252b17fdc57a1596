"""`lutverif.golden` against the exact-rational oracle, bit for bit."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig, preset
from lutcore.errors import InputError
from lutcore.formats import FP16, INT8
from lutcore.layout import AffineWeights, TernaryWeights, fold
from lutverif import golden, oracle


def exactly(text):
    return f"^{re.escape(text)}$"


def bits_of(values):
    return values.view(np.uint32).tolist()


def random_config(rng, activations):
    g, wide = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    least = 8 + (g - 1).bit_length() if "int8" in activations else 4
    return TensorCoreConfig(
        m=1,
        n=1,
        lookup_group=g,
        groups_per_step=wide,
        table_bits=int(rng.integers(least, 17)),
        guard_bits=int(rng.integers(0, 9)),
        block=g * wide * int(rng.integers(1, 9)),
        activations=activations,
    )


def random_weights(rng, bits, n, k, group, scales="plain"):
    """Affine weights of 1 to 8 bits, or ternary for 0."""
    shape = (n, -(-k // group))
    magnitude = {
        "plain": rng.uniform(0.1, 3, shape),
        "one": np.ones(shape),
        "huge": np.ldexp(rng.uniform(1, 2, shape), rng.integers(100, 127, shape)),
        "tiny": np.ldexp(rng.uniform(1, 2, shape), rng.integers(-126, -118, shape)),
    }[scales]
    if scales != "one":
        magnitude *= rng.choice([-1, 1, 1, 0], shape, p=[0.4, 0.3, 0.2, 0.1])
    values = magnitude.astype(np.float32)
    if not bits:
        return TernaryWeights(rng.integers(-1, 2, (n, k), dtype=np.int8), values, group)
    codes = rng.integers(0, 1 << bits, (n, k), dtype=np.uint8)
    zeros = rng.integers(-(1 << bits), (4 << bits) + 1, shape) / 2
    return AffineWeights(codes, bits, values, np.clip(zeros, -128, 255), group)


def random_int8(rng, m, k):
    activations = rng.integers(-128, 128, (m, k), dtype=np.int8)
    if rng.random() < 0.3:
        activations = rng.choice(np.array([-128, 127, 0], np.int8), (m, k))
    return activations


FP16_KINDS = ("normal", "bits", "subnormal", "zeros", "extreme", "special", "spread")


def random_fp16(rng, m, k, kind):
    normal = rng.standard_normal((m, k)).astype(np.float16)
    codes = rng.integers(0, 1 << 16, (m, k), dtype=np.uint16)
    if kind == "bits":
        return np.where((codes & 0x7C00) == 0x7C00, codes ^ 0x0400, codes).view(np.float16)
    if kind == "subnormal":
        return (codes & 0x83FF).view(np.float16)
    if kind == "zeros":
        return np.where(codes % 4 == 0, normal, (codes & 0x8000).view(np.float16))
    if kind == "extreme":
        return rng.choice(np.array([65504, -65504, 6e-8, -6e-8, 1], np.float16), (m, k))
    if kind == "special":
        normal[rng.integers(m), rng.integers(k)] = rng.choice([np.inf, -np.inf, np.nan])
    if kind == "spread":
        return np.ldexp(rng.uniform(-2, 2, (m, k)), rng.integers(-26, 14, (m, k))).astype(
            np.float16
        )
    return normal


# One unit after the other.


def test_precompute_pads_and_shifts_integers():
    config = TensorCoreConfig(m=1, n=1, guard_bits=2, block=8)
    got = golden.precompute(np.array([[1, -128, 3, 4, 127]], np.int8), INT8, config)
    assert got.aligned.tolist() == [[4, -512, 12, 16, 508, 0, 0, 0]]
    assert (got.exponent.tolist(), got.nonfinite.tolist()) == ([0], [False])


def test_precompute_by_hand():
    # As in test_oracle: steps of 1, half steps of guard: 5 + 1 fits in seven steps.
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=4, guard_bits=1, block=4, activations=("fp16",)
    )
    rows = np.array([[5, 1, -4], [np.inf, 1, 1], [1, np.nan, 0], [0, -0.0, 0]], np.float16)
    got = golden.precompute(rows, FP16, config)
    least = 1 + config.step_offset(FP16)
    assert got.aligned.tolist() == [[10, 2, -8, 0], [0] * 4, [0] * 4, [0] * 4]
    assert got.exponent.tolist() == [0, 0, 0, least]
    assert got.nonfinite.tolist() == [False, True, True, False]


@pytest.mark.parametrize("g", range(2, 7))
def test_entries_fit_and_exponents_are_least(rng, g):
    """Every (g, table_bits, guard): nothing saturates, no width is exceeded, no bit is wasted."""
    for t, guard in itertools.product(range(4, 17), range(9)):
        config = TensorCoreConfig(
            m=1, n=1, lookup_group=g, table_bits=t, guard_bits=guard, block=6 * g,
            activations=("fp16",),
        )  # fmt: skip
        rows = [random_fp16(rng, 2, 6 * g, kind) for kind in FP16_KINDS if kind != "special"]
        peaks = np.ldexp(1 + rng.integers(0, 1024, 16) / 1024, rng.integers(-14, 16, 16))
        peaks[0] = 65504
        rows.append(np.tile(peaks.astype(np.float16)[:, None], (1, 6 * g)))
        activations = np.concatenate(rows)
        aligned, exponent, nonfinite = golden.precompute(activations, FP16, config)
        assert not nonfinite.any()
        groups = np.abs(aligned).reshape(len(aligned), -1, g).sum(axis=2).max(axis=1)
        assert (2 * groups <= config.doubled_peak_limit + 2 * g).all()
        assert (np.abs(exponent) < 1 << (config.exponent_bits - 1)).all()
        least = 1 + config.step_offset(FP16)
        sums = np.abs(activations.astype(np.float64)).reshape(len(aligned), -1, g).sum(axis=2)
        # Rounding magnitudes up raises a peak by less than g units in the last place.
        finer = np.ldexp(sums.max(axis=1) * (1 + g * 2.0**-10), guard + 2 - exponent)
        assert ((exponent == least) | (finer >= config.doubled_peak_limit)).all()
        assert (exponent >= least).all() and (exponent > least).any()
        entries = golden.table(aligned, config)
        top = (1 << (t - 1)) - 1
        assert (np.abs(entries) <= top).all()
        assert entries.max() > top / 2
        assert (np.abs(golden.activation_sum(entries)) < 1 << (config.sum_bits - 1)).all()


def test_table_by_hand():
    config = TensorCoreConfig(m=1, n=1, lookup_group=3, guard_bits=1, block=6, table_bits=12)
    aligned = np.array([[1, 4, 10, 0, 0, 5]])
    # sums 10 -1 -4, 10 +1 -4, 10 -1 +4, 10 +1 +4 in halves; ties to even
    assert golden.table(aligned, config).tolist() == [[[2, 4, 6, 8], [2, 2, 2, 2]]]
    assert golden.table(-aligned, config).tolist() == [[[-2, -4, -6, -8], [-2, -2, -2, -2]]]
    assert golden.activation_sum(golden.table(aligned, config)).tolist() == [10]


@pytest.mark.parametrize("guard", range(9))
def test_table_rounds_to_even(rng, guard):
    config = TensorCoreConfig(m=1, n=1, lookup_group=2, guard_bits=guard, block=2, table_bits=16)
    values = np.arange(-1500, 1500)
    aligned = np.stack([np.zeros_like(values), values], axis=1)
    expected = [round(Fraction(value, 1 << guard)) for value in values.tolist()]
    assert golden.table(aligned, config)[:, 0, 1].tolist() == expected


@pytest.mark.parametrize("g", range(2, 7))
@pytest.mark.parametrize("equal", [False, True])
def test_lookup_is_a_sum_of_signed_activations(rng, g, equal):
    config = TensorCoreConfig(m=1, n=1, lookup_group=g, guard_bits=0, block=4 * g, table_bits=16)
    aligned = rng.integers(-1000, 1000, (5, 4 * g))
    planes = rng.integers(0, 2, (3, 7, 4 * g), dtype=np.uint8)
    psum = golden.lookup(
        golden.table(aligned, config), fold(planes.reshape(3, 7, 4, g)), equal, config
    )
    weights = np.array([1, 1, 1] if equal else [4, 2, 1])[:, None, None]
    signed = (weights * (2 * planes.astype(np.int64) - 1)).sum(axis=0)
    assert np.array_equal(psum, aligned @ signed.T)
    assert psum.any()


def test_lookup_refuses_other_groups():
    config = preset("tiny")
    text = "entries have shape (1, 2, 4) for 3 groups of codes"
    with pytest.raises(ValueError, match=exactly(text)):
        golden.lookup(np.ones((1, 2, 4), int), np.ones((1, 1, 3), np.uint8), False, config)


def check_fma(acc, difference, scale, exponent):
    """Both ways; the bits. Arguments are 1-D arrays of equal length."""
    acc, scale = acc.astype(np.float32), scale.astype(np.float32)
    difference, exponent = difference.astype(np.int64), exponent.astype(np.int64)
    got = bits_of(golden.fma(acc, difference, scale, exponent))
    expected = []
    for a, d, s, e in zip(
        bits_of(acc), difference.tolist(), bits_of(scale), exponent.tolist(), strict=True
    ):
        start, factor = oracle.decode_fp32(a), oracle.decode_fp32(s)
        assert start is not None and factor is not None
        expected.append(oracle.rn32(start + d * factor * Fraction(2) ** (e - 1)))
    assert got == expected
    return got


def random_normal32(rng, size, low=-126, high=128):
    magnitude = np.ldexp(
        1 + rng.integers(0, 1 << 23, size) / 2.0**23, rng.integers(low, high, size)
    )
    return (magnitude * rng.choice([-1, 1], size)).astype(np.float32)


def test_fma_at_random(rng):
    size = 6000
    difference = rng.integers(-(1 << 40), 1 << 40, size) >> rng.integers(0, 40, size)
    exponent = rng.integers(-30, 23, size)
    scale = random_normal32(rng, size)
    product = difference.astype(float) * np.ldexp(scale.astype(float), exponent - 1)
    # Accumulators of any size, then of the product's own size, so that every overlap occurs.
    check_fma(random_normal32(rng, size), difference, scale, exponent)
    near = np.ldexp(product, rng.integers(-50, 50, size)) * rng.uniform(-2, 2, size)
    near = np.clip(near, -3e38, 3e38)
    assert len(set(check_fma(near, difference, scale, exponent))) > size / 2
    # Cancellation: what is left is what rounding the product lost.
    rounded = -np.clip(product, -3.4e38, 3.4e38).astype(np.float32)
    fits = np.abs(product) < 3.4e38
    left = check_fma(rounded[fits], difference[fits], scale[fits], exponent[fits])
    assert len(set(left)) > 100


def test_fma_double_rounding(rng):
    """Half a unit in the last place, more or less by as little as the widths allow."""
    size = 4000
    acc = random_normal32(rng, size, -100, 100)
    acc[: size // 4] = np.ldexp(1.0, rng.integers(-100, 100, size // 4))  # unequal neighbours
    shift = rng.integers(0, 40, size)
    difference = (1 << shift) + rng.integers(-1, 2, size)
    difference *= rng.choice([-1, 1], size)
    # scale = ulp(acc) / 2 (or / 4, below powers of two) / 2^shift
    unit = np.spacing(np.abs(acc)).astype(float) * rng.choice([0.5, 0.25], size)
    scale = np.clip(unit, 2.0**-126, None)
    exponent = 1 - shift
    check_fma(acc, difference, scale, exponent)
    with np.errstate(over="ignore"):
        naive = (acc.astype(float) + difference * np.ldexp(scale, -shift)).astype(np.float32)
    got = golden.fma(acc, difference, scale.astype(np.float32), exponent)
    assert 100 < np.count_nonzero(got != naive) < size  # the traps are traps


def test_fma_underflow_and_overflow(rng):
    size = 3000
    subnormal = rng.integers(0, 1 << 24, size, dtype=np.uint32).view(np.float32)
    difference = rng.integers(-(1 << 24), 1 << 24, size)
    scale = random_normal32(rng, size, -126, -124)
    got = check_fma(subnormal, difference, scale, rng.integers(-28, -20, size))
    assert sum((bits & 0x7F800000) == 0 and bits > 0 for bits in got) > size / 20
    large = np.full(size, np.finfo(np.float32).max)
    # acc = max; half an ulp of it is 2^103 = difference * scale: infinite from exactly there.
    difference = (1 << 30) + rng.integers(-1, 2, size)
    got = check_fma(large, difference, np.full(size, 2.0**73), np.full(size, 1))
    assert set(got) == {0x7F7FFFFF, 0x7F800000}
    got = check_fma(-large, -difference, np.full(size, 2.0**73), np.full(size, 1))
    assert set(got) == {0xFF7FFFFF, 0xFF800000}


def test_fma_of_special_values():
    acc = np.array([np.inf, -np.inf, np.nan, -0.0, 0, 1.5, -1e-45], np.float32)
    acc[2:3].view(np.uint32)[:] = 0xFFC12345
    difference = np.array([-1, 5, 1, 0, -1, -3, 1])
    scale = np.array([1, 1, 1, 1, 2.0**-126, 1, 2.0**-126], np.float32)
    exponent = np.array([20, 20, 0, 0, -28, 0, -22])
    got = bits_of(golden.fma(acc, difference, scale, exponent))
    assert got == [0x7F800000, 0xFF800000, 0x7FC00000, 0, 0, 0, 0]


def test_rescale_shapes_and_modes():
    psum, total = np.array([[10, 20], [30, 1 << 20]]), np.array([3, -4])
    zero, scale = np.array([1, -2]), np.array([0.5, 4], np.float32)
    exponent, nonfinite = np.array([1, 3]), np.array([False, False])
    acc = np.zeros((2, 2), np.float32)
    got = golden.rescale(acc, psum, total, exponent, nonfinite, scale, zero, raw=False)
    assert got.dtype == np.float32
    assert got.tolist() == [[7 * 0.5, 26 * 4], [34 * 0.5 * 4, ((1 << 20) - 8) * 16]]
    got = golden.rescale(got, psum, total, exponent, ~nonfinite, scale, zero, raw=False)
    assert bits_of(got) == [[0x7FC00000] * 2] * 2
    start = np.full((2, 2), 2**31 - 10, np.int32)
    got = golden.rescale(start, psum, total, exponent, nonfinite, scale, zero, raw=True)
    assert got.dtype == np.int32
    assert got.tolist() == [[2**31 - 3, -(2**31) + 16], [-(2**31) + 24, -(2**31) + (1 << 20) - 18]]


# The whole product.


@pytest.mark.parametrize("bits", range(9))
def test_core_int8_equals_the_oracle(rng, bits):
    nonzero = 0
    for _ in range(40):
        config = random_config(rng, ("int8", "fp16") if rng.random() < 0.5 else ("int8",))
        m, n, k = (int(rng.integers(1, high)) for high in (4, 4, 90))
        weights = random_weights(rng, bits, n, k, int(rng.integers(4, 129)))
        activations = random_int8(rng, m, k)
        got = golden.core(activations, weights, config)
        assert bits_of(got) == oracle.specified(activations, weights, config)
        raw = golden.core(activations, weights, config, "int32")
        assert raw.tolist() == oracle.specified(activations, weights, config, raw=True)
        nonzero += np.count_nonzero(raw) > 0
    assert nonzero > 30


@pytest.mark.parametrize("bits", range(9))
def test_core_fp16_equals_the_oracle(rng, bits):
    seen = []
    for kind, scales in 3 * [*itertools.product(FP16_KINDS, ("plain", "huge", "tiny"))]:
        config = random_config(rng, ("fp16",))
        m, n, k = (int(rng.integers(1, high)) for high in (4, 4, 90))
        weights = random_weights(rng, bits, n, k, int(rng.integers(4, 129)), scales)
        activations = random_fp16(rng, m, k, kind)
        got = golden.core(activations, weights, config)
        assert bits_of(got) == oracle.specified(activations, weights, config)
        seen.append(got.ravel())
    values = np.abs(np.concatenate(seen))
    assert np.isnan(values).any() and np.isinf(values).any()
    assert ((values > 0) & (values < np.finfo(np.float32).tiny)).any()
    assert np.isfinite(values).sum() > 40


@pytest.mark.parametrize("bits", range(9))
def test_int8_is_exact(rng, bits):
    for group in (4, 13, 32, 128):
        config = random_config(rng, ("int8", "fp16"))
        weights = random_weights(rng, bits, 5, 40, group, scales="one")
        activations = random_int8(rng, 3, 40)
        index = np.arange(40) // group
        if isinstance(weights, AffineWeights):
            doubled = 2 * weights.codes.astype(np.int64)
            doubled -= (2 * weights.zeros).astype(np.int64)[:, index]
        else:
            doubled = 2 * weights.ternary.astype(np.int64)
        product = activations.astype(np.int64) @ doubled.T
        assert product.any()
        assert np.array_equal(golden.core(activations, weights, config, "int32"), product)
        # Below 2^24, so FP32 holds it; in units of s/2.
        assert np.array_equal(golden.core(activations, weights, config), product / 2)


def test_raw_of_signs_is_the_plain_product(rng):
    codes = rng.integers(0, 2, (3, 9), dtype=np.uint8)
    ones = np.ones((3, 1), np.float32)
    weights = AffineWeights(codes, 1, ones, ones / 2, 9)
    activations = random_int8(rng, 2, 9)
    expected = activations.astype(int) @ (2 * codes.astype(int) - 1).T
    assert golden.core(activations, weights, preset("tiny"), "int32").tolist() == expected.tolist()


def test_presets_on_larger_shapes(rng):
    """Tiles do not exist for the golden model: one result for every preset."""
    activations = random_int8(rng, 17, 300)
    weights = random_weights(rng, 4, 70, 300, 128, scales="one")
    results = [golden.core(activations, weights, preset(p), "int32") for p in ("paper", "tiny")]
    results.append(golden.core(activations, weights, preset("wide"), "int32"))
    assert results[0].shape == (17, 70)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    exact = activations.astype(float) @ weights.real().T
    assert np.array_equal(results[0], 2 * exact)


@pytest.mark.parametrize("bits", range(9))
def test_fp16_stays_within_the_bound(rng, bits):
    closest = Fraction(0)
    for kind in ("normal", "bits", "subnormal", "zeros", "extreme", "spread"):
        config = random_config(rng, ("fp16",))
        weights = random_weights(rng, bits, 3, 70, int(rng.integers(4, 129)))
        activations = random_fp16(rng, 2, 70, kind)
        got = golden.core(activations, weights, config)
        bound = golden.error_bound(activations, weights, config)
        exact = oracle.exact(activations, weights)
        for m, n in np.ndindex(2, 3):
            value = exact[m][n]
            assert value is not None
            error = abs(Fraction(float(got[m, n])) - value)
            assert error <= Fraction(float(bound[m, n]))
            if bound[m, n]:
                closest = max(closest, error / Fraction(float(bound[m, n])))
    assert closest > Fraction(1, 20)  # a bound, and not just a large number


def test_bound_by_hand():
    # Two segments of two lookups. Peak 1: e = -8 for t = 10, g = 4, u = 3 (limit 1022 / 8 steps).
    config = TensorCoreConfig(m=1, n=1, block=8)
    activations = np.ones((1, 16), np.float16)
    weights = TernaryWeights(np.ones((1, 16), np.int8), np.full((1, 1), 3, np.float32), 16)
    exponent = int(golden.precompute(activations[:, :8], FP16, config).exponent[0])
    assert exponent == -6
    tables = 2 * 3 / 2 * 2.0**-6 * (0.5 + 4 / 16) * 2 * 2
    rounding = 2.0 ** (4 - 24) + 2.0 ** (5 - 24)  # half units of 24 and 48
    bound = float(golden.error_bound(activations, weights, config)[0, 0])
    assert bound == (tables + rounding) * (1 + 2.0**-30)
    assert golden.core(activations, weights, config).tolist() == [[48]]


def test_bound_of_special_results():
    config = preset("paper")
    activations = np.array([[60000, 1], [np.inf, 1], [0, 0]], np.float16)
    weights = TernaryWeights(np.ones((1, 2), np.int8), np.full((1, 1), 3e38, np.float32), 2)
    bound = golden.error_bound(activations, weights, config)
    assert bound[0, 0] == np.inf
    assert np.isnan(bound[1, 0])
    assert 0 < bound[2, 0] < np.inf


def test_bound_of_integers_is_of_fp32_alone(rng):
    config = preset("paper")
    activations = random_int8(rng, 3, 200)
    weights = random_weights(rng, 8, 4, 200, 32)
    bound = golden.error_bound(activations, weights, config)
    got = golden.core(activations, weights, config)
    exact = oracle.exact(activations, weights)
    for m, n in np.ndindex(3, 4):
        value = exact[m][n]
        assert value is not None
        assert abs(Fraction(float(got[m, n])) - value) <= Fraction(float(bound[m, n]))
    assert (bound > 0).all()
    assert (bound < 1e-5 * np.abs(activations).astype(float).sum() * 768).all()


# Bad input.

WEIGHTS = TernaryWeights(np.ones((2, 5), np.int8), np.ones((2, 1), np.float32), 5)
FLOAT_ONLY = TensorCoreConfig(name="floats", m=1, n=1, activations=("fp16",))


@pytest.mark.parametrize(
    ("activations", "config", "text"),
    [
        ([[1] * 5], preset("tiny"), "activations must be a numpy array, not list"),
        (
            np.ones(5, np.int8),
            preset("tiny"),
            "activations must have 2 dimensions, not shape (5,)",
        ),
        (
            np.ones((0, 5), np.int8),
            preset("tiny"),
            "activations must not be empty, but has shape (0, 5)",
        ),
        (
            np.ones((1, 5)),
            preset("tiny"),
            "activations must be int8 or float16, not float64",
        ),
        (
            np.ones((1, 5), np.uint8),
            preset("tiny"),
            "activations must be int8 or float16, not uint8",
        ),
        (
            np.ones((1, 5), np.int8),
            FLOAT_ONLY,
            "activations are int8, but the configuration 'floats' is built for fp16; "
            "add 'int8' to its activations",
        ),
        (
            np.ones((3, 4), np.int8),
            preset("tiny"),
            "activations must have K = 5 columns to match the weights, not shape (3, 4)",
        ),
    ],
)
def test_activation_errors(activations, config, text):
    for function in (golden.check_activations, golden.core, golden.error_bound):
        with pytest.raises(InputError, match=exactly(text)):
            function(activations, WEIGHTS, config)


def test_format_of_activations():
    assert golden.check_activations(np.ones((1, 5), np.int8), WEIGHTS, preset("tiny")) is INT8
    assert golden.check_activations(np.ones((1, 5), np.float16), WEIGHTS, preset("tiny")) is FP16


def test_weight_and_output_errors():
    activations = np.ones((1, 5), np.int8)
    narrow = TensorCoreConfig(m=1, n=1, weight_bits=1)
    text = "weights have 2 bit planes, but weight_bits of the configuration is 1; 2 would do"
    for function in (golden.core, golden.error_bound):
        with pytest.raises(InputError, match=exactly(text)):
            function(activations, WEIGHTS, narrow)
    text = "output must be fp32 or int32, not 'fp16'"
    for function in (golden.check_activations, golden.core):
        with pytest.raises(InputError, match=exactly(text)):
            function(activations, WEIGHTS, preset("tiny"), "fp16")
    text = "output int32 is defined for int8 activations only, not fp16"
    for function in (golden.check_activations, golden.core):
        with pytest.raises(InputError, match=exactly(text)):
            function(activations.astype(np.float16), WEIGHTS, preset("tiny"), "int32")


def test_int32_bound():
    config = TensorCoreConfig(m=1, n=1, zero_bits=16, weight_bits=8)
    k = 513  # (2^31 - 1) // (128 (255 + 32513))

    def product(length):
        weights = AffineWeights(
            np.zeros((1, length), np.uint8),
            8,
            np.ones((1, 1), np.float32),
            np.full((1, 1), 16384.0),
            length,
        )
        return golden.core(np.full((1, length), -128, np.int8), weights, config, "int32")

    limit = (2**31 - 1) // (128 * (255 + 32513))
    assert product(limit).tolist() == [[limit * 128 * 32768]]
    text = (
        "output int32 could overflow: K must be at most 511 for these weights "
        "(terms up to 4194304), not 513; output fp32 would do"
    )
    with pytest.raises(InputError, match=exactly(text)):
        product(k)
