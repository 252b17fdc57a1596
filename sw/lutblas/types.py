"""Data types of weights: how a code is stored, and what it stands for.

A type is storage bits, a block shape, the metadata of a block and a decode function. What a code
stands for and how a core computes with it are separate: `lutblas.lowering` finds the planes. A
weight is

    w = (decode(code) - zero) * scale + offset

exactly, in real numbers; where the type is `rounded`, decode(code) * scale rounded to FP32, as
libraries dequantise codebooks.

A type in ten lines:

>>> import numpy as np
>>> from lutblas.types import DataType
>>> def decode(codes):
...     return np.array([-9, -4, -1, 0, 1, 2, 4, 9])[codes]
>>> squares = DataType("squares", bits=3, decode=decode, group=32, scale="fp16")
>>> squares.bits_per_weight()
3.5

Sources: OCP Microscaling 1.0 (MX types), OCP 8-bit Floating Point 1.0, QLoRA (NF4), ggml (block
types of GGUF).
"""

# Callers need not be type-checked: what the annotations promise is checked all the same.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.formats import FP32, SCALES, FloatFormat
from lutcore.numbers import decode as decode_format
from lutcore.numbers import representable

from .blocks import LAYOUTS

__all__ = ["NF4", "TYPES", "DataType", "codebook", "map", "named"]

