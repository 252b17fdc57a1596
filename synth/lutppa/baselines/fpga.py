"""LUTs of the integer baselines beside lookup on FPGAs: `python -m lutppa.baselines.fpga`.

As in `integer`, every design multiplies INT8 activations in a tile of 2 rows and 64 columns, and a
bit-serial design counts its LUTs once a plane. `lane` is the lane alone, `all` adds its share of
what is prepared once for a row or a column; operand registers take flip-flops and no LUTs. A lane
that writes `*` stands twice: with DSPs where the family has them, and without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore
from lutppa.command import reported
from lutppa.fpga import FAMILIES, count

from . import integer
from .array import BaselineArray
from .integer import ONE_CYCLE, OWN, PLANES, PRECISIONS, Design
from .multiplier import Multiplier

__all__ = ["Measured", "measure", "measure_multiplier", "measure_own"]

CHOSEN = (
    "MAC INT8, 16 terms", "ADD 0/1, 16 terms", "native 0/1", "native 2 bits", "native 4 bits",
    "native ternary",
)  # fmt: skip
"""Of the designs of `integer`, those whose arithmetic differs."""


class Measured(NamedTuple):
    """LUTs of one lane, of what is prepared for it, its share; flip-flops and DSPs of a lane.

    terms   weights that the lane takes in a step
    cycles  of a weight, by precision
    """

    name: str
    terms: int
    cycles: dict[str, int]
    lane: int
    prepared: float
    flip_flops: int
    dsps: int

    def per_product(self, precision: str) -> float | None:
        """LUTs of a product a cycle, all in; None where the design cannot take such weights."""
        cycles = self.cycles.get(precision)
        return None if cycles is None else (self.lane + self.prepared) * cycles / self.terms


def measure(design: Design, family: str) -> Measured:
    """A baseline's lane, row and column."""
    c = design.config
    array = BaselineArray(c)
    lane, row, column = (count(unit, family) for unit in (array.lane, array.row, array.column))
    prepared = row.luts / c.table_readers + column.luts / c.m
    cycles = PLANES if design.cycles is None else design.cycles
    return Measured(design.name, c.terms, cycles, lane.luts, prepared, lane.flip_flops, lane.dsps)


def measure_multiplier(name: str, dsps: bool, family: str) -> Measured:
    """The lane that writes `*`, of 16 terms."""
    config = integer.mac(16)
    lane = count(Multiplier(config, "baseline"), family, dsps=dsps)
    return Measured(name, config.terms, ONE_CYCLE, lane.luts, 0.0, lane.flip_flops, lane.dsps)


def measure_own(name: str, config: TensorCoreConfig, family: str) -> Measured:
    """The product's lane, the adders of its tables, and its decoder."""
    units = {unit.suffix: unit for unit in TensorCore(config).definitions()}
    lane, entries, decoder = (
        count(units[suffix], family) for suffix in ("lane", "entries", "decoder")
    )
    prepared = entries.luts * config.groups_per_step / config.n + decoder.luts / config.m
    return Measured(name, config.k, PLANES, lane.luts, prepared, lane.flip_flops, lane.dsps)


def jobs(family: str) -> list[Callable[[], Measured]]:
    """What to measure in a family, in the order of the table."""
    chosen = [design for design in integer.DESIGNS if design.name in CHOSEN]
    return [
        *(partial(measure_own, name, config, family) for name, config in OWN.items()),
        partial(measure_multiplier, "MAC INT8, *, 16 terms", True, family),
        partial(measure_multiplier, "MAC INT8, *, no DSPs", False, family),
        *(partial(measure, design, family) for design in chosen),
    ]


_COLUMNS = ("terms", "lane", "all", "FFs", "DSPs", *(f"{name} all" for name in PRECISIONS))


def _row(item: Measured) -> str:
    products = [item.per_product(name) for name in PRECISIONS]
    values = [
        str(item.terms), str(item.lane), f"{item.lane + item.prepared:.1f}",
        str(item.flip_flops), str(item.dsps),
        *("" if value is None else f"{value:.2f}" for value in products),
    ]  # fmt: skip
    return f"{item.name:34}" + "".join(
        f"  {value:>{max(len(name), 6)}}" for name, value in zip(_COLUMNS, values, strict=True)
    )


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for an unknown family."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.baselines.fpga", description=__doc__)
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), help=", ".join(FAMILIES))
    options = parser.parse_args(arguments)
    for family in options.family:
        head = "".join(f"  {name:>{max(len(name), 6)}}" for name in _COLUMNS)
        print(f"{family}: LUTs of a lane; of one product a cycle by width of weights")
        print(f"{'design':34}{head}")
        for job in jobs(family):
            print(_row(job()), flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
