"""Bit planes in the order of T-MAC's tiles: uint8, and back to codes.

Every function raises InputError with the field, its value and what would do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .checks import check_bits, check_codes, check_kind, check_multiple

__all__ = ["pack_t_mac", "unpack_t_mac"]


@dataclass(frozen=True, kw_only=True)
class _Tiles:
    """T-MAC's tiling of N x K weights of `bits` bits.

    A row of planes is one bit of one weight row: for every `lanes_out` weight rows there are the
    `lanes_out` rows of bit 0, then those of bit 1, and so on. A tile is `bm` rows of planes by
    `kfactor` groups of `g` weights. `lanes_in` bytes lie together; field e of byte s is the row
    e lanes_in + s of a run of 8/g lanes_in rows.
    """

    n: int
    k: int
    bits: int
    g: int
    bm: int
    kfactor: int
    lanes_in: int
    lanes_out: int

    def __post_init__(self) -> None:
        for name in ("bm", "kfactor", "lanes_in", "lanes_out"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, not {getattr(self, name)}")
        check_multiple("K", self.k, self.g * self.kfactor, f"kfactor {self.kfactor}")
        check_multiple("N", self.n, self.lanes_out, f"lanes_out {self.lanes_out}")
        check_multiple("bm", self.bm, self.run, f"lanes_in {self.lanes_in}")
        check_multiple("N times bits", self.n * self.bits, self.bm, f"bm {self.bm}")

    @property
    def run(self) -> int:
        """Rows of planes in `lanes_in` bytes."""
        return 8 // self.g * self.lanes_in

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the packed uint8."""
        return (self.n * self.bits // self.bm, self.k // self.g, self.bm * self.g // 8)

    @property
    def stored(self) -> tuple[int, ...]:
        """Row tile, K tile, run, group of K, byte."""
        rows, groups, _ = self.shape
        return (rows, groups // self.kfactor, self.bm // self.run, self.kfactor, self.lanes_in)

    def planes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The weight row and the bit of every row of planes."""
        tile, rest = np.divmod(np.arange(self.n * self.bits), self.bits * self.lanes_out)
        bit, lane = np.divmod(rest, self.lanes_out)
        return tile * self.lanes_out + lane, bit


def pack_t_mac(
    codes: NDArray[np.uint8],
    bits: int,
    *,
    g: int = 4,
    bm: int = 512,
    kfactor: int = 16,
    lanes_in: int = 16,
    lanes_out: int = 8,
) -> NDArray[np.uint8]:
    """T-MAC's uint8 [N bits/bm, K/g, bm g/8] of codes [N, K]; the names are those of T-MAC's tuner.

    `lanes_in` and `lanes_out` are its simd_n_in and simd_n_out.
    """
    _check_planes(bits, g)
    n, k = check_codes(codes, 1 << bits, f"{bits} bits")
    tiles = _Tiles(
        n=n, k=k, bits=bits, g=g, bm=bm, kfactor=kfactor, lanes_in=lanes_in, lanes_out=lanes_out
    )
    rows, bit = tiles.planes()
    planes = ((codes[rows] >> bit[:, None].astype(np.uint8)) & 1).reshape(len(rows), -1, g)
    indices = np.packbits(planes, axis=-1, bitorder="little")[..., 0]  # weight i of a group: bit i
    row_tiles, k_tiles, runs, _, _ = tiles.stored
    fields = indices.reshape(row_tiles, runs, 8 // g, lanes_in, k_tiles, kfactor)
    shifts = np.arange(0, 8, g, dtype=np.uint8)
    raw = np.bitwise_or.reduce(fields.transpose(0, 4, 1, 5, 3, 2) << shifts, axis=-1)
    return raw.reshape(tiles.shape)


def unpack_t_mac(
    packed: NDArray[np.uint8],
    bits: int,
    *,
    g: int = 4,
    kfactor: int = 16,
    lanes_in: int = 16,
    lanes_out: int = 8,
) -> NDArray[np.uint8]:
    """Codes [N, K] of T-MAC's uint8 [N bits/bm, K/g, bm g/8]; `pack_t_mac` writes them."""
    check_kind("packed", packed, 3, np.uint8)
    _check_planes(bits, g)
    row_tiles, groups, width = packed.shape
    bm = width * 8 // g
    check_multiple("rows of planes", row_tiles * bm, bits, f"{bits} bits")
    tiles = _Tiles(
        n=row_tiles * bm // bits,
        k=groups * g,
        bits=bits,
        g=g,
        bm=bm,
        kfactor=kfactor,
        lanes_in=lanes_in,
        lanes_out=lanes_out,
    )
    shifts = np.arange(0, 8, g, dtype=np.uint8)
    fields = packed.reshape(tiles.stored)[..., None] >> shifts
    indices = fields.transpose(0, 2, 5, 4, 1, 3).reshape(row_tiles * bm, groups)
    planes = (indices[..., None] >> np.arange(g, dtype=np.uint8)) & np.uint8(1)
    codes = np.zeros((tiles.n, tiles.k), dtype=np.uint8)
    rows, bit = tiles.planes()
    for number in range(bits):
        mine = bit == number
        codes[rows[mine]] |= planes[mine].reshape(-1, tiles.k) << np.uint8(number)
    return codes


def _check_planes(bits: int, g: int) -> None:
    check_bits(bits, (1, 2, 3, 4))
    if g not in (1, 2, 4, 8):
        raise InputError(f"g must be 1, 2, 4 or 8, not {g}")
