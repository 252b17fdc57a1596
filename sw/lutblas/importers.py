"""Import of weights as they are found: GGUF files, and safetensors of GPTQ, AWQ and BitNet.

`read` gives the codes, scales and zero points of one matrix, exactly as stored; `tensors` lists
what a file has. Whatever a file holds, reading it ends with an `Imported` or with an InputError of
one line that names the file and the tensor.
"""

from __future__ import annotations

import os
from pathlib import Path

from lutcore.errors import InputError

from .gguf_file import entries, read_gguf
from .imported import Imported, dequantised
from .safetensors_file import described, read_safetensors

__all__ = ["Imported", "dequantised", "read", "read_gguf", "read_safetensors", "tensors"]

GGUF_MAGIC = b"GGUF"


def read(path: str | os.PathLike[str], tensor: str) -> Imported:
    """The weights `tensor` of a GGUF or safetensors file, told apart by its first bytes."""
    return (read_gguf if _is_gguf(Path(path)) else read_safetensors)(path, tensor)


def tensors(path: str | os.PathLike[str]) -> dict[str, str]:
    """What the file has, by the name that `read` takes: types and shapes, [N, K] for a matrix."""
    path = Path(path)
    if _is_gguf(path):
        return {
            name: f"{entry.type_name} {list(entry.shape)}" for name, entry in entries(path).items()
        }
    return described(path)


def _is_gguf(path: Path) -> bool:
    """Whether the file is GGUF; InputError if it can be neither that nor safetensors."""
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if start.startswith(GGUF_MAGIC):
        return True
    if start[8:9] == b"{":  # after the length of the header
        return False
    raise InputError(f"{path}: is neither a GGUF nor a safetensors file, by its first bytes")
