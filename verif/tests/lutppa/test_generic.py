"""The generic library: its areas are its transistors, and Yosys accepts all of it."""

import pytest

from lutppa import generic, liberty, yosys


def test_cells_and_areas():
    library = liberty.read(None)
    assert library.name == generic.NAME
    assert {name: cell.area for name, cell in library.cells.items()} == {
        "INV": 0.5,
        "BUF": 1.0,
        "NAND2": 1.0,
        "NAND3": 1.5,
        "NAND4": 2.0,
        "NOR2": 1.0,
        "NOR3": 1.5,
        "AND2": 1.5,
        "OR2": 1.5,
        "AOI21": 1.5,
        "OAI21": 1.5,
        "AOI22": 2.0,
        "OAI22": 2.0,
        "XOR2": 2.5,
        "XNOR2": 2.5,
        "MUX2": 3.0,
        "FA": 7.0,
        "DFF": 6.0,
        "DFFE": 8.5,
    }


def test_text_is_the_same_on_every_call():
    assert generic.text() == generic.text()


def test_yosys_reads_every_cell(tmp_path):
    (tmp_path / "library.lib").write_text(generic.text())
    yosys.run(tmp_path, "read_liberty library.lib\ntee -q -o cells.json stat -json\n")
    assert set(yosys.statistics(tmp_path / "cells.json")) == {c.name for c in generic.CELLS}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("MUX2", lambda a, b, s: b if s else a),
        ("AOI21", lambda a, b, c: not (a and b or c)),
        ("OAI22", lambda a, b, c, d: not ((a or b) and (c or d))),
        ("XNOR2", lambda a, b: a == b),
    ],
)
def test_functions(name, function):
    cell = liberty.read(None).cells[name]
    count = len(cell.inputs)
    rows = [[bool(i >> (count - 1 - j) & 1) for j in range(count)] for i in range(1 << count)]
    assert cell.table("Y") == tuple(function(*row) for row in rows)
