"""Weights of safetensors files: GPTQ, AWQ and BitNet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from lutcore.errors import InputError

from . import bitnet, words
from .imported import Imported, at, decoding, unknown

__all__ = ["described", "read_safetensors"]

SAFETENSORS_NAMES = "GPTQ or AWQ (qweight, qzeros, scales) and BitNet (uint8 weight, weight_scale)"

PARTS = ("qweight", "qzeros", "scales", "g_idx", "weight", "weight_scale")
"""Last names of the tensors that make up quantised weights."""

QUANTISED = frozenset(("qweight", "qzeros", "weight_scale"))
"""Those by which quantised weights are known."""


@dataclass(frozen=True)
class _Safetensors:
    """An open safetensors file; `names` gives the type and shape of every tensor in words."""

    path: Path
    handle: Any
    names: dict[str, str]

    def parts(self, prefix: str) -> dict[str, str]:
        """Those PARTS that there are of `prefix`, with their types and shapes in words."""
        names = {part: f"{prefix}.{part}" for part in PARTS}
        return {part: self.names[name] for part, name in names.items() if name in self.names}

    def get(self, name: str, *dtypes: str) -> NDArray[Any]:
        """The tensor `name`, of one of `dtypes`; BF16, which numpy has not, as float32."""
        part = name.rpartition(".")[2]
        dtype = self.names[name].partition(" ")[0]
        if dtype not in dtypes:
            raise InputError(f"{part} must be {' or '.join(dtypes)}, not {dtype}")
        with decoding(part):
            return self._bfloat16(name) if dtype == "BF16" else self.handle.get_tensor(name)

    def _bfloat16(self, name: str) -> NDArray[np.float32]:
        with self.path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            place = json.loads(stream.read(size))[name]
            start, stop = place["data_offsets"]
            stream.seek(8 + size + start)
            raw = stream.read(stop - start)
        bits = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(place["shape"])


@contextmanager
def _open_safetensors(path: Path) -> Iterator[_Safetensors]:
    with at(path):
        with decoding("safetensors header"):
            path.open("rb").close()  # names the reason, as the library does not for a directory
            handle = safe_open(path, framework="np")
        with handle:
            with decoding("safetensors header"):
                keys = handle.keys()  # a list; the handle itself cannot be iterated
                names = {name: _describe(handle.get_slice(name)) for name in keys}
            yield _Safetensors(path, handle, names)


def _describe(part: Any) -> str:
    return f"{part.get_dtype()} {list(part.get_shape())}"


def described(path: Path) -> dict[str, str]:
    """What the file has, by the name that `read_safetensors` takes, or else the tensor's own."""
    with _open_safetensors(path) as file:
        found: dict[str, str] = {}
        for name in file.names:
            prefix, _, part = name.rpartition(".")
            own = file.parts(prefix)
            if part in PARTS and QUANTISED & own.keys():
                found[prefix] = ", ".join(f"{key} {own[key]}" for key in PARTS if key in own)
            else:
                found[name] = file.names[name]
        return found


def read_safetensors(path: str | os.PathLike[str], tensor: str) -> Imported:
    """The weights of `tensor`, a prefix such as "model.layers.0.mlp.down_proj".

    GPTQ of 2, 3, 4 or 8 bits and AWQ are told apart by the shapes of `qweight` and `scales`. The
    configuration beside the file (config.json, quantize_config.json or quant_config.json), if there
    is one, says whether GPTQ's zero points are of gptq_v2; BitNet needs it.
    """
    path = Path(path)
    with _open_safetensors(path) as file:
        own = file.parts(tensor)
        if not QUANTISED & own.keys() and tensor not in file.names and "weight" not in own:
            raise unknown(tensor, _prefixes(list(file.names)))
        with at(repr(tensor)):
            if "qweight" in own or "qzeros" in own:
                return _read_words(file, tensor, own)
            return _read_bitnet(file, tensor, own)


def _prefixes(names: Sequence[str]) -> list[str]:
    """The names that `read_safetensors` takes, each once."""
    split = (name.rpartition(".") for name in names)
    return list(
        dict.fromkeys(head if last in PARTS else head + dot + last for head, dot, last in split)
    )


def _need(own: dict[str, str], *wanted: str) -> None:
    missing = [part for part in wanted if part not in own]
    if missing:
        raise InputError(f"has no {' and no '.join(missing)}; needed are {', '.join(wanted)}")


FLOATS = ("F16", "BF16", "F32")


