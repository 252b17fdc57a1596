"""Drive strengths: the late become stronger, those with time smaller, and nothing gets slower."""

from __future__ import annotations

import pytest

from lutppa import generic, liberty
from lutppa.circuit import circuit
from lutppa.sizing import resized
from lutppa.timing import analyse

CHAIN = """
module top (input clk, input d, output [7:0] y);
  wire q, a; DFF f (.CK(clk), .D(d), .Q(q)); {kind} u (.A(q), .Y(a));
  {loads}
endmodule
"""
LOADS = "".join(f"DFF e{i} (.CK(clk), .D(a), .Q(y[{i}]));" for i in range(8))


@pytest.fixture
def sizes(tmp_path) -> liberty.Library:
    """The generic library with an inverter of half the delay a load, at twice the area."""
    text = generic.text()
    begin = text.index("  cell (INV)")
    cell = text[begin : text.index("  cell (BUF)")]
    strong = cell.replace("INV", "INVX2").replace("area : 0.5", "area : 1.0")
    strong = strong.replace('"1.0, 65.0"', '"1.0, 33.0"').replace(
        "capacitance : 1.0", "capacitance : 2.0"
    )
    path = tmp_path / "sizes.lib"
    path.write_text(text[:begin] + cell + strong + text[begin + len(cell) :])
    return liberty.read(path)


def _kinds(timing) -> list[str]:
    return [timing.circuit.delays.kinds[k].cell.name for k in timing.circuit.kind]


def test_a_late_cell_becomes_stronger(sizes):
    before = circuit(CHAIN.format(kind="INV", loads=LOADS), "top", sizes)
    length = analyse(before, 1000.0).length_ps
    assert length == 6 + 1 + 1 + 8
    found = resized(before, 12.0)
    assert "INVX2" in _kinds(found) and "INV" not in _kinds(found)
    assert found.length_ps == 6 + 2 + 1 + 4  # the flip-flop drives 2, eight loads cost 4


def test_a_cell_with_time_becomes_smaller(sizes):
    before = circuit(CHAIN.format(kind="INVX2", loads=LOADS), "top", sizes)
    found = resized(before, 1000.0)
    assert "INV" in _kinds(found) and "INVX2" not in _kinds(found)
    assert found.circuit.area == before.area - 0.5


def test_what_meets_the_clock_stays(sizes):
    before = circuit(CHAIN.format(kind="INV", loads=LOADS), "top", sizes)
    assert (resized(before, 16.0).circuit.kind == before.kind).all()
