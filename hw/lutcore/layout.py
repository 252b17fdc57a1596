"""Weights, offline: reinterpretation, bit planes, folding, and the byte order of the weight stream.

    codes q [N, K]  ->  planes +1/-1  ->  folded lookup codes  ->  beats  ->  bytes

An affine weight is w = s (q - z) with 0 <= q < 2^bits. Reinterpreted, q' = 2q - (2^bits - 1) and
z' = 2z + 1 - 2^bits give w = (s/2)(q' - z') with every bit plane of q' equal to +1 or -1 (paper,
weight reinterpretation). A ternary weight is w = (s/2)(p1 + p0), two planes of equal weight.
docs/specification.md, "Weights", states the byte order; `pack` writes it.
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
    "PackedWeights",
    "Segment",
    "TernaryWeights",
    "check_array",
    "check_weights",
    "fold",
    "pack",
    "segments",
    "unfold",
]

MAX_ZERO = 1 << 15
"""Largest zero point in magnitude; twice it is beyond the widest `zero_bits`."""


@dataclass(frozen=True)
class Segment:
    """A run start..stop along K that shares one activation scale and one weight scale a column.

    It is one pass of the core. `group` is the index of its weight group.
    """

    start: int
    stop: int
    group: int

    def steps(self, config: TensorCoreConfig) -> int:
        """Steps of the core, the last one padded with zero activations."""
        return -(-(self.stop - self.start) // config.k)


def segments(k: int, group: int, config: TensorCoreConfig) -> list[Segment]:
    """Cut K into passes: at every weight group, and every `config.block` inside a group."""
    cuts: list[Segment] = []
    for index, begin in enumerate(range(0, k, group)):
        end = min(begin + group, k)
        cuts.extend(
            Segment(start, min(start + config.block, end), index)
            for start in range(begin, end, config.block)
        )
    return cuts


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
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"scales must be finite, but scales{list(where)} is {array[where]}")
    wide = array.astype(np.float32)
    subnormal = (wide != 0) & (np.abs(wide) < np.finfo(np.float32).tiny)
    if subnormal.any():
        where = tuple(int(i) for i in np.argwhere(subnormal)[0])
        raise InputError(
            f"scales must be 0 or a normal float32 (1.18e-38 or more in magnitude), but "
            f"scales{list(where)} is {wide[where]}"
        )
    return wide


@dataclass(frozen=True)
class AffineWeights:
    """Weights w[n, k] = scales[n, k // group] (codes[n, k] - zeros[n, k // group]).

    codes   [N, K] unsigned integers below 2^bits
    bits    1 to 8
    scales  [N, ceil(K / group)] float32 or float16; zero or normal
    zeros   same shape; multiples of 1/2 within -MAX_ZERO..MAX_ZERO
    group   weights along K that share a scale; the last group may be short

    Raises InputError with the field, its value and what would do.
    """

    codes: NDArray[np.uint8]
    bits: int
    scales: NDArray[np.float32]
    zeros: NDArray[np.float64]
    group: int

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

    @property
    def planes(self) -> NDArray[np.uint8]:
        """[bits, N, K]: bit planes, most significant first; 1 stands for +1, 0 for -1."""
        shifts = np.arange(self.bits - 1, -1, -1, dtype=np.uint8)[:, None, None]
        return ((self.codes >> shifts) & 1).astype(np.uint8)

    @property
    def doubled_zeros(self) -> NDArray[np.int64]:
        """[N, groups]: z' = 2z + 1 - 2^bits."""
        return np.rint(2 * self.zeros).astype(np.int64) + 1 - (1 << self.bits)

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights themselves."""
        index = np.arange(self.codes.shape[1], dtype=np.int64) // self.group
        scales = self.scales.astype(np.float64)[:, index]
        return scales * (self.codes - self.zeros[:, index])


@dataclass(frozen=True)
class TernaryWeights:
    """Weights w[n, k] = scales[n, k // group] ternary[n, k] with ternary in -1, 0, +1.

    ternary  [N, K] int8
    scales   [N, ceil(K / group)] float32 or float16; zero or normal
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
    def planes(self) -> NDArray[np.uint8]:
        """[2, N, K]: two planes of equal weight; +1 = (1, 1), 0 = (1, 0), -1 = (0, 0)."""
        return np.stack([self.ternary >= 0, self.ternary > 0]).astype(np.uint8)

    @property
    def doubled_zeros(self) -> NDArray[np.int64]:
        """[N, groups]: zero; the two planes are symmetric."""
        return np.zeros(self.scales.shape, dtype=np.int64)

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights themselves."""
        index = np.arange(self.ternary.shape[1], dtype=np.int64) // self.group
        return self.scales.astype(np.float64)[:, index] * self.ternary


def fold(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lookup codes [...] of plane bits [..., g].

    Bit g-1 of a code is `negate`, the bits below are the entry index. Where the weight of the last
    activation is -1, the lane negates and the other bits are inverted here, offline, so that the
    hardware has no inverter on the index.
    """
    g = planes.shape[-1]
    negate = planes[..., -1:] ^ 1
    index = planes[..., :-1] ^ negate
    places = np.uint8(1) << np.arange(g, dtype=np.uint8)
    return (np.concatenate([index, negate], axis=-1) * places).sum(axis=-1, dtype=np.uint8)


def unfold(codes: NDArray[np.uint8], g: int) -> NDArray[np.uint8]:
    """The inverse of `fold`: plane bits [..., g] of lookup codes [...]."""
    bits = (codes[..., None] >> np.arange(g, dtype=np.uint8)) & 1
    negate = bits[..., -1:]
    return np.concatenate([bits[..., :-1] ^ negate, negate ^ 1], axis=-1).astype(np.uint8)


@dataclass(frozen=True)
class PackedWeights:
    """Weights in the order in which the core consumes them.

    shape     (N, K)
    segments  the passes along K
    planes    bit planes of a pass
    equal     the planes weigh the same (ternary) instead of 2^i
    beats     [tiles of N, beats of a tile, bytes of a beat] uint8
    scales    [tiles of N, segments, n] float32, 0 in padded columns
    zeros     [tiles of N, segments, n] int64, 0 in padded columns
    """

    shape: tuple[int, int]
    segments: list[Segment]
    planes: int
    equal: bool
    beats: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]


def check_weights(weights: AffineWeights | TernaryWeights, config: TensorCoreConfig) -> None:
    """InputError where a width of the configuration cannot hold the planes or zero points."""
    count = weights.bits if isinstance(weights, AffineWeights) else 2
    if count > config.weight_bits:
        raise InputError(
            f"weights have {count} bit planes, but weight_bits of the configuration is "
            f"{config.weight_bits}; {count} would do"
        )
    zeros = weights.doubled_zeros
    limit = 1 << (config.zero_bits - 1)
    outside = (zeros < -limit) | (zeros >= limit)
    if outside.any():
        where = tuple(int(i) for i in np.argwhere(outside)[0])
        raise InputError(
            f"zeros{list(where)} makes z' = 2z + 1 - 2^bits = {zeros[where]}, which does not fit "
            f"zero_bits = {config.zero_bits} (-{limit}..{limit - 1})"
        )


def pack(weights: AffineWeights | TernaryWeights, config: TensorCoreConfig) -> PackedWeights:
    """Pack weights for `config`; InputError where a width of the configuration cannot hold them."""
    check_weights(weights, config)
    planes = weights.planes
    count, n, k = planes.shape
    cuts = segments(k, weights.group, config)
    tiles = -(-n // config.n)
    rows = np.zeros((count, tiles * config.n, k), dtype=np.uint8)
    rows[:, :n] = planes
    beats = [_segment_beats(rows[:, :, cut.start : cut.stop], cut, config) for cut in cuts]
    groups = [cut.group for cut in cuts]

    def by_tile(values: NDArray[Any]) -> NDArray[Any]:
        padded = np.zeros((tiles * config.n, len(cuts)), dtype=values.dtype)
        padded[:n] = values[:, groups]
        return padded.reshape(tiles, config.n, len(cuts)).transpose(0, 2, 1).copy()

    return PackedWeights(
        shape=(n, k),
        segments=cuts,
        planes=count,
        equal=isinstance(weights, TernaryWeights),
        beats=np.concatenate(beats, axis=1),
        scales=by_tile(weights.scales),
        zeros=by_tile(weights.doubled_zeros),
    )


def _segment_beats(
    planes: NDArray[np.uint8], cut: Segment, config: TensorCoreConfig
) -> NDArray[np.uint8]:
    """[tiles, planes * steps, bytes] of the planes [planes, N, K of the segment]."""
    count, n, length = planes.shape
    steps = cut.steps(config)
    padded = np.zeros((count, n, steps * config.k), dtype=np.uint8)
    padded[:, :, :length] = planes
    g, groups = config.lookup_group, config.groups_per_step
    codes = fold(padded.reshape(count, n // config.n, config.n, steps, groups, g))
    codes = codes.transpose(1, 0, 3, 2, 4)  # tile, plane, step, column, group
    bits = (codes[..., None] >> np.arange(g, dtype=np.uint8)) & 1
    flat = bits.reshape(n // config.n, count * steps, config.n * groups * g)
    return np.packbits(flat, axis=-1, bitorder="little")
