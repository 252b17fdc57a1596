"""Energy of a mapped netlist from its activity: switching, internal and leakage, from Liberty.

    switching  C V^2 / 2 an edge of a net; C is the input pins that it drives and its wire
    internal   the library's energy tables, by edge, by condition, at the net's load
    leakage    by state; the inputs of a cell are taken as independent

What comes out is energy drawn from the supply. Activity is free of glitches (`lutppa.activity`), so
a real circuit takes more; a clock tree, if there is to be one, is not in the netlist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import ConfigError

from .activity import Activity
from .cells import PowerCell
from .expression import evaluate
from .flat_netlist import Instances, Netlist

__all__ = ["Account", "Conditions", "Energy", "account"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the account assumes.

    period_ps      clock period, for leakage
    slew           of every edge in the library's unit; None: a sixteenth of its largest
    wire_pitches   length of wire for every pin that a net drives, in cell pitches; the pitch is the
                   side of a square that holds an average cell of the netlist. Three is what
                   Donath's estimate, halved as measurements ask, gives a block of a thousand to
                   ten thousand cells
    utilisation    part of the rows that cells fill
    wire_ff_um     capacitance of wire, fF/um; 0.2 in every process that scales wires with pitch
    ground         count the energy tables of ground pins as well. They repeat the charge that the
                   supply has given, so this doubles it; some tools do
    """

    period_ps: float = 1000.0
    slew: float | None = None
    wire_pitches: float = 3.0
    utilisation: float = 0.7
    wire_ff_um: float = 0.2
    ground: bool = False

    def __post_init__(self) -> None:
        for name in ("period_ps", "utilisation"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("wire_pitches", "wire_ff_um"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")


@dataclass(frozen=True)
class Energy:
    """Energy in fJ.

    data        edges of nets that are no clocks
    clock_nets  edges of nets that drive clock pins
    clock_pins  internal energy of pins on clock nets, most of it spent whether or not data moves
    internal    internal energy of all other edges
    leakage     of the period
    """

    data: float = 0.0
    clock_nets: float = 0.0
    clock_pins: float = 0.0
    internal: float = 0.0
    leakage: float = 0.0

    @property
    def clock(self) -> float:
        """All that the clock takes."""
        return self.clock_nets + self.clock_pins

    @property
    def total(self) -> float:
        """Everything."""
        return self.data + self.clock + self.internal + self.leakage

    def __add__(self, other: Energy) -> Energy:
        return Energy(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __truediv__(self, operations: float) -> Energy:
        return Energy(*(getattr(self, f.name) / operations for f in fields(self)))


@dataclass(frozen=True)
class Account:
    """Energy a cycle: by module, and what it rests on.

    modules  by the name of the module that holds a cell; the charge of a net belongs to those
             whose cells it drives
    border   that part of it which input ports drive
    slew     in the library's unit of time
    wire_ff  capacitance of wire for every driven pin, fF
    loads    [nets] capacitance of every net in the library's unit
    """

    modules: dict[str, Energy]
    border: Energy
    slew: float
    wire_ff: float
    loads: Floats

    @property
    def total(self) -> Energy:
        """Of all modules."""
        return sum(self.modules.values(), Energy())


def account(netlist: Netlist, activity: Activity, conditions: Conditions) -> Account:
    """The energy of an average cycle of `activity`."""
    power = netlist.power
    slew = power.largest_slew / 16 if conditions.slew is None else conditions.slew
    area = sum(kind.cell.area * len(kind) for kind in netlist.kinds)
    pitch = np.sqrt(area / max(1, netlist.cells) / conditions.utilisation)
    wire_ff = float(conditions.wire_pitches * pitch * conditions.wire_ff_um)
    wire = wire_ff / power.capacitance_ff
    loads, clocks, driven = _nets(netlist, wire)
    edge = 0.5 * power.capacitance_ff * power.voltage**2 * activity.toggles
    border = ~driven * loads * edge
    shares = {field.name: np.zeros(len(netlist.modules)) for field in fields(Energy)}
    for index, kind in enumerate(netlist.kinds):
        place = kind.modules
        for pin, capacitance in enumerate(kind.cell.inputs.values()):
            net = kind.pins[:, pin]
            charge = (capacitance + wire) * edge[net]
            np.add.at(shares["clock_nets"], place, charge * clocks[net])
            np.add.at(shares["data"], place, charge * ~clocks[net])
        pins, rest = _internal(kind, loads, clocks, activity, index, slew, conditions.ground)
        leakage = _leakage(kind, activity.ones) * power.leakage_nw * conditions.period_ps * 1e-6
        np.add.at(shares["clock_pins"], place, pins * power.energy_fj)
        np.add.at(shares["internal"], place, rest * power.energy_fj)
        np.add.at(shares["leakage"], place, leakage)
    modules = {
        name: Energy(**{share: float(values[i]) for share, values in shares.items()})
        for i, name in enumerate(netlist.modules)
    }
    outside = Energy(data=border[~clocks].sum(), clock_nets=border[clocks].sum())
    return Account(modules, outside, slew, wire_ff, loads)


def _nets(netlist: Netlist, wire: float) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Of every net its capacitance, whether it is a clock, and whether a cell drives it."""
    loads = np.zeros(netlist.nets)
    clocks = np.zeros(netlist.nets, bool)
    driven = np.zeros(netlist.nets, bool)
    for kind in netlist.kinds:
        for place, (pin, capacitance) in enumerate(kind.cell.inputs.items()):
            np.add.at(loads, kind.pins[:, place], capacitance + wire)
            if pin in kind.cell.clocks:
                clocks[kind.pins[:, place]] = True
        for place in range(len(kind.cell.inputs), len(kind.cell.pins)):
            driven[kind.pins[:, place]] = True
    return loads, clocks, driven


def _internal(
    kind: Instances,
    loads: Floats,
    clocks: NDArray[np.bool_],
    activity: Activity,
    index: int,
    slew: float,
    ground: bool,
) -> tuple[Floats, Floats]:
    """Internal energy [cells] of pins on clock nets, and of all others, in the library's unit."""
    cell, edges, arcs = kind.cell, activity.edges[index], activity.arcs[index]
    result = np.zeros((2, len(kind)))
    for place, pin in enumerate(cell.pins):
        own = [i for i, arc in enumerate(cell.arcs) if arc.pin == pin]
        net = kind.pins[:, place]
        spent = np.zeros(len(kind))
        for side in (0, 1):
            counts = arcs[:, own, side]
            energies = np.zeros_like(counts)
            for column, i in enumerate(own):
                tables = cell.arcs[i].rise if side == 0 else cell.arcs[i].fall
                for of_ground, table in tables:
                    if ground or not of_ground:
                        energies[:, column] += table.at(slew, loads[net])
            if pin in cell.inputs:
                spent += (counts * energies).sum(axis=1)
            elif own:
                # Inputs that move together share an edge of the output; an edge that no arc
                # explains takes their mean.
                counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, 1.0)
                mean = (counts * energies).sum(axis=1) / counts.sum(axis=1)
                spent += edges[:, place - len(cell.inputs), side] * mean
        result += spent * [clocks[net], ~clocks[net]]
    return result[0], result[1]


def _leakage(kind: Instances, ones: Floats) -> Floats:
    """Leakage power [cells] in the library's unit."""
    cell = kind.cell
    axes = [*cell.inputs, *([cell.state.name] if cell.state else [])]
    table = _leakage_table(cell, axes)
    result = np.broadcast_to(table, (len(kind), len(table)))
    for place, name in enumerate(axes):
        high = ones[kind.pins[:, place]] if name in cell.inputs else _state_high(kind, ones)
        half = result.shape[1] // 2
        result = (1 - high)[:, None] * result[:, :half] + high[:, None] * result[:, half:]
    return result[:, 0]


def _leakage_table(cell: PowerCell, axes: list[str]) -> Floats:
    """Leakage by the values of `axes`, the first most significant."""
    rows = np.array(list(product((False, True), repeat=len(axes))), bool)
    values = dict(zip(axes, rows.T, strict=True))
    values |= {"0": np.zeros(len(rows), bool), "1": np.ones(len(rows), bool)}
    if cell.state:
        values[cell.state.inverse] = ~values[cell.state.name]
    values |= {pin: evaluate(function, values) for pin, function in cell.outputs.items()}
    total, found = np.zeros(len(rows)), np.zeros(len(rows))
    rest = 0.0
    for condition, power, of_ground in cell.leakage:
        if of_ground:
            continue
        if condition:
            holds = evaluate(condition, values)
            total += power * holds
            found += holds
        else:
            rest = power
    return np.where(found > 0, total / np.maximum(found, 1), rest)


def _state_high(kind: Instances, ones: Floats) -> Floats:
    """Part of the time for which the state is 1, from an output that shows it; else a half."""
    state = kind.cell.state
    assert state is not None
    of: dict[str, Callable[[Floats], Floats]] = {
        state.name: lambda high: high,
        state.inverse: lambda high: 1 - high,
    }
    for place, function in enumerate(kind.cell.outputs.values(), len(kind.cell.inputs)):
        name = function.strip("() ")
        if name in of:
            return of[name](ones[kind.pins[:, place]])
    return np.full(len(kind), 0.5)
