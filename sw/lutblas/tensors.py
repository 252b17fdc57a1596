"""Tensors of any data type: conversion to the weights of a core, products, and transformations.

A `Tensor` is codes with the metadata that its type asks for. `Tensor.weights` brings it to the
terms of a core, exactly; `product` multiplies by it. `slice`, `pad` and `convert` make tensors of
tensors (`lutblas.types.map` makes types of types); their names are those of Ladder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import OUTPUTS, SCALES, FloatFormat
from lutcore.numbers import representable, rounded
from lutcore.weights import (
    AffineWeights,
    PlaneWeights,
    Term,
    TernaryWeights,
    Weights,
    check_array,
)
from lutverif import golden

from .importers import Imported
from .lowering import Part, Route, lower
from .types import DataType, named

__all__ = ["Product", "Tensor", "convert", "pad", "product", "slice"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """Weights [N, K] of a type.

    codes         [N, K] unsigned integers below 2^bits
    scales        [N, ceil(K / group)] numbers of the type's scale format; None: 1
    zeros         same shape, multiples of 1/2; None: 0
    offsets       same shape, numbers of the type's offset format; None: 0
    group         weights along K that share these; None: the type's, or else K
    tensor_scale  an FP32 number, for types that have it
    order         [K]: the activation that each column of codes belongs to; None for 0, 1, 2, ..

    Raises InputError with the field, its value and what would do.
    """

    dtype: DataType
    codes: NDArray[np.uint8]
    scales: NDArray[np.float32] | None = None
    zeros: NDArray[np.float64] | None = None
    offsets: NDArray[np.float32] | None = None
    group: int | None = None
    tensor_scale: float = 1.0
    order: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        dtype = self.dtype
        codes = check_array("codes", self.codes, 2)
        if codes.dtype.kind != "u":
            raise InputError(f"codes must be unsigned integers, not {codes.dtype}")
        if int(codes.max()) >> dtype.bits:
            where = _first(codes >> dtype.bits != 0)
            raise InputError(
                f"codes must be below 2^{dtype.bits} = {1 << dtype.bits} for {dtype.name}, but "
                f"codes{list(where)} is {codes[where]}"
            )
        reserved = np.isin(codes, dtype.reserved)
        if reserved.any():
            where = _first(reserved)
            raise InputError(f"codes{list(where)} is {codes[where]}, which no {dtype.name} is")
        self._set("codes", codes.astype(np.uint8))
        self._set("group", self._checked_group(codes.shape[1]))
        self._set("scales", self._metadata("scales", self.scales, dtype.scale))
        self._set("offsets", self._metadata("offsets", self.offsets, dtype.offset))
        if self.zeros is not None:
            if not dtype.zero:
                raise InputError(f"zeros do not fit {dtype.name}, which has no zero points")
            zeros = check_array("zeros", self.zeros, 2)
            if zeros.shape != self._shape:
                raise InputError(f"zeros must have shape {self._shape}, not {zeros.shape}")
        if self.tensor_scale != 1:
            if not dtype.tensor_scale:
                raise InputError(f"tensor_scale does not fit {dtype.name}, which has none")
            value = np.array(self.tensor_scale)
            if not np.isfinite(value) or not representable(value, SCALES["fp32"]):
                raise InputError(f"tensor_scale must be a finite fp32, not {self.tensor_scale}")
        if self.order is not None and not np.array_equal(
            np.sort(self.order), np.arange(codes.shape[1])
        ):
            raise InputError(f"order must have each of 0..{codes.shape[1] - 1} once")

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _checked_group(self, k: int) -> int:
        group, own = self.group, self.dtype.group
        if group is None:
            group = own or k
        if isinstance(group, bool) or not isinstance(group, (int, np.integer)) or group < 1:
            raise InputError(f"group must be an integer of 1 or more, not {group!r}")
        if own is not None:
            if group != own:
                raise InputError(f"group must be {own} for {self.dtype.name}, not {group}")
            if k % own:
                raise InputError(
                    f"K must be a multiple of {own} for {self.dtype.name}, not {k}; "
                    f"{-(-k // own) * own} would do"
                )
        return int(group)

    @property
    def blocks(self) -> int:
        """Elements of a block along K."""
        assert self.group is not None
        return self.group

    @property
    def _shape(self) -> tuple[int, int]:
        return self.codes.shape[0], -(-self.codes.shape[1] // self.blocks)

    def _metadata(self, name: str, values: object, fmt: str | None) -> NDArray[np.float32] | None:
        if fmt is None:
            if values is not None:
                raise InputError(f"{name} do not fit {self.dtype.name}, which has none")
            return np.ones(self._shape, np.float32) if name == "scales" else None
        if values is None:
            raise InputError(f"{name} are needed for {self.dtype.name}")
        array = check_array(name, values, 2)
        if array.dtype.kind != "f":
            raise InputError(f"{name} must be real numbers, not {array.dtype}")
        if array.shape != self._shape:
            raise InputError(
                f"{name} must have shape {self._shape} for {self.codes.shape[0]} columns and "
                f"{self.codes.shape[1]} weights in groups of {self.blocks}, not {array.shape}"
            )
        if not np.isfinite(array).all():
            where = _first(~np.isfinite(array))
            raise InputError(f"{name} must be finite, but {name}{list(where)} is {array[where]}")
        held = representable(array, SCALES[fmt])
        if not held.all():
            where = _first(~held)
            raise InputError(
                f"{name} must be {fmt} for {self.dtype.name}, but {name}{list(where)} is "
                f"{array[where]}"
            )
        return array.astype(np.float32)

    @classmethod
    def of(cls, imported: Imported) -> Tensor:
        """The tensor that was read from a file."""
        i = imported
        return cls(named(i.type), i.codes, i.scales, i.zeros, i.offsets, i.group, order=i.order)

    def route(self, config: TensorCoreConfig) -> Route:
        """How the codes are lowered; InputError where there is no lossless route.

        Types of 2 bits go by the codes that occur: without code 3, tq2_0 is ternary.
        """
        codes = tuple(int(code) for code in np.unique(self.codes)) if self.dtype.bits == 2 else None
        route = lower(self.dtype, config, codes)
        if not route.lossless:
            raise InputError(
                f"type {self.dtype.name} has no lossless route; the nearest is {route.planes} "
                f"planes with an error up to {float(route.error):.3g} scales"
            )
        return route

    def weights(self, config: TensorCoreConfig) -> Weights:
        """The weights for a core, without `tensor_scale` and in the order of the codes.

        Exact, or InputError: where FP32 has no numbers for the scales that the route needs.
        """
        assert self.scales is not None
        bits = self.dtype.bits
        if self.zeros is not None and np.array_equal(self.dtype.levels, np.arange(1 << bits)):
            return AffineWeights(
                self.codes, bits, self.scales, self.zeros, self.blocks, self.offsets
            )
        route = self.route(config)
        if self.dtype.rounded:
            return self._from_values(route)
        single = len(route.parts) == 1 and route.base == 0
        part = route.parts[0]
        scaled = [_products(p.unit, self.scales, p.pieces) for p in route.parts]
        if single and len(scaled[0]) == 1:
            scale = scaled[0][0]
            if route.kind == "ternary" and self.offsets is None:
                levels = self.dtype.levels
                signs = np.sign(np.nan_to_num(levels)).astype(np.int8)
                halves = np.ldexp(scale, -1) if config.table_digits == 3 else scale
                return TernaryWeights(signs[self.codes], halves.astype(np.float32), self.blocks)
            if route.kind == "affine":
                return self._affine(part, scale)
        terms = [
            self._term(part, scale, last=part is route.parts[-1])
            for part, scales in zip(route.parts, scaled, strict=True)
            for scale in scales
        ]
        offsets = [] if route.base == 0 else _products(route.base, self.scales, 2)
        offsets += [] if self.offsets is None else [self.offsets]
        return PlaneWeights(_with_offsets(terms, offsets), self.blocks)

    def _affine(self, part: Part, scales: NDArray[np.float32]) -> AffineWeights:
        planes = len(part.digits)
        places = 1 << np.arange(planes - 1, -1, -1)
        values = (places[:, None] * (part.digits > 0)).sum(axis=0).astype(np.uint8)
        zeros = np.full(scales.shape, (part.zero - 1 + (1 << planes)) / 2)
        if self.zeros is not None:
            zeros = zeros + self.zeros / float(part.unit)
        return AffineWeights(values[self.codes], planes, scales, zeros, self.blocks, self.offsets)

    def _term(self, part: Part, scales: NDArray[np.float32], last: bool = False) -> Term:
        """A term of a part. Every piece of its scale has the planes and z'.

        The last part of an affine route, the one of the lowest planes, takes the zero points.
        """
        zeros = np.full(scales.shape, part.zero, np.int64)
        if self.zeros is not None and last:
            doubled = 2 * self.zeros / float(part.unit)
            if not np.array_equal(doubled, np.rint(doubled)):
                where = _first(doubled != np.rint(doubled))
                raise InputError(
                    f"zeros{list(where)} is {self.zeros[where]:g}, but zero points of "
                    f"{self.dtype.name} must be multiples of {float(part.unit) / 2:g}"
                )
            zeros += np.rint(doubled).astype(np.int64)
        return Term(part.digits[:, self.codes], part.equal, scales, zeros)

    def _from_values(self, route: Route) -> Weights:
        """Terms whose scales are differences of a group's FP32 values, in two pieces if need be."""
        assert self.scales is not None
        levels = np.nan_to_num(self.dtype.levels).astype(np.float32)

        def value(code: int) -> NDArray[np.float32]:
            with np.errstate(over="ignore"):
                return levels[code] * self.scales

        terms: list[Term] = []
        for part in route.parts:
            assert part.step is not None
            with np.errstate(over="ignore", invalid="ignore"):
                high, rest = _two_sum(value(part.step[0]), -value(part.step[1]))
                pieces = [np.float32(part.factor) * high, np.float32(part.factor) * rest]
            if not np.isfinite(pieces).all():
                where = _first(~np.isfinite(pieces[0] + pieces[1]))
                raise InputError(
                    f"scales{list(where)} = {self.scales[where]:.6g} makes differences of "
                    f"{self.dtype.name} levels beyond fp32"
                )
            terms += [self._term(part, piece) for piece in pieces[: 1 + bool(rest.any())]]
        offsets: list[NDArray[np.float32]] = []
        if route.base:
            code = next(c for c in route.codes if Fraction(float(levels[c])) == route.base)
            offsets = [value(code)]
        return PlaneWeights(_with_offsets(terms, offsets), self.blocks)

    def real(self) -> NDArray[np.float64]:
        """[N, K]: the weights, `tensor_scale` and order of activations included.

        Each operation is rounded to float64, and those of `rounded` types to FP32.
        """
        assert self.scales is not None
        columns = np.arange(self.codes.shape[1]) // self.blocks
        values = self.dtype.levels[self.codes]
        if self.zeros is not None:
            values = values - self.zeros[:, columns]
        values = values * self.scales[:, columns].astype(np.float64)
        if self.dtype.rounded:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32).astype(np.float64)
        if self.offsets is not None:
            values = values + self.offsets[:, columns].astype(np.float64)
        if self.order is not None:
            natural = np.empty_like(values)
            natural[:, self.order] = values
            values = natural
        return values * self.tensor_scale


