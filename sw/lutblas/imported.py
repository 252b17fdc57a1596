"""Weights as a file has them, and the errors that reading one ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .types import named

__all__ = ["Imported", "at", "decoding", "dequantised", "unknown"]


@dataclass(frozen=True)
class Imported:
    """Weights w[n, order[k]] = scales[n, j] level(codes[n, k]) + offsets[n, j], j = k // group.

    type     a name of lutblas.types.TYPES, whose decode gives the level, less the zero point
    codes    [N, K] uint8
    scales   [N, groups] float32
    zeros    [N, groups] float64 for the uint types, None for the others
    offsets  [N, groups] float32 for q4_1 and q5_1, None for the others
    group    weights along K that share a scale; the last group may be short
    order    [K]: the activation that each column of codes belongs to; None for 0, 1, 2 and so on

    Raises InputError where a scale or an offset is not finite.
    """

    type: str
    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.float64] | None
    offsets: NDArray[np.float32] | None
    group: int
    order: NDArray[np.int64] | None

    def __post_init__(self) -> None:
        named(self.type)
        for name, array in (("scales", self.scales), ("offsets", self.offsets)):
            if array is not None and not np.isfinite(array).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise InputError(f"{name}{list(where)} is {array[where]}; a finite one would do")


def dequantised(imported: Imported) -> NDArray[np.float32]:
    """[N, K] of the weights in the order of the activations, in float32 as ggml computes them.

    Code minus zero point is exact; then one product and, where there are offsets, one sum, each
    rounded to float32. What is beyond float32 is infinite.
    """
    columns = np.arange(imported.codes.shape[1]) // imported.group
    levels = named(imported.type).levels.astype(np.float32)[imported.codes]
    levels += np.float32(0)  # ggml's E2M1 has one zero
    if imported.zeros is not None:
        levels = levels - imported.zeros.astype(np.float32)[:, columns]
    with np.errstate(over="ignore"):
        weights = imported.scales[:, columns] * levels
        if imported.offsets is not None:
            weights = weights + imported.offsets[:, columns]
    if imported.order is None:
        return weights
    natural = np.empty_like(weights)
    natural[:, imported.order] = weights
    return natural


@contextmanager
def at(place: object) -> Iterator[None]:
    """Name `place` at the head of an InputError raised inside."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever a reader raises on damaged files into an InputError."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from None
    # The readers raise a dozen unrelated types for damaged files, MemoryError included.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what} is damaged or cut short: {reason}") from None


def unknown(tensor: str, names: Sequence[str]) -> InputError:
    """The error for a name that is not among `names`."""
    if not names:
        return InputError(f"has no tensor {tensor!r}, nor any other")
    near = difflib.get_close_matches(tensor, names, n=3, cutoff=0.0)
    return InputError(f"has no tensor {tensor!r}; of its {len(names)}, the nearest are {near}")
