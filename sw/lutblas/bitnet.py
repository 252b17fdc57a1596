"""Ternary weights of BitNet, two bits each: I2_S of its GGUF files, uint8 of its safetensors.

Codes 0, 1, 2 stand for -1, 0, +1. Every function raises InputError with the field, its value and
what would do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .blocks import pack_fields, unpack_fields
from .checks import check_codes, check_kind, check_multiple, first

__all__ = ["I2_S_TAIL", "pack_hf", "pack_i2_s", "unpack_hf", "unpack_i2_s"]

I2_S_TAIL = 32
"""Bytes after the codes of an I2_S tensor; the first four are its scale, the rest pads."""


def unpack_i2_s(
    raw: NDArray[np.uint8], shape: tuple[int, int], block: int = 128
) -> tuple[NDArray[np.uint8], np.float32]:
    """Ternary codes [N, K] (0, 1, 2 for -1, 0, +1) and the scale of an I2_S tensor of BitNet.

    raw     uint8 [N K/4 + I2_S_TAIL]; the tail may be cut to the four bytes of the scale
    block   128 weights in 32 bytes as x86 and the published files have it, or 64 in 16 of ARM

    A block is four runs of block/4 weights; run 0 is in the two highest bits of every byte.
    """
    size = _check_i2_s(shape, block)
    check_kind("raw", raw, 1, np.uint8)
    if not size + 4 <= len(raw) <= size + I2_S_TAIL:
        raise InputError(f"raw must have {size + I2_S_TAIL} bytes for {shape}, not {len(raw)}")
    runs = unpack_fields(raw[:size].reshape(-1, block // 4), 2, block // 4)
    codes = runs.reshape(-1, 4, block // 4)[:, ::-1].reshape(shape)
    if (codes == 3).any():
        raise InputError(f"codes{list(first(codes == 3))} is 3; 0, 1 or 2 would do")
    return codes.copy(), np.ascontiguousarray(raw[size : size + 4]).view("<f4")[0]


def pack_i2_s(codes: NDArray[np.uint8], scale: float, block: int = 128) -> NDArray[np.uint8]:
    """The bytes uint8 [N K/4 + I2_S_TAIL] that `unpack_i2_s` reads."""
    shape = check_codes(codes, 3, "I2_S")
    _check_i2_s(shape, block)
    runs = codes.reshape(-1, 4, block // 4)[:, ::-1].reshape(-1, block)
    tail = np.zeros(I2_S_TAIL, dtype=np.uint8)
    tail[:4] = np.array([scale], dtype="<f4").view(np.uint8)
    return np.concatenate([pack_fields(runs, 2, block // 4).ravel(), tail])


def _check_i2_s(shape: tuple[int, int], block: int) -> int:
    if block not in (64, 128):
        raise InputError(f"block must be 128 or 64 for I2_S, not {block}")
    check_multiple("K", shape[1], block, "I2_S")
    return shape[0] * shape[1] // 4


def unpack_hf(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ternary codes [N, K] (0, 1, 2) of the uint8 [N/4, K] of BitNet in Hugging Face's format.

    Bits 2i and 2i + 1 of row r are row i N/4 + r of the weights.
    """
    check_kind("weight", packed, 2, np.uint8)
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[:, None, None]
    codes = ((packed >> shifts) & np.uint8(3)).reshape(-1, packed.shape[1])
    if (codes == 3).any():
        raise InputError(f"codes{list(first(codes == 3))} is 3; 0, 1 or 2 would do")
    return codes


def pack_hf(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The uint8 [N/4, K] that `unpack_hf` reads."""
    n, k = check_codes(codes, 3, "BitNet")
    check_multiple("N", n, 4, "BitNet")
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[:, None, None]
    return np.bitwise_or.reduce(codes.reshape(4, n // 4, k) << shifts, axis=0)
