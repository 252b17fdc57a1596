"""Files of `lutcore gemm`: activations .npy and weights .npz in, results .npz out.

Whatever a file holds, reading it ends with arrays or with an InputError that names the file.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.layout import AffineWeights, TernaryWeights
from lutcore.outputs import writing

__all__ = ["in_file", "read_activations", "read_weights", "results_file"]

AFFINE_KEYS = ("codes", "bits", "scales", "zeros", "group")
TERNARY_KEYS = ("ternary", "scales", "group")

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Name `path` at the head of an InputError raised inside."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_activations(path: Path) -> NDArray[Any]:
    """The array of a .npy file, in native byte order; InputError if it holds none."""
    with in_file(path):
        content = _content(path)
        if not content.startswith(NPY_MAGIC):
            raise InputError("is not a .npy file; numpy.save writes one")
        with _decoding("array"):
            return _native(np.load(io.BytesIO(content), allow_pickle=False))


def read_weights(path: Path) -> AffineWeights | TernaryWeights:
    """The weights of a .npz file; InputError with the file, key, value and what would do.

    Affine: `codes`, `bits`, `scales`, `zeros`, `group`. Ternary: `ternary`, `scales` and `group`,
    which may be left out when there is one scale a column.
    """
    with in_file(path):
        arrays = _read_archive(_content(path))
        if "ternary" in arrays:
            _check_keys(arrays, TERNARY_KEYS, optional="group")
            return TernaryWeights(arrays["ternary"], arrays["scales"], _ternary_group(arrays))
        _check_keys(arrays, AFFINE_KEYS)
        return AffineWeights(
            codes=arrays["codes"],
            bits=_integer("bits", arrays["bits"]),
            scales=arrays["scales"],
            zeros=arrays["zeros"],
            group=_integer("group", arrays["group"]),
        )


@contextmanager
def results_file(path: Path) -> Iterator[Callable[[Mapping[str, NDArray[Any]]], None]]:
    """A function that writes arrays to the .npz file `path`, whole or not at all.

    The temporary file is made at once, so that an output that cannot be written is an InputError
    before the work and not after it.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a directory; the name of a file would do")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is not an ordinary file; the name of one would do")
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".{target.name}.{os.getpid()}")

    def save(arrays: Mapping[str, NDArray[Any]]) -> None:
        with writing(path), temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        with writing(path):
            temporary.replace(target)

    with writing(path):
        temporary.touch()
    try:
        yield save
    finally:
        temporary.unlink(missing_ok=True)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers in old styles; they are read all the same
            yield
    # numpy, zipfile and zlib raise a dozen unrelated types for damaged files, MemoryError included.
    except Exception as error:
        raise InputError(f"{what} is damaged, cut short or not of numbers: {error}") from None


def _read_archive(content: bytes) -> dict[str, NDArray[Any]]:
    if not content.startswith(ZIP_MAGIC):
        raise InputError("is not a .npz archive; numpy.savez writes one")
    with _decoding("archive"):
        archive = np.load(io.BytesIO(content), allow_pickle=False)
    arrays: dict[str, NDArray[Any]] = {}
    for key in archive.files:
        with _decoding(key):
            arrays[key] = _native(archive[key])
    return arrays


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_keys(arrays: dict[str, NDArray[Any]], keys: tuple[str, ...], optional: str = "") -> None:
    for key in arrays:
        if key not in keys:
            raise InputError(f"unknown key {key!r}; known are {', '.join(keys)}")
    for key in keys:
        if key not in arrays and key != optional:
            raise InputError(f"key {key!r} is missing; needed are {', '.join(keys)}")


def _integer(key: str, array: NDArray[Any]) -> int:
    if array.ndim or array.dtype.kind not in "iu":
        raise InputError(f"{key} must be one integer, not {array.dtype} of shape {array.shape}")
    return int(array)


def _ternary_group(arrays: dict[str, NDArray[Any]]) -> int:
    if "group" in arrays:
        return _integer("group", arrays["group"])
    ternary, scales = arrays["ternary"], arrays["scales"]
    if scales.ndim == 2 and scales.shape[1] != 1:
        raise InputError(
            f"key 'group' is missing, and scales have shape {scales.shape}; without it, "
            f"({scales.shape[0]}, 1) would do"
        )
    return max(1, ternary.shape[-1] if ternary.ndim else 1)
