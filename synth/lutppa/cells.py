"""What simulation and power need of a cell: functions, state, capacitances, energies, leakage.

`lutppa.liberty` reads every cell of a file for its area; this reads single cells in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .expression import names
from .groups import Group, cell_texts, head, parse
from .liberty import Library

__all__ = [
    "Arc",
    "EnergyTable",
    "PowerCell",
    "PowerLibrary",
    "State",
    "read_power",
    "unit",
]

_RAILS = ("primary_ground", "backup_ground", "internal_ground")


@dataclass(frozen=True)
class EnergyTable:
    """Energies [slews, loads] in the library's unit; axes in its units of time and capacitance."""

    slews: NDArray[np.float64]
    loads: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, slew: float, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bilinear interpolation at `slew` and every load; beyond the table the line goes on."""
        row = _line(self.slews, self.values, np.array([slew]))[0]
        return _line(self.loads, row[:, None], loads)[:, 0]


def _line(
    axis: NDArray[np.float64], values: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values [axis, columns] at every point: [points, columns]."""
    if len(axis) == 1:
        return np.repeat(values, len(at), axis=0)
    low = np.clip(np.searchsorted(axis, at) - 1, 0, len(axis) - 2)
    part = ((at - axis[low]) / (axis[low + 1] - axis[low]))[:, None]
    return values[low] * (1 - part) + values[low + 1] * part


@dataclass(frozen=True)
class Arc:
    """Internal energy of a pin's edges: of an output that one of `related` moves, or of an input.

    when   condition on the other pins, empty for the edges that no other arc of the pin covers
    rise   tables whose energies add up, each with whether it is that of a ground pin; fall alike
    """

    pin: str
    related: tuple[str, ...]
    when: str
    rise: tuple[tuple[bool, EnergyTable], ...]
    fall: tuple[tuple[bool, EnergyTable], ...]


@dataclass(frozen=True)
class State:
    """The state of a cell, which its functions call `name`, and its complement `inverse`.

    Edge-triggered: takes `data` when `clock` rises. Else transparent while `clock` holds. `clear`
    and `preset` are conditions that force it.
    """

    name: str
    inverse: str
    edge: bool
    clock: str
    data: str
    clear: str
    preset: str


@dataclass(frozen=True)
class PowerCell:
    """A cell in full.

    inputs        capacitance of every input pin
    outputs       function of every output pin, over inputs and state
    clocks        input pins that are clocks
    leakage       (condition, power, whether at a ground pin); an empty condition is the rest
    """

    name: str
    area: float
    inputs: dict[str, float]
    outputs: dict[str, str]
    clocks: tuple[str, ...]
    state: State | None
    arcs: tuple[Arc, ...]
    leakage: tuple[tuple[str, float, bool], ...]

    @property
    def pins(self) -> tuple[str, ...]:
        """Inputs, then outputs."""
        return (*self.inputs, *self.outputs)


@dataclass(frozen=True)
class PowerLibrary:
    """Units and cells of a library.

    voltage          V
    time_ps          unit of time in ps
    capacitance_ff   unit of capacitance in fF
    leakage_nw       unit of leakage power in nW
    energy_fj        unit of internal energy in fJ: capacitance times voltage squared
    largest_slew     of the library, its unit of time
    """

    voltage: float
    time_ps: float
    capacitance_ff: float
    leakage_nw: float
    energy_fj: float
    largest_slew: float
    cells: dict[str, PowerCell]


_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3}


def unit(text: str, symbol: str, file: str) -> float:
    """`1ps` and the like in units of one."""
    match = re.fullmatch(rf"([\d.]+)\s*([munpfk]?){symbol}", text, re.IGNORECASE)
    if not match:
        raise InputError(f"{file}: unit must be like 1n{symbol}, not {text!r}")
    return float(match[1]) * _PREFIX[match[2].lower()]


def read_power(library: Library, cells: Iterable[str]) -> PowerLibrary:
    """The units of a library and the named cells; InputError where it lacks what power needs."""
    text = library.text
    top, spans = head(text), dict(cell_texts(text))
    if "nom_voltage" not in top.attributes:
        raise InputError(
            f"{library.file}: has no nom_voltage, without which there is no energy; "
            "`nom_voltage : VOLTS;` would do"
        )
    size, prefix = top.attributes["capacitive_load_unit"]
    farads = unit(f"{size}{prefix}", "f", library.file)
    volts = unit(top.text("voltage_unit", "1V"), "V", library.file)
    found: dict[str, PowerCell] = {}
    templates = {group.arguments[0]: group for group in top.all("power_lut_template")}
    largest = 0.0
    for name in sorted(set(cells)):
        if name not in spans:
            raise InputError(f"{library.file}: has no cell {name}")
        group = parse(spans[name]).groups[0]
        # Some files end the area's line without a semicolon, which `parse` cannot know.
        found[name] = _cell(group, templates, library.cells[name].area)
        largest = max([largest, *(t.slews[-1] for a in found[name].arcs for _, t in a.rise)])
    return PowerLibrary(
        voltage=float(top.text("nom_voltage")) * volts,
        time_ps=unit(top.text("time_unit", "1ns"), "s", library.file) / 1e-12,
        capacitance_ff=farads / 1e-15,
        leakage_nw=unit(top.text("leakage_power_unit", "1nW"), "W", library.file) / 1e-9,
        energy_fj=farads * volts**2 / 1e-15,
        largest_slew=largest,
        cells=found,
    )


