"""A made-up cell library whose every energy can be worked out by hand: fF, fJ, nW, ps, 0.5 V."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from lutppa import liberty, yosys

TINY = """
library (tiny) {
  time_unit : "1ps"; voltage_unit : "1V"; leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff); nom_voltage : 0.5;
  power_lut_template (plane) {
    variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    index_1 ("10, 160"); index_2 ("1, 3");
  }
  power_lut_template (line) { variable_1 : input_transition_time; index_1 ("10, 160"); }
  cell (INV) { area : 1.0;
    pg_pin (VDD) { pg_type : primary_power; } pg_pin (VSS) { pg_type : primary_ground; }
    leakage_power () { when : "A"; value : 3; } leakage_power () { when : "!A"; value : 1; }
    pin (A) { direction : input; capacitance : 1.0; }
    pin (Y) { direction : output; function : "!A";
      timing () { related_pin : "A"; cell_rise (none) { values ("1"); } }
      internal_power () { related_pin : "A"; related_pg_pin : VDD;
        rise_power (plane) { values ("1, 3", "4, 6"); }
        fall_power (plane) { values ("0, 0", "0, 0"); } }
      internal_power () { related_pin : "A"; related_pg_pin : VSS;
        rise_power (plane) { values ("0, 0", "0, 0"); }
        fall_power (plane) { values ("5, 5", "5, 5"); } } } }
  cell (NAND2) { area : 2.0;
    leakage_power () { when : "A*B"; value : 8; } leakage_power () { value : 2; }
    pin (A) { direction : input; capacitance : 2.0;
      internal_power () { when : "!B"; power (line) { values ("0.25, 0.25"); } } }
    pin (B) { direction : input; capacitance : 2.0; }
    pin (Y) { direction : output; function : "!(A B)";
      internal_power () { related_pin : "A"; power (scalar) { values ("1"); } }
      internal_power () { related_pin : "B"; power (scalar) { values ("3"); } } } }
  cell (XOR2) { area : 3.0; cell_leakage_power : 7;
    pin (A) { direction : input; capacitance : 1.0; }
    pin (B) { direction : input; capacitance : 1.0; }
    pin (Y) { direction : output; function : "A ^ B"; } }
  cell (DFF) { area : 4.0; cell_leakage_power : 4;
    ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    pin (C) { direction : input; clock : true; capacitance : 0.5;
      internal_power () { when : "!(D ^ Q)";
        rise_power (scalar) { values ("2"); } fall_power (scalar) { values ("1"); } }
      internal_power () {
        rise_power (scalar) { values ("0"); } fall_power (scalar) { values ("1"); } } }
    pin (D) { direction : input; capacitance : 1.0; }
    pin (Q) { direction : output; function : "IQ";
      internal_power () { related_pin : "C"; power (scalar) { values ("6"); } } }
    pin (QN) { direction : output; function : "IQN"; } }
  cell (LATCH) { area : 3.0; cell_leakage_power : 1;
    latch (IQ, IQN) { enable : "!G"; data_in : "D"; }
    pin (G) { direction : input; clock : true; capacitance : 0.5; }
    pin (D) { direction : input; capacitance : 1.0; }
    pin (Q) { direction : output; function : "IQ"; } }
  cell (GATE) { area : 4.0; cell_leakage_power : 1;
    clock_gating_integrated_cell : "latch_posedge";
    statetable ("C E", "M") { table : "L L : - : L, L H : - : H, H - : - : N"; }
    pin (M) { direction : internal; internal_node : "M"; }
    pin (C) { direction : input; clock_gate_clock_pin : true; capacitance : 0.5; }
    pin (E) { direction : input; clock_gate_enable_pin : true; capacitance : 1.0; }
    pin (G) { direction : output; clock_gate_out_pin : true; state_function : "C * M"; } }
}
"""


@pytest.fixture
def tiny_text() -> str:
    return TINY


@pytest.fixture
def tiny_file(tmp_path) -> Path:
    path = tmp_path / "tiny.lib"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny(tiny_file) -> liberty.Library:
    return liberty.read(tiny_file)


@pytest.fixture(scope="session")
def generic_volts(tmp_path_factory) -> liberty.Library:
    """The generic library with a voltage, without which there is no energy."""
    path = tmp_path_factory.mktemp("library") / "volts.lib"
    text = liberty.read(None).text
    path.write_text(text.replace('voltage_unit : "1V";', 'voltage_unit : "1V"; nom_voltage : 1;'))
    return liberty.read(path)


@pytest.fixture
def equivalent(tmp_path):
    """(verilog, top, library, netlist): Yosys proves by induction that the netlist is the Verilog.

    No flip-flop has a first value.
    """
    return functools.partial(_equivalent, tmp_path)


def _equivalent(directory, verilog, top, library, netlist):
    (directory / "gold.v").write_text(verilog)
    (directory / "gate.v").write_text(netlist)
    (directory / "library.lib").write_text(library.text)
    yosys.run(
        directory,
        f"""
read_verilog -sv gold.v
prep -flatten -top {top}
memory_map
opt
splitnets -ports
design -stash gold
read_liberty -ignore_miss_func library.lib
read_verilog gate.v
prep -flatten -top {top}
splitnets -ports
design -stash gate
design -copy-from gold -as gold {top}
design -copy-from gate -as gate {top}
equiv_make gold gate both
hierarchy -top both
async2sync
opt -share_all
equiv_simple -undef
equiv_induct -undef
equiv_status -assert
""",
    )
