"""Timing at a clock for a screen: whether it is met, and by unit area and the longest path."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from . import opensta_timing
from .buffers import LIMIT
from .clocked import Timed
from .liberty import Library

__all__ = ["NOTES", "show", "verdict"]

NOTES: tuple[str, ...] = (
    "Timing is static, from the library's tables, without wires, clock skew or margins.",
    "Ports take no time: inputs arrive at the clock's edge, outputs are due at the next.",
    f"Nets with more than {LIMIT} loads have buffer trees, which the area at the clock counts.",
)
"""What the figures rest on; printed with them."""


def verdict(timed: Timed, unit: str) -> str:
    """One line: whether the clock is met, and by how much."""
    met = f"meets {timed.clock_ps:g} {unit} with {timed.slack_ps:.1f} {unit} to spare"
    missed = f"misses {timed.clock_ps:g} {unit} by {-timed.slack_ps:.1f} {unit}"
    frequency = f" ({1e6 / timed.length_ps:,.0f} MHz)" if unit == "ps" and timed.length_ps else ""
    return (
        f"{met if timed.slack_ps >= 0 else missed}: "
        f"the longest path takes {timed.length_ps:.1f} {unit}{frequency}, "
        f"mapped for area {timed.unclocked_ps:.1f} {unit}"
    )


def show(console: Console, timed: Timed, top: str, prefix: str, library: Library) -> None:
    """Print notes, the table and the verdict; what OpenSTA says, where it is installed.

    top     the module that was timed
    prefix  of the names of modules, not to be printed
    """
    generic = library.unit == "NAND2"
    unit = "tau" if generic else "ps"
    for note in NOTES:
        console.print(note, style="dim", highlight=False)
    console.print(_table(timed, f"{prefix}_", unit, "NAND2" if generic else "µm²"))
    console.print(verdict(timed, unit), style="bold", highlight=False)
    if opensta_timing.installed() and not generic:
        length = opensta_timing.length_ps(timed.netlist, top, library)
        console.print(f"OpenSTA: {length:.1f} ps", highlight=False)


def _table(timed: Timed, prefix: str, unit: str, area: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("longest path into")
    table.add_column("from")
    for name in (unit, "slack", f"{area}\nno clock", f"{area}\nclock"):
        table.add_column(name, justify="right")
    table.add_column("mapping")

    def short(name: str) -> str:
        return name.removeprefix(prefix)

    paths = {path.end: path for path in timed.paths}
    rest = [name for name in timed.areas if name not in paths and timed.areas[name]]
    for name in (*paths, *rest):
        path = paths.get(name)
        areas = [f"{found[name]:,.1f}" if name in found else ""
                 for found in (timed.plain_areas, timed.areas)]  # fmt: skip
        times = [short(path.start), f"{path.length_ps:.1f}", f"{path.slack_ps:.1f}"] if path else []
        style = "red" if path and path.slack_ps < 0 else ""
        row = [short(name), *(times or [""] * 3), *areas, timed.ways.get(name, "for area")]
        table.add_row(*row, style=style)
    table.add_section()
    table.add_row("all in", "", "", "", f"{timed.area:,.1f}", f"{timed.timed_area:,.1f}",
                  f"{timed.buffers} buffers, {timed.buffer_area:,.1f}")  # fmt: skip
    return table
