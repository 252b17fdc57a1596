"""Cross-check of the account with OpenSTA, an independent program, on one block.

OpenSTA 2.0 (Debian's `opensta`) has its own reader of Liberty, delays, slews, loads, interpolation
and units, and takes the activity of every pin from us. What it does with the conditions of
internal power is not what Liberty means: every arc of an output counts in full, however many there
are, leakage is not weighted, and an edge of a clock is charged as rise and fall. Both sides are
therefore given the library with one table a pin, the mean of all its arcs, and one leakage a cell.
There are no wires, and nets that ports drive are left out, since OpenSTA adds up instances.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lutcore.config import PRESETS
from lutcore.errors import InputError
from lutcore.export import ports, unit_design
from lutcore.unit import Unit
from lutverif.workload import load

from .activity import Activity, simulate
from .area import Synthesis, synthesise
from .cells import Arc, read_power
from .energy import Conditions, account
from .flat_netlist import HIGH, LOW, Netlist, read_netlist
from .groups import cell_texts
from .liberty import Library
from .stimulus import workload
from .tile import LookupTile
from .tile_stimulus import lookup_stimulus

__all__ = ["LIMIT", "Compared", "compare", "cross_check", "flat_verilog", "merged"]

LIMIT = 0.15
"""How far the totals may be apart."""


@dataclass(frozen=True)
class Compared:
    """Power in uW, ours and OpenSTA's."""

    category: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs if self.theirs else float("inf")


def cross_check(library: Library, period_ps: float = 1000.0) -> list[Compared]:
    """A row of two lanes of `paper` with their tables, on data of W2 and INT8."""
    config = replace(PRESETS["paper"], m=1, n=2, rescale_columns=1)
    synthesis = synthesise(_registered(LookupTile(config)), "checked", library)
    used = [kind.cell.name for kind in _read(synthesis, library).kinds]
    netlist = _read(synthesis, merged(library, used))
    stimulus = lookup_stimulus(workload(load()[1], "w2", "int8", config.block), config, 512)
    activity = simulate(netlist, stimulus.ports, stimulus.streams, warm_up=stimulus.warm_up)
    stimulus.check(activity.outputs)
    return compare(netlist, activity, merged(library, used, clock_factor=0.5), period_ps)


def _read(synthesis: Synthesis, library: Library) -> Netlist:
    return read_netlist(synthesis.netlist, synthesis.top, library)


def _registered(unit: Unit) -> str:
    """A unit with a register at every input: OpenSTA replaces activity up to the first register."""
    inner = ports(unit)
    named = ", ".join(port["name"] for port in inner)
    lines = [f"module checked({named});"]
    joined: list[str] = []
    for port in inner:
        name, width = port["name"], f"[{port['bits'] - 1}:0]"
        lines.append(f"  {port['direction']} {width} {name};")
        held = port["direction"] == "input" and name != "clk"
        joined.append(f".{name}({'held_' * held}{name})")
        if held:
            lines.append(f"  reg {width} held_{name}; always @(posedge clk) held_{name} <= {name};")
    lines.append(f"  {unit.module_name} unit ({', '.join(joined)});\nendmodule\n")
    return unit_design(unit) + "\n".join(lines)


def compare(
    netlist: Netlist, activity: Activity, library: Library, period_ps: float
) -> list[Compared]:
    """Both accounts of the same activity by category, the total last.

    `netlist` has been read with a `merged` library, and OpenSTA is given `library`. InputError
    where OpenSTA is not installed or does not accept its input.
    """
    ours = account(netlist, activity, Conditions(period_ps=period_ps, wire_pitches=0.0))
    energy, border = ours.total, ours.border
    switching = energy.data + energy.clock_nets - border.data - border.clock_nets
    mine = [energy.internal + energy.clock_pins, switching, energy.leakage]
    theirs = _report(netlist, activity, library, period_ps, ours.slew)
    rows = [
        Compared(name, own * 1000 / period_ps, 1e6 * other)
        for name, own, other in zip(("internal", "switching", "leakage"), mine, theirs, strict=True)
    ]
    return [*rows, Compared("total", sum(r.ours for r in rows), sum(r.theirs for r in rows))]


def merged(library: Library, cells: Iterable[str], clock_factor: float = 1.0) -> Library:
    """`library` of these cells only, each pin with the mean of its energy tables.

    Tables of pins that are clocks are multiplied by `clock_factor`.
    """
    power = read_power(library, cells)
    spans = dict(cell_texts(library.text))
    head = library.text[: library.text.index(next(iter(spans.values())))]
    # OpenSTA would add the wires that some libraries assume by default.
    parts = [re.sub(r"\bdefault_wire_load\w*\s*:[^;]*;", "", head), _TEMPLATES]
    for name, cell in power.cells.items():
        text = _POWER.sub("", spans[name])
        leakage = [value for _, value, of_ground in cell.leakage if not of_ground]
        text = text.replace("{", f"{{\n cell_leakage_power : {np.mean(leakage):.6g};", 1)
        for pin in cell.pins:
            arcs = [arc for arc in cell.arcs if arc.pin == pin]
            if arcs:
                factor = clock_factor if pin in cell.clocks else 1.0
                group = _merged_arcs(arcs, factor, pin in cell.outputs)
                header = re.compile(rf'pin\s*\(\s*"?{re.escape(pin)}"?\s*\)\s*\{{')
                text = header.sub(lambda match, g=group: match[0] + g, text, count=1)
        parts.append(text)
    return replace(library, text="\n".join([*parts, "}\n"]))


