"""Every weight type times every activation type, through oracle, golden model and RTL.

One GEMM a combination: all codes of the type, activations of every kind, ragged edges. Its outputs
are compared in three ways, and every one has to hold:

* the golden model with the exact product of the decoded weights: within the bound of
  docs/specification.md, and bit for bit where activations are exact and FP32 holds every sum;
* some outputs of the golden model with the oracle of exact rationals, bit for bit;
* the RTL with the golden model, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import LutCoreError
from lutcore.formats import ACTIVATIONS, FP32
from lutcore.layout import pack
from lutcore.numbers import decode
from lutverif import driver, golden, oracle
from lutverif.bench import stimulus
from lutverif.native import core_model

from .tensors import Tensor
from .tensors import slice as cut
from .types import NF4, TYPES, DataType, codebook

__all__ = ["Combination", "Mismatch", "combinations", "sample"]

LENGTH, GROUP = 72, 24
"""K, and weights of a block, of types without blocks of their own."""

SAMPLES = 3
"""Outputs of a combination that the oracle computes."""


class Mismatch(LutCoreError):
    """An output of a combination is not what it has to be."""


@dataclass(frozen=True)
class Combination:
    """A combination that held.

    exact    every output is the FP32 number nearest to the exact product
    error    largest |output - exact product| as a part of its bound, where there is one
    planes   of a weight
    outputs  compared between RTL and golden model
    """

    activation_type: str
    weight_type: str
    exact: bool
    error: float
    planes: int
    outputs: int


def sample(rng: np.random.Generator, dtype: DataType, columns: int) -> Tensor:
    """A tensor of all codes of `dtype`, with scales near 1 that are numbers of its format."""
    group = dtype.group or GROUP
    k = LENGTH if dtype.group is None else dtype.group * max(1, 64 // dtype.group)
    every = np.resize(rng.permutation(dtype.codes), columns * k)
    shape = (columns, -(-k // group))
    powers = np.ldexp(1.0, rng.integers(-3, 2, shape))
    scales = powers.astype(np.float32)
    if dtype.rounded:  # the steps of any scale
        scales = (powers * (1 + rng.random(shape))).astype(np.float32)
    top = 1 << dtype.bits
    return Tensor(
        dtype,
        every.reshape(columns, k),
        None if dtype.scale is None else scales,
        rng.integers(0, top, shape).astype(np.float64) if dtype.zero else None,
        (powers * rng.choice([-3, 1, 5], shape)).astype(np.float32) if dtype.offset else None,
        group,
        0.75 if dtype.tensor_scale else 1.0,
    )


def _products(activations: NDArray[Any], tensor: Tensor) -> list[list[Fraction | None]]:
    """[M][N]: exact products with the decoded weights, without the tensor scale; None: nonfinite.

    From codes and metadata alone, by no means of the lowering.
    """
    weights = [[_weight(tensor, n, k) for k in range(tensor.codes.shape[1])]
               for n in range(tensor.codes.shape[0])]  # fmt: skip
    rows: list[list[Fraction | None]] = []
    for row in activations.astype(np.float64):
        if not np.isfinite(row).all():
            rows.append([None] * len(weights))
            continue
        values = [Fraction(float(a)) for a in row]
        rows.append(
            [sum((a * w for a, w in zip(values, column, strict=True)), Fraction(0))
             for column in weights]
        )  # fmt: skip
    return rows


def _weight(tensor: Tensor, n: int, k: int) -> Fraction:
    assert tensor.scales is not None
    block = k // tensor.blocks
    level = Fraction(float(tensor.dtype.levels[tensor.codes[n, k]]))
    if tensor.zeros is not None:
        level -= Fraction(float(tensor.zeros[n, block]))
    value = level * Fraction(float(tensor.scales[n, block]))
    if tensor.dtype.rounded:
        value = Fraction(float(decode(np.array(oracle.rn(value, "fp32")), FP32)))
    if tensor.offsets is not None:
        value += Fraction(float(tensor.offsets[n, block]))
    return value


def _check(
    rng: np.random.Generator, activation_type: str, tensor: Tensor, config: TensorCoreConfig
) -> tuple[NDArray[Any], NDArray[np.float32], bool, float]:
    """Activations, golden outputs, whether these are exact, and their error; or Mismatch."""
    fmt = ACTIVATIONS[activation_type]
    rows, k = config.m + 2, tensor.codes.shape[1]
    values = stimulus.activations(rng, fmt, rows, k)
    weights = tensor.weights(config)
    out = golden.core(values, weights, config, "fp32", activation_type)
    bound = golden.error_bound(values, weights, config, "fp32", activation_type)
    exact, worst = True, 0.0
    for m, row in enumerate(_products(values, tensor)):
        for n, product in enumerate(row):
            got = float(out[m, n])
            if product is None:
                if not np.isnan(got):
                    raise Mismatch(f"golden[{m}, {n}] is {got}, not NaN")
                continue
            nearest = oracle.rn(product, "fp32")
            exact &= nearest == int(out.view(np.uint32)[m, n])
            if np.isinf(got):
                continue
            error = abs(Fraction(got) - product)
            if error > Fraction(float(bound[m, n])):
                raise Mismatch(
                    f"golden[{m}, {n}] is {got}, and {float(error):.6g} from {float(product)}, "
                    f"more than {bound[m, n]:.6g}"
                )
            if error:
                worst = max(worst, float(error) / float(bound[m, n]))
    for m, n in rng.integers((rows, len(out[0])), size=(SAMPLES, 2)).tolist():
        part = cut(tensor, rows=(n, n + 1))
        ((code,),) = oracle.specified(
            values[m : m + 1], part.weights(config), config, "fp32", activation_type
        )
        if code != int(out.view(np.uint32)[m, n]):
            raise Mismatch(f"golden[{m}, {n}] is {out[m, n]}, oracle {code:#010x}")
    return values, out.astype(np.float32), exact, worst


def combinations(
    config: TensorCoreConfig, seed: int = 1, types: dict[str, DataType] | None = None
) -> Iterator[Combination]:
    """Every combination of the built-in activation formats and the weight types that fit.

    Raises Mismatch with the combination at the first output that is wrong.
    """
    if types is None:
        types = TYPES | {"codebook": codebook([-7.5, -2, 0.125, *NF4[4:12], 30])}
    with core_model(config) as model:
        for weight_type, dtype in types.items():
            for activation_type in config.activations:
                rng = np.random.default_rng([seed, *f"{weight_type} {activation_type}".encode()])
                tensor = sample(rng, dtype, max(config.n + 1, -(-(1 << dtype.bits) // LENGTH)))
                try:
                    values, want, exact, error = _check(rng, activation_type, tensor, config)
                    packed = pack(tensor.weights(config), config)
                    result = driver.run(model, values, packed, config, "fp32", activation_type)
                    different = np.argwhere(result.out.view(np.uint32) != want.view(np.uint32))
                    if len(different):
                        where = tuple(different[0])
                        raise Mismatch(
                            f"RTL[{where[0]}, {where[1]}] is {result.out[where]}, golden "
                            f"{want[where]}; {len(different)} of {want.size} differ"
                        )
                except Mismatch as error_:
                    raise Mismatch(f"{activation_type} x {weight_type}: {error_}") from None
                planes = tensor.route(config).planes
                yield Combination(activation_type, weight_type, exact, error, planes, want.size)
