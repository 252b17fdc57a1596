"""Blocks of GGUF files: raw bytes uint8 [N, bytes] to codes and scales, and back.

Nothing is computed: codes are the stored bits and scales the stored numbers, widened to float32.
Every function raises InputError with the field, its value and what would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .checks import check_codes, check_kind, check_multiple, check_shape, first

__all__ = [
    "Fields",
    "LAYOUTS",
    "Layout",
    "pack_fields",
    "pack_gguf",
    "store",
    "unpack_fields",
    "unpack_gguf",
]


class Fields(NamedTuple):
    """What GGUF blocks hold: codes [N, K] and, for each block, a scale and perhaps an offset."""

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    offsets: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Layout:
    """A GGUF block of `block` weights with codes below `codes`.

    parts   names and bytes of its parts, in the order they are stored
    """

    block: int
    codes: int
    parts: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """Bytes of a block."""
        return sum(size for _, size in self.parts)

    def split(self, raw: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """The parts [N, blocks, bytes of the part] of rows of blocks [N, bytes]."""
        blocks = raw.reshape(raw.shape[0], -1, self.bytes)
        found: dict[str, NDArray[np.uint8]] = {}
        start = 0
        for name, size in self.parts:
            found[name] = blocks[..., start : start + size]
            start += size
        return found


_SCALE, _OFFSET, _HIGH, _NIBBLES = ("scale", 2), ("offset", 2), ("high", 4), ("nibbles", 16)

LAYOUTS = {
    "q4_0": Layout(32, 16, (_SCALE, _NIBBLES)),
    "q4_1": Layout(32, 16, (_SCALE, _OFFSET, _NIBBLES)),
    "q5_0": Layout(32, 32, (_SCALE, _HIGH, _NIBBLES)),
    "q5_1": Layout(32, 32, (_SCALE, _OFFSET, _HIGH, _NIBBLES)),
    "q8_0": Layout(32, 256, (_SCALE, ("signed", 32))),
    "tq1_0": Layout(256, 3, (("trits", 52), _SCALE)),
    "tq2_0": Layout(256, 4, (("crumbs", 64), _SCALE)),
    "iq4_nl": Layout(32, 16, (_SCALE, _NIBBLES)),
    "mxfp4": Layout(32, 16, (("exponent", 1), _NIBBLES)),
}
"""The GGUF types, by name: w = d (q - z) or d q + m, or for the last two d level[q]."""

TRIT_RUNS = ((32, 5), (16, 5), (4, 4))
"""Runs of a tq1_0 block: bytes, and trits in each."""


def unpack_gguf(name: str, raw: NDArray[np.uint8]) -> Fields:
    """The fields of rows of GGUF blocks of type `name`; raw [N, bytes of a row]."""
    layout = _layout(name)
    check_kind("raw", raw, 2, np.uint8)
    if raw.shape[1] % layout.bytes:
        raise InputError(
            f"raw must have rows of a multiple of {layout.bytes} bytes for {name}, not of "
            f"{raw.shape[1]}"
        )
    parts = layout.split(raw)
    if "signed" in parts:
        codes = parts["signed"] ^ np.uint8(0x80)  # int8 + 128
    elif "trits" in parts:
        codes = _unpack_trits(parts["trits"])
    elif "crumbs" in parts:
        codes = unpack_fields(parts["crumbs"], 2, 32)
    else:
        codes = unpack_fields(parts["nibbles"], 4, 16)
    if "high" in parts:
        codes = codes | np.unpackbits(parts["high"], axis=-1, bitorder="little") << 4
    exponents = parts.get("exponent")
    scales = _halves(parts["scale"]) if exponents is None else _powers(exponents[..., 0])
    offsets = _halves(parts["offset"]) if "offset" in parts else None
    return Fields(codes.reshape(len(raw), -1).astype(np.uint8), scales, offsets)


def pack_gguf(name: str, fields: Fields) -> NDArray[np.uint8]:
    """Rows of GGUF blocks [N, bytes] of type `name`, which must hold every number exactly."""
    layout = _layout(name)
    n, k = check_codes(fields.codes, layout.codes, name)
    check_multiple("K", k, layout.block, name)
    blocks = fields.codes.reshape(n, -1, layout.block)
    wanted = [name for name, _ in layout.parts]
    if (fields.offsets is not None) != ("offset" in wanted):
        verb = "has" if "offset" in wanted else "has no"
        raise InputError(f"offsets do not fit {name}, which {verb} offsets")
    parts: dict[str, NDArray[np.uint8]] = {}
    for part in wanted:
        if part == "signed":
            parts[part] = blocks ^ np.uint8(0x80)
        elif part == "trits":
            parts[part] = _pack_trits(blocks)
        elif part == "crumbs":
            parts[part] = pack_fields(blocks, 2, 32)
        elif part == "nibbles":
            parts[part] = pack_fields(blocks & np.uint8(15), 4, 16)
        elif part == "high":
            parts[part] = np.packbits(blocks >> 4, axis=-1, bitorder="little")
        else:
            values = fields.offsets if part == "offset" else fields.scales
            title = "offsets" if part == "offset" else "scales"
            check_shape(title, values, blocks.shape[:2])
            parts[part] = store(title, np.asarray(values, np.float32), part == "exponent")
    return np.concatenate([parts[part] for part in wanted], axis=-1).reshape(n, -1)


def _layout(name: str) -> Layout:
    if name not in LAYOUTS:
        raise InputError(f"type {name!r} is not supported; supported are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def unpack_fields(raw: NDArray[np.uint8], bits: int, run: int) -> NDArray[np.uint8]:
    """Codes [..., weights]: in each run of bytes, first the lowest field of every byte."""
    runs = raw.reshape(*raw.shape[:-1], -1, 1, run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    codes = (runs >> shifts) & np.uint8((1 << bits) - 1)
    return codes.reshape(*raw.shape[:-1], -1)


def pack_fields(codes: NDArray[np.uint8], bits: int, run: int) -> NDArray[np.uint8]:
    """The inverse of `unpack_fields`."""
    fields = codes.reshape(*codes.shape[:-1], -1, 8 // bits, run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    raw = np.bitwise_or.reduce(fields << shifts, axis=-2)
    return raw.reshape(*codes.shape[:-1], -1)


def _unpack_trits(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A byte is the fraction 0.t0 t1 t2.. in base 3, times 256; a trit is what 3 times it carries.

    Bytes that no packer writes have trits too: the products wrap, as those of ggml do.
    """
    codes: list[NDArray[np.uint8]] = []
    start = 0
    for size, trits in TRIT_RUNS:
        powers = (3 ** np.arange(trits)).astype(np.uint8)[:, None]
        rest = raw[..., None, start : start + size] * powers
        carried = (rest.astype(np.uint16) * 3 >> 8).astype(np.uint8)
        codes.append(carried.reshape(*raw.shape[:-1], -1))
        start += size
    return np.concatenate(codes, axis=-1)


