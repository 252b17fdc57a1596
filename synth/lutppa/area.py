"""Area of a Verilog hierarchy: every module mapped once onto a cell library, smallest first.

Each module is mapped in several ways, such as with its sums on the library's full-adder cell and
with everything left to ABC, which never uses such a cell; the smallest result counts. There is no
clock constraint.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lutcore.errors import InputError

from . import netlist, yosys
from .liberty import Library
from .mapping import area_ways, script, write_inputs
from .netlist import Netlist

__all__ = ["Amount", "Module", "Synthesis", "synthesise"]


@dataclass(frozen=True)
class Amount:
    """Area in the library's unit, cells, flip-flops and their area."""

    area: float = 0.0
    cells: int = 0
    flip_flops: int = 0
    flip_flop_area: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.area + other.area,
            self.cells + other.cells,
            self.flip_flops + other.flip_flops,
            self.flip_flop_area + other.flip_flop_area,
        )

    def __sub__(self, other: Amount) -> Amount:
        return self + -1 * other

    def __rmul__(self, count: int) -> Amount:
        return Amount(
            count * self.area,
            count * self.cells,
            count * self.flip_flops,
            count * self.flip_flop_area,
        )


@dataclass(frozen=True)
class Module:
    """A mapped module.

    own         its cells, without those of the modules it places
    children    modules that it places, with how many of each
    memory      bits of memory in its source; each became a flip-flop
    full_adders whether its sums lie on full-adder cells
    """

    own: Amount
    children: dict[str, int]
    memory: int
    full_adders: bool


@dataclass(frozen=True)
class Synthesis:
    """A mapped hierarchy: modules by name, their netlists, and how they were made."""

    top: str
    modules: dict[str, Module]
    netlists: dict[str, Netlist]
    script: str
    log: str
    seconds: float

    @cached_property
    def netlist(self) -> str:
        """All modules as structural Verilog."""
        return "\n".join(module.verilog() for module in self.netlists.values())

    @cached_property
    def totals(self) -> dict[str, Amount]:
        """Every module with all that it places."""
        found: dict[str, Amount] = {}

        def total(name: str) -> Amount:
            if name not in found:
                module = self.modules[name]
                found[name] = sum(
                    (count * total(child) for child, count in module.children.items()), module.own
                )
            return found[name]

        for name in self.modules:
            total(name)
        return found


def synthesise(
    verilog: str,
    top: str,
    library: Library,
) -> Synthesis:
    """Map `top` and every module below it onto the cells of `library`.

    Raises InputError where the library cannot be used, YosysError where the Verilog cannot.
    """
    begin = time.monotonic()
    ways = area_ways(library)
    commands = script(top, library, ways)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_inputs(directory, verilog, library)
        try:
            log = yosys.run(directory, commands)
        except yosys.YosysError as error:
            if "Executing DFFLIBMAP pass" in error.log:  # The Verilog was read.
                raise InputError(
                    f"{library.file}: cannot be mapped onto: {error}; inverter, NAND2 and "
                    "rising-edge D flip-flop with functions and timing would do"
                ) from None
            raise
        memories = yosys.statistics(directory / "memories.json")
        mapped = [netlist.read(directory / f"{way.name}_netlist.json") for way in ways]
    chosen = {
        module: min((found[module] for found in mapped), key=lambda one: _amount(one, library).area)
        for module in mapped[0]
    }
    modules = {
        name: _module(found, memories[name]["num_memory_bits"], chosen, library)
        for name, found in chosen.items()
    }
    seconds = time.monotonic() - begin
    return Synthesis(top, modules, chosen, commands, log, seconds)


def _amount(found: Netlist, library: Library) -> Amount:
    own = Amount()
    for cell in found.cells:
        known = library.cells.get(cell.kind)
        if known:
            area = known.area
            own += Amount(area, 1, 1, area) if known.flip_flop else Amount(area, 1)
    return own


def _module(found: Netlist, memory: int, netlists: dict[str, Netlist], library: Library) -> Module:
    kinds = Counter(cell.kind for cell in found.cells)
    adder = library.full_adder
    own = Amount()
    for kind, count in kinds.items():
        cell = library.cells.get(kind)
        if cell:
            one = Amount(cell.area, 1, 1, cell.area) if cell.flip_flop else Amount(cell.area, 1)
            own += count * one
        elif kind not in netlists:
            raise InputError(f"{library.file}: has no cell for {kind} of module {found.name}")
    return Module(
        own,
        {kind: count for kind, count in kinds.items() if kind in netlists},
        memory,
        adder is not None and adder.cell.name in kinds,
    )
