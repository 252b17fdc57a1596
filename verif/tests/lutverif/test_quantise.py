"""`quantise`: nearest codes, float16 scales, exact small cases, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, INT8, IntegerFormat
from lutcore.numbers import representable
from lutverif import quantise

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize(
    ("shape", "group"), [((3, 64), 32), ((2, 37), 16), ((1, 1), 4), ((5, 7), 1)]
)
def test_affine_codes_are_nearest(bits: int, shape: tuple[int, int], group: int) -> None:
    w = RANDOM.standard_normal(shape).astype(np.float32)
    result = quantise.affine(w, bits, group)
    assert result.scales.shape == (shape[0], -(-shape[1] // group))
    assert (result.scales == result.scales.astype(np.float16)).all()
    top = (1 << bits) - 1
    assert (2 * result.zeros == np.rint(2 * result.zeros)).all()
    assert result.zeros.min() >= -top / 2 and result.zeros.max() <= top * 3 / 2
    index = np.arange(shape[1]) // group
    scales, zeros = result.scales.astype(np.float64)[:, index], result.zeros[:, index]
    levels = scales[..., None] * (np.arange(1 << bits) - zeros[..., None])
    nearest = np.abs(levels - w[..., None]).min(axis=-1)
    # The quotient w / s is rounded to binary64 before it is rounded to a code.
    assert (np.abs(result.real() - w) <= nearest * (1 + 1e-9)).all()


def test_affine_takes_the_least_squared_error() -> None:
    """An outlier in each group: clipping it costs less than the coarse steps that it asks for."""
    w = RANDOM.standard_normal((4, 64)).astype(np.float32)
    w[:, ::32] *= 4
    result = quantise.affine(w, 3, 32)
    low, high = (f.reduceat(w, [0, 32], axis=1) for f in (np.minimum, np.maximum))
    scale = np.repeat((high - low) / 7, 32, axis=1)
    coarse = np.rint(w / scale) * scale
    assert ((result.real() - w) ** 2).sum() < 0.9 * ((coarse - w) ** 2).sum()


def test_affine_of_a_narrow_range_far_from_zero() -> None:
    w = (100 + RANDOM.random((2, 32))).astype(np.float32)
    assert np.abs(quantise.affine(w, 8, 32).real() - w).max() <= 101 / 255 / 2 * 1.01


def test_affine_exact() -> None:
    w = np.array([[-1.0, -0.5, 0.0, 0.5, 4.0, 8.0, 12.0]], np.float32)
    result = quantise.affine(w, 2, 4)
    assert result.scales.tolist() == [[0.5, 4.0]]
    assert result.zeros.tolist() == [[2.0, 0.0]]
    assert result.codes.tolist() == [[0, 1, 2, 3, 1, 2, 3]]
    assert (result.real() == w).all()


def test_one_bit_is_the_sign_times_the_mean() -> None:
    w = np.array([[1.0, -3.0, 0.5, 1.5, -2.0]], np.float32)
    result = quantise.affine(w, 1, 4)
    assert result.zeros.tolist() == [[0.5, 0.5]]
    assert result.real().tolist() == [[1.5, -1.5, 1.5, 1.5, -2.0]]


def test_ternary_is_absmean() -> None:
    w = np.array([[1.0, -3.0, 0.5, 1.5, -2.0], [0.0, 0.0, 0.0, 0.0, 0.25]], np.float32)
    result = quantise.ternary(w, 4)
    assert result.scales.tolist() == [[1.5, 2.0], [0.0, 0.25]]
    assert result.ternary.tolist() == [[1, -1, 0, 1, -1], [0, 0, 0, 0, 1]]


def test_groups_of_zeros_stay_zero() -> None:
    w = np.zeros((2, 8), np.float32)
    for bits in range(1, 9):
        assert not quantise.affine(w, bits, 4).real().any()
    assert not quantise.ternary(w, 8).real().any()


def test_int8_rows() -> None:
    a = np.array([[127.0, -63.5, 1.5, 0.25], [0.0, 0.0, 0.0, 0.0], [-2.0, 1.0, 0.0, 0.0]])
    codes, scales = quantise.activation_rows(a.astype(np.float16), INT8)
    assert codes.dtype == np.int8 and scales.dtype == np.float32
    assert codes.tolist() == [[127, -64, 2, 0], [0, 0, 0, 0], [-127, 64, 0, 0]]
    assert scales.tolist() == [1.0, 0.0, float(np.float32(2 / 127))]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_rows(name: str) -> None:
    fmt = ACTIVATIONS[name]
    a = RANDOM.standard_normal((6, 40)) * 2.0 ** np.arange(-6, 6, 2)[:, None]
    values, scales = quantise.activation_rows(a, fmt)
    assert values.shape == (6, 40) and scales.shape == (6,)
    assert representable(values, fmt).all()
    largest = np.abs(values.astype(np.float64)).max(axis=1)
    if isinstance(fmt, IntegerFormat):
        assert values.dtype == (np.int16 if name == "int16" else np.int8)
        assert (largest == fmt.max).all()
        unit = scales.astype(np.float64)[:, None]
    else:
        assert values.dtype == (np.float16 if name == "fp16" else np.float32)
        unit = scales[:, None] * np.maximum(
            np.abs(values.astype(np.float64)) * 2.0**-fmt.fraction_bits, 2.0**fmt.unit_exponent
        )
    real = values.astype(np.float64) * scales[:, None]
    assert (np.abs(real - a) <= unit * 0.500001).all()
    if name in ("fp16", "bf16"):
        assert (scales == 1).all()
    if name in ("e4m3", "e5m2"):
        assert (np.frexp(scales)[0] == 0.5).all()
        top = {"e4m3": 448, "e5m2": 57344}[name]
        assert (largest <= top).all() and (largest > top / 2 * 0.9).all()


def test_powers_of_two_at_the_edge() -> None:
    a = np.array([[448.0, 1], [449, 1], [224, 0], [0, 0]])
    values, scales = quantise.activation_rows(a, ACTIVATIONS["e4m3"])
    assert scales.tolist() == [1, 2, 0.5, 1]
    assert values.tolist() == [[448, 1], [224, 0.5], [448, 0], [0, 0]]


@pytest.mark.parametrize(
    ("weights", "bits", "group", "message"),
    [
        (np.ones((2, 4)), 0, 4, r"^bits must be 1\.\.8, not 0$"),
        (np.ones((2, 4)), 9, 4, r"^bits must be 1\.\.8, not 9$"),
        (np.ones((2, 4)), 4, 0, r"^group must be an integer of 1 or more, not 0$"),
        (np.ones((2, 4)), 4, 2.0, r"^group must be an integer of 1 or more, not 2\.0$"),
        (np.ones((2, 4), int), 4, 2, r"^weights must be floats of shape \[rows, K\], not int64 "),
        (np.ones(4), 4, 2, r"^weights must be floats .* not float64 of shape \(4,\)$"),
        (np.ones((0, 4)), 4, 2, r"^weights must be floats .* of shape \(0, 4\)$"),
        (np.array([[1.0, np.nan]]), 4, 2, r"^weights must be finite, but weights\[0, 1\] is nan$"),
        (np.full((1, 2), 1e6), 4, 2, r"^weights need a scale of 66666\.7, but float16 .* down$"),
    ],
)
def test_refuses(weights: np.ndarray, bits: int, group: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quantise.affine(weights, bits, group)


def test_refuses_infinite_activations() -> None:
    with pytest.raises(InputError, match=r"^activations must be finite, but .*\[1, 0\] is inf$"):
        quantise.activation_rows(np.array([[0.0], [np.inf]], np.float16), INT8)
