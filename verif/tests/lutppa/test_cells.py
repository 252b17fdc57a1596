"""Cells in full: functions, capacitances, energy tables, leakage and units of a Liberty file."""

import numpy as np
import pytest

from lutcore.errors import InputError
from lutppa import liberty
from lutppa.cells import EnergyTable, State, read_power


def test_units(tiny):
    power = read_power(tiny, ["INV"])
    assert power.voltage == 0.5
    assert power.time_ps == pytest.approx(1)
    assert power.capacitance_ff == pytest.approx(1)
    assert power.leakage_nw == pytest.approx(1)
    assert power.energy_fj == pytest.approx(1)
    assert power.largest_slew == 160


def test_other_units(tiny_text, tmp_path):
    for old, new in (("(1, ff)", "(2, pf)"), ('"1V"', '"10mV"'), ('"1nW"', '"1uW"')):
        tiny_text = tiny_text.replace(old, new)
    (tmp_path / "x.lib").write_text(tiny_text)
    power = read_power(liberty.read(tmp_path / "x.lib"), ["INV"])
    assert power.voltage == pytest.approx(0.005)
    assert power.capacitance_ff == pytest.approx(2000)
    assert power.leakage_nw == pytest.approx(1000)
    assert power.energy_fj == pytest.approx(2000 * 1e-4)


def test_gate(tiny):
    cell = read_power(tiny, ["NAND2"]).cells["NAND2"]
    assert cell.inputs == {"A": 2.0, "B": 2.0}
    assert cell.outputs == {"Y": "!(A B)"}
    assert cell.state is None and cell.clocks == ()
    assert [(arc.pin, arc.related, arc.when) for arc in cell.arcs] == [
        ("A", (), "!B"),
        ("Y", ("A",), ""),
        ("Y", ("B",), ""),
    ]
    assert cell.leakage == (("A*B", 8.0, False), ("", 2.0, False))


def test_rails_are_one_arc(tiny):
    (arc,) = read_power(tiny, ["INV"]).cells["INV"].arcs
    assert [ground for ground, _ in arc.rise] == [False, True]
    assert arc.fall[1][1].values.tolist() == [[5, 5], [5, 5]]


def test_states(tiny):
    cells = read_power(tiny, ["DFF", "LATCH", "GATE"]).cells
    assert cells["DFF"].state == State("IQ", "IQN", True, "C", "D", "", "")
    assert cells["DFF"].clocks == ("C",)
    assert cells["LATCH"].state == State("IQ", "IQN", False, "!G", "D", "", "")
    assert cells["GATE"].state == State("M", "", False, "!C", "E", "", "")
    assert cells["GATE"].outputs == {"G": "C * M"}


def test_interpolation_goes_on_beyond_the_table():
    table = EnergyTable(np.array([10.0, 20]), np.array([1.0, 3]), np.array([[1.0, 3], [5, 7]]))
    loads = np.array([1.0, 2, 3, 0, 5])
    assert table.at(10, loads).tolist() == [1, 2, 3, 0, 5]
    assert table.at(15, loads).tolist() == [3, 4, 5, 2, 7]
    assert table.at(0, loads).tolist() == [-3, -2, -1, -4, 1]
    scalar = EnergyTable(np.zeros(1), np.zeros(1), np.array([[2.5]]))
    assert scalar.at(15, loads).tolist() == [2.5] * 5


def test_table_with_loads_first(tiny_text, tmp_path):
    swapped = tiny_text.replace(
        """variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    index_1 ("10, 160"); index_2 ("1, 3");""",
        """variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("1, 3"); index_2 ("10, 160");""",
    )
    assert swapped != tiny_text
    (tmp_path / "x.lib").write_text(swapped)
    (arc,) = read_power(liberty.read(tmp_path / "x.lib"), ["INV"]).cells["INV"].arcs
    assert arc.rise[0][1].values.tolist() == [[1, 4], [3, 6]]


def test_errors(tiny, tiny_text, tmp_path):
    with pytest.raises(InputError, match=r"^tiny\.lib: has no cell NOR9$"):
        read_power(tiny, ["NOR9"])
    for old, new, message in (
        ("nom_voltage : 0.5;", "", r"^x\.lib: has no nom_voltage, .* would do$"),
        ('"1nW"', '"1 horse"', r"^x\.lib: unit must be like 1nW, not '1 horse'$"),
    ):
        (tmp_path / "x.lib").write_text(tiny_text.replace(old, new))
        with pytest.raises(InputError, match=message):
            read_power(liberty.read(tmp_path / "x.lib"), ["INV"])


@pytest.mark.parametrize(
    ("file", "flip_flop", "gate"),
    [
        ("asap7_rvt_tt", "DFFHQNx1_ASAP7_75t_R", "NAND2x1_ASAP7_75t_R"),
        ("sky130hd_tt", "sky130_fd_sc_hd__dfxtp_1", "sky130_fd_sc_hd__nand2_1"),
        ("sg13g2_stdcell_typ_1p20V_25C", "sg13g2_dfrbpq_1", "sg13g2_nand2_1"),
    ],
)
def test_real_libraries(measuring_data, file, flip_flop, gate):
    power = read_power(
        liberty.read(measuring_data / "liberty" / f"{file}.lib.gz"), [flip_flop, gate]
    )
    state = power.cells[flip_flop].state
    assert state is not None and state.edge and state.clock == "CLK"
    # Half a fF to ten of an input, a few hundredths to a hundred fJ of an edge.
    for capacitance in power.cells[gate].inputs.values():
        assert 0.3 < capacitance * power.capacitance_ff < 10
    arc = next(arc for arc in power.cells[gate].arcs if arc.related)
    load = np.array([4 * max(power.cells[gate].inputs.values())])
    energy = arc.rise[0][1].at(power.largest_slew / 16, load)[0] * power.energy_fj
    assert 0.01 < energy < 100