def _cell(group: Group, templates: dict[str, Group], area: float) -> PowerCell:
    ground = {
        pin.arguments[0]
        for pin in (*group.all("pg_pin"), *group.all("pin"))
        if pin.text("pg_type") in _RAILS
    }
    inputs: dict[str, float] = {}
    outputs: dict[str, str] = {}
    clocks: list[str] = []
    arcs: list[Arc] = []
    state = _state(group)
    for pin in group.all("pin"):
        direction = pin.text("direction")
        for name in pin.arguments:
            if direction == "input":
                capacitance = pin.text("capacitance", "0")
                inputs[name] = float(capacitance)
            elif direction == "output":
                outputs[name] = pin.text("function") or pin.text("state_function")
            if pin.text("clock") == "true":
                clocks.append(name)
            arcs += _arcs(name, pin, direction == "input", ground, templates)
    if state is not None:
        clocks += [name for name in names(state.clock) if name in inputs and name not in clocks]
    leakage = [
        (leak.text("when"), float(leak.text("value", "0")), leak.text("related_pg_pin") in ground)
        for leak in group.all("leakage_power")
    ]
    if not any(not condition for condition, _, _ in leakage):
        leakage.append(("", float(group.text("cell_leakage_power", "0")), False))
    return PowerCell(
        name=group.arguments[0],
        area=area,
        inputs=inputs,
        outputs=outputs,
        clocks=tuple(clocks),
        state=state,
        arcs=tuple(arcs),
        leakage=tuple(leakage),
    )


def _state(group: Group) -> State | None:
    for inner in (*group.all("ff"), *group.all("latch")):
        edge = inner.kind == "ff"
        return State(
            *(inner.arguments + ["", ""])[:2],
            edge=edge,
            clock=inner.text("clocked_on" if edge else "enable"),
            data=inner.text("next_state" if edge else "data_in"),
            clear=inner.text("clear"),
            preset=inner.text("preset"),
        )
    if group.text("clock_gating_integrated_cell").startswith("latch_posedge"):
        # Written as a table; all such cells hold their enables while the clock is high.
        role: dict[str, list[str]] = {}
        for pin in group.all("pin"):
            for kind in ("clock_gate_enable_pin", "clock_gate_test_pin", "clock_gate_clock_pin"):
                if pin.text(kind) == "true":
                    role.setdefault(kind, []).extend(pin.arguments)
        internal = next(
            pin.arguments[0] for pin in group.all("pin") if "internal_node" in pin.attributes
        )
        enables = role["clock_gate_enable_pin"] + role.get("clock_gate_test_pin", [])
        clock = role["clock_gate_clock_pin"][0]
        return State(internal, "", False, f"!{clock}", "|".join(enables), "", "")
    return None


def _arcs(
    name: str, pin: Group, is_input: bool, ground: set[str], templates: dict[str, Group]
) -> list[Arc]:
    """The arcs of a pin; groups that differ only in their rail are one arc."""
    merged: dict[tuple[tuple[str, ...], str], dict[str, list[Any]]] = {}
    for power in pin.all("internal_power"):
        related = tuple(power.text("related_pin").split())
        if is_input:
            related = ()
        tables = merged.setdefault((related, power.text("when")), {"rise": [], "fall": []})
        rail = power.text("related_pg_pin") in ground
        for edge, kinds in (("rise", ("rise_power", "power")), ("fall", ("fall_power", "power"))):
            tables[edge] += [
                (rail, _table(table, templates)) for kind in kinds for table in power.all(kind)
            ]
    return [
        Arc(name, related, when, tuple(tables["rise"]), tuple(tables["fall"]))
        for (related, when), tables in merged.items()
    ]


def _table(group: Group, templates: dict[str, Group]) -> EnergyTable:
    template = (
        templates.get(group.arguments[0], Group("", [])) if group.arguments else Group("", [])
    )
    axes: dict[str, NDArray[np.float64]] = {}
    shape: list[int] = []
    order: list[str] = []
    for place in (1, 2):
        variable = template.text(f"variable_{place}")
        if variable:
            source = group if f"index_{place}" in group.attributes else template
            axis = source.numbers(f"index_{place}")
            kind = "loads" if "capacitance" in variable else "slews"
            axes[kind] = axis
            order.append(kind)
            shape.append(len(axis))
    values = group.numbers("values").reshape(shape or [1])
    if order == ["loads", "slews"]:
        values = values.T
    elif order == ["loads"]:
        values = values[None, :]
    elif len(order) < 2:
        values = values[:, None]
    one = np.zeros(1)
    return EnergyTable(axes.get("slews", one), axes.get("loads", one), values)
