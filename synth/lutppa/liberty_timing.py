"""What timing needs of a Liberty file: NLDM tables, capacitances, setup times; in ps and fF.

Tables of one arc that differ only in their condition (`when`) are joined by their largest values:
static timing does not know the condition. Source: Liberty User Guide, "Nonlinear delay model".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .liberty import Library
from .liberty_groups import Group, numbers, parse

__all__ = ["FALL", "RISE", "Arc", "Setup", "Tables", "TimedCell", "TimingLibrary", "timing_library"]

RISE, FALL = 0, 1
_EDGES = ("rise", "fall")
_TIME = {"ps": 1.0, "ns": 1e3, "fs": 1e-3}
_CAPACITANCE = {"ff": 1.0, "pf": 1e3}
_SENSES = {
    "positive_unate": ((RISE, RISE), (FALL, FALL)),
    "negative_unate": ((FALL, RISE), (RISE, FALL)),
    "non_unate": ((RISE, RISE), (FALL, FALL), (FALL, RISE), (RISE, FALL)),
}
_COMBINATIONAL = ("", "combinational", "combinational_rise", "combinational_fall")


@dataclass(frozen=True)
class Arc:
    """From an edge of an input to one of an output; `table` holds delay and transition."""

    source: str
    source_edge: int
    output: str
    output_edge: int
    table: int


@dataclass(frozen=True)
class Setup:
    """Setup time of an edge of an input of a flip-flop; the table's axes are data, clock slew."""

    pin: str
    edge: int
    table: int


@dataclass
class TimedCell:
    """A cell: capacitance of its inputs by edge, most load of its outputs, arcs.

    launches  arcs from the clock's edge to outputs, setups the times that data must be there before
    clocks    pins that are clocks
    """

    name: str
    area: float
    capacitance: dict[str, tuple[float, float]] = field(default_factory=dict)
    most_load: dict[str, float] = field(default_factory=dict)
    arcs: list[Arc] = field(default_factory=list)
    launches: list[Arc] = field(default_factory=list)
    setups: list[Setup] = field(default_factory=list)
    clocks: set[str] = field(default_factory=set)
    flip_flop: bool = False


