"""Area of the integer baselines beside lookup: `python -m lutppa.baselines.integer --liberty FILE`.

Every design multiplies INT8 activations and sums blocks of 64, in a tile of 2 rows and 64 columns.
A product is a multiply-accumulate; areas are those of one product a cycle, so that a bit-serial
design counts its area once a plane. `lane` is the lane alone; `all` adds the registers of operands
and codes and what is prepared once for a row or a column. Rows come as they are measured, and what
was mapped once is kept.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.unit import BaseUnit
from lutppa import mapped
from lutppa.area import Synthesis
from lutppa.command import reported
from lutppa.liberty import Library, read

from .array import BaselineArray
from .config import BaselineConfig
from .operands import ColumnRegisters

__all__ = ["DESIGNS", "OWN", "PRECISIONS", "Design", "Measured", "measure", "measure_own"]

M, N = 2, 64
PRECISIONS = ("W1", "W2", "W4", "ternary")
PLANES = {"W1": 1, "W2": 2, "W4": 4, "ternary": 2}


class Design(NamedTuple):
    """A row of the table: a configuration, and the cycles of a weight at each precision it takes.

    Without cycles it takes as many as the weights have planes.
    """

    name: str
    config: BaselineConfig
    cycles: dict[str, int] | None = None


def _config(design: str, coding: str, terms: int = 16, **more: int) -> BaselineConfig:
    block = more.pop("block", 64)
    return BaselineConfig(design=design, coding=coding, m=M, n=N, terms=terms, block=block, **more)


def mac(terms: int) -> BaselineConfig:
    """The INT8 MAC of so many terms."""
    return _config("mac", "integer", terms)


ONE_CYCLE: dict[str, int] = dict.fromkeys(PRECISIONS, 1)

DESIGNS = [
    Design("MAC INT8, 4 terms", mac(4), ONE_CYCLE),
    Design("MAC INT8, 8 terms", mac(8), ONE_CYCLE),
    Design("MAC INT8, 16 terms", mac(16), ONE_CYCLE),
    Design("MAC INT8, 32 terms", mac(32), ONE_CYCLE),
    Design("MAC INT8 x INT4", _config("mac", "integer", weight_bits=4), ONE_CYCLE),
    Design("ADD 0/1, 16 terms", _config("add", "unsigned")),
    Design("ADD -1/+1, 16 terms", _config("add", "odd")),
    Design("native 0/1", _config("native", "unsigned", weight_bits=1), {"W1": 1}),
    Design("native -1/+1", _config("native", "odd", weight_bits=1), {"W1": 1}),
    Design("native 2 bits", _config("native", "integer", weight_bits=2), {"W1": 1, "W2": 1}),
    Design("native 3 bits", _config("native", "integer", weight_bits=3), {"W1": 1, "W2": 1}),
    Design(
        "native 4 bits",
        _config("native", "integer", weight_bits=4),
        {"W1": 1, "W2": 1, "W4": 1},
    ),
    Design("native ternary", _config("native", "ternary", weight_bits=2), {"ternary": 1}),
    Design(
        "conventional g=4, a table a column",
        _config("full", "unsigned", lookup_group=4, readers=1),
    ),
    Design("full table g=2", _config("full", "unsigned", lookup_group=2)),
    Design("full table g=3, 12 terms", _config("full", "unsigned", 12, lookup_group=3, block=60)),
    Design("full table g=4", _config("full", "unsigned", lookup_group=4)),
    Design("half table g=4", _config("half", "odd", lookup_group=4)),
    Design("half table g=4, folded", _config("folded", "odd", lookup_group=4)),
]


def _own(group: int, groups: int, table_bits: int) -> TensorCoreConfig:
    return TensorCoreConfig(
        m=M, n=N, lookup_group=group, groups_per_step=groups, table_bits=table_bits,
        activations=("int8",),
    )  # fmt: skip


OWN = {
    "lookup g=4, G=1, 9 bits (paper)": _own(4, 1, 9),
    "lookup g=4, G=4, 9 bits (wide)": _own(4, 4, 9),
    "lookup g=4, G=4, 8 bits (rounds)": _own(4, 4, 8),
    "lookup g=2, G=8, 9 bits (pairs)": _own(2, 8, 9),
}
"""The product's own lanes; tables of 9 bits hold sums of INT8 exactly, those of 8 round."""


class Measured(NamedTuple):
    """Areas in the library's unit of one lane and its share of all that is shared.

    terms     weights that the lane takes in a step
    cycles    of a weight, by precision
    lane      the lane alone
    registers share of the registers of operands and codes, with their enables
    prepared  share of tables, multiples, recoding and decoders
    gates     first principles of a lane: AND-OR inputs, exclusive-ors, full adders
    """

    name: str
    terms: int
    cycles: dict[str, int]
    lane: float
    registers: float
    prepared: float
    gates: tuple[int, int, int]

    @property
    def all_in(self) -> float:
        """The lane with its shares."""
        return self.lane + self.registers + self.prepared

    def per_product(self, area: float, precision: str) -> float | None:
        """`area` of a product a cycle; None where the design cannot take such weights."""
        cycles = self.cycles.get(precision)
        return None if cycles is None else area * cycles / self.terms


