"""The golden model of MAC cores: against exact rationals, special values, and a GPU's results."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lutcore.formats import BF16, E4M3, E5M2, FP16, FP32, FloatFormat
from lutcore.numbers import decode
from lutppa.baselines.golden_mac import (
    GPUS,
    LOWEST,
    NAN,
    Numerics,
    fused_dot,
    matmul,
    narrow_codes,
    narrow_dot,
)
from lutppa.baselines.mac_config import NARROW, MacConfig
from lutppa.baselines.vectors import mismatches, read

INFINITY = FP32.infinity
ONE, MINUS, HUGE, NOTHING = 0x3C00, 0xBC00, 0x7C00, 0


def _exponent(code: int, fmt: FloatFormat) -> int:
    field = code >> fmt.fraction_bits & fmt.special_field
    return max(field, 1) - fmt.bias


def _exact(a: list[int], b: list[int], c: int, fmt: FloatFormat, numerics: Numerics) -> int:
    """One step in rationals."""

    def value(code: int, fmt: FloatFormat) -> Fraction:
        return Fraction(float(decode(np.array(code), fmt)))

    terms = [
        (value(x, fmt) * value(y, fmt), _exponent(x, fmt) + _exponent(y, fmt))
        for x, y in zip(a, b, strict=True)
    ]
    largest = max([LOWEST, *(exponent for term, exponent in terms if term)])
    return _added([term for term, _ in terms], largest, c, numerics)


def _narrow_exact(
    a: list[int], weights: list[int], c: int, fmt: FloatFormat, numerics: Numerics
) -> int:
    """The same with integers as weights: activations that are not zero count."""
    numbers = [Fraction(float(decode(np.array(code), fmt))) for code in a]
    largest = max(
        [LOWEST, *(_exponent(x, fmt) for x, value in zip(a, numbers, strict=True) if value)]
    )
    terms = [number * weight for number, weight in zip(numbers, weights, strict=True)]
    return _added(terms, largest, c, numerics)


def _added(terms: list[Fraction], largest: int, c: int, numerics: Numerics) -> int:
    """Terms and an FP32 number, truncated, added and truncated again."""
    addend = Fraction(float(decode(np.array(c), FP32)))
    largest = max(largest, _exponent(c, FP32)) if addend else largest
    unit = Fraction(2) ** (largest - numerics.fraction_bits)
    total = sum(int(term / unit) for term in [*terms, addend]) * unit  # int() truncates
    quotient = abs(total) / Fraction(2) ** FP32.unit_exponent
    place = max(0, int(quotient).bit_length() - FP32.significand_bits)
    code = min((place << FP32.fraction_bits) + int(quotient / (1 << place)), FP32.infinity)
    return code | (total < 0) << 31


@pytest.mark.parametrize("fmt", [FP16, BF16, E4M3, E5M2], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("numerics", [Numerics(4, 23), Numerics(16, 25)])
def test_steps_are_those_of_rationals(
    rng: np.random.Generator, fmt: FloatFormat, numerics: Numerics
) -> None:
    rows = 150
    shape = (rows, numerics.terms)
    low = rng.integers(0, fmt.largest_field + 1, (rows, 1))
    fields = np.minimum(low + rng.integers(0, 12, shape), fmt.largest_field - 1)
    codes = [
        rng.integers(2, size=shape) << (fmt.bits - 1)
        | np.where(rng.random(shape) < 0.1, 0, fields) << fmt.fraction_bits
        | rng.integers(1 << fmt.fraction_bits, size=shape)
        for _ in range(2)
    ]
    a, b = (np.where(rng.random(shape) < 0.1, 0, code) for code in codes)
    b[::5, 1], a[::5, 1] = b[::5, 0] ^ 1 << (fmt.bits - 1), a[::5, 0]  # cancels
    c = rng.integers(0, 255, rows) << 23 | rng.integers(1 << 23, size=rows)
    c = np.where(rng.random(rows) < 0.3, c & 0x7FFFFF, c) | rng.integers(2, size=rows) << 31
    c[::7] = 0
    got = fused_dot(a, b, c, fmt, numerics)
    want = [_exact(*row, fmt, numerics) for row in zip(a.tolist(), b.tolist(), c.tolist())]  # noqa: B905
    assert got.tolist() == want


@pytest.mark.parametrize("name", list(NARROW))
@pytest.mark.parametrize("fmt", [FP16, E4M3], ids=lambda fmt: fmt.name)
def test_narrow_steps_are_those_of_rationals(
    rng: np.random.Generator, name: str, fmt: FloatFormat
) -> None:
    rows, numerics = 60, Numerics(4, 23)
    codes = rng.integers(0, fmt.largest_field << fmt.fraction_bits, (rows, numerics.terms))
    codes = np.where(rng.random(codes.shape) < 0.2, codes & 3, codes)
    a = codes | rng.integers(2, size=codes.shape) << (fmt.bits - 1)
    weights = rng.choice(NARROW[name], a.shape)
    c = rng.integers(100, 140, rows) << 23 | rng.integers(1 << 23, size=rows)
    c[::4] = 0
    got = narrow_dot(a, weights, c, fmt, numerics)
    cases = zip(a.tolist(), weights.tolist(), c.tolist(), strict=True)
    assert got.tolist() == [_narrow_exact(*row, fmt, numerics) for row in cases]


@pytest.mark.parametrize("name", list(NARROW))
def test_narrow_codes_name_their_weights(name: str) -> None:
    values, config = np.array(NARROW[name]), MacConfig(weights=name)
    codes = narrow_codes(values, name).tolist()
    assert sorted(set(codes)) == sorted(codes)
    assert min(codes) >= 0 and max(codes) < 1 << config.weight_bits
    if name.startswith("w"):
        assert [2 * code - (1 << config.weight_bits) + 1 for code in codes] == values.tolist()


def test_matmul_takes_every_pair_of_rows(rng: np.random.Generator) -> None:
    a, b = (rng.standard_normal((rows, 6)).astype(np.float16).view(np.uint16) for rows in (2, 3))
    got = matmul(a, b, FP16, Numerics(4, 24))
    assert got.shape == (2, 3)
    assert got[1, 2] == fused_dot(a[1], b[2], np.zeros((), np.uint32), FP16, Numerics(4, 24))


@pytest.mark.parametrize(
    ("a", "b", "c", "want"),
    [
        (HUGE, ONE, 0, INFINITY),
        (HUGE, MINUS, 0, INFINITY | 1 << 31),
        (HUGE, NOTHING, 0, NAN),
        (HUGE | 1, ONE, 0, NAN),
        (HUGE, ONE, INFINITY, INFINITY),
        (HUGE, MINUS, INFINITY, NAN),
        (ONE, ONE, INFINITY | 5, NAN),
        (ONE, ONE, 0xBF800000, 0),
        (0x8000, ONE, 0x80000000, 0),
        (NOTHING, ONE, 0x80000001, 0x80000001),
        (ONE, ONE, 0x7F7FFFFF, 0x7F7FFFFF),
    ],
)
def test_special_values(a: int, b: int, c: int, want: int) -> None:
    got = fused_dot(np.array([a]), np.array([b]), np.array(c), FP16, Numerics(4, 24))
    assert int(got) == want


def test_long_rows_are_chained(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 30, 11)).astype(np.float16).view(np.uint16)
    numerics = Numerics(4, 23)
    code = np.zeros(30, np.uint32)
    for step in range(0, 11, 4):
        code = fused_dot(a[:, step : step + 4], b[:, step : step + 4], code, FP16, numerics)
    assert (fused_dot(a, b, np.zeros(30, np.uint32), FP16, numerics) == code).all()


def test_results_of_a_gpu(measuring_data: Path) -> None:
    vectors = read(measuring_data / "vectors" / "ada_fp16.csv.gz", FP16)
    assert not mismatches(vectors, FP16, GPUS["ada"]).any()
    assert mismatches(vectors, FP16, GPUS["h100"]).sum() == 828
