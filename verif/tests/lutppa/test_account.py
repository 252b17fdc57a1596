"""The account's page from made-up figures: every section, its honesty, files that need nothing."""

import csv
import re
from typing import Any

import pytest

from lutppa import designs, liberty, sweep
from lutppa.account import __main__ as account
from lutppa.account.goals import GOALS
from lutppa.account.model import Results
from lutppa.account.sections import SECTIONS
from lutppa.measure import Record

GATES = {"nand": 1, "and": 1.5, "xor": 2.5, "mux": 3, "full_adder": 7, "flip_flop": 6}
FIELDS = ("kind", "design", "clock_ps", "format", "whole", "family", "unit", "place")


def record(point: dict[str, Any], per_product: float = 2.0, spent: float = 10.0) -> Record:
    """A point whose lanes take `per_product` for a one-bit product, and all else as much again."""
    fields = {key: value for key, value in point.items() if key not in FIELDS}
    built = designs.build(str(point.get("design", "lut")), fields)
    area = per_product * built.m * built.n * built.k
    parts = {*built.parts, *(name for name, _, _ in built.beside)}
    figures: dict[str, Any] = {
        "area": {
            "unit": "um2",
            "nand2": 1.0,
            "gates": GATES,
            "arithmetic": area,
            "all_in": 2 * area,
            "parts": {name: area / len(parts) for name in parts},
        },
        "energy": {"fj": spent, "data": spent, "clock": 0, "internal": 0, "leakage": 0},
        "clock": {
            "clock_ps": 1000.0,
            "length_ps": 1200.0,
            "unclocked_ps": 3000.0,
            "all_in": 3 * area,
            "all_in_unclocked": 2 * area,
            "arithmetic": 1.5 * area,
            "arithmetic_unclocked": area,
            "buffers": 10,
            "buffer_area": area / 10,
        },
        "fanout": {
            "buffer": "BUF",
            "buffer_area": 1.0,
            "m": built.m,
            "lane_area": 50.0,
            "broadcasts": {
                b.name: {"instances": b.instances, "bundles": 1, "pins": [3, 4]}
                for b in built.broadcasts
            },
        },
        "fpga": {
            "family": point.get("family"),
            "luts": 10,
            "flip_flops": 5,
            "dsps": 1,
            "memories": 0,
            "fmax_mhz": None,
            "device": "",
            "note": "counted by Yosys only",
        },
    }[str(point.get("kind", "area"))]
    return Record(point, {**figures, "design": built.facts()}, library={"name": "asap7"})


LUT = {"m": 2, "n": 8, "block": 32, "groups_per_step": 4, "weight_bits": 1, "lookup_group": 2}
LUT |= {"table_bits": 9, "activations": "int8", "rescale_columns": 2}
ADD = {"design": "add", "m": 2, "n": 8, "k": 8, "block": 64, "weight_bits": 1}
MAC = {"design": "mac", "m": 2, "n": 8, "k": 8, "block": 64}


def table(section, name):
    return next(t for t in section.tables if t.name == name)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Those of the packaged sweep."""
    return list(map(record, sweep.load("default").points))


@pytest.fixture(scope="module")
def whole(records) -> account.Page:
    """The page of the packaged sweep."""
    return account.page(records, liberty.read(None))


def test_the_packaged_sweep_has_no_lane_that_waits_at_full_width(records):
    assert len(records) >= 60
    for area in Results(records).areas:
        serial = area.role not in ("mac", "native")
        widest = f"w{area.parameters.get('weight_bits')}"
        if widest in area.cycles:
            expected = area.parameters["weight_bits"] if serial else 1
            assert area.cycles[widest] == expected, area.record.point


def test_every_section_has_something_to_show(whole):
    assert [name for name, _ in whole.sections] == list(SECTIONS)
    assert whole.missing == []


def test_every_goal_is_measured_by_the_packaged_sweep(whole):
    goals = dict(whole.sections)["goals"]
    assert [row[0] for row in table(goals, "goals").rows] == [goal.what for goal in GOALS]
    for row in table(goals, "goals").rows:
        assert row[4] in ("goal met", "met", "short")
        assert bool(row[5]) == (row[4] == "short") or not row[5]


def test_files_need_no_network_and_agree(whole, tmp_path):
    files = account.files(whole, tmp_path)
    page = files[tmp_path / "report.html"].decode()
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r'(src|href)="(?!#)', own)
    assert page.count("<script>") >= 2 and "Plotly" in page
    markdown = files[tmp_path / "report.md"].decode()
    for name, section in whole.sections:
        assert f'<section id="{name}">' in page
        assert f"## {section.title}" in markdown
        for shown in section.tables:
            rows = list(csv.reader(files[tmp_path / f"{shown.name}.csv"].decode().splitlines()))
            assert rows[0] == shown.columns
            assert len(rows) == len(shown.rows) + 1


def test_no_plot_of_words_has_an_axis_of_numbers(whole):
    for _, section in whole.sections:
        for plot in section.plots:
            for axis, values in (("xaxis", "x"), ("yaxis", "y")):
                words = any(isinstance(v, str) for t in plot.figure.data for v in t[values] or ())
                assert not words or plot.figure.layout[axis].type in (None, "category")


def test_a_ratio_is_at_equal_formats_and_exact():
    rounded = {**LUT, "lookup_group": 4, "groups_per_step": 2, "table_bits": 8}
    results = Results([record(LUT, 2), record(rounded, 1), record(MAC, 30)])
    assert results.ratio("w1", "int8", "mac") == pytest.approx(15)
    assert results.ratio("w1", "int8 in 8 bits", "mac", other="int8") == pytest.approx(30)
    assert results.ratio("w1", "fp16", "mac") is None


def test_planes_and_stalls_count():
    stalled = {**LUT, "rescale_columns": 1, "block": 16}  # 2 steps a block, 8 cycles of rescale
    results = Results([record({**LUT, "weight_bits": 2}, 2)])
    best = results.best("w2", "int8")
    assert best is not None and best.per_product("w2") == pytest.approx(4)
    (slow,) = Results([record(stalled, 2)]).areas
    assert slow.per_product("w1") == pytest.approx(8)


def test_what_falls_short_says_so():
    page = account.page([record(LUT, 10), record(ADD, 12)], liberty.read(None))
    rows = {row[0]: row for row in table(dict(page.sections)["goals"], "goals").rows}
    over = rows["density W1 A-INT8 over bit-serial ADD, arithmetic only"]
    assert over[3:5] == [1.2, "short"] and over[5]
    met = rows["NAND2 equivalents of four one-bit products a cycle, A-INT8, arithmetic only"]
    assert met[3:5] == [40.0, "goal met"]
    text = " ".join(dict(page.sections)["goals"].text)
    assert "Not measured in this run: " in text
    assert any(line.startswith("energy: ") for line in page.missing)
    assert any(line.startswith("fpga: ") for line in page.missing)


def test_errors_are_on_the_page():
    wrong = Record({"design": "lut", "m": 1}, {}, error="point: key 'n' is missing")
    page = account.page([record(LUT), wrong], liberty.read(None))
    assert "lut m=1: point: key 'n' is missing." in page.missing


def test_nothing_at_all():
    page = account.page([], liberty.read(None))
    assert page.sections == []
    assert len(page.missing) == len(SECTIONS)