Decode = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class DataType:
    """A type of weights.

    name          letters, digits and _
    bits          of a code, 1 to 8
    decode        the values [...] of codes [...] uint8: finite, a function of each code alone
    group         weights along K of a block, of which K is a multiple; None: the tensor says, and
                  its last block may be short
    scale         format of a block's scale (lutcore.formats.SCALES); None: the scale is 1
    offset        format of a block's offset; None: there is none
    zero          blocks have zero points
    tensor_scale  one FP32 scale of the whole tensor, besides those of blocks
    rounded       the weight is decode(code) * scale rounded to FP32, and levels are FP32 numbers
    reserved      codes that no weight has; what they decode to does not matter
    block_bytes   size of a stored block, where it is not that of its codes and metadata

    Any violation raises InputError with the type, its value and what would do.
    """

    name: str
    bits: int
    decode: Decode
    _: KW_ONLY
    group: int | None = None
    scale: str | None = "fp32"
    offset: str | None = None
    zero: bool = False
    tensor_scale: bool = False
    rounded: bool = False
    reserved: tuple[int, ...] = ()
    block_bytes: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise InputError(f"type name must be letters, digits and '_', not {self.name!r}")
        try:
            self._check()
        except InputError as error:
            raise InputError(f"type {self.name}: {error}") from None

    def _check(self) -> None:
        if type(self.bits) is not int or not 1 <= self.bits <= 8:
            raise InputError(f"bits must be 1..8, not {self.bits!r}")
        if self.group is not None and (type(self.group) is not int or self.group < 1):
            raise InputError(f"group must be an integer of 1 or more, or None, not {self.group!r}")
        for field in ("scale", "offset"):
            name = getattr(self, field)
            if name is not None and name not in SCALES:
                raise InputError(f"{field} must be one of {', '.join(SCALES)}, not {name!r}")
        if self.rounded and (self.zero or self.offset is not None):
            raise InputError("rounded must be False for a type with zero points or offsets")
        if not isinstance(self.reserved, tuple):
            raise InputError(f"reserved must be a tuple, not {self.reserved!r}")
        for code in self.reserved:
            if type(code) is not int or not 0 <= code < 1 << self.bits:
                raise InputError(f"reserved must be codes below {1 << self.bits}, not {code!r}")
        if not self.codes.size:
            raise InputError("reserved must leave one code or more")
        finite = np.isfinite(self.levels[self.codes])
        if not finite.all():
            code = int(self.codes[~finite][0])
            raise InputError(f"code {code} decodes to {self.levels[code]}; a finite one would do")
        if self.rounded and not representable(self.levels[self.codes], FP32).all():
            code = int(self.codes[~representable(self.levels[self.codes], FP32)][0])
            raise InputError(f"code {code} decodes to {self.levels[code]}, which no fp32 is")

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """[2^bits]: what every code decodes to; NaN where reserved."""
        every = np.arange(1 << self.bits, dtype=np.uint8)
        levels = self._decoded(every)
        levels[list(self.reserved)] = np.nan
        levels.flags.writeable = False
        return levels

    def _decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The levels of `codes` [2^bits], having tried the decode function in other ways, too."""
        order = np.random.default_rng(0).permutation(codes)
        levels = self._call(codes)
        one_by_one = [self._call(codes[i : i + 1]) for i in range(len(codes))]
        trials = {
            "called again": self._call(codes),
            "given codes in another order": self._call(order)[np.argsort(order)],
            "given codes one by one": np.concatenate(one_by_one),
            "given a matrix": self._call(codes.reshape(2, -1)).reshape(-1),
        }
        known = np.isin(codes, self.reserved, invert=True)
        for how, other in trials.items():
            same = (levels == other) | (np.isnan(levels) & np.isnan(other)) | ~known
            if not same.all():
                code = int(codes[~same][0])
                raise InputError(
                    f"decode must be a function of the code, but {how}, code {code} becomes "
                    f"{other[code]} instead of {levels[code]}"
                )
        return levels

    def _call(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        try:
            values = np.asarray(self.decode(codes.copy()))
        except Exception as error:  # of a function that the user wrote
            raise InputError(f"decode raises {type(error).__name__}: {error}") from None
        if values.dtype.kind not in "fiub" or values.shape != codes.shape:
            raise InputError(
                f"decode must give real numbers of shape {codes.shape} for as many codes, not "
                f"{values.dtype} of shape {values.shape}"
            )
        return values.astype(np.float64)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """The codes that are not reserved, ascending."""
        every = np.arange(1 << self.bits, dtype=np.uint8)
        return every[np.isin(every, self.reserved, invert=True)]

    @property
    def metadata_bits(self) -> int:
        """Bits of a block besides its codes."""
        formats = [name for name in (self.scale, self.offset) if name is not None]
        return sum(SCALES[name].bits for name in formats) + self.zero * self.bits

    def bits_per_weight(self, group: int | None = None) -> float:
        """Storage of a weight in blocks of `group`, by default those of the type."""
        group = group or self.group
        if group is None:
            raise InputError(f"group is needed: type {self.name} has no block of its own")
        if self.block_bytes is not None and group == self.group:
            return 8 * self.block_bytes / group
        return self.bits + self.metadata_bits / group

    @property
    def storage(self) -> str:
        """Bits of a weight in words: "4.5", or "4 + 32/group" where the tensor has the group."""
        if self.group is not None:
            return f"{self.bits_per_weight():.4g}"
        return f"{self.bits} + {self.metadata_bits}/group" if self.metadata_bits else f"{self.bits}"


def map(dtype: DataType, function: Decode, name: str, **changed: Any) -> DataType:  # noqa: A001
    """The type whose codes stand for `function` of the values of `dtype`, otherwise the same.

    `changed` are fields of DataType to be replaced.
    """
    return replace(dtype, name=name, decode=lambda codes: function(dtype.levels[codes]), **changed)


def codebook(levels: Sequence[float] | NDArray[Any], name: str = "codebook") -> DataType:
    """The type of codes that index 2 to 256 `levels`, of which each weight is a product rounded.

    Levels are FP32 numbers; they may be unordered, and equal. The codes beyond them are reserved.
    """
    table = np.asarray(levels)
    if table.dtype.kind not in "fiu" or table.ndim != 1 or not 2 <= table.size <= 256:
        raise InputError(
            f"codebook must be 2 to 256 real numbers, not {table.dtype} of shape {table.shape}"
        )
    table = table.astype(np.float64)
    bits = (table.size - 1).bit_length()
    padded = np.pad(table, (0, (1 << bits) - table.size))
    reserved = tuple(range(table.size, 1 << bits))
    return DataType(name, bits, padded.__getitem__, rounded=True, reserved=reserved)


def _float(name: str, exponent_bits: int, fraction_bits: int, special: bool = False) -> Decode:
    """Decode of a float format; without `special`, every code is a number."""
    if special:
        return lambda codes: decode_format(codes, _FLOATS[name])
    fmt = FloatFormat(name, exponent_bits, fraction_bits)
    sign = 1 << (fmt.bits - 1)

    def decode(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        magnitude = codes.astype(np.int64) & (sign - 1)
        field, fraction = np.divmod(magnitude, 1 << fraction_bits)
        significand = fraction + np.where(field > 0, 1 << fraction_bits, 0)
        values = np.ldexp(
            significand.astype(np.float64), np.maximum(field, 1) - 1 + fmt.unit_exponent
        )
        return np.where(codes & sign, -values, values)

    return decode


_FLOATS = {name: fmt for name, fmt in SCALES.items() if isinstance(fmt, FloatFormat)}


def _signed(bits: int, unit: float = 1.0) -> Decode:
    """Two's complement multiples of `unit`."""
    sign = 1 << (bits - 1)
    return lambda codes: ((codes.astype(np.int64) ^ sign) - sign) * unit


