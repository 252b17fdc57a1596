"""Files of `lutcore gemm`: activations .npy and weights in, results .npz out.

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

from lutblas import importers, types
from lutblas.tensors import Tensor
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, SCALES, IntegerFormat
from lutcore.numbers import decode, representable
from lutcore.outputs import writing
from lutcore.weights import AffineWeights, TernaryWeights

__all__ = ["in_file", "read_activations", "read_array", "read_weights", "results_file"]

AFFINE_KEYS = ("codes", "bits", "scales", "zeros", "group")
TERNARY_KEYS = ("ternary", "scales", "group")

TYPED_KEYS = ("codes", "scales", "zeros", "offsets", "group", "codebook", "tensor_scale")

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Name `path` at the head of an InputError raised inside."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file, in native byte order; InputError if it holds none."""
    with in_file(path):
        content = _content(path)
        if not content.startswith(NPY_MAGIC):
            raise InputError("is not a .npy file; numpy.save writes one")
        with _decoding("array"):
            return _native(np.load(io.BytesIO(content), allow_pickle=False))


def read_activations(path: Path, activation_type: str | None = None) -> NDArray[Any]:
    """`read_array`, but integers that are numbers of the named type become those that carry it."""
    array = read_array(path)
    fmt = ACTIVATIONS.get(activation_type or "")
    if fmt is None or array.dtype.kind not in "iu" or not representable(array, fmt).all():
        return array
    return array.astype(np.int16 if isinstance(fmt, IntegerFormat) else np.float32)


def read_weights(
    path: Path, weight_type: str | None = None, tensor: str | None = None
) -> AffineWeights | TernaryWeights | Tensor:
    """The weights of a file; InputError with the file, key, value and what would do.

    .npz, affine: `codes`, `bits`, `scales`, `zeros`, `group`. Ternary: `ternary`, `scales` and
    `group`, which may be left out when there is one scale a column. With a weight type: `codes`,
    `scales` and what the type needs. GGUF and safetensors: the tensor of that name.
    """
    with in_file(path):
        content = _content(path)
    if not content.startswith(ZIP_MAGIC):
        if tensor is not None:
            return _imported(path, tensor, weight_type)
        with in_file(path):
            raise InputError(
                "is not a .npz archive; numpy.savez writes one, and --tensor names the weights of "
                "a GGUF or safetensors file"
            )
    with in_file(path):
        if tensor is not None:
            raise InputError("is a .npz archive, whose weights have no name; leave --tensor out")
        arrays = _read_archive(content)
        if weight_type is not None:
            return _typed(arrays, weight_type)
        if "ternary" in arrays:
            _check_keys(arrays, TERNARY_KEYS, optional=("group",))
            return TernaryWeights(arrays["ternary"], arrays["scales"], _ternary_group(arrays))
        _check_keys(arrays, AFFINE_KEYS)
        return AffineWeights(
            codes=arrays["codes"],
            bits=_integer("bits", arrays["bits"]),
            scales=arrays["scales"],
            zeros=arrays["zeros"],
            group=_integer("group", arrays["group"]),
        )


def _imported(path: Path, tensor: str, weight_type: str | None) -> Tensor:
    imported = importers.read(path, tensor)
    if weight_type not in (None, imported.type):
        with in_file(path):
            raise InputError(f"{tensor!r} is {imported.type}, not {weight_type}")
    with in_file(path):
        return Tensor.of(imported)


def _typed(arrays: dict[str, NDArray[Any]], name: str) -> Tensor:
    """The tensor of the type called `name`."""
    needed = ("codes", "codebook") if name == "codebook" else ("codes",)
    optional = tuple(key for key in TYPED_KEYS if key not in needed)
    _check_keys(arrays, TYPED_KEYS, optional)
    if name == "codebook":
        dtype = types.codebook(arrays["codebook"])
    elif "codebook" in arrays:
        raise InputError(f"key 'codebook' is of type codebook, not {name}; leave it out")
    else:
        dtype = types.named(name)
    scales = arrays.get("scales")
    if scales is not None and scales.dtype == np.uint8 and dtype.scale is not None:
        fmt = SCALES[dtype.scale]
        if fmt.bits == 8:  # as such formats are stored
            scales = decode(scales, fmt).astype(np.float32)
    if dtype.group is None and "group" not in arrays and scales is not None:
        _check_one_scale(scales)
    tensor_scale = arrays.get("tensor_scale", np.array(1.0))
    if tensor_scale.ndim or tensor_scale.dtype.kind != "f":
        raise InputError(
            f"tensor_scale must be one float, not {tensor_scale.dtype} of shape "
            f"{tensor_scale.shape}"
        )
    zeros = arrays.get("zeros")
    if zeros is not None and zeros.dtype.kind not in "fiu":
        raise InputError(f"zeros must be real numbers, not {zeros.dtype}")
    return Tensor(
        dtype,
        arrays["codes"],
        scales,
        None if zeros is None else zeros.astype(np.float64),
        arrays.get("offsets"),
        _integer("group", arrays["group"]) if "group" in arrays else None,
        float(tensor_scale),
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


def _check_keys(
    arrays: dict[str, NDArray[Any]], keys: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    for key in arrays:
        if key not in keys:
            raise InputError(f"unknown key {key!r}; known are {', '.join(keys)}")
    needed = [key for key in keys if key not in optional]
    for key in needed:
        if key not in arrays:
            raise InputError(f"key {key!r} is missing; needed are {', '.join(needed)}")


def _integer(key: str, array: NDArray[Any]) -> int:
    if array.ndim or array.dtype.kind not in "iu":
        raise InputError(f"{key} must be one integer, not {array.dtype} of shape {array.shape}")
    return int(array)


def _ternary_group(arrays: dict[str, NDArray[Any]]) -> int:
    """The key `group`, or all of K where there is one scale a column."""
    if "group" in arrays:
        return _integer("group", arrays["group"])
    _check_one_scale(arrays["scales"])
    ternary = arrays["ternary"]
    return max(1, ternary.shape[-1] if ternary.ndim else 1)


def _check_one_scale(scales: NDArray[Any]) -> None:
    if scales.ndim == 2 and scales.shape[1] != 1:
        raise InputError(
            f"key 'group' is missing, and scales have shape {scales.shape}; without it, "
            f"({scales.shape[0]}, 1) would do"
        )
