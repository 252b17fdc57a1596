from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lutcli.drawing import Drawing
from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.streams import StreamLayouts

ROOT = Path(__file__).parents[3]

LARGE = TensorCoreConfig(
    name="n" * 60,
    m=16,
    n=4096,
    lookup_group=6,
    groups_per_step=10,
    table_bits=16,
    block=960,
    rescale_columns=4096,
)
SMALL = TensorCoreConfig(
    name="one", m=1, n=1, lookup_group=2, block=2, weight_bits=1, activations=("int8",)
)


def locked(package: str) -> str:
    lock = (ROOT / "requirements.lock").read_text()
    found = re.search(rf"^{package}==(\S+)", lock, re.MULTILINE)
    assert found
    return found[1]


def test_the_picture_of_the_docs_is_todays(run: Callable[..., Any], tmp_path: Path) -> None:
    if metadata.version("matplotlib") != locked("matplotlib"):
        pytest.skip("another matplotlib than the locked one draws other bytes")
    out = tmp_path / "core.svg"
    assert run("diagram", "--preset", "paper", "--out", str(out)) == (0, "", "")
    assert out.read_bytes() == (ROOT / "docs" / "core.svg").read_bytes()


def test_files_are_of_their_kind(run: Callable[..., Any], folder: Path) -> None:
    assert run("diagram", "--preset", "tiny", "--out", "new/t.svg") == (0, "", "")
    svg = Path("new/t.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "dc:date" not in svg
    assert run("diagram", "--preset", "tiny", "--out", "new/t.png") == (0, "", "")
    assert Path("new/t.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert sorted(path.name for path in Path("new").iterdir()) == ["t.png", "t.svg"]


def drawn(config: TensorCoreConfig) -> list[str]:
    return [text.get_text() for text in Drawing(config).axes.texts]


@pytest.mark.parametrize("config", [*PRESETS.values(), LARGE, SMALL], ids=lambda c: c.name[:9])
def test_sizes_are_those_of_the_configuration(config: TensorCoreConfig) -> None:
    c, layouts, texts = config, StreamLayouts(config), drawn(config)
    for name in ("passes", "activations", "weights", "scales", "outputs", "steps", "psums"):
        assert f"{getattr(layouts, name).size:,} b" in texts
    for text in (
        f"{c.name}: M{c.m} N{c.n} K{c.k}",
        f"{c.max_steps} steps of {c.m} × {c.k}",
        f"{c.m} × {c.k} of {c.aligned_bits} b",
        f"{c.entries} entries of {c.table_bits} b",
        f"{c.m} × {c.groups_per_step} tables",
        f"{c.m} × {c.n} lanes",
        f"psums of {c.psum_bits} b",
        f"{c.n} × {c.k} digits in {c.code_bits} b",
        f"{c.m} × {c.rescale_columns} multiply-adds",
        f"{c.entries}:1",
        f"lines, {c.entries} b",
    ):
        assert text in texts


@pytest.mark.parametrize("config", [*PRESETS.values(), LARGE, SMALL], ids=lambda c: c.name[:9])
def test_no_text_touches_another_or_leaves_the_page(config: TensorCoreConfig) -> None:
    drawing = Drawing(config)
    drawing.figure.draw_without_rendering()
    page = drawing.figure.bbox
    boxes = {
        text: text.get_window_extent() for text in drawing.axes.texts if text.get_text().strip()
    }
    for text, box in boxes.items():
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text
        for other, their in boxes.items():
            if other is not text:
                # Lines of text may share their leading, but no letters.
                width = min(box.x1, their.x1) - max(box.x0, their.x0)
                height = min(box.y1, their.y1) - max(box.y0, their.y0)
                assert width <= 0 or height <= 0.25 * min(box.height, their.height), (text, other)


def test_another_ending_is_refused(run: Callable[..., Any], folder: Path) -> None:
    before = sorted(folder.iterdir())
    for name, ending in (("core.pdf", "'.pdf'"), ("core", "''")):
        assert run("diagram", "--out", name) == (
            2,
            "",
            f"error: {name}: must end in .svg or .png, not {ending}\n",
        )
    assert sorted(folder.iterdir()) == before


def test_unwritable_outputs_are_refused(run: Callable[..., Any], folder: Path) -> None:
    Path("d.svg").mkdir()
    before = sorted(folder.iterdir())
    for name, message in (
        ("d.svg", "d.svg: cannot be written: Is a directory"),
        ("A.npy/core.svg", "A.npy: is not a directory; the name of one would do"),
    ):
        assert run("diagram", "--preset", "tiny", "--out", name) == (2, "", f"error: {message}\n")
    assert sorted(folder.iterdir()) == before


def test_a_full_disk_leaves_the_earlier_picture(
    run: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("core.svg").write_bytes(b"earlier")
    before = sorted(folder.iterdir())
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write_bytes(path, content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run("diagram", "--preset", "tiny", "--out", "core.svg") == (
        2,
        "",
        "error: core.svg: cannot be written: No space left on device\n",
    )
    assert sorted(folder.iterdir()) == before
    assert Path("core.svg").read_bytes() == b"earlier"
