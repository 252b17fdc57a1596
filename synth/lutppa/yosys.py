"""Runs native Yosys in a process of its own, and counts the operators of a netlist.

A separate process frees its memory, contains a crash, and has its log in a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["MULTIPLIERS", "YosysError", "netlist_has_multiplier", "operators", "run", "statistics"]

MULTIPLIERS = frozenset(
    {"$mul", "$macc", "$macc_v2", "$div", "$divfloor", "$mod", "$modfloor", "$pow"}
)
"""Cells of Yosys that multiply, or do what is no cheaper."""

_PROGRAM = "from pyosys import libyosys; libyosys.run_pass('script flow.ys')"


class YosysError(Exception):
    """Yosys refused its input; the message is its own last error line, `log` all that it said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


def run(directory: Path, script: str) -> str:
    """Run a Yosys script with `directory` as working directory; the log.

    Raises YosysError. Temporary files, ABC's cache of libraries among them, stay in `directory`.
    """
    (directory / "flow.ys").write_text(script)
    log = directory / "flow.log"
    with log.open("wb") as stream:
        status = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(directory.resolve())},
            check=False,
        ).returncode
    text = log.read_text(errors="replace")
    if status:
        text = text.replace(f"{directory.resolve()}/", "")
        errors = [line for line in text.splitlines() if "ERROR" in line]
        raise YosysError(errors[-1] if errors else f"Yosys ended with status {status}", text)
    return text


def statistics(path: Path) -> dict[str, dict[str, Any]]:
    """What `tee -o FILE stat -json` wrote of every module."""
    text = path.read_text()
    modules = json.loads(text[text.index("{") :])["modules"]
    return {name.removeprefix("\\"): values for name, values in modules.items()}


def operators(verilog: str, module: str) -> dict[str, int]:
    """Word-level cells by type of a module and all below it, before any mapping."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "design.v").write_text(verilog)
        run(
            directory,
            f"read_verilog -sv design.v\nhierarchy -check -top {module}\nproc\n"
            "flatten -noscopeinfo\nopt\ntee -q -o operators.json stat -json\n",
        )
        return statistics(directory / "operators.json")[module]["num_cells_by_type"]


def netlist_has_multiplier(verilog: str, module: str) -> bool:
    """Whether a module, or one below it, multiplies (or divides)."""
    return not MULTIPLIERS.isdisjoint(operators(verilog, module))
