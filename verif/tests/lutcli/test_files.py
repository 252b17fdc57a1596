from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutcli.files import read_activations, read_weights, results_file
from lutcore.errors import InputError
from lutcore.weights import AffineWeights, TernaryWeights


def test_affine_weights(folder: Path) -> None:
    weights = read_weights(Path("W.npz"))
    assert isinstance(weights, AffineWeights)
    with np.load("W.npz") as archive:
        assert np.array_equal(weights.codes, archive["codes"])
        assert np.array_equal(weights.scales, archive["scales"])
        assert np.array_equal(weights.zeros, archive["zeros"])
    assert (weights.bits, weights.group) == (4, 8)


def test_ternary_weights_without_group_have_one_scale_a_column(folder: Path) -> None:
    weights = read_weights(Path("T.npz"))
    assert isinstance(weights, TernaryWeights)
    assert weights.group == weights.ternary.shape[1] == 37


def test_ternary_weights_with_group(folder: Path) -> None:
    with np.load("T.npz") as archive:
        np.savez("G.npz", ternary=archive["ternary"], scales=np.ones((5, 3), np.float16), group=16)
    weights = read_weights(Path("G.npz"))
    assert isinstance(weights, TernaryWeights)
    assert weights.group == 16
    assert weights.scales.shape == (5, 3)


def test_every_truncation_is_an_input_error(folder: Path) -> None:
    for name, read in (("A.npy", read_activations), ("W.npz", read_weights)):
        content = Path(name).read_bytes()
        for length in range(0, len(content), 7):
            Path(name).write_bytes(content[:length])
            with pytest.raises(InputError, match=rf"^{re.escape(name)}: "):
                read(Path(name))


def test_no_damaged_byte_raises_anything_else(folder: Path) -> None:
    random = np.random.default_rng(5)
    for name, read in (("A.npy", read_activations), ("W.npz", read_weights)):
        content = np.frombuffer(Path(name).read_bytes(), np.uint8)
        raised = 0
        for place in random.integers(0, min(len(content), 2000), 300):
            damaged = content.copy()
            damaged[place] ^= random.integers(1, 256, dtype=np.uint8)
            Path(name).write_bytes(damaged.tobytes())
            try:
                read(Path(name))
            except InputError as error:
                raised += 1
                assert str(error).startswith(f"{name}: ")
        assert raised


def save(path: Path, **arrays: Any) -> None:
    with results_file(path) as write:
        write({name: np.array(value) for name, value in arrays.items()})


def test_results_replace_the_file_and_leave_no_other(tmp_path: Path) -> None:
    path = tmp_path / "O.npz"
    save(path, out=1)
    save(path, out=2)
    with np.load(path) as results:
        assert int(results["out"]) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["O.npz"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, InputError, OSError])
def test_a_failure_leaves_the_earlier_file(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "O.npz"
    path.write_bytes(b"earlier")
    with pytest.raises(failure), results_file(path):
        raise failure
    assert [entry.name for entry in tmp_path.iterdir()] == ["O.npz"]
    assert path.read_bytes() == b"earlier"


def test_a_failure_while_writing_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: Any, **_: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    path = tmp_path / "O.npz"
    path.write_bytes(b"earlier")
    message = f"{path}: cannot be written: No space left on device"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        save(path, out=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["O.npz"]
    assert path.read_bytes() == b"earlier"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "O.npz"
    link.symlink_to("there/real.npz")
    save(link, out=3)
    assert link.is_symlink()
    with np.load(tmp_path / "there" / "real.npz") as results:
        assert int(results["out"]) == 3
