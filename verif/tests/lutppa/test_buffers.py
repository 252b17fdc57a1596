"""Buffer trees: how many, how deep, which pins stay at the driver, and in which unit they lie."""

from __future__ import annotations

import numpy as np
import pytest

from lutppa import buffers, fanout, liberty
from lutppa.buffers import LIMIT, buffered
from lutppa.circuit import circuit


def _wide(loads: int, *, late: int = 0) -> str:
    """A flip-flop in `unit` drives that many inverters; `late` of them have nine more behind."""
    lines = ["wire q; unit source (.clk(clk), .d(d), .q(q));"]
    for i in range(loads):
        lines.append(f"wire w{i}_0; INV u{i} (.A(q), .Y(w{i}_0));")
        chain = 9 if i < late else 0
        for j in range(chain):
            lines.append(f"wire w{i}_{j + 1}; INV v{i}_{j} (.A(w{i}_{j}), .Y(w{i}_{j + 1}));")
        lines.append(f"DFF e{i} (.CK(clk), .D(w{i}_{chain}), .Q(y[{i}]));")
    return f"""
module unit (input clk, input d, output q); DFF f (.CK(clk), .D(d), .Q(q)); endmodule
module top (input clk, input d, output [{loads - 1}:0] y); {" ".join(lines)} endmodule
"""


def _pins(found) -> np.ndarray:
    """Input pins on every net, clocks apart."""
    return np.bincount(found.pins[found.loads()], minlength=found.nets)


@pytest.mark.parametrize("loads", [1, LIMIT, LIMIT + 1, 5 * LIMIT, LIMIT**2 + 1])
def test_no_net_has_more_than_the_limit(loads):
    before = circuit(_wide(loads), "top", liberty.read(None))
    after = buffered(before, 1000.0)
    assert _pins(after).max() <= LIMIT
    added = len(after.kind) - len(before.kind)
    # As few as there can be: each takes LIMIT pins and is one.
    assert added == max(0, -(-(loads - LIMIT) // (LIMIT - 1)))
    assert added <= fanout.buffers(loads, LIMIT)
    assert after.area - before.area == added * 1.0
    assert after.areas["unit"] - before.areas["unit"] == added * 1.0


def _depth(found, cell: int) -> int:
    """Buffers between the driver and a cell's first pin."""
    depth = 0
    outputs = {found.pins[place, 1]: place for place, name in enumerate(found.names)
               if name.startswith("buffer_")}  # fmt: skip
    net = found.pins[cell, 0]
    while net in outputs:
        depth += 1
        net = found.pins[outputs[net], 0]
    return depth


def test_urgent_pins_stay_at_the_driver():
    loads, late = 4 * LIMIT, 3
    found = buffered(circuit(_wide(loads, late=late), "top", liberty.read(None)), 1000.0)
    depths = [_depth(found, found.names.index(f"u{i}")) for i in range(loads)]
    assert depths[:late] == [0] * late
    assert max(depths[late:]) == 1


def test_clocks_stay_as_they_are():
    before = circuit(_wide(2 * LIMIT), "top", liberty.read(None))
    clock = before.ports["clk"].nets[0]
    assert (before.pins == clock).sum() == (buffered(before, 1000.0).pins == clock).sum() > LIMIT


def test_a_library_without_buffers(tmp_path):
    text = liberty.read(None).text
    path = tmp_path / "none.lib"
    path.write_text(text.replace('function : "A";', 'function : "!A";'))
    before = circuit(_wide(2 * LIMIT), "top", liberty.read(path))
    assert buffers.buffered(before, 1000.0) is before
