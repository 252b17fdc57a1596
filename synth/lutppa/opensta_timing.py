"""The longest path of a circuit according to OpenSTA, an independent program, where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lutcore.errors import InputError

from .circuit import Circuit

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


def length_ps(circuit: Circuit) -> float:
    """The shortest period that does, by OpenSTA; conditions are those of `timing`.

    InputError where OpenSTA does not accept its input.
    """
    period = 4096.0  # OpenSTA counts in single precision.
    nets = set(circuit.clocks().tolist())
    clocks = [name for name, port in circuit.ports.items() if not nets.isdisjoint(port.nets)]
    script = [
        "read_liberty library.lib",
        "read_verilog flat.v",
        f"link_design {circuit.top}",
        "set_cmd_units -time ps",
        f"create_clock -name clk -period {period}"
        + (f" [get_ports {{{' '.join(clocks)}}}]" if clocks else ""),
        "set_input_delay 0 -clock clk [all_inputs]",
        "set_output_delay 0 -clock clk [all_outputs]",
        "report_worst_slack -digits 6",
    ]
    # OpenSTA would add the wires that some libraries assume, and wants thresholds.
    library = _WIRES.sub("", circuit.delays.library.text)
    if "threshold_pct" not in library:
        library = library.replace("{", "{" + _THRESHOLDS, 1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "library.lib").write_text(library)
        (directory / "flat.v").write_text(circuit.verilog())
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
