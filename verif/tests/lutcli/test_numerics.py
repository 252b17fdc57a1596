"""`lutcore numerics`: its files, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lutcli.main import main
from lutverif import numerics
from lutverif.numerics import Point


def test_errors_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [Point(4, name, t, 64) for name in ("int4", "int8") for t in (4, 8, 9)]
    others = [Point(4, "int8", 8, 4), Point(4, "fp16", 8, 64)]
    monkeypatch.setattr(numerics, "ERRORS", [*points, *others])
    only = ["--activation-type", "int4", "--activation-type", "int8"]
    monkeypatch.setattr(numerics, "PERPLEXITIES", points)
    assert main(["numerics", "--out", str(tmp_path), *only]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "error.csv", "error.svg", "error.png", "numerics.md",
    }  # fmt: skip
    rows = list(csv.reader((tmp_path / "error.csv").read_text().splitlines()))
    assert rows[0] == ["bits", "activations", "table_bits", "block", "error"]
    assert len(rows) == 8 and 0 < float(rows[4][4]) < 1
    text = (tmp_path / "numerics.md").read_text()
    assert "| W4 | 9 | 64 | exact | exact |" in text
    assert "numerics.md" in capsys.readouterr().out


def test_perplexities(
    measuring_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [Point(4, "int8", t, b) for t, b in ((8, 64), (9, 64), (4, 64), (8, 4))]
    monkeypatch.setattr(numerics, "ERRORS", points)
    monkeypatch.setattr(numerics, "PERPLEXITIES", points)
    story = tmp_path / "story.txt"
    story.write_text("Once upon a time there was a cat.")
    model = str(measuring_data / "models" / "stories260K")
    out = tmp_path / "out"
    arguments = ["--model", model, "--text", str(story), "--most", "4", "--out", str(out)]
    assert main(["numerics", *arguments]) == 0
    rows = list(csv.DictReader((out / "perplexity.csv").read_text().splitlines()))
    assert [row["draws"] for row in rows] == ["4"] * 4
    assert float(rows[0]["change"]) != 0 and float(rows[1]["change"]) == 0
    assert "| W4 | int8 | 8 | 64 |" in (out / "numerics.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", "somewhere"], "--model and --text belong together"),
        (["--precision", "0"], "precision must be above 0 and below 1, not 0.0"),
        (["--most", "3"], "most must be 4 or more, not 3"),
        (
            ["--activation-type", "int3"],
            "--activation-type: 'int3' is not a format; known are int4, int8, int16, fp16, bf16, "
            "e4m3, e5m2",
        ),
        (
            ["--table-bits", "11"],
            "--table-bits must be among 4, 5, 6, 7, 8, 9, 10, 12, 16, not 11",
        ),
    ],
)
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    out = tmp_path / "out"
    assert main(["numerics", "--out", str(out), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {text}\n"
    assert not out.exists()
