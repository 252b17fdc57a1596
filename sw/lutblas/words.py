"""Words of GPTQ and AWQ: int32 qweight and qzeros and their scales, to codes and back.

Every function raises InputError with the field, its value and what would do.
"""

from __future__ import annotations

from math import lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.weights import check_array

from .blocks import store
from .checks import check_bits, check_codes, check_kind, check_multiple, check_shape, first

__all__ = [
    "Grouped",
    "contiguous",
    "pack_awq",
    "pack_gptq",
    "pack_words",
    "unpack_awq",
    "unpack_gptq",
    "unpack_words",
]

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column, of the eight in a word, that nibble i of the word holds."""


class Grouped(NamedTuple):
    """What GPTQ and AWQ hold: codes [N, K], scales and zero points [N, groups]."""

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.float64]


def unpack_words(words: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """Codes [..., 32 words / bits] of int32 [..., words], a stream of bits from the lowest on.

    Codes of 3 bits cross the borders of words: code 10 has its top bit in the second word.
    """
    check_bits(bits)
    check_kind("words", words, None, np.int32)
    size = lcm(bits, 8) // 8  # bytes after which codes begin at a byte again
    check_multiple("words in a row", words.shape[-1], size, f"{bits} bits")
    raw = np.ascontiguousarray(words.astype("<i4")).view(np.uint8)
    units = np.zeros((*words.shape[:-1], raw.shape[-1] // size), dtype=np.uint32)
    for byte in range(size):
        units |= raw[..., byte::size].astype(np.uint32) << np.uint32(8 * byte)
    codes = np.empty((*units.shape, 8 * size // bits), dtype=np.uint8)
    for index in range(codes.shape[-1]):
        codes[..., index] = (units >> np.uint32(bits * index)) & np.uint32((1 << bits) - 1)
    return codes.reshape(*words.shape[:-1], -1)


def pack_words(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int32]:
    """int32 [..., codes bits / 32] of codes [..., codes]; `unpack_words` reads them."""
    check_bits(bits)
    check_codes(codes, 1 << bits, f"{bits} bits")
    check_multiple("codes", codes.shape[-1] * bits, 32, f"{bits} bits")
    size = lcm(bits, 8) // 8
    runs = codes.reshape(*codes.shape[:-1], -1, 8 * size // bits).astype(np.uint32)
    shifts = np.arange(0, 8 * size, bits, dtype=np.uint32)
    units = np.bitwise_or.reduce(runs << shifts, axis=-1)
    raw = (units[..., None] >> np.arange(0, 8 * size, 8, dtype=np.uint32)).astype(np.uint8)
    flat = np.ascontiguousarray(raw.reshape(*codes.shape[:-1], -1))
    return flat.view("<i4").astype(np.int32)


def unpack_gptq(
    qweight: NDArray[np.int32],
    qzeros: NDArray[np.int32],
    scales: NDArray[Any],
    bits: int,
    zero_bias: int = 1,
) -> Grouped:
    """Weights of GPTQ: qweight [K bits/32, N], qzeros [groups, N bits/32], scales [groups, N].

    `zero_bias` is what the stored zero point lacks: 1, or 0 of the format gptq_v2. The sum wraps,
    so that the zero point 0 comes back from the all-ones that hold it.
    """
    check_array("scales", scales, 2)
    check_shape("qzeros", qzeros, (scales.shape[0], scales.shape[1] * bits // 32))
    check_shape("qweight", qweight, (check_array("qweight", qweight, 2).shape[0], scales.shape[1]))
    codes = unpack_words(np.ascontiguousarray(qweight.T), bits)
    stored = unpack_words(qzeros, bits).astype(np.int64)
    zeros = (stored + zero_bias) & ((1 << bits) - 1)
    return Grouped(codes, _columns(scales), zeros.T.astype(np.float64))


def pack_gptq(weights: Grouped, bits: int, zero_bias: int = 1) -> dict[str, NDArray[Any]]:
    """The arrays `qweight`, `qzeros` and `scales` that `unpack_gptq` reads."""
    zeros = _check_zeros(weights, bits)
    stored = ((zeros - zero_bias) & ((1 << bits) - 1)).astype(np.uint8)
    return {
        "qweight": np.ascontiguousarray(pack_words(weights.codes, bits).T),
        "qzeros": pack_words(np.ascontiguousarray(stored.T), bits),
        "scales": _half_scales(weights.scales),
    }


def unpack_awq(
    qweight: NDArray[np.int32], qzeros: NDArray[np.int32], scales: NDArray[Any]
) -> Grouped:
    """Weights of AWQ, version gemm: qweight [K, N/8], qzeros [groups, N/8], scales [groups, N].

    Nibble i of a word holds column AWQ_ORDER[i] of its eight.
    """
    check_array("scales", scales, 2)
    check_multiple("N", scales.shape[1], 8, "AWQ")
    check_shape("qzeros", qzeros, (scales.shape[0], scales.shape[1] // 8))
    rows = check_array("qweight", qweight, 2).shape[0]
    check_shape("qweight", qweight, (rows, scales.shape[1] // 8))

    def columns(words: NDArray[np.int32]) -> NDArray[np.uint8]:
        nibbles = unpack_words(words, 4).reshape(len(words), -1, 8)
        return nibbles[..., np.argsort(AWQ_ORDER)].reshape(len(words), -1).T.copy()

    return Grouped(columns(qweight), _columns(scales), columns(qzeros).astype(np.float64))


def pack_awq(weights: Grouped) -> dict[str, NDArray[Any]]:
    """The arrays `qweight`, `qzeros` and `scales` that `unpack_awq` reads."""
    zeros = _check_zeros(weights, 4).astype(np.uint8)
    check_multiple("N", weights.codes.shape[0], 8, "AWQ")

    def words(columns: NDArray[np.uint8]) -> NDArray[np.int32]:
        octets = columns.T.reshape(columns.shape[1], -1, 8)
        return pack_words(octets[..., AWQ_ORDER].reshape(columns.shape[1], -1), 4)

    scales = _half_scales(weights.scales)
    return {"qweight": words(weights.codes), "qzeros": words(zeros), "scales": scales}


def contiguous(g_idx: NDArray[Any], groups: int) -> tuple[NDArray[np.int64] | None, int]:
    """The order of K that makes the groups of GPTQ's `g_idx` [K] runs, and their common length.

    The order is None if they are runs already; only the last may be shorter than the others.
    """
    check_array("g_idx", g_idx, 1)
    if g_idx.dtype.kind not in "iu":
        raise InputError(f"g_idx must be integers, not {g_idx.dtype}")
    outside = (g_idx < 0) | (g_idx >= groups)
    if outside.any():
        (where,) = first(outside)
        raise InputError(f"g_idx[{where}] must be 0..{groups - 1}, not {g_idx[where]}")
    counts = np.bincount(g_idx.astype(np.int64), minlength=groups)
    group = int(counts[0])
    uneven = (counts != group) & (np.arange(groups) < groups - 1) | (counts > group) | (counts == 0)
    if uneven.any():
        (where,) = first(uneven)
        raise InputError(
            f"g_idx has {counts[where]} weights in group {where} and {group} in group 0; groups of "
            f"one length would do"
        )
    order = np.argsort(g_idx, kind="stable").astype(np.int64)
    return (None if np.array_equal(order, np.arange(len(order))) else order), group


def _columns(scales: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):  # of signalling NaN
        return scales.T.astype(np.float32)


def _half_scales(scales: NDArray[np.float32]) -> NDArray[np.float16]:
    store("scales", np.asarray(scales, np.float32), exponent=False)
    return np.ascontiguousarray(scales.T.astype(np.float16))


def _check_zeros(weights: Grouped, bits: int) -> NDArray[np.int64]:
    """The zero points as integers, if they fit the bits and the scales."""
    check_array("scales", weights.scales, 2)
    check_shape("zeros", weights.zeros, weights.scales.shape)
    zeros = weights.zeros.astype(np.int64)
    unfit = (zeros != weights.zeros) | (zeros < 0) | (zeros >> bits > 0)
    if unfit.any():
        where = first(unfit)
        raise InputError(
            f"zeros{list(where)} must be an integer from 0 to {(1 << bits) - 1}, not "
            f"{weights.zeros[where]}"
        )
    return zeros