class Tables:
    """All tables of a library, looked up many at a time.

    x[t, i], y[t, j]  axes, padded with infinity
    values[t, v, i, j]  v = 0 delay or setup time, 1 transition
    """

    def __init__(self, tables: list[tuple[list[float], list[float], list[list[float]]]]) -> None:
        count = len(tables)
        nx = max((len(x) for x, _, _ in tables), default=2)
        ny = max((len(y) for _, y, _ in tables), default=2)
        self.x = np.full((count, nx), np.inf)
        self.y = np.full((count, ny), np.inf)
        self.values = np.zeros((count, 2, nx, ny))
        self.last_x = np.array([len(x) - 2 for x, _, _ in tables])
        self.last_y = np.array([len(y) - 2 for _, y, _ in tables])
        for index, (x, y, values) in enumerate(tables):
            self.x[index, : len(x)] = x
            self.y[index, : len(y)] = y
            for kind, table in enumerate(values):
                shaped = np.reshape(table, (len(x), len(y)))
                self.values[index, kind, : len(x), : len(y)] = shaped

    def look_up(
        self, tables: NDArray[np.intp], x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """[2, n]: both values of n tables at (x, y), linear between and beyond the points."""
        low_x, part_x = _place(self.x, self.last_x, tables, x)
        low_y, part_y = _place(self.y, self.last_y, tables, y)
        width_y = self.y.shape[1]
        size = self.x.shape[1] * width_y
        flat = self.values.reshape(-1)
        result = np.empty((2, len(tables)))
        base = tables * (2 * size) + low_x * width_y + low_y
        for kind in (0, 1):
            at = base + kind * size
            low = flat[at] * (1 - part_y) + flat[at + 1] * part_y
            high = flat[at + width_y] * (1 - part_y) + flat[at + width_y + 1] * part_y
            result[kind] = low * (1 - part_x) + high * part_x
        return result


def _place(
    axis: NDArray[np.float64],
    last: NDArray[np.intp],
    tables: NDArray[np.intp],
    at: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The lower of the points on both sides, and how far on the way to the upper one."""
    points = axis[tables]
    low = np.clip((points <= at[:, None]).sum(1) - 1, 0, last[tables])
    rows = np.arange(len(tables))
    first, second = points[rows, low], points[rows, low + 1]
    return low, (at - first) / (second - first)


@dataclass
class TimingLibrary:
    """The timing of a cell library.

    families  cells of the same function and pins, smallest first, by the name of each of them
    """

    library: Library
    cells: dict[str, TimedCell]
    tables: Tables
    families: dict[str, list[str]]

    @cached_property
    def buffers(self) -> list[str]:
        """Buffers, smallest first."""
        for cell in self.library.cells.values():
            single = len(cell.inputs) == 1 and len(cell.outputs) == 1 and not cell.flip_flop
            if single and cell.table(next(iter(cell.outputs))) == (False, True):
                return self.families[cell.name]
        return []


def timing_library(library: Library) -> TimingLibrary:
    """Read the timing of the cells that `library` may use; InputError where it has none."""
    return _Reader(library).read()


def _unit(text: str, units: dict[str, float]) -> float:
    match = re.search(r"([\d.]+(?:[eE][-+]?\d+)?)[\s,\"]*([a-zA-Z]+)", text)
    if not match or match[2].lower() not in units:
        raise ValueError(text)
    return float(match[1]) * units[match[2].lower()]


class _Reader:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.group = next(group for group in parse(library.text) if group.kind == "library")
        self.templates = {t.name: t for t in self.group.each("lu_table_template")}
        self.tables: list[tuple[list[float], list[float], list[list[float]]]] = []
        try:
            self.ps = _unit(self.group.get("time_unit", "1ns"), _TIME)
            self.ff = _unit(self.group.get("capacitive_load_unit", "1,pf"), _CAPACITANCE)
        except ValueError as error:
            raise InputError(
                f"{library.file}: unit {error} is unknown; ps and fF would do"
            ) from None

    def read(self) -> TimingLibrary:
        cells: dict[str, TimedCell] = {}
        keys: dict[object, list[str]] = {}
        for group in self.group.each("cell"):
            plain = self.library.cells.get(group.name)
            if plain is None:
                continue
            cells[group.name] = self._cell(group, plain.flip_flop)
            states = [ff.get("next_state") + ff.get("clocked_on") for ff in group.each("ff")]
            tables = tuple(
                (pin, plain.table(pin) or function) for pin, function in plain.outputs.items()
            )
            key = (tuple(sorted(plain.inputs)), tuple(sorted(tables)), *states)
            if plain.inputs and plain.outputs:
                keys.setdefault(key, []).append(group.name)
        families: dict[str, list[str]] = {}
        for names in keys.values():
            names.sort(key=lambda name: cells[name].area)
            families.update(dict.fromkeys(names, names))
        if not any(cell.arcs for cell in cells.values()):
            raise InputError(f"{self.library.file}: has no delay tables; NLDM timing would do")
        return TimingLibrary(self.library, cells, Tables(self.tables), families)

    def _cell(self, group: Group, flip_flop: bool) -> TimedCell:
        cell = TimedCell(group.name, group.number("area"), flip_flop=flip_flop)
        default_load = self.group.number("default_max_capacitance", np.inf)
        for pin in group.each("pin"):
            if pin.get("direction") == "input":
                plain = pin.number("capacitance")
                cell.capacitance[pin.name] = (
                    pin.number("rise_capacitance", plain) * self.ff,
                    pin.number("fall_capacitance", plain) * self.ff,
                )
                if pin.get("clock") == "true":
                    cell.clocks.add(pin.name)
                self._setups(cell, pin)
            elif pin.get("direction") == "output":
                most = pin.number("max_capacitance", default_load)
                cell.most_load[pin.name] = most * self.ff
                self._arcs(cell, pin)
        return cell

    def _setups(self, cell: TimedCell, pin: Group) -> None:
        for timing in pin.each("timing"):
            if timing.get("timing_type") != "setup_rising":
                continue
            for edge in (RISE, FALL):
                for table in timing.each(f"{_EDGES[edge]}_constraint"):
                    x, y, values = self._table(table)
                    template = self.templates.get(table.name)
                    if template and template.get("variable_1") == "related_pin_transition":
                        values = np.reshape(values, (len(x), len(y))).T.ravel().tolist()
                        x, y = y, x
                    self.tables.append((x, y, [values, values]))
                    cell.setups.append(Setup(pin.name, edge, len(self.tables) - 1))

    def _arcs(self, cell: TimedCell, pin: Group) -> None:
        joined: dict[
            tuple[str, int, int, bool, str],
            list[tuple[list[float], list[float], list[list[float]]]],
        ] = {}
        for timing in pin.each("timing"):
            kind = timing.get("timing_type")
            if kind == "rising_edge":
                pairs = ((RISE, RISE), (RISE, FALL))
            elif kind in _COMBINATIONAL:
                pairs = _SENSES[timing.get("timing_sense") or "non_unate"]
            else:
                continue
            drawn = {table.kind: table for table in timing.groups}
            for source in timing.get("related_pin").split():
                for source_edge, edge in pairs:
                    name = _EDGES[edge]
                    if f"cell_{name}" not in drawn:
                        continue
                    x, y, delay = self._table(drawn[f"cell_{name}"])
                    other = drawn.get(f"{name}_transition")
                    slew = self._table(other)[2] if other else [0.0] * len(delay)
                    key = (source, source_edge, edge, kind == "rising_edge", f"{x}{y}")
                    joined.setdefault(key, []).append((x, y, [delay, slew]))
        for (source, source_edge, edge, launch, _), tables in joined.items():
            x, y, _ = tables[0]
            values = [np.max([t[2][v] for t in tables], axis=0).tolist() for v in (0, 1)]
            self.tables.append((x, y, values))
            arc = Arc(source, source_edge, pin.name, edge, len(self.tables) - 1)
            (cell.launches if launch else cell.arcs).append(arc)
            if launch:
                cell.clocks.add(source)

    def _table(self, table: Group) -> tuple[list[float], list[float], list[float]]:
        """Axes and values of a table of two, one or no variables, stretched to two."""
        template = self.templates.get(table.name)
        axes: list[list[float]] = []
        for index in (1, 2):
            text = table.get(f"index_{index}") or (
                template.get(f"index_{index}") if template else ""
            )
            variable = template.get(f"variable_{index}") if template else ""
            scale = self.ff if variable.endswith("capacitance") else self.ps
            axes.append([value * scale for value in numbers(text)])
        x, y = axes
        values = np.array(numbers(table.get("values"))) * self.ps
        values = values.reshape(max(1, len(x)), max(1, len(y)))
        if len(x) < 2:
            x, values = [0.0, 1.0], np.repeat(values, 2, axis=0)
        if len(y) < 2:
            y, values = [0.0, 1.0], np.repeat(values, 2, axis=1)
        return x, y, values.ravel().tolist()
