from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lutcore.config import PRESETS, TensorCoreConfig


@pytest.mark.parametrize("name", PRESETS)
def test_show_prints_a_file_that_reads_back(
    name: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    shown = run("config", "show", "--preset", name)
    assert shown.status == 0
    file = tmp_path / "shown.toml"
    file.write_text(shown.out)
    assert TensorCoreConfig.from_toml(file) == PRESETS[name]
    assert run("config", "show", "--config", str(file)) == shown


def test_show_lists_every_derived_size(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = run("config", "show", "--preset", "tiny").err.splitlines()
    cells = [line.split("│") for line in lines if line.startswith("│")]
    rows = {row[1].strip(): row[2].strip() for row in cells}
    config = PRESETS["tiny"]
    names = [
        name
        for name, member in vars(TensorCoreConfig).items()
        if isinstance(member, property) and not name.startswith("_")
    ]
    assert len(names) > 10
    lists = {"formats": "activations", "scale_formats": "scales", "output_formats": "outputs"}
    for name, field in lists.items():
        assert rows.pop(name) == ", ".join(getattr(config, field))
    assert rows == {name: str(getattr(config, name)) for name in names if name not in lists}


def test_default_is_paper(run: Callable[..., Any]) -> None:
    assert run("config", "show") == run("config", "show", "--preset", "paper")


def test_check_accepts_a_good_file(run: Callable[..., Any], folder: Path) -> None:
    Path("c.toml").write_text("m = 2\nn = 8\n")
    assert run("config", "check", "c.toml") == (
        0,
        "c.toml: custom is valid: M2 N8 K4\n",
        "",
    )


def test_help_names_every_subcommand(run: Callable[..., Any]) -> None:
    shown = run("--help")
    assert shown.status == 0
    for name in ("gemm", "verilog", "sim", "synth", "config"):
        assert name in shown.out
