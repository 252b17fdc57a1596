"""Every bad input of a user ends in one exact line, status 2, and an output as it was before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutcli.main import main

F32 = np.float32
SHAPE = (3, 37)


def refused(result: Any, message: str) -> None:
    assert result == (2, "", f"error: {message}\n")


def unchanged(gemm: Callable[..., Any], message: str, **changed: str) -> None:
    """The run is refused, and neither makes an output nor touches an earlier one."""
    before = sorted(os.listdir())
    refused(gemm(**changed), message)
    assert sorted(os.listdir()) == before
    Path("O.npz").write_bytes(b"earlier")
    refused(gemm(**changed), message)
    assert Path("O.npz").read_bytes() == b"earlier"
    assert sorted(os.listdir()) == sorted([*before, "O.npz"])


ACTIVATIONS = {
    "float64": (
        np.zeros(SHAPE),
        "activations must be int8, int16, float16 or float32, not float64",
    ),
    "complex": (
        np.zeros(SHAPE, np.complex64),
        "activations must be int8, int16, float16 or float32, not complex64",
    ),
    "text": (np.full(SHAPE, "1"), "activations must be int8, int16, float16 or float32, not <U1"),
    "record": (
        np.zeros(SHAPE, [("a", np.int8)]),
        "activations must be int8, int16, float16 or float32, not [('a', 'i1')]",
    ),
    "object": (
        np.full(SHAPE, None),
        "array is damaged, cut short or not of numbers: "
        "Object arrays cannot be loaded when allow_pickle=False",
    ),
    "0 dimensions": (np.int8(1), "activations must have 2 dimensions, not shape ()"),
    "3 dimensions": (
        np.zeros((1, 3, 37), np.int8),
        "activations must have 2 dimensions, not shape (1, 3, 37)",
    ),
    "empty": (
        np.zeros((0, 37), np.int8),
        "activations must not be empty, but has shape (0, 37)",
    ),
    "K": (
        np.zeros((3, 36), np.int8),
        "activations must have K = 37 columns to match the weights, not shape (3, 36)",
    ),
}


@pytest.mark.parametrize("case", ACTIVATIONS)
def test_activations(case: str, folder: Path, gemm: Callable[..., Any]) -> None:
    array, message = ACTIVATIONS[case]
    np.save("A.npy", array, allow_pickle=True)
    unchanged(gemm, f"A.npy: {message}")


def scales(value: float) -> np.ndarray:
    array = np.ones((5, 5), F32)
    array[2, 1] = value
    return array


def zeros(value: float) -> np.ndarray:
    array = np.ones((5, 5))
    array[4, 0] = value
    return array


WEIGHTS = {
    "codes signed": (
        {"codes": np.zeros((5, 37), np.int8)},
        "codes must be unsigned integers, not int8",
    ),
    "codes beyond bits": (
        {"codes": np.full((5, 37), 16, np.uint8)},
        "codes must be below 2^4 = 16, but codes[0, 0] is 16",
    ),
    "codes 1 dimension": (
        {"codes": np.zeros(37, np.uint8)},
        "codes must have 2 dimensions, not shape (37,)",
    ),
    "codes empty": (
        {"codes": np.zeros((5, 0), np.uint8)},
        "codes must not be empty, but has shape (5, 0)",
    ),
    "codes object": (
        {"codes": np.full((5, 37), None)},
        "codes is damaged, cut short or not of numbers: "
        "Object arrays cannot be loaded when allow_pickle=False",
    ),
    "bits 9": ({"bits": 9}, "bits must be 1..8, not 9"),
    "bits real": ({"bits": 4.0}, "bits must be one integer, not float64 of shape ()"),
    "bits list": ({"bits": [4]}, "bits must be one integer, not int64 of shape (1,)"),
    "group 0": ({"group": 0}, "group must be an integer of 1 or more, not 0"),
    "group text": ({"group": "8"}, "group must be one integer, not <U1 of shape ()"),
    "scales shape": (
        {"scales": np.ones((5, 4), F32)},
        "scales must have shape (5, 5) for 5 columns and 37 weights in groups of 8, not (5, 4)",
    ),
    "scales float64": (
        {"scales": np.ones((5, 5))},
        "scales must be float32 or float16, not float64",
    ),
    "scales NaN": ({"scales": scales(np.nan)}, "scales must be finite, but scales[2, 1] is nan"),
    "scales Inf": ({"scales": scales(-np.inf)}, "scales must be finite, but scales[2, 1] is -inf"),
    "zeros shape": (
        {"zeros": np.ones((5, 1))},
        "zeros must have the shape of scales, (5, 5), not (5, 1)",
    ),
    "zeros odd": (
        {"zeros": zeros(0.25)},
        "zeros must be multiples of 1/2 within -32768..32768, but zeros[4, 0] is 0.25",
    ),
    "zeros NaN": (
        {"zeros": zeros(np.nan)},
        "zeros must be multiples of 1/2 within -32768..32768, but zeros[4, 0] is nan",
    ),
    "zeros huge": (
        {"zeros": zeros(1e300)},
        "zeros must be multiples of 1/2 within -32768..32768, but zeros[4, 0] is 1e+300",
    ),
    "zeros too wide": (
        {"zeros": zeros(500)},
        "zeros[4, 0] makes z' = 2z + 1 - 2^bits = 985, which does not fit zero_bits = 10 "
        "(-512..511)",
    ),
    "unknown key": (
        {"bias": np.zeros(5)},
        "unknown key 'bias'; known are codes, bits, scales, zeros, group",
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_affine_weights(case: str, folder: Path, gemm: Callable[..., Any]) -> None:
    changed, message = WEIGHTS[case]
    with np.load("W.npz") as archive:
        arrays = dict(archive)
    np.savez("W.npz", **(arrays | changed))
    unchanged(gemm, f"W.npz: {message}")


@pytest.mark.parametrize("key", ["codes", "bits", "scales", "zeros", "group"])
def test_missing_key(key: str, folder: Path, gemm: Callable[..., Any]) -> None:
    with np.load("W.npz") as archive:
        arrays = dict(archive)
    del arrays[key]
    np.savez("W.npz", **arrays)
    unchanged(
        gemm,
        f"W.npz: key {key!r} is missing; needed are codes, bits, scales, zeros, group",
    )


TERNARY = {
    "values": (
        {"ternary": np.full((5, 37), 2, np.int8)},
        "ternary must be -1, 0 or 1, but ternary[0, 0] is 2",
    ),
    "type": ({"ternary": np.zeros((5, 37))}, "ternary must be int8, not float64"),
    "0 dimensions": ({"ternary": np.int8(0)}, "ternary must have 2 dimensions, not shape ()"),
    "empty": (
        {"ternary": np.zeros((5, 0), np.int8)},
        "ternary must not be empty, but has shape (5, 0)",
    ),
    "no group": (
        {"scales": np.ones((5, 3), F32)},
        "key 'group' is missing, and scales have shape (5, 3); without it, (5, 1) would do",
    ),
    "both kinds": (
        {"codes": np.zeros((5, 37), np.uint8)},
        "unknown key 'codes'; known are ternary, scales, group",
    ),
}


@pytest.mark.parametrize("case", TERNARY)
def test_ternary_weights(case: str, folder: Path, gemm: Callable[..., Any]) -> None:
    changed, message = TERNARY[case]
    with np.load("T.npz") as archive:
        arrays = dict(archive)
    np.savez("T.npz", **(arrays | changed))
    unchanged(gemm, f"T.npz: {message}", weights="T.npz")


def test_files_that_are_not_arrays(folder: Path, gemm: Callable[..., Any]) -> None:
    Path("empty").touch()
    Path("text").write_text("1 2 3\n")
    for name in ("empty", "text", "W.npz"):
        unchanged(gemm, f"{name}: is not a .npy file; numpy.save writes one", activations=name)
        Path("O.npz").unlink()
    for name in ("empty", "text", "A.npy"):
        unchanged(
            gemm,
            f"{name}: is not a .npz archive; numpy.savez writes one, and --tensor names the "
            "weights of a GGUF or safetensors file",
            weights=name,
        )
        Path("O.npz").unlink()


def test_truncated_files(folder: Path, gemm: Callable[..., Any]) -> None:
    for name in ("A.npy", "W.npz"):
        content = Path(name).read_bytes()
        Path(f"cut_{name}").write_bytes(content[:-20])
    unchanged(
        gemm,
        "cut_A.npy: array is damaged, cut short or not of numbers: "
        "EOF: reading array data, expected 111 bytes got 91",
        activations="cut_A.npy",
    )
    Path("O.npz").unlink()
    unchanged(
        gemm,
        "cut_W.npz: archive is damaged, cut short or not of numbers: File is not a zip file",
        weights="cut_W.npz",
    )


def test_unreadable_files(folder: Path, gemm: Callable[..., Any]) -> None:
    Path("d").mkdir()
    for option in ("activations", "weights", "config"):
        for name, reason in (("d", "Is a directory"), ("none", "No such file or directory")):
            unchanged(gemm, f"{name}: cannot be read: {reason}", **{option: name})
            Path("O.npz").unlink()


def test_unwritable_outputs(folder: Path, gemm: Callable[..., Any]) -> None:
    Path("d").mkdir()
    before = sorted(os.listdir())
    for name, reason in (
        ("d", "is a directory; the name of a file would do"),
        ("none/O.npz", "cannot be written: No such file or directory"),
        ("A.npy/O.npz", "cannot be written: Not a directory"),
        ("/dev/null", "is not an ordinary file; the name of one would do"),
    ):
        refused(gemm(out=name), f"{name}: {reason}")
        assert sorted(os.listdir()) == before
        assert not os.listdir("d")


def test_int32_of_floats(folder: Path, gemm: Callable[..., Any]) -> None:
    np.save("A.npy", np.zeros(SHAPE, np.float16))
    message = (
        "A.npy: output int32 needs tables that hold sums of 3 activations exactly, but table_bits "
        "is 9 and activations are fp16; output fp32 would do"
    )
    unchanged(gemm, message, output="int32")


CONFIGS = {
    "not TOML": ("m = \n", "is not TOML: Invalid value (at line 1, column 5)"),
    "missing key": ("m = 2\n", "key 'n' is missing"),
    "type": ("m = 2\nn = 4.0\n", "n must be an integer, not 4.0"),
    "width": (
        "m = 2\nn = 4\ntable_digits = 3\n",
        "lookup_group must be 2 for table_digits = 3, not 4: three ternary digits would need a "
        "table of 13 entries",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_files(
    case: str, folder: Path, gemm: Callable[..., Any], run: Callable[..., Any]
) -> None:
    text, message = CONFIGS[case]
    Path("c.toml").write_text(text)
    refused(run("config", "check", "c.toml"), f"c.toml: {message}")
    refused(run("config", "show", "--config", "c.toml"), f"c.toml: {message}")
    unchanged(gemm, f"c.toml: {message}", config="c.toml")


def test_unknown_toml_key(folder: Path, run: Callable[..., Any]) -> None:
    Path("c.toml").write_text("m = 2\nn = 4\nlanes = 8\n")
    result = run("config", "check", "c.toml")
    assert result.status == 2
    assert result.err.startswith("error: c.toml: unknown key 'lanes'; known are name, m, n, ")
    assert result.err.count("\n") == 1


def test_scales_that_the_core_lacks(folder: Path, gemm: Callable[..., Any]) -> None:
    Path("c.toml").write_text('m = 2\nn = 4\nscales = ["e8m0"]\n')
    result = gemm(config="c.toml")
    assert result.status == 2
    assert result.err.startswith("error: W.npz: no scale format of the configuration (e8m0) holds ")
    assert result.err.endswith("; adding fp32 to its scales would do\n")


def test_format_that_the_core_lacks(folder: Path, gemm: Callable[..., Any]) -> None:
    Path("c.toml").write_text('m = 2\nn = 4\nactivations = ["fp16"]\n')
    unchanged(
        gemm,
        "A.npy: activations are int8, but the configuration 'custom' is built for fp16; "
        "add 'int8' to its activations",
        config="c.toml",
    )


HINT = " (lutcore --help lists what there is)"


def test_options(folder: Path, run: Callable[..., Any], gemm: Callable[..., Any]) -> None:
    unchanged(
        gemm,
        "preset 'huge' is unknown; known are paper, tiny, wide, ternary, dense, dense8",
        preset="huge",
    )
    for command in (("config", "show"), ("verilog",), ("synth",)):
        refused(
            run(*command, "--preset", "tiny", "--config", "c.toml"),
            "--preset tiny and --config c.toml: one of the two would do",
        )
    refused(
        run("verilog", "--top", "chip"),
        "top 'chip' is unknown; known are core, engine_axi, engine_stream",
    )
    refused(run("gemm"), "Missing option '--activations'." + HINT)
    refused(run(), "Missing command." + HINT)
    refused(run("frob"), "No such command 'frob'." + HINT)
    result = run("gemm", "--backend", "verilog")
    assert result.status == 2
    assert "'golden', 'rtl'" in result.err
    assert result.err.count("\n") == 1


def test_interruption_is_quiet(
    folder: Path, gemm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lutverif.golden.core", interrupt)
    before = sorted(os.listdir())
    assert gemm() == (130, "", "")
    assert sorted(os.listdir()) == before


def test_the_command_itself(folder: Path) -> None:
    arguments = "gemm --activations none.npy --weights W.npz --backend golden --out O.npz"
    result = subprocess.run(
        [sys.executable, "-m", "lutcli.main", *arguments.split()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        "error: none.npy: cannot be read: No such file or directory\n",
    )
    assert not Path("O.npz").exists()


def test_a_file_error_from_below_is_one_line(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "lib.gz")

    monkeypatch.setattr("lutcore.config.TensorCoreConfig.to_toml", fail)
    refused(run("config", "show"), "lib.gz: Permission denied")


def test_main_reads_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["lutcore", "config", "show", "--preset", "none"])
    assert main() == 2
    assert "preset 'none' is unknown" in capsys.readouterr().err
