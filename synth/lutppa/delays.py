"""What timing needs of a Liberty file: NLDM tables, capacitances, setup times; in ps and fF.

Tables of one arc that differ only in their condition (`when`) are joined by their largest values:
static timing does not know the condition. Source: Liberty User Guide, "Nonlinear delay model".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cells import unit
from .groups import Group, cell_texts, parse
from .liberty import Cell, Library

__all__ = ["FALL", "RISE", "Delays", "Kind", "Link", "Tables", "delays"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

RISE, FALL = 0, 1
_EDGES = ("rise", "fall")
_SENSES = {
    "positive_unate": ((RISE, RISE), (FALL, FALL)),
    "negative_unate": ((FALL, RISE), (RISE, FALL)),
    "non_unate": ((RISE, RISE), (FALL, FALL), (FALL, RISE), (RISE, FALL)),
}
_COMBINATIONAL = ("", "combinational", "combinational_rise", "combinational_fall")
# Energies are not needed, and are half of the text; such a group holds groups of one level.
_POWER = re.compile(
    r"\b(?:internal_power|leakage_power|receiver_capacitance)\s*\([^(){}]*\)\s*"
    r"\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}"
)
_Table = tuple[Floats, Floats, Floats]
"""Axes x [i] and y [j], values [2, i, j]: delay or setup time, transition."""


class Link(NamedTuple):
    """From an edge of a pin to an edge of a pin, pins by their place in the cell.

    Of a setup time both are the data pin, and the table's axes are the slews of data and clock;
    else the table gives delay and transition by slew and load. Table -1 is no time at all.
    """

    source: int
    source_edge: int
    sink: int
    sink_edge: int
    table: int


@dataclass(frozen=True)
class Kind:
    """A cell: its pins, inputs first, and where edges go.

    capacitance  [pin, edge] fF, 0 for outputs
    clocks       places of pins that are clocks
    arcs         from inputs to outputs; launches from the clock's rise to outputs
    setups       of the data inputs of a flip-flop
    """

    cell: Cell
    capacitance: Floats
    clocks: frozenset[int]
    arcs: tuple[Link, ...]
    launches: tuple[Link, ...]
    setups: tuple[Link, ...]

    @property
    def pins(self) -> tuple[str, ...]:
        """Inputs, then outputs."""
        return (*self.cell.inputs, *self.cell.outputs)

    @property
    def links(self) -> tuple[Link, ...]:
        """Arcs, launches, setups."""
        return (*self.arcs, *self.launches, *self.setups)


class Tables:
    """All tables of a library, looked up many at a time; axes are padded with infinity."""

    def __init__(self, tables: Sequence[_Table]) -> None:
        count = max(1, len(tables))
        self._x = np.full((count, max([2, *(len(x) for x, _, _ in tables)])), np.inf)
        self._y = np.full((count, max([2, *(len(y) for _, y, _ in tables)])), np.inf)
        self._values = np.zeros((2, count, self._x.shape[1], self._y.shape[1]))
        self._last = np.array([(len(x) - 2, len(y) - 2) for x, y, _ in tables] or [(0, 0)]).T
        for index, (x, y, values) in enumerate(tables):
            self._x[index, : len(x)] = x
            self._y[index, : len(y)] = y
            self._values[:, index, : len(x), : len(y)] = values

    def look_up(self, tables: Ints, x: Floats, y: Floats) -> Floats:
        """[2, n]: both values of n tables at (x, y), linear between and beyond the points."""
        low_x, part_x = _place(self._x, self._last[0], tables, x)
        low_y, part_y = _place(self._y, self._last[1], tables, y)
        flat = self._values.reshape(2, -1)
        width = self._y.shape[1]
        at = (tables * self._x.shape[1] + low_x) * width + low_y
        low = flat[:, at] * (1 - part_y) + flat[:, at + 1] * part_y
        high = flat[:, at + width] * (1 - part_y) + flat[:, at + width + 1] * part_y
        return low * (1 - part_x) + high * part_x


def _place(axis: Floats, last: Ints, tables: Ints, at: Floats) -> tuple[Ints, Floats]:
    """The lower of the points on both sides, and how far on the way to the upper one."""
    points = axis[tables]
    low = np.clip((points <= at[:, None]).sum(1) - 1, 0, last[tables])
    rows = np.arange(len(tables))
    first, second = points[rows, low], points[rows, low + 1]
    return low, (at - first) / (second - first)


@dataclass(frozen=True)
class Delays:
    """The timing of the cells of a library that may be used.

    kinds     every cell; `index` is the place of a name
    families  by kind: kinds with its pins, function and links, smallest first, itself included
    """

    library: Library
    kinds: tuple[Kind, ...]
    tables: Tables
    index: dict[str, int]
    families: tuple[tuple[int, ...], ...]

    @cached_property
    def areas(self) -> Floats:
        """[kind]."""
        return np.array([kind.cell.area for kind in self.kinds])

    @cached_property
    def capacitance(self) -> Floats:
        """[kind, pin, edge] fF; 0 where there is no input."""
        most = max(len(kind.pins) for kind in self.kinds)
        found = np.zeros((len(self.kinds), most, 2))
        for row, kind in zip(found, self.kinds, strict=True):
            row[: len(kind.pins)] = kind.capacitance
        return found

    @cached_property
    def link_tables(self) -> Ints:
        """[kind, link]: tables of `Kind.links`; -1 where there is none."""
        found = np.full((len(self.kinds), max(len(kind.links) for kind in self.kinds)), -1)
        for row, kind in zip(found, self.kinds, strict=True):
            row[: len(kind.links)] = [link.table for link in kind.links]
        return found

    def gates(self, function: tuple[bool, bool]) -> tuple[int, ...]:
        """Cells of one input and one output with that truth table, smallest first; or none."""
        for place, kind in enumerate(self.kinds):
            single = len(kind.cell.inputs) == len(kind.cell.outputs) == 1 and kind.arcs
            if single and kind.cell.table(kind.pins[1]) == function:
                return self.families[place]
        return ()


_KEPT: dict[str, Delays] = {}


def delays(library: Library) -> Delays:
    """The timing of the cells that `library` may use, read once."""
    if library.sha256 not in _KEPT:
        _KEPT[library.sha256] = _read(library)
    return _KEPT[library.sha256]


def _read(library: Library) -> Delays:
    text = _POWER.sub("", library.text)
    cells = dict(cell_texts(text))
    head = parse(text[: text.index(next(iter(cells.values())))] + "}", delays=True).groups[0]
    reader = _Reader(head, library)
    kinds: list[Kind] = []
    keys: dict[Any, list[int]] = {}
    for name, cell_text in cells.items():
        if name in library.cells:
            group = parse(cell_text, delays=True).groups[0]
            kind = reader.kind(group, library.cells[name])
            states = [(ff.text("next_state"), ff.text("clocked_on")) for ff in group.all("ff")]
            functions = [kind.cell.table(pin) or value for pin, value in kind.cell.outputs.items()]
            links = [[link[:4] for link in of] for of in (kind.arcs, kind.launches, kind.setups)]
            key = repr((kind.pins, functions, states, links, sorted(kind.clocks)))
            keys.setdefault(key, []).append(len(kinds))
            kinds.append(kind)
    families: list[tuple[int, ...]] = [()] * len(kinds)
    for members in keys.values():
        family = tuple(sorted(members, key=lambda place: kinds[place].cell.area))
        for member in members:
            families[member] = family
    index = {kind.cell.name: place for place, kind in enumerate(kinds)}
    return Delays(library, tuple(kinds), Tables(reader.tables), index, tuple(families))


class _Reader:
    """Reads cells; tables are gathered in `tables`."""

    def __init__(self, head: Group, library: Library) -> None:
        self.tables: list[_Table] = []
        self._templates = {group.arguments[0]: group for group in head.all("lu_table_template")}
        self._ps = unit(head.text("time_unit", "1ns"), "s", library.file) / 1e-12
        size, name = head.attributes.get("capacitive_load_unit", ["1", "pf"])
        self._ff = unit(f"{size}{name}", "f", library.file) / 1e-15

    def kind(self, group: Group, cell: Cell) -> Kind:
        """A cell with its timing."""
        pins = [*cell.inputs, *cell.outputs]
        capacitance = np.zeros((len(pins), 2))
        clocks: set[int] = set()
        arcs: dict[tuple[int, int, int, int], list[_Table]] = {}
        launches: dict[tuple[int, int, int, int], list[_Table]] = {}
        setups: dict[tuple[int, int, int, int], list[_Table]] = {}
        for pin in group.all("pin"):
            for name in pin.arguments:
                if name in cell.inputs:
                    place = pins.index(name)
                    plain = pin.text("capacitance", "0")
                    for edge in (RISE, FALL):
                        value = float(pin.text(f"{_EDGES[edge]}_capacitance", plain))
                        reach = pin.numbers(f"{_EDGES[edge]}_capacitance_range")
                        capacitance[place, edge] = max([value, *reach]) * self._ff
                    if pin.text("clock") == "true":
                        clocks.add(place)
                    self._setups(pin, place, setups)
                elif name in cell.outputs:
                    self._arcs(pin, pins, pins.index(name), arcs, launches)
        clocks |= {source for source, *_ in launches}
        if cell.flip_flop:
            for place in set(range(len(cell.inputs))) - clocks - {key[0] for key in setups}:
                setups |= {(place, edge, place, edge): [] for edge in (RISE, FALL)}
        return Kind(
            cell, capacitance, frozenset(clocks),
            self._links(arcs), self._links(launches), self._links(setups),
        )  # fmt: skip

    def _links(self, found: dict[tuple[int, int, int, int], list[_Table]]) -> tuple[Link, ...]:
        links: list[Link] = []
        for key, tables in sorted(found.items()):
            place = -1
            if tables:
                x, y, _ = tables[0]
                same = [values for a, b, values in tables if len(a) == len(x) and len(b) == len(y)]
                place = len(self.tables)
                self.tables.append((x, y, np.max(same, axis=0)))
            links.append(Link(*key, place))
        return tuple(links)

    def _setups(
        self, pin: Group, place: int, found: dict[tuple[int, int, int, int], list[_Table]]
    ) -> None:
        for timing in pin.all("timing"):
            if timing.text("timing_type") == "setup_rising":
                for edge in (RISE, FALL):
                    for table in timing.all(f"{_EDGES[edge]}_constraint"):
                        x, y, values = self._table(table)
                        key = (place, edge, place, edge)
                        found.setdefault(key, []).append((x, y, np.stack([values, values])))

    def _arcs(
        self,
        pin: Group,
        pins: list[str],
        sink: int,
        arcs: dict[tuple[int, int, int, int], list[_Table]],
        launches: dict[tuple[int, int, int, int], list[_Table]],
    ) -> None:
        for timing in pin.all("timing"):
            kind = timing.text("timing_type")
            if kind == "rising_edge":
                pairs, into = ((RISE, RISE), (RISE, FALL)), launches
            elif kind in _COMBINATIONAL:
                pairs, into = _SENSES[timing.text("timing_sense") or "non_unate"], arcs
            else:
                continue
            drawn = {table.kind: table for table in timing.groups}
            for source in timing.text("related_pin").split():
                for source_edge, edge in pairs:
                    name = _EDGES[edge]
                    if f"cell_{name}" not in drawn:
                        continue
                    x, y, delay = self._table(drawn[f"cell_{name}"])
                    other = drawn.get(f"{name}_transition")
                    slew = self._table(other)[2] if other else np.zeros_like(delay)
                    key = (pins.index(source), source_edge, sink, edge)
                    into.setdefault(key, []).append((x, y, np.stack([delay, slew])))

    def _table(self, table: Group) -> tuple[Floats, Floats, Floats]:
        """Axes and values [x, y] of a table of two, one or no variables, stretched to two.

        x is the slew of the input or the data, y the load or the slew of the clock.
        """
        template = self._templates.get((table.arguments or [""])[0], Group("", []))
        axes: dict[bool, Floats] = {}
        order: list[bool] = []
        for place in (1, 2):
            variable = template.text(f"variable_{place}")
            if variable:
                source = table if f"index_{place}" in table.attributes else template
                load = variable.endswith("capacitance")
                second = load or variable == "related_pin_transition"
                axes[second] = source.numbers(f"index_{place}") * (self._ff if load else self._ps)
                order.append(second)
        values = table.numbers("values").reshape([len(axes[second]) for second in order] or [1])
        if order == [True, False]:
            values = values.T
        elif order != [False, True]:
            values = values[None, :] if order == [True] else values[:, None]
        values = values * self._ps
        both: list[Floats] = []
        for side, second in enumerate((False, True)):
            axis = axes.get(second, np.zeros(1))
            if len(axis) == 1:
                axis, values = np.array([axis[0], axis[0] + 1]), np.repeat(values, 2, axis=side)
            both.append(axis)
        return both[0], both[1], values