def _pack_trits(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    raw: list[NDArray[np.uint8]] = []
    start = 0
    for size, trits in TRIT_RUNS:
        stop = start + size * trits
        run = codes[..., start:stop].reshape(*codes.shape[:-1], trits, size)
        numerators = (run * (81 // 3 ** np.arange(trits))[:, None]).sum(axis=-2)
        raw.append((-(-numerators * 256 // 243)).astype(np.uint8))  # rounded up, or it would lose
        start = stop
    return np.concatenate(raw, axis=-1)


def _halves(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, blocks] of the little-endian float16 in [N, blocks, 2]."""
    with np.errstate(invalid="ignore"):  # of signalling NaN
        return np.ascontiguousarray(raw).view("<f2")[..., 0].astype(np.float32)


def _powers(exponents: NDArray[np.uint8]) -> NDArray[np.float32]:
    """2^(e - 127) of E8M0, in which 255 is NaN; 2^-127 is subnormal in float32, and exact."""
    bits = exponents.astype(np.uint32) << 23
    bits[exponents == 0] = 1 << 22
    bits[exponents == 255] = 0x7FC00000
    return bits.view(np.float32)


def store(title: str, values: NDArray[np.float32], exponent: bool) -> NDArray[np.uint8]:
    """Bytes [N, blocks, 1 or 2] of numbers that E8M0 or float16 hold exactly."""
    if exponent:
        raw = (np.ascontiguousarray(values).view(np.uint32) >> 23).astype(np.uint8)[..., None]
        stored = _powers(raw[..., 0])
    else:
        with np.errstate(over="ignore"):
            raw = np.ascontiguousarray(values.astype("<f2")[..., None]).view(np.uint8)
        stored = _halves(raw)
    if not np.array_equal(stored, values):
        where = first(stored != values)
        kind = "a power of two from 2^-127 to 2^127" if exponent else "a number of float16"
        raise InputError(f"{title}{list(where)} must be {kind}, not {values[where]}")
    return raw
