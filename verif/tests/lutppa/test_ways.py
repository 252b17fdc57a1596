"""Ways of mapping: each computes the Verilog, and what they are for is there to be seen."""

from __future__ import annotations

import re

import pytest

from lutppa import liberty, ways, yosys

VERILOG = """
module sums (input clk, input [5:0] b, input [15:0] x, y, output reg [2:0] n, output reg [16:0] s);
  wire [1:0] low = b[0] + b[1] + b[2], high = b[3] + b[4] + b[5];
  always @(posedge clk) begin n <= low + high; s <= x + y; end
endmodule
"""


@pytest.mark.parametrize("name", [name for name in ways.WAYS if name != "prefix map"])
def test_computes_the_verilog(equivalent, name):
    library = liberty.read(None)
    netlist = ways.mapped(VERILOG, "sums", library, name)
    assert netlist
    equivalent(VERILOG, "sums", library, netlist)
    adders = len(re.findall(r"^  FA ", netlist, re.M))
    # Two sums of three bits and the second bit of their sum; the wide sum has none.
    assert adders == (3 if name.startswith("fa") else 0)


def test_a_way_that_does_not_go_with_the_library():
    assert ways.mapped(VERILOG, "sums", liberty.read(None), "prefix map") is None


def test_a_yosys_that_was_killed_is_asked_again(monkeypatch, tmp_path):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    library, name = liberty.read(None), "prefix nf"

    def killed(*arguments):
        raise yosys.YosysError("Yosys ended with status -9", "mapping")

    with monkeypatch.context() as patch:
        patch.setattr(ways, "netlist", killed)
        with pytest.raises(yosys.YosysError, match="status -9"):
            ways.mapped(VERILOG, "sums", library, name)
    assert ways.mapped(VERILOG, "sums", library, name)
