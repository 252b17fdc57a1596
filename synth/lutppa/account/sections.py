"""The page's sections, in order. A section is a function of the results; a new one is one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .boards import boards
from .clock import clock
from .density import by_format, front
from .energy import energy
from .goals import goals
from .lookup import broadcast, group
from .model import Missing, Results, Section
from .published import beside
from .steps import ablation, waterfall
from .tiles import tiles
from .widths import by_width

__all__ = ["SECTIONS", "made"]

SECTIONS: Mapping[str, Callable[[Results], Section]] = {
    "goals": goals,
    "density": by_format,
    "energy": energy,
    "clock": clock,
    "widths": by_width,
    "tiles": tiles,
    "group": group,
    "ablation": ablation,
    "front": front,
    "published": beside,
    "attribution": waterfall,
    "broadcast": broadcast,
    "fpga": boards,
}
"""Every section by its name in links and files."""


def made(results: Results) -> tuple[list[tuple[str, Section]], list[str]]:
    """The sections that have something to show, and a line for each that has not."""
    found: list[tuple[str, Section]] = []
    missing: list[str] = []
    for name, section in SECTIONS.items():
        try:
            found.append((name, section(results)))
        except Missing as reason:
            missing.append(f"{name}: {reason}.")
    return found, missing
