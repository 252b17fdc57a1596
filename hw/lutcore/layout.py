"""Weights, offline: passes, folding, and the byte order of the weight stream.

    terms of digits [planes, N, K]  ->  folded lookup codes  ->  beats  ->  bytes

docs/specification.md, "Weights", states the byte order; `pack` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import TRIT_CODE_BITS, TRITS, TensorCoreConfig
from .errors import InputError
from .formats import SCALES
from .numbers import representable
from .weights import Term, Weights, raw_factor

__all__ = [
    "OFFSET_ZERO",
    "PackedWeights",
    "Pass",
    "Segment",
    "check_weights",
    "fold",
    "fold_ternary",
    "lookup_codes",
    "pack",
    "scale_format",
    "segments",
    "unfold",
]

OFFSET_ZERO = -1
"""The z' of an offset round: -z' sum is the sum of the activations."""


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


def fold(digits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Lookup codes [...] of binary digits [..., g], each -1 or +1.

    Bit g-1 of a code is `negate`, the bits below are the entry index. Where the weight of the last
    activation is -1, the lane negates and the other bits are inverted here, offline, so that the
    hardware has no inverter on the index.
    """
    g = digits.shape[-1]
    bits = (digits > 0).astype(np.uint8)
    negate = bits[..., -1:] ^ 1
    index = bits[..., :-1] ^ negate
    places = np.uint8(1) << np.arange(g, dtype=np.uint8)
    return (np.concatenate([index, negate], axis=-1) * places).sum(axis=-1, dtype=np.uint8)


def unfold(codes: NDArray[np.uint8], g: int) -> NDArray[np.int8]:
    """The inverse of `fold`: digits [..., g] of lookup codes [...]."""
    bits = (codes[..., None] >> np.arange(g, dtype=np.uint8)) & 1
    negate = bits[..., -1:]
    positive = np.concatenate([bits[..., :-1] ^ negate, negate ^ 1], axis=-1)
    return (2 * positive.astype(np.int8) - 1).astype(np.int8)


