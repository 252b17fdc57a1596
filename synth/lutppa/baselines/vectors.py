"""Results of real tensor cores, as files, against the MAC baseline.

A file is CSV, gzipped or not: a header a0 .. a(n-1), b0 .. b(n-1), c, d, then rows of FP32 bit
patterns in hexadecimal. d is what a GPU gave for c + a0 b0 + a1 b1 + ...
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.formats import BF16, FP16, FP32, FloatFormat
from lutcore.numbers import decode, encode, representable

from .golden_mac import Numerics, fused_dot

__all__ = ["TYPES", "Vectors", "mismatches", "read"]

TYPES = {"fp16": FP16, "bf16": BF16}
"""Operand types of files by name."""

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Vectors:
    """Codes: a and b [rows, n] of the operands' type, c and d [rows] of FP32."""

    a: NDArray[np.uint16]
    b: NDArray[np.uint16]
    c: NDArray[np.uint32]
    d: NDArray[np.uint32]


def read(path: Path, fmt: FloatFormat) -> Vectors:
    """The vectors of a file; InputError naming file, line and column of what does not fit."""
    content = path.read_bytes()
    try:
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        rows = csv.reader(io.StringIO(content.decode("ascii")), strict=True)
        header = [name.strip() for name in next(rows, [])]
        lines = [(rows.line_num, row) for row in rows if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not CSV, plain or gzipped: {error}") from None
    terms = (len(header) - 2) // 2
    names = [f"{operand}{i}" for operand in "ab" for i in range(terms)] + ["c", "d"]
    if terms < 1 or header != names:
        raise InputError(
            f"{path}: line 1 is {','.join(header)[:60]!r}; a0,..,b0,..,c,d with as many b as a "
            "would do"
        )
    if not lines:
        raise InputError(f"{path}: holds no vectors; a row below the header would do")
    codes = np.empty((len(lines), len(names)), np.uint32)
    for index, (number, row) in enumerate(lines):
        if len(row) != len(names):
            raise InputError(f"{path}: line {number} has {len(row)} fields, not {len(names)}")
        for column, text in enumerate(row):
            try:
                codes[index, column] = int(text, 16)
            except (ValueError, OverflowError):
                raise InputError(
                    f"{path}: line {number}, {names[column]}: {text[:20]!r}; the 8 hexadecimal "
                    "digits of an FP32 number would do"
                ) from None
    values = decode(codes[:, : 2 * terms], FP32)
    outside = ~representable(values, fmt)
    if outside.any():
        index, column = (int(i) for i in np.argwhere(outside)[0])
        raise InputError(
            f"{path}: line {lines[index][0]}, {names[column]}: {lines[index][1][column]} is no "
            f"{fmt.name} number; another type would do"
        )
    operands = encode(values, fmt)
    return Vectors(operands[:, :terms], operands[:, terms:], codes[:, -2], codes[:, -1])


def mismatches(
    vectors: Vectors, fmt: FloatFormat, numerics: Numerics, rtl: bool = False
) -> NDArray[np.bool_]:
    """[rows]: where golden model or simulated RTL differ from d in a bit. A NaN equals any NaN."""
    if rtl:
        # Imported here: it loads Amaranth, which the golden model does without.
        from .dot_stream import simulate
        from .mac_config import MacConfig

        config = MacConfig(
            k=numerics.terms, operand=fmt.name, fraction_bits=numerics.fraction_bits, stages=1
        )
        found = simulate(vectors.a, vectors.b, vectors.c, config)
    else:
        found = fused_dot(vectors.a, vectors.b, vectors.c, fmt, numerics)
    both_nan = np.isnan(found.view(np.float32)) & np.isnan(vectors.d.view(np.float32))
    return (found != vectors.d) & ~both_nan
