"""Area of a Verilog hierarchy: every module mapped once onto a cell library, smallest first.

    read -> memories to flip-flops -> Booth multipliers, ripple carries -> flip-flops -> ABC

Each module is mapped twice, with its sums on the library's full-adder cell and with everything left
to ABC, which never uses such a cell; the smaller result counts. There is no clock constraint.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lutcore.errors import InputError

from . import polarity, yosys
from .liberty import FullAdder, Library

__all__ = [
    "ABC", "BACK", "FRONT", "SPLIT", "Amount", "Module", "Synthesis", "adder_map", "black_box",
    "module_texts", "synthesise",
]  # fmt: skip

CHAIN = r"""
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
      \$fa #(.WIDTH(1)) bit_sum (
        .A(a[i]), .B(addend[i]), .C(carry[i]), .X(CO[i]), .Y(Y[i]));
  endgenerate
endmodule
"""

SPLIT = r"""
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

FRONT = """\
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
techmap -map arithmetic.v
check -assert
opt
"""

# dch and amap find the exclusive-ors and majorities that the default, &nf, leaves on the table.
ABC = "strash;ifraig;scorr;dc2;strash;dch,-f;amap;topo"

BACK = """\
techmap
opt -fast
dfflibmap -liberty library.lib
opt
abc -liberty library.lib -script +{abc}
opt_clean -purge
tee -q -o {variant}.json stat -json -liberty library.lib
write_verilog -noattr -noexpr {variant}.v
"""


@dataclass(frozen=True)
class Amount:
    """Area in the library's unit, cells, flip-flops and their area."""

    area: float = 0.0
    cells: int = 0
    flip_flops: int = 0
    flip_flop_area: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.area + other.area,
            self.cells + other.cells,
            self.flip_flops + other.flip_flops,
            self.flip_flop_area + other.flip_flop_area,
        )

    def __sub__(self, other: Amount) -> Amount:
        return self + -1 * other

    def __rmul__(self, count: int) -> Amount:
        return Amount(
            count * self.area,
            count * self.cells,
            count * self.flip_flops,
            count * self.flip_flop_area,
        )


@dataclass(frozen=True)
class Module:
    """A mapped module.

    own         its cells, without those of the modules it places
    children    modules that it places, with how many of each
    memory      bits of memory in its source; each became a flip-flop
    full_adders whether its sums lie on full-adder cells
    """

    own: Amount
    children: dict[str, int]
    memory: int
    full_adders: bool


@dataclass(frozen=True)
class Synthesis:
    """A mapped hierarchy: modules by name, the netlist, and how it was made."""

    top: str
    modules: dict[str, Module]
    netlist: str
    script: str
    log: str
    seconds: float

    @cached_property
    def totals(self) -> dict[str, Amount]:
        """Every module with all that it places."""
        found: dict[str, Amount] = {}

        def total(name: str) -> Amount:
            if name not in found:
                module = self.modules[name]
                found[name] = sum(
                    (count * total(child) for child, count in module.children.items()), module.own
                )
            return found[name]

        for name in self.modules:
            total(name)
        return found


def synthesise(verilog: str, top: str, library: Library) -> Synthesis:
    """Map `top` and every module below it onto the cells of `library`.

    Raises InputError where the library cannot be used, YosysError where the Verilog cannot.
    """
    begin = time.monotonic()
    adder = library.full_adder
    script = FRONT.format(top=top)
    variants = ["gates"]
    if adder:
        variants.append("adders")
        script += "write_json arithmetic.json\n"
    script += BACK.format(variant="gates", abc=ABC)
    second = "read_json adders.json\nread_verilog -lib cell.v\ntechmap -map adder.v\n"
    second += BACK.format(variant="adders", abc=ABC)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "design.v").write_text(verilog)
        (directory / "library.lib").write_text(library.text)
        (directory / "arithmetic.v").write_text(CHAIN + SPLIT)
        if adder:
            (directory / "cell.v").write_text(black_box(adder))
            (directory / "adder.v").write_text(adder_map(adder))
        try:
            log = yosys.run(directory, script)
            if adder:
                design = json.loads((directory / "arithmetic.json").read_text())
                if adder.carry_inverted and adder.sum_inverted:
                    polarity.assign(design)
                (directory / "adders.json").write_text(json.dumps(design))
                log += yosys.run(directory, second)
                script += second
        except yosys.YosysError as error:
            if "Executing DFFLIBMAP pass" in error.log:  # The Verilog was read.
                raise InputError(
                    f"{library.file}: cannot be mapped onto: {error}; inverter, NAND2 and "
                    "rising-edge D flip-flop with functions and timing would do"
                ) from None
            raise
        memories = yosys.statistics(directory / "memories.json")
        counts = [yosys.statistics(directory / f"{variant}.json") for variant in variants]
        texts = [module_texts(directory / f"{variant}.v") for variant in variants]
    modules: dict[str, Module] = {}
    netlist: list[str] = []
    for module in texts[0]:
        candidates = [_module(module, count, memories[module], library) for count in counts]
        best = min(range(len(variants)), key=lambda i: candidates[i].own.area)
        modules[module] = candidates[best]
        netlist.append(texts[best][module])
    return Synthesis(top, modules, "\n".join(netlist), script, log, time.monotonic() - begin)


def _module(
    name: str, counts: dict[str, dict[str, Any]], source: dict[str, Any], library: Library
) -> Module:
    own = Amount()
    children: Counter[str] = Counter()
    full_adders = False
    for kind, count in counts[name].get("num_cells_by_type", {}).items():
        cell = library.cells.get(kind)
        if cell:
            area = cell.area
            own += count * (Amount(area, 1, 1, area) if cell.flip_flop else Amount(area, 1))
            full_adders |= library.full_adder is not None and cell is library.full_adder.cell
        elif kind in counts:
            children[kind] += count
        else:
            raise InputError(f"{library.file}: has no cell for {kind} of module {name}")
    return Module(own, dict(children), source["num_memory_bits"], full_adders)


def module_texts(path: Path) -> dict[str, str]:
    """The text of every module of a netlist, by name."""
    parts = re.finditer(r"^module (\w+) ?\(.*?^endmodule$", path.read_text(), re.M | re.S)
    return {part[1]: part[0] + "\n" for part in parts}


def black_box(adder: FullAdder) -> str:
    """The full-adder cell for a reader of Verilog."""
    ports = [f"input {pin}" for pin in adder.cell.inputs]
    ports += [f"output {pin}" for pin in adder.cell.outputs]
    return f"module {adder.cell.name} ({', '.join(ports)}); endmodule\n"


def adder_map(adder: FullAdder) -> str:
    """Techmap of `$fa` onto the cell; bits with a constant input are left to ABC."""
    inputs = ", ".join(
        f".{pin}({port})" for pin, port in zip(adder.cell.inputs, "ABC", strict=True)
    )
    carry, total = "~" * adder.carry_inverted, "~" * adder.sum_inverted
    carry_dual, total_dual = "~" * (not adder.carry_inverted), "~" * (not adder.sum_inverted)
    inverted = inputs.replace("(", "(~")
    return f"""\
(* techmap_celltype = "{polarity.INVERTED}" *)
module full_adder_inverted (A, B, C, X, Y);
  parameter WIDTH = 1;
  input A, B, C;
  output X, Y;
  wire carry, sum;
  {adder.cell.name} cell_ ({inverted}, .{adder.carry}(carry), .{adder.sum}(sum));
  assign X = {carry_dual}carry;
  assign Y = {total_dual}sum;
endmodule

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
