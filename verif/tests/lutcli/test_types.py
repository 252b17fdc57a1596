"""`lutcore types`, `lutcore matrix`, and `lutcore gemm` of named types."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from lutblas.blocks import Fields, pack_gguf
from lutblas.tensors import Tensor, product
from lutblas.types import NF4, TYPES, codebook
from lutcore.config import PRESETS
from lutcore.formats import ACTIVATIONS

RNG = np.random.default_rng(3)
N, K = 5, 64
CODES = RNG.integers(0, 16, (N, K)).astype(np.uint8)
POWERS = np.ldexp(np.float32(1), RNG.integers(-3, 3, (N, 2)))
CASES: dict[str, dict[str, Any]] = {
    "mxfp4": {"scales": POWERS},
    "nvfp4": {"scales": np.repeat(POWERS, 2, axis=1), "tensor_scale": np.float32(0.5)},
    "nf4": {"scales": POWERS * np.float32(1.1), "group": 32},
    "ternary": {"codes": CODES % 3, "scales": POWERS, "group": 32},
    "q4_1": {"scales": POWERS, "offsets": -3 * POWERS},
    "uint4": {"scales": POWERS, "zeros": np.full((N, 2), 7.5), "group": 32},
    "codebook": {"scales": POWERS, "group": 32, "codebook": np.array(NF4, np.float32)},
}


def arrays(name: str) -> dict[str, Any]:
    """The case, codes included."""
    return {"codes": CODES} | CASES[name]


def tensor(name: str) -> Tensor:
    """The weights of the case, by hand."""
    fields = arrays(name)
    levels = fields.pop("codebook", None)
    dtype = TYPES[name] if levels is None else codebook(levels)
    return Tensor(dtype, **fields)


@pytest.mark.parametrize("preset", PRESETS)
def test_types_lists_every_type(preset: str, run: Callable[..., Any]) -> None:
    result = run("types", "--preset", preset)
    assert result.status == 0 and result.err == ""
    rows = {line.split()[0]: line for line in result.out.splitlines() if line.split()}
    for name, dtype in TYPES.items():
        assert dtype.storage in rows[name] and rows[name].split()[-1] == "yes"


@pytest.mark.parametrize("activation_type", ACTIVATIONS)
def test_every_activation_type(activation_type: str, folder: Path, run: Callable[..., Any]) -> None:
    """Integers of any width are numbers of the type that is named."""
    widths = (np.int64, np.uint8, np.int16, np.uint32)
    for name, width in zip(CASES, itertools.cycle(widths), strict=False):
        values = RNG.integers(0, 8, (3, K)).astype(width)
        np.save("A.npy", values)
        np.savez("W.npz", **arrays(name))
        result = run(
            "gemm", "--preset", "tiny", "--activations", "A.npy", "--weights", "W.npz",
            "--weight-type", name, "--activation-type", activation_type, "--backend", "golden",
            "--out", "O.npz",
        )  # fmt: skip
        assert result == (0, "", "")
        small = values.astype(np.int16 if activation_type.startswith("int") else np.float32)
        want = product(small, tensor(name), PRESETS["tiny"], activation_type=activation_type).out
        with np.load("O.npz") as results:
            assert want.any() and np.array_equal(results["out"], want)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_activations(dtype: type, folder: Path, run: Callable[..., Any]) -> None:
    """float32 holds the numbers of the type that is named; float16 needs no name."""
    values = RNG.choice(np.array([-0.25, 1.5, 7, 40960], dtype), (3, K))
    np.save("A.npy", values)
    np.savez("W.npz", **arrays("mxfp4"))
    kind = "fp16" if dtype == np.float16 else "e5m2"
    named = () if dtype == np.float16 else ("--activation-type", kind)
    result = run(
        "gemm", "--activations", "A.npy", "--weights", "W.npz", "--weight-type", "mxfp4",
        "--backend", "golden", "--out", "O.npz", *named,
    )  # fmt: skip
    assert result == (0, "", "")
    want = product(values, tensor("mxfp4"), PRESETS["paper"], activation_type=kind)
    with np.load("O.npz") as results:
        assert np.array_equal(results["out"], want.out)


def test_scales_as_codes(folder: Path, run: Callable[..., Any]) -> None:
    """Scales of 8-bit formats may be given as they are stored."""
    np.save("A.npy", RNG.integers(-128, 128, (3, K)).astype(np.int8))
    stored = (np.log2(POWERS) + 127).astype(np.uint8)
    for name, codes in (
        ("mxfp4", stored),
        ("nvfp4", np.repeat(np.uint8(8) * (stored - 120), 2, axis=1)),  # E4M3: 2^(field - 7)
    ):
        outs: list[bytes] = []
        for scales in (CASES[name]["scales"], codes):
            given: dict[str, Any] = arrays(name) | {"scales": scales}
            np.savez("W.npz", **given)
            result = run(
                "gemm", "--activations", "A.npy", "--weights", "W.npz", "--weight-type", name,
                "--backend", "golden", "--out", "O.npz",
            )  # fmt: skip
            assert result == (0, "", "")
            outs.append(Path("O.npz").read_bytes())
        assert outs[0] == outs[1]


def test_gptq_with_act_order(folder: Path, run: Callable[..., Any]) -> None:
    """Two groups of 32 whose activations are shuffled; zero points are stored less 1, modulo 16."""
    n = 8
    codes, zeros = RNG.integers(0, 16, (n, K)), RNG.integers(0, 16, (2, n))
    scales = np.ldexp(1.0, RNG.integers(-3, 3, (2, n))).astype(np.float16)
    g_idx = RNG.permutation(np.arange(K) // 32).astype(np.int32)

    def words(lines: np.ndarray) -> np.ndarray:
        """8 codes along the last axis in a word, the first in its low bits."""
        nibbles = lines.reshape(len(lines), -1, 8) << 4 * np.arange(8)
        return nibbles.sum(axis=-1).astype(np.uint32).view(np.int32)

    save_file(
        {
            "p.qweight": np.ascontiguousarray(words(codes).T),
            "p.qzeros": words((zeros - 1) % 16),
            "p.scales": scales,
            "p.g_idx": g_idx,
        },
        "w.safetensors",
    )
    a = RNG.integers(-128, 128, (3, K)).astype(np.int8)
    np.save("A.npy", a)
    result = run(
        "gemm", "--activations", "A.npy", "--weights", "w.safetensors", "--tensor", "p",
        "--backend", "golden", "--out", "O.npz",
    )  # fmt: skip
    assert result == (0, "", "")
    weights = (codes - zeros.T[:, g_idx]) * scales.T[:, g_idx].astype(np.float64)
    with np.load("O.npz") as results:
        assert np.array_equal(results["out"], a @ weights.T)


@pytest.mark.parametrize("activation_type", ["e4m3", "int16"])
@pytest.mark.parametrize("name", CASES)
def test_golden_and_rtl_agree(
    name: str, activation_type: str, folder: Path, run: Callable[..., Any]
) -> None:
    np.save("A.npy", RNG.integers(-8, 8, (3, K)))
    np.savez("W.npz", **arrays(name))
    outs = []
    for backend in ("golden", "rtl"):
        result = run(
            "gemm", "--preset", "tiny", "--activations", "A.npy", "--weights", "W.npz",
            "--weight-type", name, "--activation-type", activation_type, "--backend", backend,
            "--out", f"{backend}.npz",
        )  # fmt: skip
        assert result == (0, "", "")
        with np.load(f"{backend}.npz") as results:
            outs.append(results["out"])
    assert outs[0].any() and np.array_equal(outs[0], outs[1])


def save_gguf(path: str, raw: np.ndarray, kind: gguf.GGMLQuantizationType) -> None:
    writer = gguf.GGUFWriter(path, "test")
    writer.add_tensor("w", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def from_gguf(run: Callable[..., Any], *more: str, out: str = "O.npz") -> Any:
    return run(
        "gemm", "--preset", "paper", "--activations", "A.npy", "--weights", "w.gguf",
        "--backend", "golden", "--out", out, *more,
    )  # fmt: skip


def test_gguf(folder: Path, run: Callable[..., Any]) -> None:
    np.save("A.npy", RNG.integers(-128, 128, (3, K)).astype(np.int8))
    raw = pack_gguf("q4_0", Fields(CODES, POWERS))
    save_gguf("w.gguf", raw, gguf.GGMLQuantizationType.Q4_0)
    assert from_gguf(run, "--tensor", "w") == (0, "", "")
    theirs = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType.Q4_0)
    with np.load("O.npz") as results:
        assert np.array_equal(results["out"], np.load("A.npy") @ theirs.astype(np.float64).T)
    with np.load("O.npz") as results:
        first = results["out"]
    assert from_gguf(run, "--tensor", "w", "--weight-type", "q4_0") == (0, "", "")
    with np.load("O.npz") as results:
        assert np.array_equal(results["out"], first)
    # What is wrong is one line, and nothing is written.
    for more, message in (
        ((), "w.gguf: is not a .npz archive; numpy.savez writes one, and --tensor names"),
        (("--tensor", "v"), "w.gguf: has no tensor 'v'; of its 1, the nearest are ['w']"),
        (("--tensor", "w", "--weight-type", "q8_0"), "w.gguf: 'w' is q4_0, not q8_0"),
    ):
        refused(from_gguf(run, *more, out="N.npz"), message)
    save_gguf("w.gguf", np.zeros((2, 210), np.uint8), gguf.GGMLQuantizationType.Q6_K)
    refused(from_gguf(run, "--tensor", "w", out="N.npz"), "w.gguf: 'w': Q6_K is not supported; ")
    save_gguf("w.gguf", raw, gguf.GGMLQuantizationType.Q4_0)
    Path("w.gguf").write_bytes(Path("w.gguf").read_bytes()[:-40])
    refused(from_gguf(run, "--tensor", "w", out="N.npz"), "w.gguf: ")


def test_a_tensor_of_an_archive(folder: Path, run: Callable[..., Any]) -> None:
    np.savez("w.gguf.npz", **arrays("mxfp4"))
    Path("w.gguf.npz").rename("w.gguf")
    refused(
        from_gguf(run, "--tensor", "w", out="N.npz"),
        "w.gguf: is a .npz archive, whose weights have no name; leave --tensor out",
    )


@pytest.mark.parametrize("length", [3, 24, 60, 150])
def test_cut_gguf(length: int, folder: Path, run: Callable[..., Any]) -> None:
    raw = pack_gguf("q4_0", Fields(CODES, POWERS))
    save_gguf("w.gguf", raw, gguf.GGMLQuantizationType.Q4_0)
    Path("w.gguf").write_bytes(Path("w.gguf").read_bytes()[:length])
    refused(from_gguf(run, "--tensor", "w", out="N.npz"), "w.gguf: ")


def refused(result: Any, message: str) -> None:
    assert result.status == 2 and result.out == ""
    assert result.err.startswith(f"error: {message}"), result.err
    assert result.err.count("\n") == 1 and not Path("N.npz").exists()


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        (
            "mxfp4",
            {"codes": CODES[:, :40], "scales": POWERS},
            "W.npz: K must be a multiple of 32 for mxfp4, not 40; 64 would do",
        ),
        ("mxfp4", {"bits": 4}, "W.npz: unknown key 'bits'; known are codes, scales, zeros, off"),
        ("uint4", {"scales": POWERS}, "W.npz: key 'group' is missing, and scales have shape (5, 2"),
        ("uint4", {"scales": POWERS[:, :1], "zeros": np.full((N, 1), "x")}, "W.npz: zeros must be"),
        (
            "uint4",
            {"scales": POWERS[:, :1], "zeros": np.full((N, 1), 0.3)},
            "W.npz: zeros must be multiples of 1/2 within -32768..32768, but zeros[0, 0] is 0.3",
        ),
        ("nvfp4", {"scales": np.ones((N, 4)), "tensor_scale": np.ones(2)}, "W.npz: tensor_scale "),
        ("nf4", {"scales": POWERS, "group": 32, "codebook": [1]}, "W.npz: key 'codebook' is of ty"),
        ("codebook", {"scales": POWERS, "group": 32}, "W.npz: key 'codebook' is missing; needed"),
        ("codebook", {"scales": POWERS, "codebook": [[1]]}, "W.npz: codebook must be 2 to 256 re"),
        (
            "codebook",
            {"scales": POWERS, "group": 32, "codebook": np.arange(3)},
            "W.npz: codes must be below 2^2 = 4 for codebook, but codes[",
        ),
        ("int9", {}, "W.npz: type 'int9' is unknown; known are uint1, "),
        ("mxfp4", {}, "W.npz: scales are needed for mxfp4"),
        ("mxfp4", {"scales": 3 * POWERS}, "W.npz: scales must be e8m0 for mxfp4, but scales[0, 0]"),
        ("mxfp4", {"scales": POWERS[:, :1]}, "W.npz: scales must have shape (5, 2) for 5 columns"),
        ("q4_0", {"scales": POWERS, "offsets": POWERS}, "W.npz: offsets do not fit q4_0, which"),
        ("tq1_0", {"scales": POWERS}, "W.npz: codes must be below 2^2 = 4 for tq1_0, but codes["),
        (
            "codebook",
            {"scales": POWERS, "group": 32, "codebook": np.array([1, np.nan])},
            "W.npz: type codebook: code 1 decodes to nan",
        ),
    ],
)
def test_bad_weights(
    name: str, changed: dict[str, Any], message: str, folder: Path, run: Callable[..., Any]
) -> None:
    np.save("A.npy", np.zeros((3, K), np.int8))
    given: dict[str, Any] = {"codes": CODES} | changed
    np.savez("W.npz", **given)
    refused(
        run(
            "gemm", "--activations", "A.npy", "--weights", "W.npz", "--weight-type", name,
            "--backend", "golden", "--out", "N.npz",
        ),
        message,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "kind", "value", "message"),
    [
        ("paper", "e4m3", 17, "A.npy: activations must be e4m3, but activations[1, 2] is 17"),
        ("paper", "e4m3", -17, "A.npy: activations must be e4m3, but activations[1, 2] is -17"),
        ("ternary", "e5m2", 1, "A.npy: activations are e5m2, but the configuration 'ternary' is b"),
        ("paper", "int4", 8, "A.npy: activations must be int4, but activations[1, 2] is 8"),
        ("paper", "fp8", 1, "A.npy: activation type must be one of int4, int8, int16, fp16, "),
        ("wide", "bf16", 1, "A.npy: activations are bf16, but the configuration 'wide' is built "),
    ],
)
def test_bad_activations(
    preset: str, kind: str, value: int, message: str, folder: Path, run: Callable[..., Any]
) -> None:
    values = np.zeros((3, K), np.int8)
    values[1, 2] = value
    np.save("A.npy", values)
    np.savez("W.npz", **arrays("mxfp4"))
    refused(
        run(
            "gemm", "--preset", preset, "--activations", "A.npy", "--weights", "W.npz",
            "--weight-type", "mxfp4", "--activation-type", kind, "--backend", "golden",
            "--out", "N.npz",
        ),
        message,
    )  # fmt: skip


def test_matrix_prints_a_table(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutblas.types.TYPES", {"int2": TYPES["int2"]})
    monkeypatch.setattr("lutblas.matrix.TYPES", {"int2": TYPES["int2"]})
    result = run("matrix", "--preset", "tiny")
    assert result.status == 0
    assert "2 weight types x 7 activation types on core tiny" in " ".join(result.out.split())
