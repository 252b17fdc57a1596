"""Operands as an engine reads them from memory; docs/lmma.md, "Operands in memory".

A buffer's operand is cut into sections, each of which one instruction loads; every section starts
at an aligned address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.formats import SCALES
from lutcore.layout import PackedWeights, Segment
from lutcore.numbers import encode

from .config import EngineConfig

__all__ = ["activation_rows", "addend_rows", "bits_packed", "scale_beats", "sections"]


def bits_packed(fields: NDArray[np.int64], widths: Sequence[int]) -> NDArray[np.uint8]:
    """[rows, bytes] of fields [rows, count, widths], the first at the lowest bit."""
    bits = [fields[..., i, None] >> np.arange(width) & 1 for i, width in enumerate(widths)]
    flat = np.concatenate(bits, axis=-1).reshape(len(fields), -1).astype(np.uint8)
    return np.packbits(flat, axis=-1, bitorder="little")


def activation_rows(
    codes: NDArray[Any], cuts: Sequence[Sequence[Segment]], bits: int, config: EngineConfig
) -> NDArray[np.uint8]:
    """[M, bytes] of codes [M, K]: section by section its segments, each padded to whole steps."""
    k = config.core.k
    parts: list[NDArray[np.uint8]] = []
    for section in cuts:
        padded = [
            np.pad(codes[:, c.start : c.stop], ((0, 0), (0, -(c.stop - c.start) % k)))
            for c in section
        ]
        # A section may begin inside a segment, and then may have no activations.
        row = np.concatenate(padded, axis=1) if padded else codes[:, :0]
        parts.append(_aligned(bits_packed(row.astype(np.int64)[:, :, None], [bits]), config))
    return np.concatenate(parts, axis=1)


def addend_rows(
    addends: NDArray[np.float32] | NDArray[np.int32], config: EngineConfig
) -> NDArray[np.uint8]:
    """[M, bytes] of addends [M, N], every tile of n columns from an aligned address."""
    rows, n = len(addends), config.core.n
    padded = np.pad(addends, ((0, 0), (0, -addends.shape[1] % n)))
    tiles = np.ascontiguousarray(padded).view(np.uint8).reshape(-1, n * addends.itemsize)
    return _aligned(tiles, config).reshape(rows, -1)


def scale_beats(packed: PackedWeights, config: EngineConfig) -> NDArray[np.uint8]:
    """[tiles, beats, bytes] of scales and z'."""
    tiles, rounds, _ = packed.scales.shape
    groups = rounds * config.core.column_groups
    codes = encode(packed.scales, SCALES[packed.scale]).astype(np.int64)
    pairs = np.stack([codes, packed.zeros], axis=-1).reshape(tiles * groups, -1, 2)
    return bits_packed(pairs, [config.scale_bits, config.core.zero_bits]).reshape(
        tiles, groups, config.scale_beat_bytes
    )


def sections(
    beats: NDArray[np.uint8], counts: Sequence[int], config: EngineConfig
) -> NDArray[np.uint8]:
    """[tiles, bytes] of beats [tiles, beats, bytes] in sections of so many beats."""
    cut = np.split(beats, np.cumsum(counts)[:-1], axis=1)
    return np.concatenate([_aligned(part.reshape(len(beats), -1), config) for part in cut], axis=1)


def _aligned(rows: NDArray[np.uint8], config: EngineConfig) -> NDArray[np.uint8]:
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % config.word_bytes)))
