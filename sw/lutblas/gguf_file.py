"""Weights of GGUF files: the nine block types of `lutblas.blocks`, and BitNet's I2_S."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.gguf_reader import ReaderField
from numpy.typing import NDArray

from lutcore.errors import InputError

from . import bitnet, blocks
from .imported import Imported, at, decoding, unknown

__all__ = ["entries", "read_gguf"]

I2_S_TYPE = 36
"""Number of I2_S in BitNet's files; the `gguf` package does not know it."""

GGUF_NAMES = (*(name.upper() for name in blocks.LAYOUTS), "I2_S")

MAX_FIELDS = 1 << 23
"""Fields of a GGUF header; the largest vocabularies have two million, a damaged length any."""


class _Entry(NamedTuple):
    """A tensor of a GGUF header: the number of its type, its shape, and where its bytes begin."""

    type: int
    shape: tuple[int, ...]
    start: int

    @property
    def type_name(self) -> str:
        if self.type == I2_S_TYPE:
            return "I2_S"
        try:
            return GGMLQuantizationType(self.type).name
        except ValueError:
            return f"type {self.type}"


class _Gguf(GGUFReader):
    """The header of a GGUF file, with limits, and without a view of every tensor.

    The reader itself stops at types it does not know and at any tensor that is cut short, takes
    what lies beyond the end of the file for empty, and believes every length.
    """

    entries: dict[str, _Entry]
    fields_read = 0

    def _get(
        self, offset: int, dtype: Any, count: int = 1, override_order: Any = None
    ) -> NDArray[Any]:
        if not self.fields_read:
            cast("Any", self).data = self.data.view(np.ndarray)  # slices of a memmap are slow
        self.fields_read += 1
        if self.fields_read > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} fields")
        stop = offset + int(count) * np.dtype(dtype).itemsize
        if not 0 <= offset <= stop <= len(self.data):
            raise ValueError(f"bytes {offset} to {stop} of a file of {len(self.data)}")
        return super()._get(offset, dtype, count, override_order)

    def _build_tensors(self, start_offs: int, fields: list[ReaderField]) -> None:
        self.entries = {}
        for field in fields:
            _, _, _, dims, number, offset = field.parts
            if field.name in self.entries:
                raise ValueError(f"tensor {field.name!r} is there twice")
            shape = tuple(int(size) for size in reversed(dims.tolist()))
            start = int(start_offs) + int(offset[0])
            self.entries[field.name] = _Entry(int(number[0]), shape, start)


def entries(path: Path) -> dict[str, _Entry]:
    """The tensors of a GGUF file by name; the last few files are remembered until they change.

    Headers with a vocabulary take the reader seconds.
    """
    with at(path), decoding("GGUF header"):
        stat = path.stat()
        return _read_header(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _read_header(path: Path, _state: tuple[int, ...]) -> dict[str, _Entry]:
    reader = _Gguf(path)
    if reader.byte_order == "S":
        raise InputError("is of the other byte order; little-endian would do")
    return reader.entries


def _tensor_bytes(path: Path, start: int, size: int) -> NDArray[np.uint8]:
    stop = start + size
    with decoding("tensor"):
        length = path.stat().st_size
        if stop > length:
            raise InputError(
                f"is cut short: {size} bytes from {start} on need a file of {stop} bytes, and it "
                f"has {length}"
            )
        return np.fromfile(path, dtype=np.uint8, count=size, offset=start)


def read_gguf(path: str | os.PathLike[str], tensor: str, *, i2_s_block: int = 128) -> Imported:
    """The weights of the GGUF tensor `tensor`, of one of the types GGUF_NAMES.

    A file does not say how I2_S was laid out: `i2_s_block` is 128 for x86 and for the published
    models, and 64 for what BitNet's quantiser writes on ARM.
    """
    path = Path(path)
    found = entries(path)
    with at(path):
        if tensor not in found:
            raise unknown(tensor, list(found))
    with at(path), at(repr(tensor)):
        entry = found[tensor]
        if entry.type_name not in GGUF_NAMES:
            raise InputError(
                f"{entry.type_name} is not supported; supported are {', '.join(GGUF_NAMES)}"
            )
        if len(entry.shape) != 2 or 0 in entry.shape:
            raise InputError(f"must have a shape [N, K], not {list(entry.shape)}")
        n, k = entry.shape
        if entry.type == I2_S_TYPE:
            raw = _tensor_bytes(path, entry.start, n * k // 4 + 4)
            codes, scale = bitnet.unpack_i2_s(raw, (n, k), i2_s_block)
            scales = np.full((n, 1), scale, dtype=np.float32)
            return Imported("ternary", codes, scales, None, None, k, None)
        name = entry.type_name.lower()
        layout = blocks.LAYOUTS[name]
        if k % layout.block:
            raise InputError(f"K must be a multiple of {layout.block} for {name}, not {k}")
        width = k // layout.block * layout.bytes
        raw = _tensor_bytes(path, entry.start, n * width).reshape(n, width)
        fields = blocks.unpack_gguf(name, raw)
        return Imported(name, *fields[:2], None, fields.offsets, layout.block, None)
