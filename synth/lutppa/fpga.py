"""FPGAs: what a design needs of one, and how fast it runs there.

Yosys counts for every family, on the design alone and without I/O buffers. Every module is mapped
once and kept whole, as in `area`: a lookup array is smaller so than flattened (in ECP5 657 LUTs in
place of 717 for `tiny`), and a core is mapped in minutes. ECP5 and iCE40 are also placed and routed
with nextpnr. A core has more ports than a package has pins, so that it is placed
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
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir

from lutcore.errors import InputError
from lutcore.export import ports, unit_design
from lutcore.unit import BaseUnit
from lutverif import native

from . import fpga_families, mapped, yosys
from .fpga_families import FAMILIES, Family

__all__ = ["FAMILIES", "NOTES", "Fpga", "count", "flow", "implement", "part"]

NOTES: tuple[str, ...] = (
    "LUTs, flip-flops, DSPs and memories are those of the design alone, counted by Yosys; every "
    "module is mapped by itself.",
    "The placed design stands between a shift register for its inputs and one for its outputs, "
    "since a core has more ports than a package has pins; Fmax includes these paths.",
)
"""What was done; printed first."""

FREQUENCY = 200
"""MHz that nextpnr is asked for, so that it tries."""


@dataclass(frozen=True)
class Fpga:
    """What a design needs of a family.

    luts, flip_flops, dsps, memories  of the design alone, by Yosys
    device       that it was placed in; empty where it was not
    fmax_mhz     highest clock after routing; None where it was not placed
    wrapper_bits inputs and outputs that the wrapper registers
    note         why it was not placed, if it was not; which devices it does not fit
    cells        Yosys' cells by type
    units        instances and the same four counts, of all of them, by suffix of the unit's module
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
    units: dict[str, dict[str, int]] = field(default_factory=dict)


def flow() -> str:
    """Hash of the flow: its source and its tools."""
    tools = ["pyosys", *(f.tool.replace("_", "-") for f in FAMILIES.values() if f.tool)]
    files = mapped.sources(__file__, str(fpga_families.__file__), str(yosys.__file__))
    return mapped.digest(files, *(metadata.version(tool) for tool in tools))


# Names of slices would clash with those that ABC gives back, hence `splitnets`.
_SYNTH = """\
read_verilog -sv design.v
hierarchy -check -top {top}
proc
opt_clean
splitnets
read_verilog -sv wrapper.v
hierarchy -check -top wrapper
setattr -mod -set keep_hierarchy 1 {modules}
{script}
tee -q -o stat.json stat -json
setattr -mod -unset keep_hierarchy {modules}
rename -enumerate
flatten -noscopeinfo
clean
write_json design.json
"""


