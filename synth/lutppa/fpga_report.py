"""What a core or a unit of it needs of an FPGA: a table on screen, JSON, and the tools' logs."""

from __future__ import annotations

import dataclasses
import json
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.errors import InputError
from lutcore.export import unit_design
from lutcore.outputs import write_files, writing

from .fpga import FREQUENCY, NOTES, Fpga, implement, part
from .fpga_families import FAMILIES

__all__ = ["data", "main", "table"]

RESOURCES = ("luts", "flip_flops", "dsps", "memories")


def data(
    config: TensorCoreConfig, unit: str | None, found: Fpga, commands: list[str]
) -> dict[str, Any]:
    """What the JSON file holds; commands: those of Yosys."""
    chosen = FAMILIES[found.family]
    tools = ["pyosys", "amaranth", *([chosen.tool.replace("_", "-")] if chosen.tool else [])]
    return {
        "notes": list(NOTES),
        "configuration": dataclasses.asdict(config),
        "unit": unit,
        **dataclasses.asdict(found),
        "asked_mhz": FREQUENCY,
        "commands": commands,
        "tools": {
            "python": platform.python_version(),
            **{tool: metadata.version(tool) for tool in tools},
        },
    }


def table(config: TensorCoreConfig, unit: str | None, found: Fpga) -> Table:
    """The counts for a screen; a unit's hold those of the units that it places."""
    c = config
    subject = f"{unit} of {c.name}" if unit else c.name
    shown = Table(
        title=f"{subject} (M{c.m} N{c.n} K{c.k}) on {found.family}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
    )
    shown.add_column("unit", no_wrap=True)
    for name in ("count", "LUTs", "flip-flops", "DSPs", "memories"):
        shown.add_column(name, justify="right")
    for name, row in found.units.items():
        shown.add_row(name, *(f"{row[key]:,}" for key in ("count", *RESOURCES)))
    shown.add_section()
    whole = (f"{getattr(found, key):,}" for key in RESOURCES)
    shown.add_row("whole", "", *whole, style="bold")
    return shown


def main(
    config: TensorCoreConfig,
    out_dir: Path,
    family: str,
    unit: str | None = None,
    *,
    place: bool = True,
) -> None:
    """Print what a core needs of an FPGA family and write it to `out_dir`.

    unit   one unit alone, such as lookup
    place  place and route it as well, in families for which there is nextpnr

    Files fpga_FAMILY.json and .log; for one unit fpga_FAMILY_UNIT.*. Each is complete or not there.
    InputError for an unknown family or unit, a directory that cannot be written, and a design that
    no device holds; its counts are written all the same.
    """
    if family not in FAMILIES:
        raise InputError(f"fpga: family {family!r} is unknown; known are {', '.join(FAMILIES)}")
    chosen = part(TensorCore(config), unit or "")
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    console = Console()
    with tempfile.TemporaryDirectory() as name, console.status("elaborating") as status:

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False)

        work = Path(name)
        found = implement(chosen, unit_design(chosen), family, place=place, directory=work, say=say)
        logs = [work / log for log in ("flow.log", "nextpnr.log")]
        commands = (work / "flow.ys").read_text().splitlines()
        log = b"".join(path.read_bytes() for path in logs if path.exists())
    stem = f"fpga_{family}_{unit}" if unit else f"fpga_{family}"
    contents = {
        f"{stem}.json": (json.dumps(data(config, unit, found, commands), indent=2) + "\n").encode(),
        f"{stem}.log": log.replace(f"{work}/".encode(), b""),
    }
    write_files({out_dir / name: content for name, content in contents.items()})
    for note in NOTES:
        console.print(note, style="dim", highlight=False)
    console.print(table(config, unit, found))
    console.print(f"{', '.join(contents)} in {out_dir}", highlight=False)
    if found.fmax_mhz is not None:
        console.print(f"{found.fmax_mhz} MHz after routing in {found.device}", highlight=False)
    elif place and FAMILIES[family].tool:
        raise InputError(
            f"fpga: {unit or config.name} with {found.luts:,} LUTs cannot be placed in {family}: "
            f"{found.note}; a unit alone, a smaller core, another family or --no-place would do"
        )
    else:
        console.print(found.note, highlight=False)
