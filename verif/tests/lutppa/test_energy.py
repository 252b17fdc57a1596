"""Energy by hand, of circuits so small that every term can be written down."""

import numpy as np
import pytest

from lutcore.errors import ConfigError
from lutppa.activity import simulate, words
from lutppa.energy import Conditions, Energy, account
from lutppa.flat_netlist import read_netlist

PLAIN = Conditions(wire_pitches=0.0, slew=85.0)
FLIP = np.arange(9)[:, None] % 2


def _account(library, text, stimulus, conditions=PLAIN):
    netlist = read_netlist(text, "top", library)
    activity = simulate(netlist, {name: words(v, 1) for name, v in stimulus.items()})
    return account(netlist, activity, conditions)


INVERTERS = """module top(a, y); input a; output y; wire n;
  INV u (.A(a), .Y(n)); INV v (.A(n), .Y(y)); endmodule"""


def test_inverters(tiny):
    found = _account(tiny, INVERTERS, {"a": FLIP})
    # Half of the edges rise. Half way between the slews, and with 1 fF and nothing behind:
    internal = 0.5 * (1 + 4) / 2 + 0.5 * (0 + 3) / 2
    net = 0.5 * 1.0 * 0.5**2
    leakage = 2 * (3 + 1) / 2 * 1e-3
    assert found.total.data == pytest.approx(2 * net)
    assert found.total.clock == 0
    assert found.total.internal == pytest.approx(internal)
    assert found.total.leakage == pytest.approx(leakage)
    assert found.border.data == pytest.approx(net)  # what the port drives
    assert found.slew == 85 and found.wire_ff == 0


def test_tables_of_ground_count_only_if_asked(tiny):
    both = Conditions(wire_pitches=0.0, slew=85.0, ground=True)
    plain = _account(tiny, INVERTERS, {"a": FLIP}).total.internal
    found = _account(tiny, INVERTERS, {"a": FLIP}, both).total.internal
    assert found == pytest.approx(plain + 2 * 0.5 * 5)


def test_wire(tiny):
    conditions = Conditions(slew=85.0, wire_pitches=2.0, utilisation=0.25, wire_ff_um=0.5)
    found = _account(tiny, INVERTERS, {"a": FLIP}, conditions)
    # An inverter of 1 um2 takes 4 um2 of rows: 2 um a pitch, 4 um of wire.
    assert found.wire_ff == pytest.approx(2.0)
    assert found.total.data == pytest.approx(2 * 0.5 * (1.0 + 2.0) * 0.5**2)
    assert found.loads.max() == pytest.approx(3.0)
    internal = 0.5 * (3 + 6) / 2 + 0.5 * (0 + 3) / 2
    assert found.total.internal == pytest.approx(internal)


def test_slew_of_the_library(tiny):
    found = _account(tiny, INVERTERS, {"a": FLIP}, Conditions(wire_pitches=0.0))
    assert found.slew == 10
    assert found.total.internal == pytest.approx(0.5 * 1 + 0.5 * 0)


def test_leakage_by_state_and_period(tiny):
    conditions = Conditions(wire_pitches=0.0, period_ps=500.0)
    high = np.array([[0], [1], [1], [1], [0]])
    found = _account(tiny, INVERTERS, {"a": high}, conditions)
    u, v = 0.75 * 3 + 0.25 * 1, 0.25 * 3 + 0.75 * 1
    assert found.total.leakage == pytest.approx((u + v) * 500e-6)


NAND = """module top(a, b, y); input a, b; output y;
  NAND2 u (.A(a), .B(b), .Y(y)); endmodule"""


@pytest.mark.parametrize(
    ("b", "internal", "leakage"),
    [
        (FLIP, (1 + 3) / 2, (8 + 2) / 2),  # both move: the mean of both arcs
        (0 * FLIP + 1, 1, (8 + 2) / 2),  # only A moves, and the output with it
        (0 * FLIP, 0.25, 2),  # A moves in vain
    ],
)
def test_nand(tiny, b, internal, leakage):
    found = _account(tiny, NAND, {"a": FLIP, "b": b}).total
    assert found.internal == pytest.approx(internal)
    # By probability: the inputs count as independent, which those that move together are not.
    if b is FLIP:
        leakage = 0.25 * 8 + 0.75 * 2
    assert found.leakage == pytest.approx(leakage * 1e-3)


TOGGLE = """module top(clk, x, q); input clk, x; output q; wire d;
  {0} DFF f (.C(clk), .D({1}), .Q(q)); endmodule"""


def test_flip_flop_that_moves(tiny):
    text = TOGGLE.format("INV i (.A(q), .Y(d));", "d")
    found = _account(tiny, text, {"x": FLIP}).total
    net = 0.5 * 1.0 * 0.5**2
    assert found.clock_nets == pytest.approx(2 * 0.5 * 0.5 * 0.5**2)
    # Before the rise D and Q differ, and again before the fall: 0 and 1.
    assert found.clock_pins == pytest.approx(0 + 1)
    assert found.internal == pytest.approx(6 + 0.5 * (1 + 4) / 2)
    assert found.data == pytest.approx(2 * net)
    assert found.leakage == pytest.approx((4 + 2) * 1e-3)


def test_flip_flop_that_holds(tiny):
    found = _account(tiny, TOGGLE.format("", "q"), {"x": FLIP}).total
    assert found.clock_pins == pytest.approx(2 + 1)
    assert (found.internal, found.data) == (0, 0)
    assert found.clock == found.clock_nets + found.clock_pins


def test_modules(tiny):
    text = """module part(a, y); input a; output y; INV u (.A(a), .Y(y)); endmodule
    module top(a, y); input a; output y; wire n;
      part p (.a(a), .y(n)); part q (.a(n), .y(y)); endmodule"""
    found = _account(tiny, text, {"a": FLIP})
    assert found.total == _account(tiny, INVERTERS, {"a": FLIP}).total
    assert found.modules["top"] == Energy()
    # What the port drives is charged to the part that it drives; its output drives nothing.
    assert found.modules["part"].data == pytest.approx(2 * 0.125)


def test_operations_divide(tiny):
    total = Energy(1, 2, 3, 4, 5)
    assert (total / 2).total == 7.5
    assert total + total == total / 0.5


def test_conditions_are_checked():
    with pytest.raises(ConfigError, match=r"^period_ps must be positive, not 0$"):
        Conditions(period_ps=0)
    with pytest.raises(ConfigError, match=r"^wire_pitches must be 0 or more, not -1$"):
        Conditions(wire_pitches=-1)