def _synthesise(unit: BaseUnit, library: Library) -> Synthesis:
    return mapped.mapped(unit, mapped.texts(unit), library)


def measure(design: Design, library: Library) -> Measured:
    """Synthesise a baseline's array."""
    c = design.config
    array = BaselineArray(c)
    synthesis = _synthesise(array, library)
    area = {unit.suffix: synthesis.totals[unit.module_name].area for unit in array.definitions()}
    own = synthesis.modules[array.module_name].own.area
    lanes, tables = c.m * c.n, c.m * c.n // c.table_readers
    registers = tables * area["row_registers"] + c.n * area["column_registers"] + own
    prepared = tables * area["row"] + c.n * area["column"]
    cycles = PLANES if design.cycles is None else design.cycles
    gates = (array.lane.selected_bits, array.lane.exclusive_ors, array.lane.full_adders)
    return Measured(
        design.name, c.terms, cycles, area["lane"], registers / lanes, prepared / lanes, gates
    )


def measure_own(name: str, config: TensorCoreConfig, library: Library) -> Measured:
    """Synthesise the product's table and lookup array, with registers for the codes."""
    units = {unit.suffix: unit for unit in TensorCore(config).definitions()}
    codes = ColumnRegisters(
        BaselineConfig(
            design="folded", coding="odd", m=config.m, n=config.n, terms=config.k,
            lookup_group=config.lookup_group, block=config.block,
        ),
        "baseline",
    )  # fmt: skip
    runs = [_synthesise(unit, library) for unit in (units["table"], units["lookup"], codes)]
    table, lookup, code = (run.totals[run.top].area for run in runs)
    lane = runs[1].totals[units["lane"].module_name].area
    entries = runs[0].totals[units["entries"].module_name].area * config.m * config.groups_per_step
    lanes = config.lanes
    registers = (table - entries) + config.n * code + (lookup - lanes * lane)
    return Measured(
        name, config.k, PLANES, lane, registers / lanes, entries / lanes, _own_count(config)
    )


def _own_count(config: TensorCoreConfig) -> tuple[int, int, int]:
    """Of the product's lane: every adder takes a carry, and is as wide as its wider operand."""
    bits = config.groups_per_step * config.table_bits
    negated = 0 if config.subsets else bits
    adders, widths = config.psum_bits, [config.table_bits] * config.groups_per_step
    while len(widths) > 1:
        pairs = [max(pair) for pair in zip(widths[::2], widths[1::2], strict=False)]
        adders += sum(pairs)
        widths = [width + 1 for width in pairs] + widths[len(pairs) * 2 :]
    return bits * config.entries, negated, adders


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_PARTS = {
    "terms": 5, "lane": 8, "registers": 9, "prepared": 8, "all": 8, "lane / term": 11,
    "all / term": 10, "NAND2": 6, "AND-OR": 6, "XOR": 5, "FA": 5,
}  # fmt: skip
"""Columns of a lane's parts, with their widths: a row is printed before the next is known."""

_NAME = 34


def _row(item: Measured, library: Library) -> str:
    values = [
        str(item.terms),
        *map(_figure, (item.lane, item.registers, item.prepared, item.all_in)),
        _figure(item.lane / item.terms),
        _figure(item.all_in / item.terms),
        f"{item.all_in / item.terms / library.nand2.area:.1f}",
        *(f"{value / item.terms:.1f}" for value in item.gates),
    ]
    return f"{item.name:{_NAME}}" + "".join(
        f"  {value:>{width}}" for value, width in zip(values, _PARTS.values(), strict=True)
    )


def _products(measured: list[Measured], library: Library) -> Table:
    """Areas of a product at each precision."""
    products = Table(
        "design", *(f"{name} {part}" for name in PRECISIONS for part in ("lane", "all")),
        title=f"area of one product a cycle, {library.unit}",
    )  # fmt: skip
    for item in measured:
        products.add_row(
            item.name,
            *(
                _figure(item.per_product(area, name))
                for name in PRECISIONS
                for area in (item.lane, item.all_in)
            ),
        )
    return products


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.baselines.integer", description=__doc__)
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="designs with this in their names"
    )
    options = parser.parse_args(arguments)
    console = Console(width=150)
    measured: list[Measured] = []
    library = read(options.liberty)
    print(
        f"{library.name}: M = {M}, N = {N}, no clock constraint\n"
        f"a lane and its shares, {library.unit}; AND-OR, XOR, FA a term\n\n"
        f"{'design':{_NAME}}" + "".join(f"  {name:>{width}}" for name, width in _PARTS.items())
    )
    jobs = {name: partial(measure_own, name, config, library) for name, config in OWN.items()}
    jobs |= {design.name: partial(measure, design, library) for design in DESIGNS}
    for name, job in jobs.items():
        if not any(text in name for text in options.only):
            continue
        measured.append(job())
        print(_row(measured[-1], library), flush=True)
    console.print()
    console.print(_products(measured, library))
    return 0


if __name__ == "__main__":
    sys.exit(main())
