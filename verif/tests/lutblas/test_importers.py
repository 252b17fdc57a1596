"""Imports against `gguf`'s own dequantisation, packers of plain loops, and damaged files."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, quants
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lutblas import bitnet, blocks
from lutblas.importers import Imported, dequantised, read, read_gguf, read_safetensors, tensors
from lutcore.errors import InputError

TYPES = tuple(blocks.LAYOUTS)
PREFIX = "model.layers.0.mlp.down_proj"


def halves(rng: np.random.Generator, *shape: int) -> NDArray[np.float16]:
    """Finite float16 of any sign and size, subnormal and zero too."""
    bits = rng.integers(0, 0x7C00, shape) | rng.integers(0, 2, shape) << 15
    return bits.astype(np.uint16).view(np.float16)


def random_blocks(rng: np.random.Generator, name: str, n: int, count: int) -> NDArray[np.uint8]:
    """[n, count blocks] of random bytes, but with finite scales and offsets."""
    raw: list[NDArray[np.uint8]] = []
    for part, size in blocks.LAYOUTS[name].parts:
        if part in ("scale", "offset"):
            raw.append(halves(rng, n, count, 1).view(np.uint8))
        else:
            top = 255 if part == "exponent" else 256
            raw.append(rng.integers(0, top, (n, count, size)).astype(np.uint8))
    return np.concatenate(raw, axis=-1).reshape(n, -1)


def same_bits(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    assert found.dtype == expected.dtype == np.float32
    return np.array_equal(found.view(np.uint32), expected.view(np.uint32))


def gguf_dequantised(name: str, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # mxfp4 times 2^127
        return quants.dequantize(raw, GGMLQuantizationType[name.upper()])


def write_gguf(path: Path, matrices: Mapping[str, tuple[str, NDArray[Any]]]) -> Path:
    writer = GGUFWriter(path, "test")
    writer.add_array("tokens", ["a", "b"])
    for name, (kind, data) in matrices.items():
        writer.add_tensor(name, data, raw_dtype=GGMLQuantizationType[kind.upper()])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def raw_gguf(path: Path, dims: list[int], number: int, data: bytes, *, offset: int = 0) -> Path:
    """A file of one tensor "w", byte by byte; `dims` has K first."""
    content = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + struct.pack("<Q", 1) + b"w"
    content += struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, number, offset)
    path.write_bytes(content + bytes(-len(content) % 32) + data)
    return path


@pytest.fixture
def every_type(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, dict[str, Any]]:
    raw = {name: random_blocks(rng, name, 6, 3) for name in TYPES}
    path = write_gguf(tmp_path / "a.gguf", {f"{name}.weight": (name, raw[name]) for name in TYPES})
    return path, raw


@pytest.mark.parametrize("name", TYPES)
def test_gguf_of_every_type(every_type: tuple[Path, dict[str, Any]], name: str) -> None:
    path, raw = every_type
    imported = read_gguf(path, f"{name}.weight")
    layout = blocks.LAYOUTS[name]
    assert (imported.type, imported.group, imported.order) == (name, layout.block, None)
    assert imported.codes.shape == (6, 3 * layout.block) and imported.codes.dtype == np.uint8
    assert imported.scales.shape == (6, 3) and imported.scales.dtype == np.float32
    assert imported.zeros is None
    assert (imported.offsets is not None) == (name in ("q4_1", "q5_1"))
    assert same_bits(dequantised(imported), gguf_dequantised(name, raw[name]))


@pytest.mark.parametrize("name", TYPES)
def test_many_random_blocks(rng: np.random.Generator, name: str) -> None:
    raw = random_blocks(rng, name, 64, 40)
    fields = blocks.unpack_gguf(name, raw)
    block = blocks.LAYOUTS[name].block
    imported = Imported(name, fields.codes, fields.scales, None, fields.offsets, block, None)
    assert same_bits(dequantised(imported), gguf_dequantised(name, raw))


def test_damaged_ternary_blocks_keep_the_code_3(tmp_path: Path) -> None:
    raw = np.full((1, 66), 0xFF, dtype=np.uint8)
    raw[0, 64:] = 0x00, 0x3C
    imported = read(write_gguf(tmp_path / "a.gguf", {"w": ("tq2_0", raw)}), "w")
    assert (imported.codes == 3).all() and (dequantised(imported) == 2).all()


def test_real_q4_1(measuring_data: Path, tmp_path: Path) -> None:
    archive = measuring_data / "models" / "smollm2_q4_1" / "smollm2_135m_q4_1_slices.npz"
    with np.load(archive) as content:
        raw = {name: content[name] for name in content if content[name].dtype == np.uint8}
    assert len(raw) == 4
    path = write_gguf(tmp_path / "a.gguf", {name: ("q4_1", data) for name, data in raw.items()})
    for name, data in raw.items():
        imported = read(path, name)
        assert same_bits(dequantised(imported), gguf_dequantised("q4_1", data))
        fields = blocks.Fields(imported.codes, imported.scales, imported.offsets)
        assert np.array_equal(blocks.pack_gguf("q4_1", fields), data)


def test_tensors_of_gguf(tmp_path: Path, rng: np.random.Generator) -> None:
    norm = np.ones(8, dtype=np.float32)
    matrix = random_blocks(rng, "q5_1", 4, 2)
    path = write_gguf(tmp_path / "a.gguf", {"w": ("q5_1", matrix), "norm": ("f32", norm)})
    assert tensors(path) == {"w": "Q5_1 [4, 64]", "norm": "F32 [8]"}
    assert tensors(str(path)) == tensors(path)


@pytest.mark.parametrize("block", [128, 64])
def test_i2_s_of_gguf(tmp_path: Path, rng: np.random.Generator, block: int) -> None:
    codes = rng.integers(0, 3, (8, 256)).astype(np.uint8)
    data = bitnet.pack_i2_s(codes, 0.75, block).tobytes()
    path = raw_gguf(tmp_path / "a.gguf", [256, 8], 36, data)
    assert tensors(path) == {"w": "I2_S [8, 256]"}
    imported = read_gguf(path, "w", i2_s_block=block)
    assert (imported.type, imported.group) == ("ternary", 256)
    assert np.array_equal(imported.codes, codes)
    assert dequantised(imported).tolist() == (0.75 * (codes.astype(float) - 1)).tolist()
    assert np.array_equal(read(path, "w").codes, codes) == (block == 128)


# GPTQ and AWQ, packed by loops


def word(value: int) -> int:
    """The int32 of 32 bits."""
    return value - (1 << 32) if value >> 31 else value


def pack_line(values: list[int], bits: int) -> list[int]:
    """Words of codes, as AutoGPTQ fills them: for 3 bits, by cases at the borders of words."""
    words = [0] * (len(values) * bits // 32)
    for i, value in enumerate(values):
        at, place = divmod(i, 32 // bits)
        if bits != 3:
            words[at] |= value << (bits * place)
            continue
        turn, place = divmod(i, 32)
        first = 3 * turn
        if place < 10:
            words[first] |= value << (3 * place)
        elif place == 10:
            words[first] |= (value & 3) << 30
            words[first + 1] |= value >> 2
        elif place < 21:
            words[first + 1] |= value << (3 * (place - 11) + 1)
        elif place == 21:
            words[first + 1] |= (value & 1) << 31
            words[first + 2] |= value >> 1
        else:
            words[first + 2] |= value << (3 * (place - 22) + 2)
    return [word(value) for value in words]


class Quantised:
    """A random matrix: codes [N, K], zeros and scales [groups, N], and the group of every K."""

    def __init__(
        self, rng: np.random.Generator, bits: int, *, act_order: bool = False, group: int = 32
    ) -> None:
        self.n, self.k, self.bits = 64, 128, bits
        groups = -(-self.k // group)
        self.codes = rng.integers(0, 1 << bits, (self.n, self.k)).astype(np.uint8)
        self.zeros = rng.integers(0, 1 << bits, (groups, self.n))
        self.scales = halves(rng, groups, self.n)
        self.g_idx = (np.arange(self.k) // group).astype(np.int32)
        if act_order:
            self.g_idx = rng.permutation(self.g_idx)

    @property
    def weights(self) -> NDArray[np.float32]:
        weights = np.empty((self.n, self.k), dtype=np.float32)
        for k, group in enumerate(self.g_idx):
            scale = self.scales[group].astype(np.float32)
            weights[:, k] = scale * (self.codes[:, k] - self.zeros[group]).astype(np.float32)
        return weights

    def gptq(self, bias: int = 1) -> dict[str, NDArray[Any]]:
        stored = (self.zeros - bias) % (1 << self.bits)
        columns = [pack_line(column, self.bits) for column in self.codes.tolist()]
        return {
            f"{PREFIX}.qweight": np.ascontiguousarray(np.array(columns, dtype=np.int32).T),
            f"{PREFIX}.qzeros": np.array(
                [pack_line(line, self.bits) for line in stored.tolist()], dtype=np.int32
            ),
            f"{PREFIX}.scales": self.scales,
            f"{PREFIX}.g_idx": self.g_idx,
        }

    def awq(self) -> dict[str, NDArray[Any]]:
        def words(line: list[int]) -> list[int]:
            order = [0, 2, 4, 6, 1, 3, 5, 7]
            return [
                word(sum(line[at + column] << (4 * i) for i, column in enumerate(order)))
                for at in range(0, len(line), 8)
            ]

        arrays = {"qweight": self.codes.T, "qzeros": self.zeros}
        packed: dict[str, NDArray[Any]] = {
            f"{PREFIX}.{part}": np.array([words(line) for line in array.tolist()], dtype=np.int32)
            for part, array in arrays.items()
        }
        return packed | {f"{PREFIX}.scales": self.scales}


def save(tmp_path: Path, arrays: dict[str, NDArray[Any]], settings: Any = None) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    if settings is not None:
        content = json.dumps({"quantization_config": settings})
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq(tmp_path: Path, rng: np.random.Generator, bits: int) -> None:
    matrix = Quantised(rng, bits)
    path = save(tmp_path, matrix.gptq())
    imported = read(path, PREFIX)
    assert (imported.type, imported.group, imported.order) == (f"uint{bits}", 32, None)
    assert np.array_equal(imported.codes, matrix.codes)
    assert imported.zeros is not None and imported.zeros.dtype == np.float64
    assert np.array_equal(imported.zeros, matrix.zeros.T)
    assert same_bits(imported.scales, matrix.scales.T.astype(np.float32))
    assert same_bits(dequantised(imported), matrix.weights)


@pytest.mark.parametrize("group", [32, 48, 128])
def test_gptq_with_act_order(tmp_path: Path, rng: np.random.Generator, group: int) -> None:
    matrix = Quantised(rng, 4, act_order=True, group=group)
    imported = read_safetensors(save(tmp_path, matrix.gptq()), PREFIX)
    assert imported.group == group
    if group < 128:
        assert imported.order is not None and imported.order.dtype == np.int64
        assert np.array_equal(matrix.g_idx[imported.order], np.arange(128) // group)
        assert np.array_equal(imported.codes, matrix.codes[:, imported.order])
    else:
        assert imported.order is None
    assert same_bits(dequantised(imported), matrix.weights)


def test_gptq_without_g_idx(tmp_path: Path, rng: np.random.Generator) -> None:
    matrix = Quantised(rng, 4)
    arrays = matrix.gptq()
    del arrays[f"{PREFIX}.g_idx"]
    assert same_bits(dequantised(read(save(tmp_path, arrays), PREFIX)), matrix.weights)


def test_gptq_of_the_second_format(tmp_path: Path, rng: np.random.Generator) -> None:
    matrix = Quantised(rng, 2)
    settings = {"quant_method": "gptq", "checkpoint_format": "gptq_v2"}
    imported = read(save(tmp_path, matrix.gptq(bias=0), settings), PREFIX)
    assert same_bits(dequantised(imported), matrix.weights)


def test_settings_of_autogptq(tmp_path: Path, rng: np.random.Generator) -> None:
    matrix = Quantised(rng, 2)
    path = save(tmp_path, matrix.gptq(bias=0))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "quantize_config.json").write_text('{"checkpoint_format": "gptq_v2"}')
    assert same_bits(dequantised(read(path, PREFIX)), matrix.weights)


@pytest.mark.parametrize(
    "settings", [None, {"quant_method": "awq", "version": "GEMM"}, {"checkpoint_format": "gemm"}]
)
def test_awq(tmp_path: Path, rng: np.random.Generator, settings: dict[str, str] | None) -> None:
    matrix = Quantised(rng, 4)
    imported = read(save(tmp_path, matrix.awq(), settings), PREFIX)
    assert (imported.type, imported.group, imported.order) == ("uint4", 32, None)
    assert np.array_equal(imported.codes, matrix.codes)
    assert same_bits(dequantised(imported), matrix.weights)


# BitNet


def write_bfloat16(path: Path, weight: NDArray[np.uint8], scale: float) -> None:
    """`weight`, and its scale as BF16, which safetensors cannot write from numpy."""
    bits = np.array([scale], dtype=np.float32).view(np.uint32)[0] >> 16
    size = weight.size
    header = {
        f"{PREFIX}.weight": {"dtype": "U8", "shape": weight.shape, "data_offsets": [0, size]},
        f"{PREFIX}.weight_scale": {
            "dtype": "BF16",
            "shape": [1],
            "data_offsets": [size, size + 2],
        },
    }
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + weight.tobytes() + struct.pack("<H", bits)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 1 / 2.5),
        ({"linear_class": "bitlinear"}, 1 / 2.5),
        ({"linear_class": "autobitlinear"}, 2.5),
    ],
)
def test_bitnet(
    tmp_path: Path, rng: np.random.Generator, settings: dict[str, str], scale: float
) -> None:
    codes = rng.integers(0, 3, (16, 8)).astype(np.uint8)
    packed = np.zeros((4, 8), dtype=np.uint8)
    for n, line in enumerate(codes.tolist()):
        for k, code in enumerate(line):
            packed[n % 4, k] |= code << (2 * (n // 4))
    path = save(tmp_path, {"other": codes}, {"quant_method": "bitnet", **settings})
    write_bfloat16(path, packed, 2.5)
    imported = read(path, PREFIX)
    assert (imported.type, imported.group, imported.zeros) == ("ternary", 8, None)
    assert np.array_equal(imported.codes, codes)
    assert same_bits(imported.scales, np.full((16, 1), scale, dtype=np.float32))
    expected = np.float32(scale) * (codes.astype(np.float32) - 1)
    assert same_bits(dequantised(imported), expected)


def test_tensors_of_safetensors(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = Quantised(rng, 4).gptq()
    arrays["model.norm.weight"] = np.ones(8, np.float16)
    arrays[f"{PREFIX}.bias"] = np.ones(8, np.float16)
    assert tensors(save(tmp_path, arrays)) == {
        PREFIX: "qweight I32 [16, 64], qzeros I32 [4, 8], scales F16 [4, 64], g_idx I32 [128]",
        "model.norm.weight": "F16 [8]",
        f"{PREFIX}.bias": "F16 [8]",
    }


# Errors


def fails(path: Path, tensor: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read(path, tensor)


SUPPORTED = "Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0, TQ2_0, IQ4_NL, MXFP4, I2_S"


@pytest.mark.parametrize(
    ("dims", "number", "data", "message"),
    [
        ([32, 2], 1, b"", f"F16 is not supported; supported are {SUPPORTED}"),
        ([32, 2], 12, b"", f"Q4_K is not supported; supported are {SUPPORTED}"),
        ([32, 2], 77, b"", f"type 77 is not supported; supported are {SUPPORTED}"),
        ([32], 2, bytes(18), "must have a shape [N, K], not [32]"),
        ([32, 2, 3], 2, bytes(108), "must have a shape [N, K], not [3, 2, 32]"),
        ([32, 0], 2, b"", "must have a shape [N, K], not [0, 32]"),
        ([48, 2], 2, bytes(54), "K must be a multiple of 32 for q4_0, not 48"),
        ([128, 2], 34, bytes(54), "K must be a multiple of 256 for tq1_0, not 128"),
        ([64, 2], 36, bytes(64), "K must be a multiple of 128 for I2_S, not 64"),
        (
            [32, 2],
            2,
            bytes(35),
            "is cut short: 36 bytes from 96 on need a file of 132 bytes, and it has 131",
        ),
        (
            [128, 2],
            36,
            bytes(67),
            "is cut short: 68 bytes from 96 on need a file of 164 bytes, and it has 163",
        ),
        (
            [32, 2],
            2,
            bytes(18) + struct.pack("<H", 0x7C00) + bytes(16),
            "scales[1, 0] is inf; a finite one would do",
        ),
        (
            [32, 1],
            3,
            struct.pack("<HH", 0x3C00, 0x7D01) + bytes(16),
            "offsets[0, 0] is nan; a finite one would do",
        ),
        ([32, 1], 39, b"\xff" + bytes(16), "scales[0, 0] is nan; a finite one would do"),
        ([128, 1], 36, b"\xff" * 64, "codes[0, 0] is 3; 0, 1 or 2 would do"),
        (
            [128, 1],
            36,
            bytes(32) + struct.pack("<f", float("nan")) + bytes(28),
            "scales[0, 0] is nan; a finite one would do",
        ),
    ],
)
def test_gguf_tensors_that_cannot_be_read(
    tmp_path: Path, dims: list[int], number: int, data: bytes, message: str
) -> None:
    fails(raw_gguf(tmp_path / "a.gguf", dims, number, data), "w", f"'w': {message}")


def test_unknown_gguf_tensor(every_type: tuple[Path, dict[str, Any]]) -> None:
    nearest = "['q4_1.weight', 'q4_0.weight', 'iq4_nl.weight']"
    fails(
        every_type[0],
        "q4_2.weight",
        f"has no tensor 'q4_2.weight'; of its 9, the nearest are {nearest}",
    )


def test_gguf_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0) + bytes(8))
    assert tensors(path) == {}
    fails(path, "w", "has no tensor 'w', nor any other")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GGUF", "bytes 4 to 8 of a file of 4"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1, 0), "bytes 24 to 32 of a file of 24"),
        (
            # A key "k" with an array of 2^60 bytes, of which there are none.
            struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 0, 1 << 60),
            "bytes 49 to 50 of a file of 49",
        ),
        (
            struct.pack("<4sIQQQ1sIQ", b"GGUF", 3, 0, 1, 1, b"k", 8, (1 << 64) - 1),
            "bytes 45 to 18446744073709551660 of a file of 45",
        ),
    ],
    ids=["version", "tensor", "array", "string"],
)
def test_damaged_gguf_headers(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    fails(path, "w", f"GGUF header is damaged or cut short: {message}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (struct.pack("<4sIQQ", b"GGUF", 9, 0, 0), "version 9"),
        (struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"k", 99), "not a valid GGUFValueType"),
    ],
    ids=["version", "type"],
)
def test_gguf_headers_that_the_reader_refuses(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{path}: GGUF header is damaged .*{reason}[^\n]*$"):
        read(path, "w")


def test_gguf_header_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutblas.gguf_file.MAX_FIELDS", 100)
    path = tmp_path / "a.gguf"
    head = struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 0, 1 << 60)
    path.write_bytes(head + bytes(1000))
    fails(path, "w", "GGUF header is damaged or cut short: more than 100 fields")


def test_gguf_of_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(struct.pack(">4sIQQ", b"GGUF", 3, 0, 0) + bytes(8))
    fails(path, "w", "is of the other byte order; little-endian would do")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = raw_gguf(tmp_path / "a.gguf", [32, 1], 2, bytes(18))
    assert tensors(path) == tensors(path) == {"w": "Q4_0 [1, 32]"}
    raw_gguf(path, [32, 2], 2, bytes(36))
    assert tensors(path) == {"w": "Q4_0 [2, 32]"}


def test_gguf_with_a_tensor_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    one = struct.pack("<Q1sIQQIQ", 1, b"w", 2, 32, 1, 2, 0)
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 2, 0) + one + one + bytes(64))
    fails(path, "w", "GGUF header is damaged or cut short: tensor 'w' is there twice")


def test_neither_format(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 is a zip", b"{}"):
        path = tmp_path / "a.bin"
        path.write_bytes(content)
        fails(path, "w", "is neither a GGUF nor a safetensors file, by its first bytes")


@pytest.mark.parametrize("reader", [read, read_gguf, read_safetensors])
def test_files_that_cannot_be_opened(tmp_path: Path, reader: Any) -> None:
    missing = tmp_path / "none.gguf"
    with pytest.raises(InputError, match=rf"^{missing}: cannot be read: No such file"):
        reader(missing, "w")
    with pytest.raises(InputError, match=rf"^{tmp_path}: cannot be read: Is a directory$"):
        reader(tmp_path, "w")


def test_the_wrong_reader(tmp_path: Path, every_type: tuple[Path, dict[str, Any]]) -> None:
    path = save(tmp_path, {"w": np.ones(3)})
    with pytest.raises(InputError, match=r": GGUF header is damaged or cut short: GGUF magic inv"):
        read_gguf(path, "w")
    with pytest.raises(InputError, match=r": safetensors header is damaged or cut short: "):
        read_safetensors(every_type[0], "w")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"qzeros": None},
            "has no qzeros; needed are qweight, qzeros, scales",
        ),
        (
            {"qweight": None, "scales": None},
            "has no qweight and no scales; needed are qweight, qzeros, scales",
        ),
        ({"qweight": np.ones((16, 64))}, "qweight must be I32, not F64"),
        ({"scales": np.ones((4, 64), np.int32)}, "scales must be F16 or BF16 or F32, not I32"),
        (
            {"scales": np.ones(64, np.float16)},
            "must be of matrices, not qweight I32 [16, 64], qzeros I32 [4, 8], scales F16 [64]",
        ),
        (
            {"scales": np.ones((4, 60), np.float16)},
            "fits neither GPTQ of 2, 3, 4 or 8 bits ([K bits/32, N], [groups, N bits/32], [groups, "
            "N]) nor AWQ ([K, N/8], [groups, N/8], [groups, N]): qweight I32 [16, 64], qzeros I32 "
            "[4, 8], scales F16 [4, 60]",
        ),
        (
            {"qzeros": np.ones((4, 10), np.int32)},
            "fits neither GPTQ of 2, 3, 4 or 8 bits ([K bits/32, N], [groups, N bits/32], [groups, "
            "N]) nor AWQ ([K, N/8], [groups, N/8], [groups, N]): qweight I32 [16, 64], qzeros I32 "
            "[4, 10], scales F16 [4, 64]",
        ),
        ({"g_idx": np.zeros(100, np.int32)}, "g_idx must have shape (128,), not (100,)"),
        ({"g_idx": np.full(128, 4, np.int32)}, "g_idx[0] must be 0..3, not 4"),
        (
            {"g_idx": np.zeros(128, np.int32)},
            "g_idx has 0 weights in group 1 and 128 in group 0; groups of one length would do",
        ),
        (
            {"g_idx": None, "qweight": np.ones((15, 64), np.int32)}
            | {"qzeros": np.ones((7, 8), np.int32), "scales": np.ones((7, 64), np.float16)},
            "K must be a multiple of the 7 groups of scales, not 120",
        ),
        (
            {"scales": np.full((4, 64), np.nan, np.float16)},
            "scales[0, 0] is nan; a finite one would do",
        ),
    ],
)
def test_gptq_that_does_not_fit(
    tmp_path: Path, rng: np.random.Generator, change: dict[str, NDArray[Any] | None], message: str
) -> None:
    arrays: dict[str, Any] = Quantised(rng, 4).gptq()
    arrays |= {f"{PREFIX}.{part}": array for part, array in change.items()}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    fails(save(tmp_path, arrays), PREFIX, f"{PREFIX!r}: {message}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"quant_method": "awq"},
            "quant_method is 'awq' in its configuration, but its shapes gptq's",
        ),
        (
            {"checkpoint_format": "marlin"},
            "gptq of format 'marlin' is not supported; ('gptq', 'gptq_v2') are",
        ),
    ],
)
def test_settings_that_do_not_fit(
    tmp_path: Path, rng: np.random.Generator, settings: dict[str, str], message: str
) -> None:
    path = save(tmp_path, Quantised(rng, 4).gptq(), settings)
    fails(path, PREFIX, f"{PREFIX!r}: {message}")


def test_damaged_settings(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path, Quantised(rng, 4).gptq())
    (tmp_path / "config.json").write_bytes(b"{")
    with pytest.raises(InputError, match=rf"^{path}: '{PREFIX}': config.json is damaged or cut sh"):
        read(path, PREFIX)


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        (
            {"weight_scale": np.ones(1, np.float32)},
            {},
            "has no weight; needed are weight, weight_scale",
        ),
        (
            {"weight": np.ones((4, 8), np.uint8)},
            {},
            "has no weight_scale; needed are weight, weight_scale",
        ),
        (
            {"weight": np.ones((4, 8), np.float16)},
            {},
            "F16 [4, 8] is not supported; supported are GPTQ or AWQ (qweight, qzeros, scales) and "
            "BitNet (uint8 weight, weight_scale)",
        ),
        (
            {"weight": np.ones((4, 8), np.uint8), "weight_scale": np.ones(2, np.float32)},
            {"quant_method": "bitnet"},
            "weight_scale must be one number, not of shape (2,)",
        ),
        (
            {"weight": np.full((4, 8), 3, np.uint8), "weight_scale": np.ones(1, np.float32)},
            {"quant_method": "bitnet"},
            "codes[0, 0] is 3; 0, 1 or 2 would do",
        ),
        (
            {"weight": np.ones((4, 8), np.uint8), "weight_scale": np.zeros(1, np.float32)},
            {"quant_method": "bitnet"},
            "scales[0, 0] is inf; a finite one would do",
        ),
        (
            {"weight": np.ones((4, 8), np.uint8), "weight_scale": np.ones(1, np.float32)},
            {"quant_method": "bitnet", "linear_class": "linear"},
            "linear_class must be 'bitlinear' or 'autobitlinear', not 'linear'",
        ),
        (
            {"weight": np.ones((4, 8), np.uint8), "weight_scale": np.ones(1, np.float32)},
            {},
            "needs a config.json beside it, whose quantization_config with quant_method 'bitnet' "
            "says by linear_class whether weight_scale divides or multiplies",
        ),
    ],
)
def test_bitnet_that_does_not_fit(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], settings: dict[str, str], message: str
) -> None:
    path = save(tmp_path, {f"{PREFIX}.{part}": array for part, array in arrays.items()}, settings)
    fails(path, PREFIX, f"{PREFIX!r}: {message}")


def test_unknown_safetensors(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path, Quantised(rng, 4).gptq())
    message = f"has no tensor 'model.down_proj'; of its 1, the nearest are ['{PREFIX}']"
    fails(path, "model.down_proj", message)


def test_cut_safetensors(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path, Quantised(rng, 4).gptq())
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(InputError, match=rf"^{path}: safetensors header is damaged or cut short: "):
        read(path, PREFIX)


def test_type_that_does_not_exist() -> None:
    codes, scales = np.ones((1, 2), np.uint8), np.ones((1, 1), np.float32)
    message = r"^type 'q4' is unknown; known are uint1, .*, ternary, .*, iq4_nl$"
    with pytest.raises(InputError, match=message):
        Imported("q4", codes, scales, None, None, 2, None)


def read_all(path: Path) -> None:
    """Read everything; an InputError of one line that names the file is as good."""
    try:
        for name in tensors(path):
            try:
                read(path, name)
            except InputError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_whatever_a_file_holds(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    if kind == "gguf":
        raw = {name: (name, random_blocks(rng, name, 1, 1)) for name in ("q4_1", "q8_0")}
        content = write_gguf(tmp_path / "whole", raw).read_bytes()
    else:
        content = save(tmp_path, Quantised(rng, 2).gptq()).read_bytes()
    header = min(len(content), 420)
    for size in range(0, header, 3):
        path = tmp_path / f"cut{size}"
        path.write_bytes(content[:size])
        read_all(path)
    for number in range(300):
        path = tmp_path / f"damaged{number}"
        damaged = bytearray(content)
        for at in rng.integers(0, header, rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        read_all(path)
