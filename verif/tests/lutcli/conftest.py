"""A folder with inputs of `lutcore gemm`, and the command run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lutcli.main import main

K, N, GROUP = 37, 5, 8


class Run(NamedTuple):
    """What a run of the command left."""

    status: int
    out: str
    err: str


def affine() -> dict[str, Any]:
    """Arrays of affine 4-bit weights [5, 37] in groups of 8, the last one short."""
    random = np.random.default_rng(1)
    groups = -(-K // GROUP)
    return {
        "codes": random.integers(0, 16, (N, K), dtype=np.uint8),
        "bits": 4,
        "scales": random.uniform(0.5, 2, (N, groups)).astype(np.float32),
        "zeros": random.integers(0, 31, (N, groups)) / 2,
        "group": GROUP,
    }


def ternary() -> dict[str, Any]:
    """Arrays of ternary weights [5, 37] with one scale a column."""
    random = np.random.default_rng(2)
    return {
        "ternary": random.integers(-1, 2, (N, K), dtype=np.int8),
        "scales": random.uniform(0.5, 2, (N, 1)).astype(np.float32),
    }


def activations() -> np.ndarray:
    """INT8 activations [3, 37]."""
    return np.random.default_rng(3).integers(-128, 128, (3, K), dtype=np.int8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test, with good A.npy, W.npz and T.npz."""
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", activations())
    np.savez("W.npz", **affine())
    np.savez("T.npz", **ternary())
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """`run("config", "show")`: the command in this process."""

    def call(*arguments: str) -> Run:
        status = main(arguments)
        captured = capsys.readouterr()
        return Run(status, captured.out, captured.err)

    return call


@pytest.fixture
def gemm(run: Callable[..., Run]) -> Callable[..., Run]:
    """`gemm(weights="T.npz")`: A.npy by W.npz to O.npz on the tiny core, with what is changed."""

    def call(**changed: str) -> Run:
        options = {
            "activations": "A.npy",
            "weights": "W.npz",
            "backend": "golden",
            "out": "O.npz",
            "preset": "tiny",
        } | changed
        if "config" in changed:
            del options["preset"]
        return run("gemm", *(word for name in options for word in (f"--{name}", options[name])))

    return call