_POWER = re.compile(
    r"\b(?:internal_power|leakage_power)\s*\([^(){}]*\)\s*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}"
    r"|\bcell_leakage_power\s*:[^;]*;"
)
_TEMPLATES = """
  power_lut_template (merged_line) { variable_1 : input_transition_time; index_1 ("1, 2"); }
  power_lut_template (merged_plane) { variable_1 : input_transition_time;
    variable_2 : total_output_net_capacitance; index_1 ("1, 2"); index_2 ("1, 2"); }
"""


def _merged_arcs(arcs: list[Arc], factor: float, output: bool) -> str:
    """One `internal_power` group with the mean of the arcs' energies from the supply."""
    lines = ["\n internal_power () {"]
    for name in ("rise", "fall"):
        tables = [table for arc in arcs for of_ground, table in getattr(arc, name) if not of_ground]
        slews = max((table.slews for table in tables), key=len)
        loads = max((table.loads for table in tables), key=len)
        if len(slews) == 1:
            slews = np.array([1.0, 2.0])
        rows = [
            factor / len(arcs) * np.sum([t.at(slew, loads) for t in tables], axis=0)
            for slew in slews
        ]
        kind = "merged_plane" if output else "merged_line"
        lines.append(f"  {name}_power ({kind}) {{ index_1 ({_quoted(slews)});")
        if output:
            loads = loads if len(loads) > 1 else np.array([1.0, 2.0])
            rows = [np.broadcast_to(row, len(loads)) for row in rows]
            lines.append(f"   index_2 ({_quoted(loads)});")
            lines.append(f"   values ({', '.join(_quoted(row) for row in rows)}); }}")
        else:
            lines.append(f"   values ({_quoted([row[0] for row in rows])}); }}")
    return "\n".join([*lines, " }"])


def _quoted(values: Iterable[float]) -> str:
    return '"' + ", ".join(f"{value:.9g}" for value in values) + '"'


def flat_verilog(netlist: Netlist) -> str:
    """The netlist as one module: nets n2, n3, ..., cells c0_0, c0_1, ... by kind and place."""

    def net(number: int) -> str:
        return {LOW: "1'b0", HIGH: "1'b1"}.get(number, f"n{number}")

    border = {f"n{n}": port.input for port in netlist.ports.values() for n in port.nets if n > HIGH}
    lines = [f"module {netlist.top} ({', '.join(border)});"]
    lines += [f"  {'input' if is_input else 'output'} {name};" for name, is_input in border.items()]
    lines += [f"  wire n{n};" for n in range(HIGH + 1, netlist.nets) if f"n{n}" not in border]
    for index, kind in enumerate(netlist.kinds):
        for row, pins in enumerate(kind.pins):
            joined = ", ".join(
                f".{pin}({net(int(n))})" for pin, n in zip(kind.cell.pins, pins, strict=True)
            )
            lines.append(f"  {kind.cell.name} c{index}_{row} ({joined});")
    return "\n".join([*lines, "endmodule", ""])


def _activities(netlist: Netlist, activity: Activity) -> Iterator[str]:
    for index, kind in enumerate(netlist.kinds):
        for row, pins in enumerate(kind.pins):
            for pin, net in zip(kind.cell.pins, pins, strict=True):
                # Zero would be taken as not given.
                yield (
                    f"::sta::set_power_pin_activity [::sta::find_pin c{index}_{row}/{pin}] "
                    f"{max(1e-6, activity.toggles[net]):.6f} {activity.ones[net]:.6f}"
                )


def _report(
    netlist: Netlist, activity: Activity, library: Library, period_ps: float, slew: float
) -> list[float]:
    """OpenSTA's internal, switching and leakage power in W."""
    program = shutil.which("sta")
    if program is None:
        raise InputError("OpenSTA is missing; Debian's package opensta would do")
    period = period_ps / netlist.power.time_ps
    clock = f"n{netlist.ports['clk'].nets[0]}"
    script = [
        "read_liberty library.lib",
        "read_verilog flat.v",
        f"link_design {netlist.top}",
        f"create_clock -name clk -period {period} [get_ports {clock}]",
        # Instances without a clock have no power in this version.
        "set_input_delay 0 -clock clk [all_inputs]",
        f"set_input_transition {slew} [all_inputs]",
        *_activities(netlist, activity),
        "report_power -digits 9",
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "library.lib").write_text(library.text)
        (directory / "flat.v").write_text(flat_verilog(netlist))
        (directory / "power.tcl").write_text("\n".join(script))
        done = subprocess.run(
            [program, "-exit", "power.tcl"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"^Total\s+(\S+)\s+(\S+)\s+(\S+)", done.stdout, re.M)
    if not found or "Error" in done.stdout + done.stderr:
        text = (done.stdout + done.stderr).splitlines()
        errors = [line for line in text if "Error" in line]
        raise InputError(f"OpenSTA: {(errors or text or ['no report'])[-1]}")
    return [float(value) for value in found.groups()]