def fold_ternary(digits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Codes [..., 2] of ternary digits [..., 6]: the first two with the fifth, then the others.

    A pair (a, b) with v = a + 3 b of -4..4 and a single digit x make five bits: |v| - 1 in bits
    1..0, v < 0 in bit 2, x = +1 in bit 3 and x = -1 in bit 4. Where v is 0, bits 4..3 are both 1,
    and x = +1 is in bit 0, x = -1 in bit 1: the nine pairs times three digits fit 32 codes, and a
    decoder is a dozen gates.
    """
    pairs = digits[..., :4].reshape(*digits.shape[:-1], 2, 2).astype(np.int64)
    value = pairs[..., 0] + 3 * pairs[..., 1]
    single = digits[..., 4:].astype(np.int64)
    signs = (single > 0) | (single < 0) << 1
    codes = (np.abs(value) - 1) | (value < 0) << 2 | signs << 3
    return np.where(value == 0, 0b11000 | signs, codes).astype(np.uint8)


def lookup_codes(digits: NDArray[np.int8], config: TensorCoreConfig) -> NDArray[np.uint8]:
    """Codes [..., codes] of the digits [..., multiple of k] of a column, in the stream's order."""
    if config.table_digits == 2:
        return fold(digits.reshape(*digits.shape[:-1], -1, config.lookup_group))
    codes = fold_ternary(digits.reshape(*digits.shape[:-1], -1, 2 * TRITS))
    return codes.reshape(*digits.shape[:-1], -1)


@dataclass(frozen=True)
class Pass:
    """One pass of the core: a segment of K by one term.

    keep    the activations are those of the pass before
    offset  a second round of scales adds the offsets
    """

    segment: Segment
    planes: int
    equal: bool
    keep: bool
    offset: bool

    @property
    def rounds(self) -> int:
        """Rounds of scales, each of n columns."""
        return 1 + self.offset


@dataclass(frozen=True)
class PackedWeights:
    """Weights in the order in which the core consumes them.

    shape     (N, K)
    passes    along K; inside a segment, term by term
    beats     [tiles of N, beats of a tile, bytes of a beat] uint8
    scale     the format of the scales, one of `config.scales`
    scales    [tiles of N, rounds of all passes, n] float32, 1 in padded columns
    zeros     [tiles of N, rounds of all passes, n] int64, 0 in padded columns
    factor    what raw sums are multiplied by, to be in units of half the weights' scale
    """

    shape: tuple[int, int]
    passes: list[Pass]
    beats: NDArray[np.uint8]
    scale: str
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    factor: int


def check_weights(weights: Weights, config: TensorCoreConfig) -> tuple[Term, ...]:
    """The weights' terms on a core of `config`; InputError where it cannot hold them."""
    terms = weights.terms(config)
    for term in terms:
        count = len(term.digits)
        if count > config.weight_bits:
            raise InputError(
                f"weights have {count} planes in a pass, but weight_bits of the configuration is "
                f"{config.weight_bits}; {count} would do"
            )
        if config.table_digits == 2 and not term.digits.all():
            raise InputError(
                "weights have the digit 0, but table_digits of the configuration is 2; "
                "table_digits = 3 would do"
            )
        fits = config.zero_range
        outside = (term.zeros < fits.start) | (term.zeros >= fits.stop)
        if outside.any():
            where = tuple(int(i) for i in np.argwhere(outside)[0])
            raise InputError(
                f"zeros{list(where)} makes z' = 2z + 1 - 2^bits = {term.zeros[where]}, which does "
                f"not fit zero_bits = {config.zero_bits} ({fits.start}..{fits.stop - 1})"
            )
    scale_format(terms, config)
    return terms


def scale_format(terms: tuple[Term, ...], config: TensorCoreConfig) -> str:
    """The first scale format of `config` that holds every scale and offset; InputError if none."""
    values = [term.scales for term in terms]
    values += [term.offsets for term in terms if term.offsets is not None]
    for name in config.scales:
        if all(representable(array, SCALES[name]).all() for array in values):
            return name
    array = next(v for v in values if not representable(v, SCALES[config.scales[-1]]).all())
    where = np.argwhere(~representable(array, SCALES[config.scales[-1]]))[0]
    raise InputError(
        f"no scale format of the configuration ({', '.join(config.scales)}) holds all scales: "
        f"{config.scales[-1]} lacks {array[tuple(where)]}; adding fp32 to its scales would do"
    )


def pack(weights: Weights, config: TensorCoreConfig) -> PackedWeights:
    """Pack weights for `config`; InputError where a width of the configuration cannot hold them."""
    terms = check_weights(weights, config)
    n, k = weights.shape
    tiles = -(-n // config.n)
    beats: list[NDArray[np.uint8]] = []
    passes: list[Pass] = []
    scales: list[NDArray[np.float32]] = []
    zeros: list[NDArray[np.int64]] = []
    for cut in segments(k, weights.group, config):
        for index, term in enumerate(terms):
            digits = np.full(
                (len(term.digits), tiles * config.n, cut.stop - cut.start), -1, np.int8
            )
            digits[:, :n] = term.digits[:, :, cut.start : cut.stop]
            beats.append(_segment_beats(digits, cut, config))
            offset = term.offsets is not None
            passes.append(Pass(cut, len(term.digits), term.equal, index > 0, offset))
            scales.append(term.scales[:, cut.group])
            zeros.append(term.zeros[:, cut.group])
            if term.offsets is not None:
                scales.append(term.offsets[:, cut.group])
                zeros.append(np.full(n, OFFSET_ZERO, np.int64))

    def by_tile(rounds: list[NDArray[Any]], padding: int) -> NDArray[Any]:
        padded = np.full((len(rounds), tiles * config.n), padding, dtype=rounds[0].dtype)
        padded[:, :n] = rounds
        return padded.reshape(len(rounds), tiles, config.n).transpose(1, 0, 2).copy()

    return PackedWeights(
        shape=(n, k),
        passes=passes,
        beats=np.concatenate(beats, axis=1),
        scale=scale_format(terms, config),
        scales=by_tile(scales, 1),
        zeros=by_tile(zeros, 0),
        factor=raw_factor(weights, config),
    )


def _segment_beats(
    digits: NDArray[np.int8], cut: Segment, config: TensorCoreConfig
) -> NDArray[np.uint8]:
    """[tiles, planes * steps, bytes] of the digits [planes, N, K of the segment]."""
    count, n, length = digits.shape
    steps = cut.steps(config)
    padded = np.full((count, n, steps * config.k), -1, dtype=np.int8)
    padded[:, :, :length] = digits
    codes = lookup_codes(padded, config).reshape(count, n // config.n, config.n, steps, -1)
    codes = codes.transpose(1, 0, 3, 2, 4)  # tile, plane, step, column, code
    width = config.lookup_group if config.table_digits == 2 else TRIT_CODE_BITS
    bits = (codes[..., None] >> np.arange(width, dtype=np.uint8)) & 1
    flat = bits.reshape(n // config.n, count * steps, config.n * config.code_bits)
    return np.packbits(flat, axis=-1, bitorder="little")
