"""`lutcore types`, `lutcore matrix`, and `lutcore gemm` of named types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from lutblas.blocks import Fields, pack_gguf
from lutblas.types import NF4, TYPES
from lutcore.config import PRESETS

RNG = np.random.default_rng(3)
N, K = 5, 64
CODES = RNG.integers(0, 16, (N, K)).astype(np.uint8)
POWERS = np.ldexp(np.float32(1), RNG.integers(-3, 3, (N, 2)))
CASES: dict[str, dict[str, Any]] = {
    "mxfp4": {"scales": POWERS},
    "nvfp4": {"scales": np.repeat(POWERS, 2, axis=1), "tensor_scale": np.float32(0.5)},
    "nf4": {"scales": POWERS * np.float32(1.1), "group": 32},
    "q4_1": {"scales": POWERS, "offsets": -3 * POWERS},
    "uint4": {"scales": POWERS, "zeros": np.full((N, 2), 7), "group": 32},
    "codebook": {"scales": POWERS, "group": 32, "codebook": np.array(NF4, np.float32)},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_types_lists_every_type(preset: str, run: Callable[..., Any]) -> None:
    result = run("types", "--preset", preset)
    assert result.status == 0
    assert set(TYPES) <= set(result.out.split())


@pytest.mark.parametrize("activation_type", ["int4", "e4m3", "bf16", "int16"])
@pytest.mark.parametrize("name", CASES)
def test_golden_and_rtl_agree(
    name: str, activation_type: str, folder: Path, run: Callable[..., Any]
) -> None:
    np.save("A.npy", RNG.integers(-8, 8, (3, K)))
    np.savez("W.npz", codes=CODES, **CASES[name])
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


def refused(result: Any, message: str) -> None:
    assert result.status == 2 and result.out == ""
    assert result.err.startswith(f"error: {message}"), result.err
    assert result.err.count("\n") == 1 and not Path("N.npz").exists()


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
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
    name: str, arrays: dict[str, Any], message: str, folder: Path, run: Callable[..., Any]
) -> None:
    np.save("A.npy", np.zeros((3, K), np.int8))
    np.savez("W.npz", codes=CODES, **arrays)
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
    np.savez("W.npz", codes=CODES, **CASES["mxfp4"])
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
