"""The area of a core by unit: a table on screen, JSON, a bar chart, and the mapped netlist."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
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

from . import chart, mapped, timing_report
from .area import Amount, Module, Synthesis, synthesise
from .clocked import Timed, timed
from .liberty import Library, read

__all__ = ["NOTES", "Report", "Row", "build", "main", "rows"]

NOTES: tuple[str, ...] = (
    "Cell area only: no wires, no placement, no clock tree, no buffers for fan-out.",
    "Mapped for the smallest area without a clock constraint; carries ripple.",
    "Memories are flip-flops with multiplexers; a memory macro would be smaller.",
    "A lane selects, negates and accumulates; arithmetic only is the lanes alone.",
)
"""What the figures leave out; printed first, and first in the JSON file."""

LABELS: dict[str, str] = {
    "precompute": "precompute",
    "peak": "peak",
    "largest": "largest peak",
    "align": "align",
    "decode": "decode",
    "table": "table",
    "entries": "entries",
    "lookup": "lookup",
    "decoder": "decoder",
    "lane": "lane",
    "rescale": "rescale",
    "scale_decode": "scale decode",
    "fma": "fma",
}
"""What a unit is called, in the order of the data flow; others keep their own name."""


@dataclass(frozen=True)
class Row:
    """A line of the report.

    path    units from the top, such as ("lookup", "lane"); `memory` and `rest` are parts of a unit
    label   for a reader
    count   instances, all of which `amount` holds
    """

    path: tuple[str, ...]
    label: str
    count: int
    amount: Amount


@dataclass(frozen=True)
class Report:
    """The area of a configuration, or of one unit of it, on a library; its timing at a clock."""

    config: TensorCoreConfig
    unit: str | None
    library: Library
    synthesis: Synthesis
    rows: list[Row]
    timed: Timed | None = None

    @property
    def all_in(self) -> Amount:
        """Everything."""
        return self.synthesis.totals[self.synthesis.top]

    @property
    def arithmetic(self) -> Amount | None:
        """The lanes alone; None where the report has none."""
        lanes = [row.amount for row in self.rows if row.path[-1:] == ("lane",)]
        return lanes[0] if lanes else None

    def data(self) -> dict[str, Any]:
        """What the JSON file holds. Areas are in `library.area_unit`."""
        totals = {"all_in": self._amount(self.all_in)}
        if self.arithmetic:
            totals["arithmetic"] = self._amount(self.arithmetic)
        return {
            "notes": list(NOTES),
            "configuration": dataclasses.asdict(self.config),
            "unit": self.unit,
            "library": {
                "name": self.library.name,
                "file": self.library.file,
                "sha256": self.library.sha256,
                "area_unit": self.library.unit,
                "nand2": {
                    "cell": self.library.nand2.name,
                    "area": self.library.nand2.area,
                },
            },
            "totals": totals,
            "rows": [
                {"path": "/".join(row.path), "count": row.count, **self._amount(row.amount)}
                for row in self.rows
            ],
            "full_adder_cells_in": sorted(
                name for name, module in self.synthesis.modules.items() if module.full_adders
            ),
            "tools": {
                "python": platform.python_version(),
                "pyosys": metadata.version("pyosys"),
                "amaranth": metadata.version("amaranth"),
            },
            "commands": self.synthesis.script.splitlines(),
            "seconds": round(self.synthesis.seconds, 1),
            **({"timing": self.timed.data()} if self.timed else {}),
        }

    def _amount(self, amount: Amount) -> dict[str, float | int]:
        return {
            "area": round(amount.area, 4),
            "nand2": round(amount.area / self.library.nand2.area, 1),
            "share": round(amount.area / self.all_in.area, 5) if self.all_in.area else 0.0,
            "cells": amount.cells,
            "flip_flops": amount.flip_flops,
            "flip_flop_area": round(amount.flip_flop_area, 4),
        }

    def table(self) -> Table:
        """The report for a screen."""
        measured = self.library.unit != "NAND2"
        digits = 0 if self.all_in.area >= 1e4 else 1
        table = Table(
            title=f"{self._subject} on {self.library.name}",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=0,
            pad_edge=False,
        )
        table.add_column("unit", no_wrap=True)
        table.add_column("count", justify="right")
        if measured:
            table.add_column("µm²", justify="right")
        for name in ("NAND2\neq.", "share", "cells", "flip-\nflops"):
            table.add_column(name, justify="right")

        def add(label: str, count: str, amount: Amount, style: str) -> None:
            share = amount.area / self.all_in.area if self.all_in.area else 0.0
            nand2 = f"{amount.area / self.library.nand2.area:,.0f}"
            area = [f"{amount.area:,.{digits}f}"] if measured else []
            cells = [f"{share:.1%}", f"{amount.cells:,}", f"{amount.flip_flops:,}"]
            table.add_row(label, count, *area, nand2, *cells, style=style)

        for row in self.rows:
            depth = len(row.path) - 1
            count = str(row.count) if row.count > 1 else ""
            add("  " * depth + row.label, count, row.amount, "" if depth else "bold")
        table.add_section()
        if self.arithmetic:
            add("arithmetic only (lanes)", "", self.arithmetic, "bold")
        add("all in", "", self.all_in, "bold")
        return table

    def chart(self) -> chart.Chart:
        """The report for a page."""
        return chart.Chart(
            title=f"Area of {self._subject}",
            subtitle=f"{self.library.name}; cells only, memories as flip-flops",
            unit="NAND2 equivalents" if self.library.unit == "NAND2" else "µm²",
            total=self.all_in.area,
            bars=[
                chart.Bar(
                    label=row.label + (f" × {row.count}" if row.count > 1 else ""),
                    depth=len(row.path) - 1,
                    logic=row.amount.area - row.amount.flip_flop_area,
                    flip_flops=row.amount.flip_flop_area,
                )
                for row in self.rows
            ],
        )

    @property
    def _subject(self) -> str:
        c = self.config
        unit = f"{self.unit} of " if self.unit else ""
        return f"{unit}{c.name} (M{c.m} N{c.n} K{c.k})"


def rows(synthesis: Synthesis, prefix: str) -> list[Row]:
    """The units below the top of a hierarchy and their parts, in the order of the data flow.

    Module names start with `prefix` and an underscore, which the report leaves out. A single unit
    is shown by its own parts.
    """
    order = list(LABELS)

    def key(name: str) -> tuple[int, str]:
        return (order.index(name) if name in order else len(order), name)

    def parts(module: Module, path: tuple[str, ...], count: int) -> Iterator[Row]:
        placed = {name.removeprefix(f"{prefix}_"): name for name in module.children}
        for name in sorted(placed, key=key):
            below = synthesis.modules[placed[name]]
            instances = count * module.children[placed[name]]
            amount = instances * synthesis.totals[placed[name]]
            yield Row((*path, name), LABELS.get(name, name), instances, amount)
            if below.children or below.memory:
                yield from parts(below, (*path, name), instances)
        rest = module.own
        if module.memory:
            memory = _memory(module)
            rest -= memory
            yield Row((*path, "memory"), "memory flip-flops", count, count * memory)
        yield Row((*path, "rest"), "logic, registers" if path else "control", count, count * rest)

    top = synthesis.modules[synthesis.top]
    if synthesis.top == prefix:
        return list(parts(top, (), 1))
    name = synthesis.top.removeprefix(f"{prefix}_")
    whole = Row((name,), LABELS.get(name, name), 1, synthesis.totals[synthesis.top])
    if not (top.children or top.memory):
        return [whole]
    return [whole, *parts(top, (name,), 1)]


def _memory(module: Module) -> Amount:
    """The flip-flops that store the module's memories; their multiplexers are not among them."""
    own = module.own
    if not own.flip_flops:
        return Amount()
    bits = min(module.memory, own.flip_flops)
    area = bits * own.flip_flop_area / own.flip_flops
    return Amount(area, bits, bits, area)


