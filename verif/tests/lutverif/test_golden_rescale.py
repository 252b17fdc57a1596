"""`golden.rescale`: fused, rounded once, in every output format, and its special values."""

from fractions import Fraction

import numpy as np
import pytest

from lutcore import TensorCoreConfig
from lutcore.formats import BF16, FP16, FP32, FloatFormat
from lutcore.numbers import encode, rounded
from lutverif import golden, oracle
from lutverif.soak import CONFIGURATIONS

CONFIG = CONFIGURATIONS["floats"]
OUTPUTS = [FP32, FP16, BF16]
NAN = 0x7FC00000


def bits_of(values):
    return values.view(np.uint32).tolist()


def check_fma(acc, difference, scale, exponent, fmt=FP32):
    """Both ways; the codes. Arguments are 1-D arrays of equal length."""
    acc, scale = acc.astype(np.float32), scale.astype(np.float32)
    difference, exponent = difference.astype(np.int64), exponent.astype(np.int64)
    got = encode(golden.fma(acc, difference, scale, exponent, fmt), fmt).tolist()
    expected = []
    for a, d, s, e in zip(
        bits_of(acc), difference.tolist(), bits_of(scale), exponent.tolist(), strict=True
    ):
        start, factor = oracle.decode(a, "fp32"), oracle.decode(s, "fp32")
        assert start is not None and factor is not None
        expected.append(oracle.rn(start + d * factor * Fraction(2) ** (e - 1), fmt.name))
    assert got == expected
    return got


def random_normal32(rng, size, low=-126, high=128):
    magnitude = np.ldexp(
        1 + rng.integers(0, 1 << 23, size) / 2.0**23, rng.integers(low, high, size)
    )
    return (magnitude * rng.choice([-1, 1], size)).astype(np.float32)


@pytest.mark.parametrize("fmt", OUTPUTS)
def test_fma_at_random(rng, fmt):
    size = 4000
    difference = rng.integers(-(1 << 40), 1 << 40, size) >> rng.integers(0, 40, size)
    exponent = rng.integers(-30, 23, size)
    scale = random_normal32(rng, size)
    if fmt is FP16:
        scale = random_normal32(rng, size, -40, 10)
    product = difference.astype(float) * np.ldexp(scale.astype(float), exponent - 1)
    # Accumulators of any size, then of the product's own size, so that every overlap occurs.
    check_fma(random_normal32(rng, size), difference, scale, exponent, fmt)
    near = np.ldexp(product, rng.integers(-50, 50, size)) * rng.uniform(-2, 2, size)
    near = np.clip(near, -3e38, 3e38)
    assert len(set(check_fma(near, difference, scale, exponent, fmt))) > size / 3
    # Cancellation: what is left is what rounding the product lost.
    rounded = -np.clip(product, -3.4e38, 3.4e38).astype(np.float32)
    fits = np.abs(product) < 3.4e38
    left = check_fma(rounded[fits], difference[fits], scale[fits], exponent[fits], fmt)
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


def test_fma_of_tiny_numbers(rng):
    """Subnormal scales, and the block exponents of BF16 activations."""
    size = 3000
    scale = rng.integers(0, 1 << 23, size, dtype=np.uint32).view(np.float32)
    difference = rng.integers(-(1 << 40), 1 << 40, size) >> rng.integers(0, 40, size)
    acc = rng.integers(0, 1 << 24, size, dtype=np.uint32).view(np.float32)
    got = check_fma(acc, difference, scale, rng.integers(-133, 0, size))
    assert len(set(got)) > size / 2
    got = check_fma(acc, difference, scale, rng.integers(0, 130, size), BF16)
    assert len(set(got)) > size / 2
    huge = random_normal32(rng, size, 0, 127)
    got = check_fma(acc, difference, huge, rng.integers(-133, -100, size), FP16)
    assert 0 < sum((code & 0x7C00) == 0 and code > 0 for code in got) < size