def _first(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _two_sum(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(s, rest) with s = RN32(a + b) and s + rest = a + b exactly (Knuth)."""
    s: NDArray[np.float32] = a + b
    back: NDArray[np.float32] = s - a
    return s, np.add(a - (s - back), b - back, dtype=np.float32)


def _products(
    factor: Fraction, scales: NDArray[np.float32], pieces: int
) -> list[NDArray[np.float32]]:
    """FP32 arrays, `pieces` or fewer, whose sum is factor * scales exactly; InputError if none."""
    exact = float(factor) * scales.astype(np.float64)  # 48 bits at most, by the choice of routes
    found: list[NDArray[np.float32]] = []
    rest = exact
    for _ in range(pieces):
        with np.errstate(over="ignore"):
            piece = rest.astype(np.float32)
        with np.errstate(invalid="ignore"):
            rest = rest - piece
        found.append(piece)
        if not rest.any():
            return found
    where = _first(rest != 0)
    raise InputError(
        f"scales{list(where)} = {scales[where]:.6g} times {float(factor):.6g} is no number of fp32"
    )


def _with_offsets(terms: list[Term], offsets: list[NDArray[np.float32]]) -> tuple[Term, ...]:
    """The terms with one offset each, from the last on."""
    if len(offsets) > len(terms):
        # A term that adds nothing: it carries an offset.
        carrier = terms[-1]
        terms = [
            *terms,
            replace(carrier, scales=np.zeros_like(carrier.scales), zeros=0 * carrier.zeros),
        ]
    result = list(terms)
    for place, offset in enumerate(reversed(offsets), start=1):
        if offset.any():
            result[-place] = replace(result[-place], offsets=offset)
    return tuple(result)


class Product(NamedTuple):
    """out [M, N]; cycles of the simulated RTL, None of the golden model."""

    out: NDArray[Any]
    cycles: int | None


def product(
    activations: NDArray[Any],
    tensor: Tensor,
    config: TensorCoreConfig,
    backend: Literal["golden", "rtl"] = "golden",
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[Any] | None = None,
) -> Product:
    """Activations [M, K] times the tensor transposed, and addends [M, N]: as of `golden.core`.

    A tensor scale that is not 1 multiplies the core's FP32 result in software, and that product is
    rounded once more, to `output`; it takes no addends, which the core adds before. INT32 results
    are in units of half the route's unit times scale.
    """
    array = check_array("activations", activations, 2)
    if array.shape[1] != tensor.codes.shape[1]:
        raise InputError(
            f"activations must have K = {tensor.codes.shape[1]} columns to match the weights, not "
            f"shape {array.shape}"
        )
    if tensor.order is not None:
        array = np.ascontiguousarray(array[:, tensor.order])
    scaled = tensor.tensor_scale != 1
    if scaled and output == "int32":
        raise InputError("output int32 has no scales, but the weights have a tensor scale")
    if scaled and addends is not None:
        raise InputError(
            "the weights have a tensor scale, which multiplies results in software, and take no "
            "addends; weights without one would do"
        )
    if scaled and output not in config.outputs:
        raise InputError(
            f"output is {output}, but the configuration {config.name!r} is built for "
            f"{', '.join(config.outputs)}; add {output!r} to its outputs"
        )
    core_output = "fp32" if scaled else output
    weights = tensor.weights(config)
    cycles = None
    if backend == "rtl":
        # Imported here: it loads Amaranth, which the golden model does without.
        from lutverif import driver

        result = driver.gemm(array, weights, config, core_output, activation_type, addends=addends)
        out, cycles = result.out, result.cycles
    else:
        out = golden.core(array, weights, config, core_output, activation_type, addends)
    if scaled:
        fmt = OUTPUTS[output]
        assert isinstance(fmt, FloatFormat)
        with np.errstate(over="ignore", invalid="ignore"):
            exact = out.astype(np.float64) * np.float64(tensor.tensor_scale)
            # Zero results are +0, as those of the core.
            out = (rounded(exact, fmt) + 0.0).astype(np.float16 if output == "fp16" else np.float32)
    return Product(out, cycles)


def slice(  # noqa: A001
    tensor: Tensor, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
) -> Tensor:
    """Rows start..stop of N and columns start..stop of K, which must begin and end with a block."""
    if tensor.order is not None:
        raise InputError("tensors with an order cannot be sliced")
    n, k = tensor.codes.shape
    row, column = rows or (0, n), columns or (0, k)
    for name, (start, stop), size in (("rows", row, n), ("columns", column, k)):
        if not 0 <= start < stop <= size:
            raise InputError(f"{name} must be within 0..{size}, not {start}..{stop}")
    for border in column:
        if border % tensor.blocks and border != k:
            raise InputError(
                f"columns must start and stop at multiples of the group {tensor.blocks}, not at "
                f"{border}"
            )
    begin, end = column[0] // tensor.blocks, -(-column[1] // tensor.blocks)

    def cut(values: NDArray[Any] | None) -> Any:
        return None if values is None else values[row[0] : row[1], begin:end]

    return replace(
        tensor,
        codes=tensor.codes[row[0] : row[1], column[0] : column[1]],
        scales=None if tensor.dtype.scale is None else cut(tensor.scales),
        zeros=cut(tensor.zeros),
        offsets=cut(tensor.offsets),
    )


def _padding(dtype: DataType) -> int:
    """The code whose level is nearest to 0, with which weights are padded."""
    return int(dtype.codes[np.argmin(np.abs(dtype.levels[dtype.codes]))])


def pad(dtype: DataType, codes: NDArray[np.uint8], group: int | None = None) -> NDArray[np.uint8]:
    """Codes [N, K] lengthened to whole blocks by the code whose level is nearest to 0.

    Activations are to be lengthened by zeros, so that the padding adds nothing.
    """
    array = check_array("codes", codes, 2)
    block = group or dtype.group or 1
    return np.pad(array, ((0, 0), (0, -array.shape[1] % block)), constant_values=_padding(dtype))


class Converted(NamedTuple):
    """A tensor of another type, and the largest |difference| of a level, in block scales."""

    tensor: Tensor
    error: float


def convert(tensor: Tensor, dtype: DataType, lossy: bool = False) -> Converted:
    """The tensor in codes of `dtype`, with the same scales.

    Levels are compared one by one: where one that occurs is missing in `dtype`, InputError, or with
    `lossy` the nearest. A type with zero points gets the one that aligns the smallest levels.
    """
    values = tensor.dtype.levels[tensor.codes]
    zeros = tensor.zeros
    if tensor.zeros is not None and not dtype.zero:
        columns = np.arange(values.shape[1]) // tensor.blocks
        values, zeros = values - tensor.zeros[:, columns], None
    elif dtype.zero and not tensor.dtype.zero:
        target = float(dtype.levels[dtype.codes].min())
        shift = target - float(tensor.dtype.levels[tensor.dtype.codes].min())
        values, zeros = values + shift, np.full(tensor._shape, shift)  # pyright: ignore[reportPrivateUsage]
    order = np.argsort(dtype.levels[dtype.codes], kind="stable")
    codes = dtype.codes[order]
    levels = dtype.levels[codes]
    above = np.clip(np.searchsorted(levels, values), 1, max(1, len(levels) - 1))
    above = np.minimum(above, len(levels) - 1)
    below = np.maximum(above - 1, 0)
    places = np.where(values - levels[below] <= levels[above] - values, below, above)
    error = np.abs(levels[places] - values)
    if error.any() and not lossy:
        where = _first(error != 0)
        raise InputError(
            f"{dtype.name} has no {values[where]:.6g} of {tensor.dtype.name}, which is "
            f"codes{list(where)}; its nearest is {levels[places[where]]:.6g}"
        )
    scales, offsets = tensor.scales, tensor.offsets
    assert tensor.group is not None and scales is not None
    group = dtype.group or tensor.group
    if tensor.group % group and tensor.codes.shape[1] > tensor.group:
        raise InputError(
            f"group must be a multiple of {group} for {dtype.name}, not {tensor.group}"
        )
    blocks = -(-tensor.codes.shape[1] // group)
    source = np.arange(blocks) * group // tensor.group

    def spread(values: NDArray[Any] | None) -> Any:
        return None if values is None else values[:, source]

    if dtype.scale is None and (scales != 1).any():
        raise InputError(f"scales do not fit {dtype.name}, which has none")
    converted = replace(
        tensor,
        dtype=dtype,
        codes=codes[places],
        scales=None if dtype.scale is None else spread(scales),
        zeros=spread(zeros),
        offsets=spread(offsets),
        group=group,
    )
    return Converted(converted, float(error.max()))
