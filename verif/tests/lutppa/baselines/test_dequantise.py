"""Dequantised weights: the golden model against exact rationals, and what a core refuses."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lutcore.errors import ConfigError
from lutcore.formats import BF16, E4M3, FP16, FloatFormat
from lutcore.numbers import decode
from lutppa.baselines.dequantise import CoreConfig
from lutppa.baselines.golden_mac import dequantised
from lutppa.baselines.mac_config import MacConfig


def _nearest(value: Fraction, fmt: FloatFormat) -> int:
    """The code nearest to a magnitude: of all finite ones, ties to the even code."""
    top = fmt.infinity if fmt.infinities else fmt.quiet_nan
    codes = np.arange(top)
    numbers = [Fraction(number) for number in decode(codes, fmt).tolist()]
    step = numbers[-1] - numbers[-2]
    if value >= numbers[-1] + step / 2:
        return top
    return min(range(top), key=lambda code: (abs(numbers[code] - value), code & 1))


@pytest.mark.parametrize("fmt", [FP16, BF16, E4M3], ids=lambda fmt: fmt.name)
def test_rounding_is_that_of_rationals(rng: np.random.Generator, fmt: FloatFormat) -> None:
    top = fmt.infinity if fmt.infinities else fmt.quiet_nan
    some = rng.integers(0, top, 3)
    scales = np.r_[some, some | 1 << (fmt.bits - 1), 0, 1, 3, top - 1]
    for scale in scales.tolist():
        digit, zero = int(rng.integers(-15, 16)), int(rng.integers(-16, 16))
        code = int(dequantised(np.array(digit), np.array(scale), np.array(zero), fmt))
        exact = Fraction(float(decode(np.array(scale), fmt))) * (digit - zero)
        assert code & ((1 << (fmt.bits - 1)) - 1) == _nearest(abs(exact), fmt)
        if exact:
            assert code >> (fmt.bits - 1) == (exact < 0)


def test_scales_that_are_no_numbers_pass() -> None:
    infinity, nan = FP16.infinity, FP16.infinity | 5
    codes = dequantised(np.array([1, -3, 0]), np.array([[infinity], [nan]]), np.array(0), FP16)
    assert codes.tolist() == [[infinity, infinity | 1 << 15, infinity], [nan, nan | 1 << 15, nan]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"codes": "w3"}, "codes must be one of w1, ternary, w2, w4, not 'w3'"),
        ({"zero_bits": 1}, "zero_bits must be 0 or 2..8, not 1"),
        ({"mac": MacConfig(weights="w1")}, "weights must be '' for a core that dequantises"),
    ],
)
def test_bad_parameters_say_what_would_do(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CoreConfig(**{"mac": MacConfig()} | wrong)  # type: ignore[arg-type]
