"""The bound of a GEMM's cycles, counted by hand."""

from __future__ import annotations

import numpy as np

from lutcore import AffineWeights, pack
from lutverif.engine_gemm import CONFIG, ends, tile_cost


def packed(n, k, group=64):
    shape = (n, -(-k // group))
    codes = np.zeros((n, k), np.uint8)
    return pack(
        AffineWeights(codes, 4, np.ones(shape, np.float32), np.zeros(shape), group), CONFIG.core
    )


def test_a_tile_of_five_groups():
    """K = 300: 75 steps of 4 planes; a row is 600 bytes, a beat of weights 32, of scales 21."""
    words = 2 * 38 + 300 * 2 + 5 * 16 * 21 // 16
    assert tile_cost(2, 64, packed(64, 300), CONFIG) == (300, words)
    assert ends(18, 64, packed(64, 300), CONFIG) == (words - 300, 2 * 16)
    # 17 rows end with a tile of one, 70 columns with one of six, which loads an eighth of a beat.
    small = 38 + 300 * 2 // 8 + 5 * 16 * 21 // 16
    assert tile_cost(1, 6, packed(70, 300), CONFIG) == (300, small)
    assert ends(17, 70, packed(70, 300), CONFIG) == (0, 2)


def test_short_passes_take_a_round_of_scales():
    """K = 8: 2 steps of 4 planes, but 16 groups of columns."""
    assert tile_cost(1, 64, packed(64, 8), CONFIG) == (16, 1 + 16 + 21)
    assert ends(2, 64, packed(64, 8), CONFIG) == (2 + 16 + 21 - 16, 2 * 16)
