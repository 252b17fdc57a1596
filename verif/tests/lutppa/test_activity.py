"""Activity: against a plain simulation, bit by bit; clock gates; words; what goes wrong."""

import numpy as np
import pytest

from lutcore.errors import InputError
from lutppa.activity import integers, simulate, words
from lutppa.expression import evaluate
from lutppa.flat_netlist import HIGH, read_netlist

SEQUENTIAL = """
module part(clk, a, b, q, y);
  input clk, a, b; output q, y; wire n, d;
  XOR2 g1 (.A(a), .B(q), .Y(n));
  NAND2 g2 (.A(n), .B(b), .Y(d));
  DFF f (.C(clk), .D(d), .Q(q));
  INV g3 (.A(d), .Y(y));
endmodule
module top(clk, x, y);
  input clk; input [2:0] x; output [3:0] y; wire n, nq;
  part p0 (.clk(clk), .a(x[0]), .b(n), .q(y[0]), .y(y[1]));
  part p1 (.clk(clk), .a(y[0]), .b(x[1]), .q(y[2]));
  DFF last (.C(clk), .D(y[2]), .Q(y[3]), .QN(nq));
  NAND2 g (.A(nq), .B(x[2]), .Y(n));
endmodule
"""


def _plain(netlist, inputs):
    """Values [cycles, nets] at the end of every cycle, from inputs [cycles] of net to bit."""
    cells = [
        (kind.cell, dict(zip(kind.cell.pins, row.tolist(), strict=True)))
        for kind in netlist.kinds
        for row in kind.pins
    ]
    nets = np.zeros(netlist.nets, bool)
    nets[HIGH] = True
    state = {i: np.False_ for i, (cell, _) in enumerate(cells) if cell.state}

    def settle():
        while True:
            old = nets.copy()
            for i, (cell, pins) in enumerate(cells):
                values = {pin: nets[pins[pin]] for pin in cell.inputs}
                if cell.state:
                    values = {cell.state.name: state[i], cell.state.inverse: ~state[i]}
                for pin, function in cell.outputs.items():
                    nets[pins[pin]] = evaluate(function, values)
            if (old == nets).all():
                return

    settle()
    history = []
    for beat in inputs:
        for i, (cell, pins) in enumerate(cells):
            if cell.state:
                state[i] = evaluate(cell.state.data, {p: nets[pins[p]] for p in cell.inputs})
        for net, value in beat.items():
            nets[net] = value
        settle()
        history.append(nets.copy())
    return np.array(history)


def test_against_a_plain_simulation(tiny, rng):
    netlist = read_netlist(SEQUENTIAL, "top", tiny)
    cycles, streams, warm_up = 30, 8, 3
    x = rng.integers(8, size=(cycles, streams))
    found = simulate(netlist, {"x": words(x, 3)}, warm_up=warm_up)
    bits = netlist.ports["x"].nets
    history = np.stack(
        [
            _plain(netlist, [{n: v >> i & 1 for i, n in enumerate(bits)} for v in x[:, stream]])
            for stream in range(streams)
        ],
        axis=1,
    )
    assert found.cycles == (cycles - warm_up) * 64
    moved = history[1:] ^ history[:-1]
    toggles = moved[warm_up - 1 :].mean(axis=(0, 1))
    ones = history[warm_up:].mean(axis=(0, 1))
    clock = netlist.ports["clk"].nets[0]
    toggles[clock], ones[clock] = 2, 0.5
    np.testing.assert_allclose(found.toggles, toggles, atol=1e-12)
    np.testing.assert_allclose(found.ones, ones, atol=1e-12)
    y = (history[..., netlist.ports["y"].nets] << np.arange(4)).sum(axis=-1)
    assert (integers(found.outputs["y"])[:, :streams] == y).all()
    for kind, edges, arcs in zip(netlist.kinds, found.edges, found.arcs, strict=True):
        after, before = history[warm_up:][..., kind.pins], history[warm_up - 1 : -1][..., kind.pins]
        first = len(kind.cell.inputs)
        rise, fall = after & ~before, before & ~after
        np.testing.assert_allclose(edges[..., 0], rise[..., first:].mean(axis=(0, 1)), atol=1e-12)
        np.testing.assert_allclose(edges[..., 1], fall[..., first:].mean(axis=(0, 1)), atol=1e-12)
        if kind.cell.name == "NAND2":
            a, b, y = range(3)
            in_vain = ~after[..., b] & ~(rise | fall)[..., y]
            expected = [
                [(edge[..., a] & in_vain).mean(axis=(0, 1)) for edge in (rise, fall)],
                *(
                    [(edge[..., y] & (rise | fall)[..., pin]).mean(axis=(0, 1))
                     for edge in (rise, fall)]
                    for pin in (a, b)
                ),
            ]  # fmt: skip
            np.testing.assert_allclose(arcs.transpose(1, 2, 0), expected, atol=1e-12)


