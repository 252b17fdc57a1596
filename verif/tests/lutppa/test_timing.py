"""Static timing against times worked out by hand, and against OpenSTA where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from lutcore.errors import InputError
from lutppa import liberty, opensta_timing
from lutppa.area import synthesise
from lutppa.circuit import circuit
from lutppa.delays import delays
from lutppa.timing import PORTS, analyse, paths


def _gate(name: str, area: float, capacitance: float, base: float, a_load: float) -> str:
    """delay = base + a_load * load + slew / 10, transition = 2 * load; falling 1 ps later."""

    def table(start: float, per_load: float, per_slew: float) -> str:
        rows = [[start + per_load * load + per_slew * slew for load in (0, 10)] for slew in (0, 10)]
        return ", ".join('"' + ", ".join(map(str, row)) + '"' for row in rows)

    tables = "".join(
        f"{kind} (plane) {{ values ({table(*numbers)}); }}"
        for kind, numbers in (
            ("cell_rise", (base, a_load, 0.1)),
            ("cell_fall", (base + 1, a_load, 0.1)),
            ("rise_transition", (0, 2, 0)),
            ("fall_transition", (0, 2, 0)),
        )
    )
    return f"""cell ({name}) {{ area : {area};
      pin (A) {{ direction : input; capacitance : {capacitance}; }}
      pin (Y) {{ direction : output; function : "!A";
        timing () {{ related_pin : "A"; timing_sense : negative_unate; {tables} }} }} }}"""


LIBRARY = f"""library (hand) {{
  delay_model : table_lookup; time_unit : "1ps"; capacitive_load_unit (1, ff);
  lu_table_template (plane) {{
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0, 10"); index_2 ("0, 10"); }}
  lu_table_template (check) {{
    variable_1 : related_pin_transition; variable_2 : constrained_pin_transition;
    index_1 ("0, 10"); index_2 ("0, 10"); }}
  {_gate("INV", 1, 1, 5, 3)}
  {_gate("INVX2", 2, 2, 5, 1.5)}
  cell (NAND2) {{ area : 1; pin (A) {{ direction : input; capacitance : 1; }}
    pin (B) {{ direction : input; capacitance : 1; }}
    pin (Y) {{ direction : output; function : "!(A B)"; }} }}
  cell (DFF) {{ area : 4; ff (IQ, IQN) {{ clocked_on : "C"; next_state : "D"; }}
    pin (C) {{ direction : input; clock : true; capacitance : 9; }}
    pin (D) {{ direction : input; capacitance : 4;
      timing () {{ related_pin : "C"; timing_type : setup_rising;
        rise_constraint (check) {{ values ("7, 17", "8, 18"); }}
        fall_constraint (check) {{ values ("2, 12", "3, 13"); }} }} }}
    pin (Q) {{ direction : output; function : "IQ";
      timing () {{ related_pin : "C"; timing_type : rising_edge;
        cell_rise (scalar) {{ values ("20"); }} cell_fall (scalar) {{ values ("22"); }}
        rise_transition (scalar) {{ values ("6"); }}
        fall_transition (scalar) {{ values ("4"); }} }} }} }}
}}"""

NETLIST = """
module part (input i, output o); INV first (.A(i), .Y(o)); endmodule
module top (input clk, input i, output o);
  wire q, a;
  DFF launch (.C(clk), .D(i), .Q(q));
  part inside (.i(q), .o(a));
  DFF capture (.C(clk), .D(a), .Q(o));
endmodule
"""


@pytest.fixture
def hand(tmp_path) -> liberty.Library:
    path = tmp_path / "hand.lib"
    path.write_text(LIBRARY)
    return liberty.read(path)


def test_a_path_between_flip_flops(hand):
    timing = analyse(circuit(NETLIST, "top", hand), 100.0)
    # Q rises at 20 with slew 6: the inverter falls 6 + 3 * 4 + 0.6 later, with slew 2 * 4; setup of
    # a fall with slew 8 is 2 + 8. Q falls at 22 with slew 4: 5 + 12 + 0.4, setup of a rise 7 + 8.
    assert 20 + 18.6 + 10 < 22 + 17.4 + 15
    assert timing.length_ps == pytest.approx(54.4)
    assert timing.slack_ps == pytest.approx(45.6)
    into_top, into_ports = paths(timing)
    assert (into_top.start, into_top.end) == ("top", "top")
    assert [(step.name, step.module) for step in into_top.steps] == [
        ("launch", "top"),
        ("inside/first", "part"),
    ]
    assert [step.arrival_ps for step in into_top.steps] == pytest.approx([22, 39.4])
    assert (into_ports.start, into_ports.end) == ("top", PORTS)
    assert into_ports.length_ps == pytest.approx(22)


def test_a_missed_clock_has_negative_slack(hand):
    timing = analyse(circuit(NETLIST, "top", hand), 50.0)
    assert timing.slack_ps == pytest.approx(-4.4)
    assert timing.length_ps == pytest.approx(54.4)


def test_families_are_sizes_of_one_function(hand):
    found = delays(hand)
    names = [[found.kinds[i].cell.name for i in family] for family in found.families]
    assert names == [["INV", "INVX2"], ["INV", "INVX2"], ["NAND2"], ["DFF"]]


def test_paths_through_ports(hand):
    text = "module wires (input i, output o); INV one (.A(i), .Y(o)); endmodule\n"
    timing = analyse(circuit(text, "wires", hand), 50.0)
    (only,) = paths(timing)
    assert (only.start, only.end, only.length_ps) == (PORTS, PORTS, 6)  # no load, no slew


def test_nothing_to_time(hand):
    timing = analyse(circuit("module top (input clk); endmodule", "top", hand), 50.0)
    assert timing.slack_ps == 50
    assert paths(timing) == []


def test_a_loop_of_gates_is_refused(hand):
    text = """module loop (output o);
      wire a; INV one (.A(o), .Y(a)); INV two (.A(a), .Y(o)); endmodule"""
    with pytest.raises(InputError, match=r"^the netlist has a loop of gates"):
        analyse(circuit(text, "loop", hand), 50.0)


def test_a_cell_without_delays_is_refused(tiny):
    text = "module top (input a, output y); XOR2 u (.A(a), .B(a), .Y(y)); endmodule"
    with pytest.raises(InputError, match=r"^tiny.lib: cell XOR2 has no delays"):
        circuit(text, "top", tiny)


def test_table_of_one_variable_is_stretched(hand):
    found = delays(hand)
    launch = found.kinds[found.index["DFF"]].launches[0]
    values = found.tables.look_up(
        np.array([launch.table] * 2), np.array([0.0, 99.0]), np.array([0.0, 99.0])
    )
    assert values.tolist() == [[20, 20], [6, 6]]


ADDER = """module adder (input clk, input [7:0] a, b, input s, output reg [8:0] o);
  reg [7:0] x, y;
  always @(posedge clk) begin x <= a; y <= s ? b : ~b; o <= x + y; end
endmodule
"""


STA = pytest.mark.skipif(not opensta_timing.installed(), reason="OpenSTA is not installed")


@STA
def test_agrees_with_opensta_on_the_path_by_hand(hand):
    found = circuit(NETLIST, "top", hand)
    theirs = opensta_timing.length_ps(found.verilog(), "top", hand)
    assert theirs == pytest.approx(54.4, abs=0.01)


@STA
def test_agrees_with_opensta_on_an_adder(measuring_data):
    library = liberty.read(measuring_data / "liberty" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz")
    found = circuit(synthesise(ADDER, "adder", library).netlist, "adder", library)
    ours = analyse(found, 1000.0).length_ps
    theirs = opensta_timing.length_ps(found.verilog(), "adder", library)
    assert theirs == pytest.approx(ours, abs=0.01)
