"""Ternary weights in one pass beside two planes: area per multiply-accumulate, same flow.

`python -m lutppa.ternary [--liberty FILE]`. Two planes of -1 and +1 take two cycles for the weights
of a step, a table over -1, 0, +1 takes one. Cores of the same weights a step and the same range of
other weights are compared; both have the exact sums of INT8, the pairs with a bit less.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore

from . import mapped
from .command import reported
from .liberty import Library, read

__all__ = ["DESIGNS", "Design", "Measured", "measure"]

ROWS, COLUMNS = 2, 64
BLOCKS = {4: 64, 6: 60, 12: 60}


class Design(NamedTuple):
    """A core for ternary weights, `k` of them a step, and other weights of up to `weight_bits`."""

    k: int
    weight_bits: int
    one_pass: bool

    @property
    def cycles(self) -> int:
        """Cycles in which a lane takes the weights of a step."""
        return 1 if self.one_pass else 2

    def config(self) -> TensorCoreConfig:
        """The core, with tables that hold sums of INT8 exactly."""
        group = 2 if self.one_pass else 4 if self.k % 4 == 0 else 3
        return TensorCoreConfig(
            m=ROWS,
            n=COLUMNS,
            table_digits=3 if self.one_pass else 2,
            lookup_group=group,
            groups_per_step=self.k // group,
            table_bits=9,
            block=BLOCKS[self.k],
            weight_bits=self.weight_bits,
        )


DESIGNS = [
    Design(4, 8, False),
    Design(4, 2, False),
    Design(6, 8, False),
    Design(6, 8, True),
    Design(6, 2, False),
    Design(6, 1, True),
    Design(12, 8, False),
    Design(12, 8, True),
    Design(12, 2, False),
    Design(12, 1, True),
]


class Measured(NamedTuple):
    """Areas of a design in the library's unit: a lane, a column's decoder, all tables of a step."""

    lane: float
    decoder: float
    tables: float

    def per_product(self, design: Design, with_tables: bool) -> float:
        """Area times cycles for each ternary multiply-accumulate."""
        lane = self.lane + self.decoder / ROWS
        if with_tables:
            lane += self.tables / (ROWS * COLUMNS)
        return lane * design.cycles / design.k


def measure(design: Design, library: Library) -> Measured:
    """Synthesise the units of a design that differ."""
    units = {unit.suffix: unit for unit in TensorCore(design.config()).definitions()}

    def area(suffix: str) -> float:
        if suffix not in units:
            return 0.0
        unit = units[suffix]
        synthesis = mapped.mapped(unit, mapped.texts(unit), library)
        return synthesis.totals[synthesis.top].area

    return Measured(area("lane"), area("decoder"), area("table"))


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.ternary", description=__doc__)
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    options = parser.parse_args(arguments)
    library = read(options.liberty)
    steps = track(DESIGNS, "mapping", transient=True)
    measured = {design: measure(design, library) for design in steps}
    table = Table(
        "weights a step", "planes", "route", "lane", "decoder", "tables",
        "per product", "ratio", "with tables", "ratio",
    )  # fmt: skip
    for design, areas in measured.items():
        base = Design(design.k, max(design.weight_bits, 2), False)
        figures: list[str] = []
        for with_tables in (False, True):
            own = areas.per_product(design, with_tables)
            reference = measured[base].per_product(base, with_tables)
            figures += [f"{own:.2f}", f"{own / reference:.3f}" if design.one_pass else ""]
        table.add_row(
            str(design.k), f"up to {design.weight_bits}",
            "one pass" if design.one_pass else "two planes",
            *(f"{value:.2f}" for value in areas), *figures,
        )  # fmt: skip
    console = Console(width=110)
    console.print(f"{library.name}: areas in {library.unit}, registers included", highlight=False)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