def build(
    config: TensorCoreConfig,
    library: Library,
    unit: str | None = None,
    clock_ps: float | None = None,
) -> Report:
    """Map a configuration, or one unit of it, and with a clock time it.

    InputError for an unknown unit, a clock that is none, or a library that does not fit.
    """
    if clock_ps is not None and not clock_ps > 0:
        raise InputError(f"clock: must be positive, not {clock_ps:g}")
    core = TensorCore(config)
    units = {found.suffix: found for found in core.definitions()}
    if unit is not None and (not unit or unit not in units):
        known = ", ".join(name for name in units if name)
        raise InputError(f"unit: {unit!r} is unknown; known are {known}")
    chosen = units[unit or ""]
    if clock_ps is not None:
        modules = mapped.texts(chosen)
        at_clock = timed(chosen, modules, library, clock_ps)
        parts = mapped.mapped(chosen, modules, library)
        return Report(config, unit, library, parts, rows(parts, core.module_name), at_clock)
    synthesis = synthesise(unit_design(chosen), chosen.module_name, library)
    return Report(config, unit, library, synthesis, rows(synthesis, core.module_name))


def main(
    config: TensorCoreConfig,
    out_dir: Path,
    liberty: Path | None = None,
    unit: str | None = None,
    clock_ps: float | None = None,
) -> None:
    """Print the area of a core by unit, with a clock its timing, and write both to `out_dir`.

    liberty  cell library, .lib or .lib.gz; the generic one by default
    unit     one unit alone, such as lookup
    clock_ps period to meet, in tau for the generic library

    Files area.json, area.png, area.svg, area.log and area.v, the mapped netlist, and with a clock
    area_clocked.v, flat and as it fits the clock; for one unit area_UNIT.*. Each is complete or not
    there. InputError for a unit, clock, library or directory that cannot be used.
    """
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    console = Console()
    with console.status("mapping onto cells"):
        report = build(config, read(liberty), unit, clock_ps)
    stem = f"area_{unit}" if unit else "area"
    drawing = report.chart()
    contents = {
        f"{stem}.json": (json.dumps(report.data(), indent=2) + "\n").encode(),
        f"{stem}.png": drawing.render("png"),
        f"{stem}.svg": drawing.render("svg"),
        f"{stem}.log": report.synthesis.log.encode(),
        f"{stem}.v": report.synthesis.netlist.encode(),
    }
    if report.timed:
        contents[f"{stem}_clocked.v"] = report.timed.netlist.encode()
    write_files({out_dir / name: content for name, content in contents.items()})
    for note in NOTES:
        console.print(note, style="dim", highlight=False)
    console.print(report.table())
    if report.timed:
        prefix = TensorCore(config).module_name
        timing_report.show(console, report.timed, report.synthesis.top, prefix, report.library)
    console.print(f"{', '.join(contents)} in {out_dir}", highlight=False)
