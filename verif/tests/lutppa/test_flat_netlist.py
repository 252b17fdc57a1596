"""Flattening: hierarchy, wires that join, constants, open pins, and what does not fit."""

import pytest

from lutcore.errors import InputError
from lutppa.flat_netlist import HIGH, LOW, read_netlist

TEXT = """
module leaf(a, b, y, same, zero, twice);
  input a, b; output y, same, zero, twice; wire y;
  NAND2 g (.A(a), .B(b), .Y(y));
  assign same = a; assign zero = 1'b0; assign twice = y;
endmodule
module top(x, q, z, t, u);
  input [1:0] x; output q, z, t, u; wire s, o, r;
  leaf one (.a(x[0]), .b(x[1]), .y(q), .same(s), .zero(z), .twice(t));
  leaf two (.a(s), .b(1'b1), .y(o), .zero(r));
  NAND2 g (.A(o), .B(r), .Y(u));
  DFF f (.D(o), .C(x[1]));
endmodule
"""


def _pins(netlist, kind, name):
    instances = next(k for k in netlist.kinds if k.cell.name == kind)
    return dict(
        zip(instances.cell.pins, instances.pins[instances.names.index(name)].tolist(), strict=True)
    )


def test_flat(tiny):
    netlist = read_netlist(TEXT, "top", tiny)
    x, q, z, t, u = (netlist.ports[name].nets.tolist() for name in ("x", "q", "z", "t", "u"))
    assert netlist.cells == 4
    assert z == [LOW] and t == q
    assert _pins(netlist, "NAND2", "one/g") == {"A": x[0], "B": x[1], "Y": q[0]}
    two = _pins(netlist, "NAND2", "two/g")
    assert (two["A"], two["B"]) == (x[0], HIGH)  # through the other leaf, and a constant
    assert _pins(netlist, "NAND2", "g") == {"A": two["Y"], "B": LOW, "Y": u[0]}
    flip_flop = _pins(netlist, "DFF", "f")
    assert flip_flop["Q"] != flip_flop["QN"]  # open, each a net of its own
    assert len(netlist.net_names) == netlist.nets == 2 + 2 + 1 + 1 + 1 + 2


def test_modules(tiny):
    netlist = read_netlist(TEXT, "top", tiny)
    (gates,) = (k for k in netlist.kinds if k.cell.name == "NAND2")
    found = {n: netlist.modules[m] for n, m in zip(gates.names, gates.modules, strict=True)}
    assert found == {"one/g": "leaf", "two/g": "leaf", "g": "top"}


def test_errors(tiny):
    with pytest.raises(InputError, match=r"^the netlist has no module other; it has leaf, top$"):
        read_netlist(TEXT, "other", tiny)
    with pytest.raises(InputError, match=r"^cell one/g is a NOR7, which is neither a module .*"):
        read_netlist(TEXT.replace("NAND2 g (.A(a)", "NOR7 g (.A(a)"), "top", tiny)
