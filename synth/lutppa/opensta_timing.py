"""The longest path of a netlist according to OpenSTA, an independent program, where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lutcore.errors import InputError

from .liberty import Library

__all__ = ["installed", "length_ps"]


_WIRES = re.compile(
    r"\bdefault_wire_load\w*\s*:[^;]*;|\bwire_load(?:_selection)?\s*\([^)]*\)\s*\{[^{}]*\}"
)
_THRESHOLDS = "".join(
    f" {what}_threshold_pct_{edge} : {percent};"
    for what, percent in (("input", 50), ("output", 50), ("slew_lower", 10), ("slew_upper", 90))
    for edge in ("rise", "fall")
)


def installed() -> bool:
    """Whether OpenSTA is on the path (Debian's package `opensta`)."""
    return shutil.which("sta") is not None


def length_ps(netlist: str, top: str, library: Library) -> float:
    """The shortest period that a flat netlist meets, by OpenSTA; conditions are those of `timing`.

    The clock, where there is one, is the port `clk`. InputError where OpenSTA does not accept its
    input.
    """
    period = 4096.0  # OpenSTA counts in single precision.
    clock = " [get_ports clk]" if re.search(r"^\s*input clk\b", netlist, re.M) else ""
    script = [
        "read_liberty library.lib",
        "read_verilog flat.v",
        f"link_design {top}",
        "set_cmd_units -time ps",
        f"create_clock -name clk -period {period}{clock}",
        "set_input_delay 0 -clock clk [all_inputs]",
        "set_output_delay 0 -clock clk [all_outputs]",
        "report_worst_slack -digits 6",
    ]
    # OpenSTA would add the wires that some libraries assume, and wants thresholds.
    cells = _WIRES.sub("", library.text)
    if "threshold_pct" not in cells:
        cells = cells.replace("{", "{" + _THRESHOLDS, 1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "library.lib").write_text(cells)
        (directory / "flat.v").write_text(netlist)
        (directory / "timing.tcl").write_text("\n".join(script))
        done = subprocess.run(
            ["sta", "-exit", "timing.tcl"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"worst slack (\S+)", done.stdout)
    if not found or "Error" in done.stdout + done.stderr:
        text = (done.stdout + done.stderr).splitlines()
        errors = [line for line in text if "Error" in line]
        raise InputError(f"OpenSTA: {(errors or text or ['no report'])[-1]}")
    return period - float(found[1])