def implement(
    unit: BaseUnit,
    verilog: str,
    family: str,
    *,
    dsps: bool = True,
    place: bool = True,
    directory: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Fpga:
    """Synthesise a unit for a family and, where there is a tool for it, place and route it.

    verilog    of the unit and all below it
    dsps       whether multiplications may take DSPs
    directory  where netlist and logs stay (design.json, flow.log, nextpnr.log); none by default
    say        told what is done next

    InputError for an unknown family. A design that no device holds has a note instead of a clock.
    """
    if family not in FAMILIES:
        raise InputError(f"fpga: family {family!r} is unknown; known are {', '.join(FAMILIES)}")
    chosen = FAMILIES[family]
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        say("mapping onto LUTs")
        (directory / "design.v").write_text(verilog)
        (directory / "wrapper.v").write_text(wrapper(unit))
        script = chosen.script.format(top="wrapper") + ("" if dsps else f" {chosen.no_dsps}")
        modules = " ".join(part.module_name for part in unit.definitions())
        yosys.run(directory, _SYNTH.format(top=unit.module_name, modules=modules, script=script))
        counted = _count(unit, family, directory / "stat.json")
        if not chosen.tool:
            return replace(counted, note="counted by Yosys only")
        if not place:
            return replace(counted, note="placement not asked for")
        return _place(directory, unit, counted, say)


def count(unit: BaseUnit, family: str, *, dsps: bool = True) -> Fpga:
    """What `implement` counts, without placement; kept by content."""
    verilog = unit_design(unit)

    def build(work: Path) -> None:
        counted = implement(unit, verilog, family, dsps=dsps, place=False)
        (work / "counts.json").write_text(json.dumps(asdict(counted)))

    with native.cached(f"fpga-{mapped.digest(verilog, family, str(dsps), flow())}", build) as entry:
        return Fpga(**json.loads((entry / "counts.json").read_text()))


def _count(unit: BaseUnit, family: str, statistics: Path) -> Fpga:
    found = yosys.statistics(statistics)
    suffixes = {part.module_name: part.suffix for part in unit.definitions()}
    own: dict[str, Counter[str]] = {}
    placed: dict[str, Counter[str]] = {}
    for module in suffixes:
        # Yosys drops a module that nothing reads.
        cells = Counter(found.get(module, {}).get("num_cells_by_type", {}))
        placed[module] = Counter({name: cells[name] for name in cells if name in suffixes})
        own[module] = cells - placed[module]
    totals: dict[str, Counter[str]] = {}
    for module in suffixes:  # Leaves come first.
        below = [_times(totals[child], count) for child, count in placed[module].items()]
        totals[module] = sum(below, own[module])
    instances = Counter({unit.module_name: 1})
    for module in reversed(suffixes):
        instances += _times(placed[module], instances[module])
    units = {
        suffix: {
            "count": instances[module],
            **_resources(family, _times(totals[module], instances[module])),
        }
        for module, suffix in suffixes.items()
        if module != unit.module_name
    }
    cells = totals[unit.module_name]
    return Fpga(family, cells=dict(cells), units=units, **_resources(family, cells))


def _times(counted: Counter[str], count: int) -> Counter[str]:
    return Counter({name: count * value for name, value in counted.items()})


def _resources(family: str, cells: Mapping[str, int]) -> dict[str, Any]:
    chosen = FAMILIES[family]
    counted = dict.fromkeys(("luts", *chosen.prefixes), 0)
    for cell, instances in cells.items():
        found = [name for name, starts in chosen.prefixes.items() if cell.startswith(starts)]
        if cell in chosen.luts:
            counted["luts"] += instances * chosen.luts[cell]
        elif found:
            counted[found[0]] += instances
        elif not cell.startswith(chosen.free):
            raise InputError(f"fpga: what cells {cell} of {family} occupy is not known")
    return counted


def _place(directory: Path, unit: BaseUnit, counted: Fpga, say: Callable[[str], None]) -> Fpga:
    chosen = FAMILIES[counted.family]
    bits = sum(port["bits"] for port in ports(unit) if port["name"] not in ("clk", "rst"))
    notes: list[str] = []
    for options, luts in chosen.devices:
        device = options[0].removeprefix("--")
        if luts < counted.luts:
            notes.append(f"{device} has {luts:,} LUTs")
            continue
        first = "" if _compiled(chosen) else "; its first run compiles nextpnr, a minute or more"
        say(f"placing and routing in {device}{first}")
        status, log = _nextpnr(directory, chosen, options)
        if status == 0:
            data = json.loads((directory / "report.json").read_text())
            fmax = min(clock["achieved"] for clock in data["fmax"].values())
            return replace(counted, device=device, fmax_mhz=round(fmax, 2), wrapper_bits=bits)
        errors = [line for line in log.splitlines() if line.startswith("ERROR")]
        notes.append(f"{device}: {errors[-1] if errors else f'nextpnr ended with status {status}'}")
    return replace(counted, note="; ".join(notes))


def _compiled(family: Family) -> bool:
    """Whether nextpnr's machine code is where yowasp_runtime keeps it."""
    kept = os.environ.get("YOWASP_CACHE_DIR") or user_cache_dir("YoWASP", appauthor=False)
    return any(path.is_file() for path in (Path(kept) / family.tool).rglob("*"))


def _nextpnr(directory: Path, family: Family, device: tuple[str, ...]) -> tuple[int, str]:
    arguments = [*device, *family.options, "--json", "design.json", "--report", "report.json"]
    arguments += ["--freq", str(FREQUENCY), "--seed", "1", "--timing-allow-fail"]
    run = family.tool.replace("yowasp", "run")
    program = f"import sys, {family.tool} as tool; sys.exit(tool.{run}(sys.argv[1:]))"
    log = directory / "nextpnr.log"
    with log.open("wb") as stream:
        status = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    return status, log.read_text(errors="replace")


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
    if not suffix:
        return unit
    units = {found.suffix: found for found in unit.definitions()}
    if suffix not in units:
        known = ", ".join(name for name in units if name)
        raise InputError(f"unit: {suffix!r} is unknown; known are {known}")
    return units[suffix]