@pytest.mark.parametrize("fmt", [FP16, BF16])
def test_the_output_is_not_rounded_to_fp32_before(fmt):
    """Just above half a unit of the output, by less than FP32 sees: up, where FP32 gives a tie."""
    half = 2.0 ** -(fmt.fraction_bits + 1)
    acc = np.array([1 + half, 1 + half, 1 + 3 * half, 1 + 3 * half], np.float32)
    difference = np.array([1, -1, 1, -1])
    got = golden.fma(acc, difference, np.full(4, 2.0**-40, np.float32), np.full(4, 1), fmt)
    assert got.tolist() == [1 + 2 * half, 1, 1 + 4 * half, 1 + 2 * half]


def test_fma_of_special_values():
    acc = np.array([np.inf, -np.inf, np.nan, -0.0, 0, 1.5, -1e-45], np.float32)
    acc[2:3].view(np.uint32)[:] = 0xFFC12345
    difference = np.array([-1, 5, 1, 0, -1, -3, 1])
    scale = np.array([1, 1, 1, 1, 2.0**-126, 1, 2.0**-126], np.float32)
    exponent = np.array([20, 20, 0, 0, -28, 0, -22])
    got = bits_of(golden.fma(acc, difference, scale, exponent))
    assert got == [0x7F800000, 0xFF800000, NAN, 0, 0, 0, 0]
    got = encode(golden.fma(acc, difference, scale, exponent, FP16), FP16).tolist()
    assert got == [0x7C00, 0xFC00, 0x7E00, 0, 0, 0, 0]
    for special in (np.inf, -np.inf, np.nan):
        got = golden.fma(acc, difference, np.full(7, special, np.float32), exponent)
        assert bits_of(got) == [NAN] * 7  # an infinite acc and a difference of 0 among them


def test_rescale_shapes_and_modes():
    psum, total = np.array([[10, 20], [30, 1 << 20]]), np.array([3, -4])
    zero, scale = np.array([1, -2]), np.array([0.5, 4], np.float32)
    exponent, nonfinite = np.array([1, 3]), np.array([False, False])
    acc = np.zeros((2, 2), np.float32)
    got = golden.rescale(acc, psum, total, exponent, nonfinite, scale, zero, None, CONFIG)
    assert got.dtype == np.float32
    assert got.tolist() == [[7 * 0.5, 26 * 4], [34 * 0.5 * 4, ((1 << 20) - 8) * 16]]
    for output in (None, "fp32", "fp16", "bf16"):
        wrong = golden.rescale(got, psum, total, exponent, ~nonfinite, scale, zero, output, CONFIG)
        assert bits_of(wrong) == [[NAN] * 2] * 2
    start = np.full((2, 2), 2**31 - 10, np.int32)
    raw = golden.rescale(start, psum, total, exponent, nonfinite, scale, zero, "int32", CONFIG)
    assert raw.dtype == np.int32
    assert raw.tolist() == [[2**31 - 3, -(2**31) + 16], [-(2**31) + 24, -(2**31) + (1 << 20) - 18]]


def test_the_offset_round_and_the_last_one():
    total, exponent = np.array([3, -4]), np.array([1, 3])
    offset, zero = np.array([0.5, 4], np.float32), np.array([-1, -1])
    finite, acc = np.zeros(2, bool), np.ones((2, 2), np.float32)
    got = golden.rescale(acc, None, total, exponent, finite, offset, zero, None, CONFIG)
    assert got.tolist() == [[1 + 3 * 2 * 0.5, 1 + 3 * 2 * 4], [1 - 4 * 8 * 0.5, 1 - 4 * 8 * 4]]
    acc += np.float32(2.0**-9)
    finer = golden.rescale(acc, None, total, exponent, finite, offset, zero, "fp32", CONFIG)
    assert np.array_equal(finer, got + np.float32(2.0**-9))
    last = golden.rescale(acc, None, total, exponent, finite, offset, zero, "bf16", CONFIG)
    assert np.array_equal(last, got)


