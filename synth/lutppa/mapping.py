"""The Yosys scripts that map modules onto cells, one for each way of doing sums.

front: read -> memories to flip-flops -> Booth multipliers, compressor trees
way:   sums as ripple chains or parallel prefixes, on full-adder cells or not -> ABC
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .liberty import FullAdder, Library

__all__ = ["Way", "area_ways", "script", "timed_ways", "write_inputs"]


class Way(NamedTuple):
    """A way of mapping.

    full_adders  compressors and ripple chains on the library's full-adder cell, else left to ABC
    prefix       sums as parallel prefixes (Brent-Kung), else as ripple chains
    fast         ABC maps for delay, else for area
    """

    full_adders: bool = False
    prefix: bool = False
    fast: bool = False

    @property
    def name(self) -> str:
        """For files, unique."""
        parts = [word for word, chosen in zip(self._fields, self, strict=True) if chosen]
        return "_".join(parts) or "gates"


def area_ways(library: Library) -> list[Way]:
    """What is tried where there is no clock."""
    return [Way(), Way(full_adders=True)] if library.full_adder else [Way()]


def timed_ways(library: Library) -> list[Way]:
    """What is tried for modules that miss the clock; those without a clock come first."""
    adders = [Way(full_adders=True, prefix=True)] if library.full_adder else []
    return [
        *area_ways(library), *adders, Way(prefix=True), Way(prefix=True, fast=True),
    ]  # fmt: skip


_ARITHMETIC = r"""
`ifndef PREFIX
// Sums as ripple chains of full adders: the smallest, and what is left of them after ABC as well.
(* techmap_celltype = "$alu" *)
module chain (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  input CI, BI;
  output [Y_WIDTH-1:0] X, Y, CO;
  wire [Y_WIDTH-1:0] a, b;
  // Extension is a choice of elaboration, so that constant bits are seen as constant. Yosys writes
  // an operand that is zero with a width of zero, which as a range would have two bits.
  generate
    if (A_WIDTH == 0) assign a = 0;
    else if (A_SIGNED) assign a = {{Y_WIDTH{A[A_WIDTH-1]}}, A};
    else assign a = {{Y_WIDTH{1'b0}}, A};
    if (B_WIDTH == 0) assign b = 0;
    else if (B_SIGNED) assign b = {{Y_WIDTH{B[B_WIDTH-1]}}, B};
    else assign b = {{Y_WIDTH{1'b0}}, B};
  endgenerate
  wire [Y_WIDTH-1:0] addend = BI ? ~b : b;
  wire [Y_WIDTH:0] carry = {CO, CI};
  assign X = a ^ addend;
  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1)
`ifdef ALTERNATE
      // A cell with inverted outputs is its own dual: every other bit takes all inputs inverted, so
      // that no inverter stands in the carry.
      if (i % 2) begin
        wire x, y;
        \$fa #(.WIDTH(1)) bit_sum (
          .A(~a[i]), .B(~addend[i]), .C(~carry[i]), .X(x), .Y(y));
        assign CO[i] = ~x;
        assign Y[i] = ~y;
      end else
`endif
      \$fa #(.WIDTH(1)) bit_sum (
        .A(a[i]), .B(addend[i]), .C(carry[i]), .X(CO[i]), .Y(Y[i]));
  endgenerate
endmodule
`endif

(* techmap_celltype = "$fa" *)
module split (A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  wire _TECHMAP_FAIL_ = WIDTH == 1;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1)
      \$fa #(.WIDTH(1)) bit_sum (.A(A[i]), .B(B[i]), .C(C[i]), .X(X[i]), .Y(Y[i]));
  endgenerate
endmodule
"""

_FRONT = """\
read_verilog -sv design.v
hierarchy -check -top {top}
proc
setattr -unset init w:*
opt
wreduce
peepopt
opt_clean
tee -q -o memories.json stat -json
booth
alumacc
maccmap
opt
memory -nomap
memory_map
setattr -unset init w:*
opt -full
check -assert
design -save front
"""

# dch and amap find the exclusive-ors and majorities that the default, &nf, leaves on the table.
_SMALL = "strash;ifraig;scorr;dc2;strash;dch,-f;amap;topo"
_FAST = "strash;ifraig;scorr;dc2;strash;&get,-n;&st;&dch,-f;&nf,-D,1;&put;topo"

_BACK = """\
techmap
opt -fast
dfflibmap -liberty library.lib
opt
abc -liberty library.lib -script +{abc}
opt_clean -purge
tee -q -o {name}.json stat -json -liberty library.lib
write_json {name}_netlist.json
"""


def script(top: str, library: Library, ways: list[Way]) -> str:
    """Commands that leave NAME.json (statistics) and NAME_netlist.json of each way."""
    return _FRONT.format(top=top) + "".join(_way(library, way) for way in ways)


def _way(library: Library, way: Way) -> str:
    lines = ["design -load front"]
    adder = library.full_adder if way.full_adders else None
    defines = ""
    if adder and adder.carry_inverted and adder.sum_inverted:
        defines += " -D ALTERNATE"
    if way.prefix:
        defines += " -D PREFIX"
    lines += [f"techmap{defines} -map arithmetic.v", "opt"]
    if way.prefix:
        # What Yosys makes of sums by itself, as far as to the full adders of compressors.
        lines += ["techmap t:$alu t:$lcu", "opt"]
    if adder:
        lines += ["read_verilog -lib cell.v", "techmap -map adder.v"]
    abc = _FAST if way.fast else _SMALL
    return "\n".join([*lines, _BACK.format(name=way.name, abc=abc)])


def write_inputs(directory: Path, verilog: str, library: Library) -> None:
    """The files that `script` reads."""
    (directory / "design.v").write_text(verilog)
    (directory / "library.lib").write_text(library.text)
    (directory / "arithmetic.v").write_text(_ARITHMETIC)
    if library.full_adder:
        (directory / "cell.v").write_text(_black_box(library.full_adder))
        (directory / "adder.v").write_text(_adder_map(library.full_adder))


def _black_box(adder: FullAdder) -> str:
    ports = [f"input {pin}" for pin in adder.cell.inputs]
    ports += [f"output {pin}" for pin in adder.cell.outputs]
    return f"module {adder.cell.name} ({', '.join(ports)}); endmodule\n"


def _adder_map(adder: FullAdder) -> str:
    """Techmap of `$fa` onto the cell; bits with a constant input are left to ABC."""
    inputs = ", ".join(
        f".{pin}({port})" for pin, port in zip(adder.cell.inputs, "ABC", strict=True)
    )
    carry, total = "~" * adder.carry_inverted, "~" * adder.sum_inverted
    return f"""\
(* techmap_celltype = "$fa" *)
module full_adder (A, B, C, X, Y);
  parameter WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  input A, B, C;
  output X, Y;
  wire _TECHMAP_FAIL_ = _TECHMAP_CONSTMSK_A_ || _TECHMAP_CONSTMSK_B_ || _TECHMAP_CONSTMSK_C_;
  wire carry, sum;
  {adder.cell.name} cell_ ({inputs}, .{adder.carry}(carry), .{adder.sum}(sum));
  assign X = {carry}carry;
  assign Y = {total}sum;
endmodule
"""