GATED = """
module top(clk, en, q, le); input clk, en; output q, le; wire g, n, d;
  {gate}
  DFF f (.C(g), .D(d), .Q(q));
  INV i (.A(q), .Y(d));
endmodule
"""
LATCHED = (
    "LATCH l (.G(clk), .D(en), .Q(le)); NAND2 a (.A(clk), .B(le), .Y(n)); INV b (.A(n), .Y(g));"
)
GATES = {
    "latch": LATCHED,
    "integrated": "GATE l (.C(clk), .E(en), .G(g));",
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_gated_clocks(tiny, rng, gate):
    netlist = read_netlist(GATED.format(gate=gate), "top", tiny)
    en = rng.integers(2, size=(50, 64))
    found = simulate(netlist, {"en": words(en, 1)}, warm_up=1)
    # The flip-flop toggles with the edges that the enable of the cycle before lets through.
    before = np.concatenate([np.zeros((1, 64), int), en[:-1]])
    assert (integers(found.outputs["q"]) == before.cumsum(axis=0) % 2).all()
    (flip_flops,) = (k for k in netlist.kinds if k.cell.name == "DFF")
    clock, q = flip_flops.pins[0, [0, 2]]
    assert found.toggles[clock] == pytest.approx(2 * en[:-1].mean())
    assert found.ones[clock] == pytest.approx(en[:-1].mean() / 2)
    assert found.toggles[q] == pytest.approx(en[:-1].mean())


def test_a_gate_without_a_latch(tiny, rng):
    gate = "NAND2 a (.A(clk), .B(en), .Y(n)); INV b (.A(n), .Y(g));"
    netlist = read_netlist(GATED.format(gate=gate), "top", tiny)
    with pytest.raises(InputError, match=r"^top: data changes the clock of a flip-flop while clk"):
        simulate(netlist, {"en": words(rng.integers(2, size=(50, 64)), 1)})


def test_a_loop(tiny):
    text = "module top(a, y); input a; output y; NAND2 g (.A(a), .B(y), .Y(y)); endmodule"
    netlist = read_netlist(text, "top", tiny)
    with pytest.raises(InputError, match=r"^top: combinational loop at or before cell g$"):
        simulate(netlist, {"a": words(np.zeros((4, 1), int), 1)})


def test_ports_must_fit(tiny):
    netlist = read_netlist(SEQUENTIAL, "top", tiny)
    x = words(np.zeros((4, 1), int), 3)
    with pytest.raises(ValueError, match=r"^stimulus is for \['y'\], input ports are \['x'\]$"):
        simulate(netlist, {"y": x})
    with pytest.raises(ValueError, match=r"^x has 3 bits, not those of \(4, 2\)$"):
        simulate(netlist, {"x": x[:, :2]})
    with pytest.raises(ValueError, match=r"^4 cycles of stimulus leave none after 4 of warm-up$"):
        simulate(netlist, {"x": x}, warm_up=4)


def test_words(rng):
    values = rng.integers(-8, 8, size=(5, 64))
    assert (integers(words(values, 4), signed=True) == values).all()
    assert (integers(words(values, 70), signed=True) == values).all()
    assert words(values[:, :2], 4).tolist() == words(np.tile(values[:, :2], 32), 4).tolist()
    wide = np.array([[int(v) << 90 | 5 for v in row] for row in values & 7], dtype=object)
    assert (integers(words(wide, 93)) == wide).all()
    fields = rng.integers(8, size=(5, 64, 2, 3))
    joined = sum(fields.reshape(5, 64, 6)[..., i] << 3 * i for i in range(6))
    assert (integers(words(fields, 3)) == joined).all()
    with pytest.raises(ValueError, match="divisor of 64"):
        words(values[:, :3], 4)


HANDSHAKE = """
module top(clk, go, i__valid, i__payload, i__ready, y);
  input clk, i__valid; input [1:0] go, i__payload; output i__ready; output [1:0] y;
  wire n; NAND2 a (.A(go[0]), .B(go[1]), .Y(n)); INV b (.A(n), .Y(i__ready));
  DFF f (.C(clk), .D(i__payload[0]), .Q(y[0])); DFF g (.C(clk), .D(i__valid), .Q(y[1]));
endmodule
"""


def test_a_stream_moves_a_beat_where_it_is_ready(tiny, rng):
    netlist = read_netlist(HANDSHAKE, "top", tiny)
    beats = rng.integers(4, size=(5, 64))
    go = np.array([3, 3, 3, 0, 1, 3, 3, 0, 3, 3, 3, 3])[:, None]
    found = simulate(netlist, {"go": words(go, 2)}, {"i": words(beats, 2)})
    # Nothing in reset; the run ends once all five have moved.
    assert found.moved["i"].tolist() == [0, 0, 1, 1, 1, 2, 3, 3, 4, 5]
    assert found.cycles == 9 * 64
    y = integers(found.outputs["y"])
    assert (y[3:, :] >> 1 == 1).all() and (y[:3] >> 1 == 0).all()
    offered = beats[[0, 1, 1, 1, 2, 3, 3]] & 1
    assert (y[3:] & 1 == offered).all()


def test_streams_of_data_that_are_not_ready_together(tiny):
    netlist = read_netlist(HANDSHAKE, "top", tiny)
    go = np.repeat([[3, 1]], 8, axis=0)
    with pytest.raises(InputError, match=r"^top: the 64 streams of data are not ready together$"):
        simulate(netlist, {"go": words(go, 2)}, {"i": words(np.zeros((3, 1), int), 2)})