def check_cut(config, acc, difference, scale, exponent):
    """`truncating_fma` and the oracle; the codes."""
    got = bits_of(golden.truncating_fma(acc, difference, scale, exponent, config))
    expected = []
    for a, d, s, e in zip(
        bits_of(acc), difference.tolist(), bits_of(scale), exponent.tolist(), strict=True
    ):
        start, factor = oracle.decode(a, "fp32"), oracle.decode(s, "fp32")
        assert start is not None and factor is not None
        expected.append(oracle.cut(start, d, factor, e, config))
    assert got == expected
    return got


CUT = [
    CONFIGURATIONS["cut"],
    CONFIGURATIONS["cut_piped"],
    # The frame is that of FP32, and as wide as it gets.
    TensorCoreConfig(m=1, n=1, lookup_group=2, block=2, weight_bits=1, scales=("e8m0",),
                     truncate=True),
    TensorCoreConfig(m=1, n=1, lookup_group=2, block=512, table_bits=16,
                     zero_bits=14, truncate=True),
]  # fmt: skip


@pytest.mark.parametrize("config", CUT)
def test_truncating_sums(rng, config):
    size = 4000
    limit = 1 << (config.difference_bits - 1)
    fmt = config.scale_formats[0]
    difference = rng.integers(1 - limit, limit, size)
    difference >>= rng.integers(0, config.difference_bits, size)
    difference[: size // 8] = rng.choice([-1, 1], size // 8) * (limit - 1)
    exponent = rng.integers(-30, 23, size)
    scale = random_normal32(rng, size, -12, 12)
    if isinstance(fmt, FloatFormat):
        scale = rounded(scale.astype(float), fmt).astype(np.float32)
    else:
        scale = np.ldexp(1, rng.integers(-12, 12, size)).astype(np.float32)
    product = difference * np.ldexp(scale.astype(float), exponent - 1)
    any_size = random_normal32(rng, size)
    got = check_cut(config, any_size, difference, scale, exponent)
    # Addends of the product's own size, and those that leave next to nothing.
    near = (np.ldexp(product, rng.integers(-40, 40, size)) * rng.uniform(-2, 2, size)).astype("f")
    got = check_cut(config, near, difference, scale, exponent)
    assert got != bits_of(golden.fma(near, difference, scale, exponent))
    left = np.nextafter(-product.astype(np.float32), rng.choice([-np.inf, np.inf], size))
    check_cut(config, left.astype(np.float32), difference, scale, exponent)
    # Subnormal addends and results.
    tiny = rng.integers(0, 1 << 24, size, dtype=np.uint32).view(np.float32)
    tiny *= rng.choice([-1, 1], size).astype(np.float32)
    got = check_cut(config, tiny, difference, scale, rng.integers(-160, -120, size))
    assert sum((code & 0x7F800000) == 0 and code & 0x7FFFFFFF for code in got) > size / 20
    # Overflow is infinite.
    huge = random_normal32(rng, size, 127, 128)
    got = check_cut(config, huge, difference, scale, 126 - np.frexp(product)[1] + exponent)
    assert {0x7F800000, 0xFF800000} <= set(got)


def test_truncating_sums_of_special_values():
    config = CONFIGURATIONS["cut"]
    acc = np.array([np.inf, -np.inf, np.nan, -0.0, 1.5], np.float32)
    difference, exponent = np.array([-1, 5, 1, 0, -3]), np.array([20, 20, 0, 0, 0])
    got = golden.truncating_fma(acc, difference, np.ones(5, np.float32), exponent, config)
    assert bits_of(got) == [0x7F800000, 0xFF800000, NAN, 0, 0]
    for special in (np.inf, -np.inf, np.nan):
        scale = np.full(5, special, np.float32)
        got = golden.truncating_fma(acc, difference, scale, exponent, config)
        assert bits_of(got) == [NAN] * 5
