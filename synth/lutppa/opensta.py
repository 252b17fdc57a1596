"""Cross-check of the account with OpenSTA, an independent program, on one block.

OpenSTA 2.0 (Debian's `opensta`) has its own reader, slews and tables, and takes the activity of
every pin from us: what is compared is how activity becomes power. It has no wires here, adds up the
tables of supply and ground pins, and counts no net that a port drives; our side is asked the same.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lutcore.config import PRESETS
from lutcore.errors import InputError
from lutcore.export import unit_design
from lutverif.workload import load

from .activity import Activity, simulate
from .area import synthesise
from .energy import Conditions, account
from .liberty import Library
from .netlist import HIGH, LOW, Netlist, read_netlist
from .stimulus import lookup_stimulus, workload
from .tile import LookupTile

__all__ = ["Compared", "compare", "cross_check", "flat_verilog"]


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
    """A row of two lanes of `paper` with tables and weight registers, on W2 and INT8 data."""
    config = replace(PRESETS["paper"], m=1, n=2, rescale_columns=1)
    unit = LookupTile(config)
    synthesis = synthesise(unit_design(unit), unit.module_name, library)
    netlist = read_netlist(synthesis.netlist, synthesis.top, library)
    stimulus = lookup_stimulus(workload(load()[1], "w2", "int8", config.block), config, 512)
    activity = simulate(netlist, stimulus.ports, warm_up=stimulus.warm_up)
    stimulus.check(activity.outputs)
    return compare(netlist, activity, library, period_ps)


def compare(
    netlist: Netlist, activity: Activity, library: Library, period_ps: float
) -> list[Compared]:
    """Both accounts of the same activity by category, the total last.

    InputError where OpenSTA is not installed or does not accept its input.
    """
    conditions = Conditions(period_ps=period_ps, wire_pitches=0.0, ground=True)
    ours = account(netlist, activity, conditions)
    energy = ours.total
    # What the ports drive is not in OpenSTA's sum: it adds up instances.
    switching = energy.data + energy.clock_nets - ours.modules[""].data
    switching -= ours.modules[""].clock_nets
    theirs = _report(netlist, activity, library, period_ps, ours.slew)
    watts = 1000 / period_ps  # uW of a fJ a cycle
    mine = [energy.internal + energy.clock_pins, switching, energy.leakage]
    rows = [
        Compared(name, watts * own, 1e6 * other)
        for name, own, other in zip(("internal", "switching", "leakage"), mine, theirs, strict=True)
    ]
    total = Compared("total", sum(r.ours for r in rows), sum(r.theirs for r in rows))
    return [*rows, total]


def flat_verilog(netlist: Netlist) -> str:
    """The netlist as one module: nets n2, n3, ..., cells c0_0, c0_1, ... by kind and place."""

    def net(number: int) -> str:
        return {LOW: "1'b0", HIGH: "1'b1"}.get(number, f"n{number}")

    ports = {f"n{n}": port.input for port in netlist.ports.values() for n in port.nets if n > HIGH}
    lines = [f"module {netlist.top} ({', '.join(ports)});"]
    lines += [f"  {'input' if is_input else 'output'} {name};" for name, is_input in ports.items()]
    lines += [f"  wire n{n};" for n in range(HIGH + 1, netlist.nets) if f"n{n}" not in ports]
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
                yield (
                    f"::sta::set_power_pin_activity [::sta::find_pin c{index}_{row}/{pin}] "
                    f"{activity.toggles[net]:.6f} {activity.ones[net]:.6f}"
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
