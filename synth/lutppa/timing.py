"""Static timing of a mapped hierarchy: worst arrival and slew at every node, slack, worst paths.

Graph-based and pessimistic as usual: of several slews at a node the largest counts, conditions of
arcs are not evaluated, and false paths are not found. The clock is ideal: no skew, no slew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .graph import Graph
from .liberty_timing import TimingLibrary
from .netlist import Netlist

__all__ = [
    "Clock", "Step", "Timing", "analyse", "cell_slacks", "module_slacks", "path", "total_negative",
]  # fmt: skip

Floats = NDArray[np.float64]


class Clock(NamedTuple):
    """Period in ps, and how much of it the rest of the chip takes before inputs, after outputs."""

    period_ps: float
    border_ps: float = 0.0


class Step(NamedTuple):
    """A cell on a path: instance it is in, cell, arrival at its output, and how long it took."""

    instance: str
    kind: str
    name: str
    arrival_ps: float
    delay_ps: float


@dataclass
class Timing:
    """Times of a graph in ps, all [node].

    arrival   latest; -inf where nothing arrives
    slew      largest
    required  latest arrival that meets the clock; inf where none is asked
    delays    of every arc of the graph
    """

    graph: Graph
    clock: Clock
    arrival: Floats
    slew: Floats
    required: Floats
    delays: Floats

    @property
    def slack(self) -> Floats:
        """[node]: by how much the clock is met; inf where nothing is asked or arrives."""
        return self.required - np.where(np.isneginf(self.arrival), -np.inf, self.arrival)


def analyse(
    graph: Graph, library: TimingLibrary, clock: Clock, late: Floats | None = None
) -> Timing:
    """Propagate arrivals and slews forwards, required times backwards.

    late  [node]: added to the delay of every arc to the node
    """
    tables = library.tables
    arrival = np.full(graph.nodes, -np.inf)
    slew = np.zeros(graph.nodes)
    for edge in (0, 1):
        arrival[2 * graph.inputs + edge] = clock.border_ps
    zeros = np.zeros(len(graph.launch_sink))
    delay, transition = tables.look_up(graph.launch_table, zeros, graph.load[graph.launch_sink])
    if late is not None:
        delay = delay + late[graph.launch_sink]
    np.maximum.at(arrival, graph.launch_sink, delay)
    np.maximum.at(slew, graph.launch_sink, transition)
    delays = np.zeros(len(graph.source))
    for begin, end in zip(graph.levels[:-1], graph.levels[1:], strict=True):
        source, sink = graph.source[begin:end], graph.sink[begin:end]
        delay, transition = tables.look_up(graph.table[begin:end], slew[source], graph.load[sink])
        if late is not None:
            delay = delay + late[sink]
        delays[begin:end] = delay
        came = arrival[source]
        transition[np.isneginf(came)] = 0.0
        np.maximum.at(arrival, sink, came + delay)
        np.maximum.at(slew, sink, transition)
    required = np.full(graph.nodes, np.inf)
    ends = clock.period_ps - setup_times(graph, library, slew)
    np.minimum.at(required, graph.setup_node, ends)
    for edge in (0, 1):
        node = 2 * graph.outputs + edge
        required[node] = np.minimum(required[node], clock.period_ps - clock.border_ps)
    for begin, end in zip(graph.levels[-2::-1], graph.levels[:0:-1], strict=True):
        source, sink = graph.source[begin:end], graph.sink[begin:end]
        np.minimum.at(required, source, required[sink] - delays[begin:end])
    return Timing(graph, clock, arrival, slew, required, delays)


def setup_times(graph: Graph, library: TimingLibrary, slew: Floats) -> Floats:
    """ps for every `setup_node`; 0 where the library gives none."""
    timed = graph.setup_table >= 0
    times = np.zeros(len(graph.setup_node))
    nodes = graph.setup_node[timed]
    times[timed] = library.tables.look_up(
        graph.setup_table[timed], slew[nodes], np.zeros(len(nodes))
    )[0]
    return times


def total_negative(timing: Timing, target: float = 0.0) -> float:
    """By how much the ends of paths miss a slack, in all; ps."""
    graph = timing.graph
    nodes = np.unique(np.concatenate([graph.setup_node, 2 * graph.outputs, 2 * graph.outputs + 1]))
    return float(np.maximum(target - timing.slack[nodes], 0).sum())


def cell_slacks(timing: Timing) -> Floats:
    """[cell]: the least slack of its arcs, of a flip-flop of its data and what it launches."""
    graph = timing.graph
    found = np.full(graph.cells, np.inf)
    ends = timing.required[graph.sink] - timing.arrival[graph.source] - timing.delays
    np.minimum.at(found, graph.cell, ends)
    slack = timing.slack
    np.minimum.at(found, graph.launch_cell, slack[graph.launch_sink])
    np.minimum.at(found, graph.setup_cell, slack[graph.setup_node])
    return found


def module_slacks(
    graph: Graph, netlists: Mapping[str, Netlist], library: TimingLibrary, slacks: Floats
) -> dict[str, Floats]:
    """By module, the least slack of each of its library cells over all of its instances."""
    counts = {
        name: sum(cell.kind in library.cells for cell in netlist.cells)
        for name, netlist in netlists.items()
    }
    found = {name: np.full(count, np.inf) for name, count in counts.items()}
    for instance in graph.instances:
        own = slacks[instance.first_cell : instance.first_cell + counts[instance.module]]
        np.minimum(found[instance.module], own, out=found[instance.module])
    return found


def path(timing: Timing, library: TimingLibrary, netlists: Mapping[str, Netlist]) -> list[Step]:
    """The worst path, its cells in order; empty where nothing is asked."""
    graph = timing.graph
    slack = timing.slack
    node = int(np.argmin(slack))
    # The end of the path: the worst node has the slack of all that follow it.
    into = np.argsort(graph.sink, kind="stable")
    sinks = graph.sink[into]
    ends = np.concatenate([graph.setup_node, 2 * graph.outputs, 2 * graph.outputs + 1])
    if not len(ends) or not np.isfinite(slack[node]):
        return []
    node = int(ends[np.argmin(slack[ends])])
    names = [
        (instance, [cell for cell in netlists[instance.module].cells if cell.kind in library.cells])
        for instance in graph.instances
    ]
    first = np.array([instance.first_cell for instance in graph.instances])

    def step(cell: int, at: int, delay: float) -> Step:
        place = int(np.searchsorted(first, cell, side="right")) - 1
        instance, cells = names[place]
        held = cells[cell - instance.first_cell]
        return Step(instance.path, held.kind, held.name, float(timing.arrival[at]), delay)

    steps: list[Step] = []
    while True:
        low, high = np.searchsorted(sinks, [node, node + 1])
        arcs = into[low:high]
        if not len(arcs):
            break
        ended = timing.arrival[graph.source[arcs]] + timing.delays[arcs]
        arc = int(arcs[np.argmax(ended)])
        steps.append(step(int(graph.cell[arc]), node, float(timing.delays[arc])))
        node = int(graph.source[arc])
    launched = np.flatnonzero(graph.launch_sink == node)
    if len(launched):
        steps.append(step(int(graph.launch_cell[launched[0]]), node, float(timing.arrival[node])))
    return steps[::-1]
