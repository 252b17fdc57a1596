"""Static timing: worst arrival and slew at every node, slack, and the longest paths by unit.

Pessimistic as usual: of several slews at a node the largest counts, conditions of arcs are not
looked at, and paths that no data takes are not found. The clock is ideal, without skew or slew.
Inputs of the top arrive at 0 with no slew, its outputs are due at the end of the period: the rest
of the chip takes no time. Nets have the capacitance of the pins that they drive and no wires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .circuit import Circuit, Graph, Links, graph

__all__ = ["PORTS", "Path", "Step", "Timing", "analyse", "paths", "trace"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

PORTS = "ports"
"""What stands for a unit where a path begins or ends at a port of the top."""


class Step(NamedTuple):
    """A cell on a path: its name, kind and unit, and when the path leaves it, ps."""

    name: str
    kind: str
    module: str
    arrival_ps: float


@dataclass(frozen=True)
class Path:
    """The longest path into a unit: modules where it starts and ends, or PORTS.

    length_ps  from the clock's edge to the last moment at which the next one may come
    slack_ps   what is left of the period; below 0 the clock is missed
    """

    start: str
    end: str
    length_ps: float
    slack_ps: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Timing:
    """Times of a circuit in ps.

    load      [node] fF
    arrival   [node] latest; -inf where nothing arrives
    slew      [node] largest
    required  [node] latest arrival that meets the clock; inf where none is asked
    delay     [arc]; launch [launch] from the clock
    due       [end] latest arrival at the end nodes: setups of the graph, then both edges of outputs
    """

    circuit: Circuit
    graph: Graph
    period_ps: float
    load: Floats
    arrival: Floats
    slew: Floats
    required: Floats
    delay: Floats
    launch: Floats
    ends: Ints
    due: Floats

    @property
    def slacks(self) -> Floats:
        """[end]: by how much the clock is met; inf where nothing arrives."""
        return self.due - self.arrival[self.ends]

    @property
    def slack_ps(self) -> float:
        """The least of all; the whole period where there is no path."""
        return float(min(self.slacks.min(initial=np.inf), self.period_ps))

    @property
    def length_ps(self) -> float:
        """The shortest period that would do."""
        return self.period_ps - self.slack_ps


def analyse(circuit: Circuit, period_ps: float, of: Graph | None = None) -> Timing:
    """Propagate arrivals and slews forwards, required times backwards.

    of  the graph, where it has been built for the circuit at other sizes
    """
    of = of or graph(circuit)
    tables = circuit.delays.tables
    kinds = circuit.kind[of.pin_cells]
    load = np.zeros(of.nodes)
    for edge in (0, 1):
        pins = circuit.delays.capacitance[kinds, of.pin_places, edge]
        load[edge::2] = np.bincount(of.pin_nets, pins, of.nodes // 2)

    arrival, slew = np.full(of.nodes, -np.inf), np.zeros(of.nodes)
    for edge in (0, 1):
        arrival[2 * of.inputs + edge] = 0.0
    zeros = np.zeros(len(of.launches.sink))
    launch, transition = tables.look_up(
        of.launches.tables(circuit), zeros, load[of.launches.sink]
    )  # fmt: skip
    np.maximum.at(arrival, of.launches.sink, launch)
    np.maximum.at(slew, of.launches.sink, transition)
    arcs, table = of.arcs, of.arcs.tables(circuit)
    delay = np.zeros(len(table))
    for begin, end in zip(of.levels[:-1], of.levels[1:], strict=True):
        source, sink = arcs.source[begin:end], arcs.sink[begin:end]
        delay[begin:end], transition = tables.look_up(table[begin:end], slew[source], load[sink])
        came = arrival[source]
        transition[np.isneginf(came)] = 0.0
        first = np.flatnonzero(np.diff(sink, prepend=-1))
        nodes = sink[first]
        arrival[nodes] = np.maximum.reduceat(came + delay[begin:end], first)
        slew[nodes] = np.maximum.reduceat(transition, first)

    ends = np.concatenate([of.setups.sink, 2 * of.outputs, 2 * of.outputs + 1])
    due = np.full(len(ends), float(period_ps))
    due[: len(of.setups.sink)] -= _setup(circuit, of.setups, slew)
    required = np.full(of.nodes, np.inf)
    np.minimum.at(required, ends, due)
    for begin, end in zip(of.levels[-2::-1], of.levels[:0:-1], strict=True):
        source, sink = arcs.source[begin:end], arcs.sink[begin:end]
        np.minimum.at(required, source, required[sink] - delay[begin:end])
    return Timing(
        circuit, of, period_ps, load, arrival, slew, required, delay, launch, ends, due
    )  # fmt: skip


def _setup(circuit: Circuit, setups: Links, slew: Floats) -> Floats:
    """Setup time of every one, with a clock of no slew; 0 where the library gives none."""
    table = setups.tables(circuit)
    timed = table >= 0
    times = np.zeros(len(table))
    nodes = setups.sink[timed]
    times[timed] = circuit.delays.tables.look_up(table[timed], slew[nodes], np.zeros(len(nodes)))[0]
    return times


def paths(timing: Timing) -> list[Path]:
    """The longest path into each unit and into the ports, the longest first."""
    circuit = timing.circuit
    modules = np.full(len(timing.ends), -1)
    cells = timing.graph.setups.cell
    modules[: len(cells)] = circuit.module[cells]
    slacks = timing.slacks
    found: list[Path] = []
    for module in np.unique(modules):
        own = np.flatnonzero((modules == module) & np.isfinite(slacks))
        if len(own):
            end = int(own[np.argmin(slacks[own])])
            slack = float(slacks[end])
            steps, start = trace(timing, int(timing.ends[end]))
            name = PORTS if module < 0 else circuit.modules[module]
            found.append(Path(start, name, timing.period_ps - slack, slack, steps))
    return sorted(found, key=lambda path: path.slack_ps)


def trace(timing: Timing, node: int) -> tuple[tuple[Step, ...], str]:
    """The cells of the longest path to a node in order, and the unit in which it starts."""
    of, circuit = timing.graph, timing.circuit
    steps: list[Step] = []

    def step(cell: int, at: int) -> None:
        kind = circuit.delays.kinds[circuit.kind[cell]].cell.name
        module = circuit.modules[circuit.module[cell]]
        steps.append(Step(circuit.names[cell], kind, module, float(timing.arrival[at])))

    while True:
        into = np.flatnonzero(of.arcs.sink == node)
        if not len(into):
            break
        arc = into[np.argmax(timing.arrival[of.arcs.source[into]] + timing.delay[into])]
        step(int(of.arcs.cell[arc]), node)
        node = int(of.arcs.source[arc])
    launched = np.flatnonzero(of.launches.sink == node)
    if len(launched):
        step(int(of.launches.cell[launched[0]]), node)
    start = steps[-1].module if len(launched) else PORTS
    return tuple(steps[::-1]), start
