"""Weights as the lanes consume them: digits -1 and +1 (or -1, 0, +1), scales, zero points, offsets.

A core sums *terms*. A term has planes of digits d_i and, per column and weight group, a scale s and
an integer z':

    w = sum over terms of (s/2) (sum over its planes of 2^i d_i - z')  +  offset

An affine weight s (q - z) with 0 <= q < 2^bits is reinterpreted: with q' = 2q - (2^bits - 1) and
z' = 2z + 1 - 2^bits it is (s/2)(q' - z'), and every bit plane of q' is +1 or -1 (paper, weight
reinterpretation). A ternary weight is (s/2)(p1 + p0), two planes of equal weight, or one plane of
ternary digits where the tables are built over them.
"""

# Callers need not be type-checked: what the annotations promise is checked all the same.
# pyright: reportUnnecessaryIsInstance=false, reportUnnecessaryContains=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .config import TensorCoreConfig
from .errors import InputError

__all__ = [
    "AffineWeights",
    "PlaneWeights",
    "Term",
    "TernaryWeights",
    "Weights",
    "check_array",
    "raw_factor",
]

MAX_ZERO = 1 << 15
"""Largest zero point in magnitude; twice it is beyond the widest `zero_bits`."""


@dataclass(frozen=True)
class Term:
    """Planes that one pass of a segment takes, most significant first.

    digits   [planes, N, K] int8: -1 or +1, or 0 where the core has ternary digits
    equal    the planes weigh 1 each instead of 2^i
    scales   [N, groups] float32, s
    zeros    [N, groups] int64, z'
    offsets  [N, groups] float32 added to every weight of the group, or None
    """

    digits: NDArray[np.int8]
    equal: bool
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    offsets: NDArray[np.float32] | None = None

    @property
    def plane_weights(self) -> NDArray[np.int64]:
        """[planes]: what the planes weigh."""
        places = np.arange(len(self.digits) - 1, -1, -1, dtype=np.int64)
        return np.ones_like(places) if self.equal else np.left_shift(np.int64(1), places)


def check_array(name: str, value: object, ndim: int) -> NDArray[Any]:
    """`value` if it is a nonempty array of `ndim` dimensions; InputError naming `name` if not."""
    if not isinstance(value, np.ndarray):
        raise InputError(f"{name} must be a numpy array, not {type(value).__name__}")
    array = cast("NDArray[Any]", value)
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimensions, not shape {array.shape}")
    if array.size == 0:
        raise InputError(f"{name} must not be empty, but has shape {array.shape}")
    return array


def _check_group(group: int | np.integer[Any]) -> int:
    if isinstance(group, bool) or not isinstance(group, (int, np.integer)) or group < 1:
        raise InputError(f"group must be an integer of 1 or more, not {group!r}")
    return int(group)


