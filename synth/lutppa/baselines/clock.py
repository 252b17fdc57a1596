"""Area of the baselines at a clock: `python -m lutppa.baselines.clock --liberty FILE`.

Every design has the registers with which it meets 1000 ps in ASAP7 at the least area. Areas are
those of one multiply-accumulate a cycle, without a clock and at it; of a bit-serial design those of
one plane. A small tile is fitted, so that broadcast to many lanes is not in it. A row is printed as
soon as it is measured.

    lanes   lanes or dot products with what they are made of
    shared  what serves a row or a column, its share in a tile of the rows and columns shown
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lutcore.unit import BaseUnit
from lutppa.clocked import timed
from lutppa.command import reported
from lutppa.liberty import Library, read
from lutppa.mapped import texts

from .array import BaselineArray
from .config import BaselineConfig
from .dequantise import CoreConfig
from .mac_array import MacArray
from .mac_config import MacConfig
from .mac_core import MacCore

__all__ = ["DESIGNS", "Row", "main", "measure"]

SMALL = 2
"""Rows and columns of the tile that is fitted."""


class Design(NamedTuple):
    """A design: a function of m and n, and the tile whose shares are shown."""

    unit: Callable[[int, int], BaselineArray | MacArray | MacCore]
    m: int = 8
    n: int = 16


def _integer(design: str, coding: str, terms: int = 32, m: int = 8, **more: int) -> Design:
    def unit(m: int, n: int) -> BaselineArray:
        config = BaselineConfig(
            design=design, coding=coding, m=m, n=n, terms=terms, block=128, **more
        )
        return BaselineArray(config)

    return Design(unit, m, 128 // m)


def _floating(stages: int, codes: str = "", operand: str = "fp16", weights: str = "") -> Design:
    def unit(m: int, n: int) -> MacArray | MacCore:
        config = MacConfig(m=m, n=n, operand=operand, weights=weights, stages=stages)
        return MacCore(CoreConfig(mac=config, codes=codes)) if codes else MacArray(config)

    return Design(unit, 16, 16)


DESIGNS = {
    "MAC INT8, 32 terms": _integer("mac", "integer", stages=1),
    "native 1 bit": _integer("native", "odd", weight_bits=1, lane_enable=1),
    "native 2 bits": _integer("native", "integer", weight_bits=2, lane_enable=1),
    "native 4 bits": _integer("native", "integer", weight_bits=4, stages=1),
    "ADD -1/+1": _integer("add", "odd", 32, 2, weight_bits=2, lane_enable=1),
    "full table g=4, 16 terms": _integer("full", "unsigned", 16, 2, weight_bits=2, lookup_group=4),
    "MAC fp16, 16 terms": _floating(4),
    "native fp16 x 1 bit": _floating(4, weights="w1"),
    "native fp16 x 2 bits": _floating(4, weights="w2"),
    "MAC bf16, 16 terms": _floating(4, operand="bf16"),
    "MAC e4m3, 16 terms": _floating(4, operand="e4m3"),
    "MAC fp16 core, 4 bits": _floating(4, "w4"),
}  # fmt: skip


class Row(NamedTuple):
    """Areas of a product in the library's unit, without a clock and at it; times in ps."""

    stages: int
    unclocked_ps: float
    length_ps: float
    lanes: tuple[float, float]
    shared: tuple[float, float]


def measure(design: Design, library: Library, clock_ps: float) -> Row:
    """Fit a small tile of a design to a clock."""
    unit = design.unit(SMALL, SMALL)
    config = unit.array.config if isinstance(unit, MacCore) else unit.config
    found = timed(unit, texts(unit), library, clock_ps)
    terms = config.k if isinstance(config, MacConfig) else config.terms
    side: dict[str, str] = {}

    def belongs(part: BaseUnit, name: str) -> None:
        """`part` and all below it are a lane's, a row's, a column's, or control."""
        name = next((s for s in ("row", "column", "lane") if part.suffix.startswith(s)), name)
        name = {"dot": "lane", "accumulator": "lane", "dequantise": "column"}.get(part.suffix, name)
        side[part.module_name] = name
        for child in part.children:
            belongs(child, name)

    belongs(unit, "control")

    def share(areas: dict[str, float], name: str, others: int) -> float:
        total = sum(area for module, area in areas.items() if side[module] == name)
        instances = SMALL * SMALL if name == "lane" else SMALL
        return total / (instances * others * terms)

    both = (found.plain_areas, found.areas)
    lanes, rows, columns = (
        [share(areas, name, others) for areas in both]
        for name, others in (("lane", 1), ("row", design.n), ("column", design.m))
    )
    shared = (rows[0] + columns[0], rows[1] + columns[1])
    return Row(config.stages, found.unclocked_ps, found.length_ps, (lanes[0], lanes[1]), shared)


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.baselines.clock", description=__doc__)
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    parser.add_argument("--clock", type=float, default=1000.0, metavar="PS", help="period (1000)")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="designs with this in their names"
    )
    options = parser.parse_args(arguments)
    library = read(options.liberty)
    print(f"{library.name}: {library.unit} a product without a clock, and at {options.clock}")
    heads = ("m, n", "stages", "path", "fitted", "lanes", "at it", "shared", "at it", "all")
    print(f"{'':28}" + "".join(f"{head:>9}" for head in heads), flush=True)
    for name, design in DESIGNS.items():
        if not any(text in name for text in options.only):
            continue
        row = measure(design, library, options.clock)
        figures = (*row.lanes, *row.shared, row.lanes[1] + row.shared[1])
        print(
            f"{name:28}{f'{design.m}, {design.n}':>9}{row.stages:9}"
            f"{row.unclocked_ps:9.0f}{row.length_ps:9.0f}"
            + "".join(f"{figure:9.2f}" for figure in figures),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