def _shifted(zero: int, step: int = 1) -> Decode:
    """step * code - zero."""
    return lambda codes: step * codes.astype(np.int64) - zero


NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""Levels of 4-bit NormalFloat (QLoRA, appendix E), FP32 numbers."""

IQ4_NL = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""Levels of ggml's iq4_nl."""


def _registry() -> list[DataType]:
    e2m1, e2m3, e3m2 = _float("e2m1", 2, 1), _float("e2m3", 2, 3), _float("e3m2", 3, 2)
    e4m3, e5m2 = _float("e4m3", 4, 3, special=True), _e5m2
    nan_e4m3, nan_e5m2 = (0x7F, 0xFF), (*range(0x7C, 0x80), *range(0xFC, 0x100))
    integers = [DataType(f"uint{b}", b, _shifted(0), zero=True) for b in range(1, 9)]
    integers.append(DataType("int1", 1, _shifted(1, 2)))
    integers += [DataType(f"int{b}", b, _signed(b)) for b in range(2, 9)]
    floats = [
        DataType("ternary", 2, _shifted(1), reserved=(3,)),
        DataType("fp4_e2m1", 4, e2m1),
        DataType("fp6_e2m3", 6, e2m3),
        DataType("fp6_e3m2", 6, e3m2),
        DataType("fp8_e4m3", 8, e4m3, reserved=nan_e4m3),
        DataType("fp8_e5m2", 8, e5m2, reserved=nan_e5m2),
        DataType("mxfp4", 4, e2m1, group=32, scale="e8m0"),
        DataType("mxfp6_e2m3", 6, e2m3, group=32, scale="e8m0"),
        DataType("mxfp6_e3m2", 6, e3m2, group=32, scale="e8m0"),
        DataType("mxfp8_e4m3", 8, e4m3, group=32, scale="e8m0", reserved=nan_e4m3),
        DataType("mxfp8_e5m2", 8, e5m2, group=32, scale="e8m0", reserved=nan_e5m2),
        DataType("mxint8", 8, _signed(8, 2.0**-6), group=32, scale="e8m0"),
        DataType("nvfp4", 4, e2m1, group=16, scale="e4m3", tensor_scale=True),
        codebook(NF4, "nf4"),
    ]
    return [*integers, *floats, *_gguf_types()]


def _e5m2(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """E5M2 is the upper half of FP16."""
    return (codes.astype(np.uint16) << 8).view(np.float16).astype(np.float64)


def _gguf_types() -> list[DataType]:
    def block(name: str, bits: int, decode: Decode, **metadata: Any) -> DataType:
        layout = LAYOUTS[name]
        return DataType(
            name,
            bits,
            decode,
            group=layout.block,
            scale="fp16",
            block_bytes=layout.bytes,
            **metadata,
        )

    return [
        block("q4_0", 4, _shifted(8)),
        block("q4_1", 4, _shifted(0), offset="fp16"),
        block("q5_0", 5, _shifted(16)),
        block("q5_1", 5, _shifted(0), offset="fp16"),
        block("q8_0", 8, _shifted(128)),
        block("tq1_0", 2, _shifted(1), reserved=(3,)),
        block("tq2_0", 2, _shifted(1)),
        block("iq4_nl", 4, np.array(IQ4_NL, np.float64).__getitem__),
    ]


TYPES: dict[str, DataType] = {dtype.name: dtype for dtype in _registry()}
"""The types known by name. Codes of GGUF types are those of `lutblas.blocks`: int8 + 128 in q8_0.

The levels of `codebook` are the tensor's, so it is not here.
"""


def named(name: str) -> DataType:
    """The type called `name`; InputError if there is none."""
    try:
        return TYPES[name]
    except KeyError:
        raise InputError(f"type {name!r} is unknown; known are {', '.join(TYPES)}") from None
