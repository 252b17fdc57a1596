"""Checks that the storage layouts share; each raises InputError with what would do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.weights import check_array

__all__ = ["check_bits", "check_codes", "check_kind", "check_multiple", "check_shape", "first"]


def first(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first true element."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def check_bits(bits: int, allowed: tuple[int, ...] = (2, 3, 4, 8)) -> None:
    """Refuse a width that is not among `allowed`."""
    if bits not in allowed:
        raise InputError(f"bits must be one of {', '.join(map(str, allowed))}, not {bits}")


def check_multiple(name: str, value: int, of: int, what: str) -> None:
    """Refuse a `value` that is no multiple of `of`."""
    if value % of:
        raise InputError(f"{name} must be a multiple of {of} for {what}, not {value}")


def check_shape(name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape."""
    if np.shape(array) != shape:
        raise InputError(f"{name} must have shape {shape}, not {np.shape(array)}")


def check_kind(name: str, array: Any, ndim: int | None, dtype: type[np.generic]) -> None:
    """Refuse what is not a nonempty array of `dtype`, of `ndim` dimensions if given."""
    check_array(name, array, np.ndim(array) if ndim is None else ndim)
    if array.dtype != dtype:
        raise InputError(f"{name} must be {np.dtype(dtype)}, not {array.dtype}")


def check_codes(codes: NDArray[np.uint8], limit: int, what: str) -> tuple[int, int]:
    """(N, K) of codes; refuse those of `limit` or more."""
    check_kind("codes", codes, 2, np.uint8)
    if int(codes.max()) >= limit:
        where = first(codes >= limit)
        raise InputError(f"codes{list(where)} must be below {limit} for {what}, not {codes[where]}")
    return codes.shape[0], codes.shape[1]