def _check_scales(scales: object, n: int, k: int, group: int) -> NDArray[np.float32]:
    array = check_array("scales", scales, 2)
    if array.dtype not in (np.float32, np.float16):
        raise InputError(f"scales must be float32 or float16, not {array.dtype}")
    expected = (n, -(-k // group))
    if array.shape != expected:
        raise InputError(
            f"scales must have shape {expected} for {n} columns and {k} weights in groups of "
            f"{group}, not {array.shape}"
        )
    return _finite("scales", array)


def _finite(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} must be finite, but {name}{list(where)} is {array[where]}")
    return array.astype(np.float32)


def _check_offsets(offsets: object, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = check_array("offsets", offsets, 2)
    if array.dtype not in (np.float32, np.float16):
        raise InputError(f"offsets must be float32 or float16, not {array.dtype}")
    if array.shape != shape:
        raise InputError(f"offsets must have the shape of scales, {shape}, not {array.shape}")
    return _finite("offsets", array)


def _by_weight(values: NDArray[Any], k: int, group: int) -> NDArray[Any]:
    """[N, K] of values [N, groups]."""
    return values[:, np.arange(k, dtype=np.int64) // group]


@dataclass(frozen=True)
class AffineWeights:
    """Weights w[n, k] = scales[n, j] (codes[n, k] - zeros[n, j]) + offsets[n, j], j = k // group.

    codes    [N, K] unsigned integers below 2^bits
    bits     1 to 8
    scales   [N, ceil(K / group)] float32 or float16
    zeros    same shape; multiples of 1/2 within -MAX_ZERO..MAX_ZERO
    group    weights along K that share a scale; the last group may be short
    offsets  same shape, float32 or float16, or None for 0: for zero points that are no integers

    Raises InputError with the field, its value and what would do.
    """

    codes: NDArray[np.uint8]
    bits: int
    scales: NDArray[np.float32]
    zeros: NDArray[np.float64]
    group: int
    offsets: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        bits = self.bits
        if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)):
            raise InputError(f"bits must be an integer from 1 to 8, not {bits!r}")
        if not 1 <= bits <= 8:
            raise InputError(f"bits must be 1..8, not {bits}")
        object.__setattr__(self, "bits", int(bits))
        codes = check_array("codes", self.codes, 2)
        if codes.dtype.kind != "u":
            raise InputError(f"codes must be unsigned integers, not {codes.dtype}")
        if int(codes.max()) >> self.bits:
            where = tuple(int(i) for i in np.argwhere(codes >> self.bits)[0])
            raise InputError(
                f"codes must be below 2^{self.bits} = {1 << self.bits}, but codes{list(where)} is "
                f"{codes[where]}"
            )
        object.__setattr__(self, "codes", codes.astype(np.uint8))
        object.__setattr__(self, "group", _check_group(self.group))
        n, k = codes.shape
        scales = _check_scales(self.scales, n, k, self.group)
        object.__setattr__(self, "scales", scales)
        zeros = check_array("zeros", self.zeros, 2)
        if zeros.shape != scales.shape:
            raise InputError(
                f"zeros must have the shape of scales, {scales.shape}, not {zeros.shape}"
            )
        if zeros.dtype.kind not in "fiu":
            raise InputError(f"zeros must be real numbers, not {zeros.dtype}")
        zeros = zeros.astype(np.float64)
        near = np.abs(zeros) <= MAX_ZERO  # False for NaN
        doubled = 2 * np.where(near, zeros, 0.0)
        odd = ~near | (np.rint(doubled) != doubled)
        if odd.any():
            where = tuple(int(i) for i in np.argwhere(odd)[0])
            raise InputError(
                f"zeros must be multiples of 1/2 within -{MAX_ZERO}..{MAX_ZERO}, but "
                f"zeros{list(where)} is {zeros[where]}"
            )
        object.__setattr__(self, "zeros", zeros)
        if self.offsets is not None:
            offsets = _check_offsets(self.offsets, scales.shape)
            object.__setattr__(self, "offsets", offsets if offsets.any() else None)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return self.codes.shape

    def terms(self, config: TensorCoreConfig) -> tuple[Term, ...]:
        """One term, or as few as `config.weight_bits` allows, the most significant planes first."""
        shifts = np.arange(self.bits - 1, -1, -1, dtype=np.uint8)[:, None, None]
        digits = (2 * ((self.codes >> shifts) & 1).astype(np.int8) - 1).astype(np.int8)
        parts = np.array_split(digits, -(-self.bits // config.weight_bits))
        terms: list[Term] = []
        below = self.bits
        for part in parts:
            below -= len(part)
            with np.errstate(over="ignore"):
                scales = np.ldexp(self.scales, below).astype(np.float32)
            if not np.isfinite(scales).all():
                raise InputError(
                    f"scales up to {np.abs(self.scales).max():.6g} times 2^{below} are beyond "
                    f"float32; weight_bits = {self.bits} in the configuration would do"
                )
            zeros = self.doubled_zeros if below == 0 else np.zeros(scales.shape, np.int64)
            offsets = self.offsets if below == 0 else None
            terms.append(Term(part, False, scales, zeros, offsets))
        return tuple(terms)

    @property
    def doubled_zeros(self) -> NDArray[np.int64]:
        """[N, groups]: z' = 2z + 1 - 2^bits."""
        return np.rint(2 * self.zeros).astype(np.int64) + 1 - (1 << self.bits)

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights themselves, each operation rounded to float64."""
        k = self.codes.shape[1]
        scales = _by_weight(self.scales.astype(np.float64), k, self.group)
        values: NDArray[np.float64] = scales * (
            self.codes.astype(np.float64) - _by_weight(self.zeros, k, self.group)
        )
        if self.offsets is not None:
            values += _by_weight(self.offsets.astype(np.float64), k, self.group)
        return values


@dataclass(frozen=True)
class TernaryWeights:
    """Weights w[n, k] = scales[n, k // group] ternary[n, k] with ternary in -1, 0, +1.

    ternary  [N, K] int8
    scales   [N, ceil(K / group)] float32 or float16
    group    weights along K that share a scale; K for one scale a column

    Raises InputError with the field, its value and what would do.
    """

    ternary: NDArray[np.int8]
    scales: NDArray[np.float32]
    group: int

    def __post_init__(self) -> None:
        ternary = check_array("ternary", self.ternary, 2)
        if ternary.dtype != np.int8:
            raise InputError(f"ternary must be int8, not {ternary.dtype}")
        outside = (ternary < -1) | (ternary > 1)
        if outside.any():
            where = tuple(int(i) for i in np.argwhere(outside)[0])
            raise InputError(
                f"ternary must be -1, 0 or 1, but ternary{list(where)} is {ternary[where]}"
            )
        object.__setattr__(self, "group", _check_group(self.group))
        n, k = ternary.shape
        scales = _check_scales(self.scales, n, k, self.group)
        object.__setattr__(self, "scales", scales)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return self.ternary.shape

    def terms(self, config: TensorCoreConfig) -> tuple[Term, ...]:
        """One plane of ternary digits and twice the scale, or two binary planes of equal weight.

        +1 = (+1, +1), 0 = (+1, -1), -1 = (-1, -1). A core of one plane takes two terms.
        """
        zeros = np.zeros(self.scales.shape, dtype=np.int64)
        if config.table_digits == 3:
            with np.errstate(over="ignore"):
                scales = 2 * self.scales
            if not np.isfinite(scales).all():
                raise InputError(
                    f"scales up to {np.abs(self.scales).max():.6g} are too large to be doubled for "
                    f"ternary digits; below 2^127 would do"
                )
            return (Term(self.ternary[None], False, scales, zeros),)
        planes = np.stack([self.ternary >= 0, self.ternary > 0])
        digits = np.where(planes, 1, -1).astype(np.int8)
        if config.weight_bits == 1:
            return tuple(Term(plane[None], False, self.scales, zeros) for plane in digits)
        return (Term(digits, True, self.scales, zeros),)

    @property
    def doubled_zeros(self) -> NDArray[np.int64]:
        """[N, groups]: zero; the two planes are symmetric."""
        return np.zeros(self.scales.shape, dtype=np.int64)

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights themselves."""
        scales = _by_weight(self.scales, self.shape[1], self.group).astype(np.float64)
        return scales * self.ternary.astype(np.float64)


@dataclass(frozen=True)
class PlaneWeights:
    """Weights of any other kind, already brought to the terms of a core (`lutblas.lowering`).

    parts  one term or more, of the same [N, K] and groups; most significant first
    group  weights along K that share a scale; the last group may be short

    Raises InputError with the field, its value and what would do.
    """

    parts: tuple[Term, ...]
    group: int

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("parts must hold one term or more, not none")
        object.__setattr__(self, "group", _check_group(self.group))
        n, k = self.shape
        for term in self.parts:
            digits = check_array("digits", term.digits, 3)
            if digits.dtype != np.int8 or np.abs(digits).max() > 1:
                raise InputError(f"digits must be int8 of -1, 0, 1, not {digits.dtype}")
            if digits.shape[1:] != (n, k):
                raise InputError(f"digits must be of shape {(n, k)}, not {digits.shape[1:]}")
            _check_scales(term.scales, n, k, self.group)
            if term.zeros.shape != term.scales.shape:
                raise InputError(
                    f"zeros must have the shape of scales, {term.scales.shape}, "
                    f"not {term.zeros.shape}"
                )
            if term.offsets is not None:
                _check_offsets(term.offsets, term.scales.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        _, n, k = self.parts[0].digits.shape
        return n, k

    def terms(self, config: TensorCoreConfig) -> tuple[Term, ...]:
        """The parts; `check_weights` says whether `config` can take them."""
        return self.parts

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights themselves, each operation rounded to float64."""
        k = self.shape[1]
        total = np.zeros(self.shape)
        for term in self.parts:
            places = np.tensordot(term.plane_weights, term.digits.astype(np.int64), axes=1)
            halves = _by_weight(term.scales.astype(np.float64) / 2, k, self.group)
            total += halves * (places - _by_weight(term.zeros, k, self.group))
            if term.offsets is not None:
                total += _by_weight(term.offsets.astype(np.float64), k, self.group)
        return total


Weights = AffineWeights | TernaryWeights | PlaneWeights


def raw_factor(weights: Weights, config: TensorCoreConfig) -> int:
    """What raw sums of the core are multiplied by, to be in units of half the weights' scale."""
    return 2 if isinstance(weights, TernaryWeights) and config.table_digits == 3 else 1