def _read_words(file: _Safetensors, tensor: str, own: dict[str, str]) -> Imported:
    """GPTQ or AWQ."""
    _need(own, "qweight", "qzeros", "scales")
    settings = _settings(file.path)
    qweight, qzeros = (file.get(f"{tensor}.{part}", "I32") for part in ("qweight", "qzeros"))
    scales = file.get(f"{tensor}.scales", *FLOATS)
    shapes = f"qweight {own['qweight']}, qzeros {own['qzeros']}, scales {own['scales']}"
    if not (qweight.ndim == qzeros.ndim == scales.ndim == 2) or 0 in qweight.shape + scales.shape:
        raise InputError(f"must be of matrices, not {shapes}")
    groups, n = scales.shape
    method = {n: "gptq", n // 8: "awq"}.get(qweight.shape[1])
    bits = qzeros.shape[1] * 32 // n
    if method is None or qzeros.shape != (groups, n * bits // 32) or bits not in (2, 3, 4, 8):
        raise InputError(
            f"fits neither GPTQ of 2, 3, 4 or 8 bits ([K bits/32, N], [groups, N bits/32], "
            f"[groups, N]) nor AWQ ([K, N/8], [groups, N/8], [groups, N]): {shapes}"
        )
    zero_bias = _check_method(method, settings)
    if method == "awq":
        codes, scales, zeros = words.unpack_awq(qweight, qzeros, scales)
    else:
        codes, scales, zeros = words.unpack_gptq(qweight, qzeros, scales, bits, zero_bias)
    k = codes.shape[1]
    if method == "gptq" and "g_idx" in own:
        g_idx = file.get(f"{tensor}.g_idx", "I32", "I64")
        if g_idx.shape != (k,):
            raise InputError(f"g_idx must have shape ({k},), not {g_idx.shape}")
        order, group = words.contiguous(g_idx, groups)
    elif k % groups:
        raise InputError(f"K must be a multiple of the {groups} groups of scales, not {k}")
    else:
        order, group = None, k // groups
    codes = codes if order is None else codes[:, order]
    return Imported(f"uint{bits}", codes, scales, zeros, None, group, order)


def _check_method(method: str, settings: dict[str, Any]) -> int:
    """What stored zero points of GPTQ lack; InputError where the configuration is of another kind.

    AWQ gives its layout as `version`, or as `checkpoint_format` where GPTQModel wrote it.
    """
    named = str(settings.get("quant_method", method)).lower()
    if named != method:
        raise InputError(
            f"quant_method is {named!r} in its configuration, but its shapes {method}'s"
        )
    formats = {"gptq": ("gptq", "gptq_v2"), "awq": ("gemm",)}[method]
    layout = settings.get("checkpoint_format", settings.get("version") if method == "awq" else None)
    name = formats[0] if layout is None else str(layout).lower()
    if name not in formats:
        raise InputError(f"{method} of format {name!r} is not supported; {formats} are")
    return 0 if name == "gptq_v2" else 1


def _read_bitnet(file: _Safetensors, tensor: str, own: dict[str, str]) -> Imported:
    """BitNet's ternary weights: w = q / weight_scale in a BitLinear, q weight_scale in an Auto."""
    if not own.get("weight", "U8").startswith("U8") or not {"weight", "weight_scale"} & own.keys():
        description = own.get("weight") or file.names[tensor]
        raise InputError(f"{description} is not supported; supported are {SAFETENSORS_NAMES}")
    _need(own, "weight", "weight_scale")
    codes = bitnet.unpack_hf(file.get(f"{tensor}.weight", "U8"))
    scale = file.get(f"{tensor}.weight_scale", *FLOATS)
    if scale.size != 1:
        raise InputError(f"weight_scale must be one number, not of shape {scale.shape}")
    settings = _settings(file.path)
    if settings.get("quant_method") != "bitnet":
        raise InputError(
            "needs a config.json beside it, whose quantization_config with quant_method 'bitnet' "
            "says by linear_class whether weight_scale divides or multiplies"
        )
    value = scale.astype(np.float32).reshape(())
    linear = settings.get("linear_class", "bitlinear")
    if linear == "bitlinear":
        with np.errstate(divide="ignore", over="ignore"):
            value = np.float32(1) / value
    elif linear != "autobitlinear":
        raise InputError(f"linear_class must be 'bitlinear' or 'autobitlinear', not {linear!r}")
    scales = np.full((codes.shape[0], 1), value, dtype=np.float32)
    return Imported("ternary", codes, scales, None, None, codes.shape[1], None)


def _settings(path: Path) -> dict[str, Any]:
    """The quantisation settings in the files beside `path`, or none."""
    for name in ("config.json", "quantize_config.json", "quant_config.json"):
        beside = path.with_name(name)
        if not beside.is_file():
            continue
        with decoding(name):
            content = json.loads(beside.read_text(encoding="utf-8"))
        if name == "config.json":
            content = content.get("quantization_config") if isinstance(content, dict) else None
        if isinstance(content, dict):
            return content
    return {}
