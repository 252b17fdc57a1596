from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutblas.tensors import Tensor
from lutcli.files import read_weights
from lutcore.config import PRESETS, preset
from lutverif import golden

TINY = preset("tiny")


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint32)


@pytest.mark.parametrize("weights", ["W.npz", "T.npz"])
@pytest.mark.parametrize("dtype", [np.int8, np.float16])
def test_golden(weights: str, dtype: type, folder: Path, gemm: Callable[..., Any]) -> None:
    activations = np.load("A.npy").astype(dtype)
    np.save("A.npy", activations)
    assert gemm(weights=weights) == (0, "", "")
    with np.load("O.npz") as results:
        assert sorted(results.files) == ["config", "out"]
        assert str(results["config"]) == TINY.to_toml()
        ready = read_weights(Path(weights))
        assert not isinstance(ready, Tensor)
        expected = golden.core(activations, ready, TINY, "fp32")
        assert results["out"].dtype == np.float32
        assert np.array_equal(bits(results["out"]), bits(expected))


@pytest.mark.parametrize("backend", ["golden", "rtl"])
def test_addends(backend: str, folder: Path, gemm: Callable[..., Any]) -> None:
    core = replace(TINY, addends=True)
    Path("c.toml").write_text(core.to_toml())
    activations, weights = np.load("A.npy"), read_weights(Path("W.npz"))
    assert not isinstance(weights, Tensor)
    shape = len(activations), weights.shape[0]
    addends = np.linspace(-3, 5, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    np.save("C.npy", addends)
    assert gemm(config="c.toml", addends="C.npy", backend=backend) == (0, "", "")
    expected = golden.core(activations, weights, core, addends=addends)
    with np.load("O.npz") as results:
        assert np.array_equal(bits(results["out"]), bits(expected))
    assert not np.array_equal(expected, golden.core(activations, weights, core))


def test_addends_that_do_not_fit(folder: Path, gemm: Callable[..., Any]) -> None:
    np.save("C.npy", np.zeros((1, 1), np.float32))
    assert "takes no addends" in gemm(addends="C.npy").err
    Path("c.toml").write_text(replace(TINY, addends=True).to_toml())
    assert "addends must have shape" in gemm(config="c.toml", addends="C.npy").err
    Path("C.npy").write_text("no array")
    assert "is not a .npy file" in gemm(config="c.toml", addends="C.npy").err
    assert not Path("O.npz").exists()


def test_int32_is_twice_the_integer_product(folder: Path, gemm: Callable[..., Any]) -> None:
    assert gemm(output="int32").status == 0
    with np.load("W.npz") as w, np.load("O.npz") as results:
        zeros = np.repeat(w["zeros"], int(w["group"]), axis=1)[:, : w["codes"].shape[1]]
        product = np.load("A.npy").astype(np.int64) @ (2 * (w["codes"] - zeros)).astype(np.int64).T
        assert results["out"].dtype == np.int32
        assert np.array_equal(results["out"], product)


@pytest.mark.parametrize("output", ["fp32", "int32"])
def test_golden_and_rtl_agree(output: str, folder: Path, gemm: Callable[..., Any]) -> None:
    assert gemm(backend="rtl", output=output) == (0, "", "")
    assert gemm(backend="golden", output=output, out="P.npz") == (0, "", "")
    with np.load("O.npz") as rtl, np.load("P.npz") as golden:
        assert sorted(rtl.files) == ["config", "cycles", "out"]
        assert sorted(golden.files) == ["config", "out"]
        assert rtl["out"].dtype == golden["out"].dtype and golden["out"].any()
        assert rtl["out"].tobytes() == golden["out"].tobytes()
        assert int(rtl["cycles"]) > 0 and rtl["config"] == golden["config"]


# The others have scales of FP16 alone.
@pytest.mark.parametrize("name", [n for n in PRESETS if "fp32" in PRESETS[n].scales])
def test_config_file_and_preset_agree(name: str, folder: Path, gemm: Callable[..., Any]) -> None:
    Path("c.toml").write_text(PRESETS[name].to_toml())
    assert gemm(preset=name).status == 0
    assert gemm(config="c.toml", out="P.npz").status == 0
    assert Path("O.npz").read_bytes() == Path("P.npz").read_bytes()


def test_foreign_byte_and_memory_order(folder: Path, gemm: Callable[..., Any]) -> None:
    np.save("A.npy", np.load("A.npy").astype("<f2"))
    assert gemm().status == 0
    np.save("B.npy", np.asfortranarray(np.load("A.npy").astype(">f2")))
    assert gemm(activations="B.npy", out="P.npz").status == 0
    assert Path("O.npz").read_bytes() == Path("P.npz").read_bytes()


@pytest.mark.parametrize("output", ["fp16", "bf16"])
def test_outputs_of_half_precision(output: str, folder: Path, gemm: Callable[..., Any]) -> None:
    assert gemm(output=output) == (0, "", "")
    assert gemm(output=output, backend="rtl", out="P.npz") == (0, "", "")
    weights = read_weights(Path("W.npz"))
    assert not isinstance(weights, Tensor)
    expected = golden.core(np.load("A.npy"), weights, TINY, output)
    with np.load("O.npz") as results, np.load("P.npz") as rtl:
        assert results["out"].dtype == (np.float16 if output == "fp16" else np.float32)
        assert expected.any() and results["out"].tobytes() == expected.tobytes()
        assert rtl["out"].tobytes() == expected.tobytes()
        if output == "bf16":
            assert not (bits(results["out"]) & 0xFFFF).any()


def test_weights_of_more_bits_take_several_passes(folder: Path, gemm: Callable[..., Any]) -> None:
    """4-bit weights on a core of 3 planes; integer sums and powers of two: nothing is rounded."""
    with np.load("W.npz") as archive:
        arrays: dict[str, Any] = dict(archive) | {"scales": np.full((5, 5), 0.25, np.float32)}
    np.savez("W.npz", **arrays)
    Path("c.toml").write_text("m = 2\nn = 4\nweight_bits = 3\n")
    assert gemm(config="c.toml").status == gemm(out="P.npz").status == 0
    with np.load("O.npz") as results, np.load("P.npz") as whole:
        assert np.array_equal(bits(results["out"]), bits(whole["out"])) and whole["out"].any()


def test_subnormal_scales(folder: Path, gemm: Callable[..., Any]) -> None:
    with np.load("T.npz") as archive:
        arrays: dict[str, Any] = dict(archive) | {
            "scales": np.full((5, 1), 3e-45, np.float32)
        }  # 2 units
    np.savez("T.npz", **arrays)
    assert gemm(weights="T.npz").status == 0
    units = 2 * (np.load("A.npy").astype(np.int64) @ arrays["ternary"].T)
    with np.load("O.npz") as results:
        assert units.any() and np.array_equal(results["out"], np.ldexp(np.float32(1), -149) * units)
