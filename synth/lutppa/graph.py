"""A mapped hierarchy as one flat graph of nets and arcs, in arrays.

Every module becomes arrays once; an instance is a copy with other net numbers. A node is a net and
an edge: 2 net + edge, edges as `liberty_timing` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .liberty_timing import TimedCell, TimingLibrary
from .netlist import ONE, Netlist

__all__ = ["Graph", "Instance", "flatten"]

Ints = NDArray[np.intp]


class Instance(NamedTuple):
    """A placed module: its path from the top, its module, and the flat net of each of its own."""

    path: str
    module: str
    nets: Ints
    first_cell: int


@dataclass
class Graph:
    """A flat netlist.

    nodes      two for every net
    instances  of modules, the top first
    cells      number of library cells; those of an instance stand together, in the module's order
    source, sink, table, cell   of every arc between two nodes, by level of the sink
    levels     where the arcs of each level begin, and the end
    launch_*   arcs from the clock to the outputs of flip-flops: sink, table, cell
    setup_*    node, table (-1 for none) and cell of every data input of a flip-flop
    load       fF at each node: pins, and a wire for each
    fanout     pins at each net
    inputs, outputs  nets of the ports of the top, without clocks
    same       the net that stands for a net which a module joins with another
    """

    nodes: int
    instances: list[Instance]
    cells: int
    source: Ints
    sink: Ints
    table: Ints
    cell: Ints
    levels: Ints
    launch_sink: Ints
    launch_table: Ints
    launch_cell: Ints
    setup_node: Ints
    setup_table: Ints
    setup_cell: Ints
    load: NDArray[np.float64]
    fanout: Ints
    inputs: Ints
    outputs: Ints
    same: Ints


class _Arrays(NamedTuple):
    """The cells of a module with local net numbers; rows of each array are given by its name."""

    arcs: Ints  # source net, source edge, sink net, sink edge, table, cell
    launches: Ints  # net, edge, table, cell
    setups: Ints  # net, edge, table, cell
    pins: Ints  # net of every input pin
    capacitance: NDArray[np.float64]  # [pin, edge]
    clocks: Ints  # nets of clock pins
    cells: int


def _module(netlist: Netlist, library: TimingLibrary) -> _Arrays:
    arcs: list[tuple[int, ...]] = []
    launches: list[tuple[int, ...]] = []
    setups: list[tuple[int, ...]] = []
    pins: list[int] = []
    capacitance: list[tuple[float, float]] = []
    clocks: list[int] = []
    index = 0
    for cell in netlist.cells:
        timed = library.cells.get(cell.kind)
        if timed is None:
            continue
        net = {pin: nets[0] for pin, nets in cell.pins.items()}
        for arc in timed.arcs:
            if net.get(arc.source, 0) > ONE and arc.output in net:
                arcs.append(
                    (net[arc.source], arc.source_edge, net[arc.output], arc.output_edge,
                     arc.table, index)
                )  # fmt: skip
        for arc in timed.launches:
            if arc.output in net:
                launches.append((net[arc.output], arc.output_edge, arc.table, index))
        setups += [
            (net[pin], edge, table, index)
            for pin, edge, table in _endpoints(timed)
            if net.get(pin, 0) > ONE
        ]
        for pin, values in timed.capacitance.items():
            if net.get(pin, 0) > ONE:
                (clocks if pin in timed.clocks else pins).append(net[pin])
                if pin not in timed.clocks:
                    capacitance.append(values)
        index += 1

    def array(rows: list[tuple[int, ...]], columns: int) -> Ints:
        return np.array(rows, np.intp).reshape(-1, columns)

    return _Arrays(
        array(arcs, 6),
        array(launches, 4),
        array(setups, 4),
        np.array(pins, np.intp),
        np.array(capacitance, np.float64).reshape(-1, 2),
        np.array(clocks, np.intp),
        index,
    )


def _arrays(netlist: Netlist, library: TimingLibrary) -> _Arrays:
    """The arrays of a netlist, kept with it until it is changed."""
    held = netlist.arrays
    if held is None or held[0] is not library:
        held = netlist.arrays = (library, _module(netlist, library))
    return held[1]


def _endpoints(cell: TimedCell) -> list[tuple[str, int, int]]:
    """Pin, edge and table of the data inputs of a flip-flop; table -1 where it gives no time."""
    if not cell.flip_flop:
        return []
    found = [(setup.pin, setup.edge, setup.table) for setup in cell.setups]
    timed = {pin for pin, _, _ in found}
    for pin in cell.capacitance:
        if pin not in timed and pin not in cell.clocks:
            found += [(pin, edge, -1) for edge in (0, 1)]
    return found


def flatten(
    netlists: Mapping[str, Netlist], top: str, library: TimingLibrary, wire_ff: float
) -> Graph:
    """The graph of `top` and all below it; `wire_ff` is the capacitance of a net for each pin."""
    arrays = {name: _arrays(netlist, library) for name, netlist in netlists.items()}
    instances: list[Instance] = []
    count = 2
    cells = 0

    def place(name: str, path: str, bound: dict[int, int]) -> None:
        nonlocal count, cells
        netlist = netlists[name]
        nets = np.arange(netlist.nets) - 2 + count
        nets[:2] = (0, 1)
        for local, flat in bound.items():
            nets[local] = flat
        count += netlist.nets - 2
        instances.append(Instance(path, name, nets, cells))
        cells += arrays[name].cells
        for cell in netlist.cells:
            child = netlists.get(cell.kind)
            if child is None:
                continue
            inner: dict[int, int] = {}
            aliases: list[tuple[int, int]] = []
            for ports in (child.inputs, child.outputs):
                for port, locals_ in ports.items():
                    for local, outer in zip(locals_, cell.pins.get(port, ()), strict=False):
                        flat = int(nets[outer])
                        if local <= ONE:
                            aliases.append((local, flat))
                        elif inner.setdefault(local, flat) != flat:
                            aliases.append((inner[local], flat))
            joined.extend(aliases)
            place(cell.kind, f"{path}/{cell.name}" if path else cell.name, inner)

    joined: list[tuple[int, int]] = []
    place(top, "", {})
    # Nets that a module connects: an output that is an input, or two outputs of one net.
    same = np.arange(count)
    for kept, other in joined:
        same[other] = kept
    while (same[same] != same).any():
        same = same[same]

    def gather(name: str) -> list[tuple[Instance, Ints]]:
        return [
            (instance, getattr(arrays[instance.module], name))
            for instance in instances
            if len(getattr(arrays[instance.module], name))
        ]

    def whole(parts: list[Ints], columns: int) -> Ints:
        return np.concatenate(parts) if parts else np.empty((0, columns), np.intp)

    arcs = whole(
        [
            np.stack([
                2 * same[i.nets[a[:, 0]]] + a[:, 1], 2 * same[i.nets[a[:, 2]]] + a[:, 3],
                a[:, 4], a[:, 5] + i.first_cell,
            ], axis=1)
            for i, a in gather("arcs")
        ], 4,
    )  # fmt: skip

    def ends(name: str) -> Ints:
        return whole(
            [
                np.stack([2 * same[i.nets[a[:, 0]]] + a[:, 1], a[:, 2], a[:, 3] + i.first_cell], 1)
                for i, a in gather(name)
            ], 3,
        )  # fmt: skip

    launches, setups = ends("launches"), ends("setups")
    load = np.zeros(2 * count)
    fanout = np.zeros(count, np.intp)
    for instance, pins in gather("pins"):
        nets = same[instance.nets[pins]]
        capacitance = arrays[instance.module].capacitance + wire_ff
        for edge in (0, 1):
            np.add.at(load, 2 * nets + edge, capacitance[:, edge])
        np.add.at(fanout, nets, 1)
    clocks = np.unique(np.concatenate([[0], *(same[i.nets[p]] for i, p in gather("clocks"))]))

    def ports(members: dict[str, list[int]]) -> Ints:
        nets = same[instances[0].nets[[n for nets in members.values() for n in nets]]]
        return np.setdiff1d(nets[nets > ONE], clocks)

    order, levels = _levels(arcs[:, 0], arcs[:, 1], 2 * count)
    return Graph(
        2 * count, instances, cells,
        arcs[order, 0], arcs[order, 1], arcs[order, 2], arcs[order, 3], levels,
        launches[:, 0], launches[:, 1], launches[:, 2],
        setups[:, 0], setups[:, 1], setups[:, 2], load, fanout,
        ports(netlists[top].inputs), ports(netlists[top].outputs), same,
    )  # fmt: skip


def _levels(source: Ints, sink: Ints, nodes: int) -> tuple[Ints, Ints]:
    """An order of arcs by the level of their sink, and where in it each level begins."""
    waiting = np.bincount(sink, minlength=nodes)
    by_source = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[by_source], np.arange(nodes + 1))
    level = np.zeros(nodes, np.intp)
    ready = np.flatnonzero(waiting == 0)
    round_ = 0
    while len(ready):
        level[ready] = round_
        round_ += 1
        counts = starts[ready + 1] - starts[ready]
        offsets = np.repeat(starts[ready] - np.cumsum(counts) + counts, counts)
        sinks = sink[by_source[offsets + np.arange(len(offsets))]]
        waiting -= np.bincount(sinks, minlength=nodes)
        ready = np.unique(sinks[waiting[sinks] == 0])
    if waiting.any():
        raise ValueError("the netlist has a combinational loop")
    order = np.lexsort((sink, level[sink]))
    return order, np.searchsorted(level[sink[order]], np.arange(1, round_ + 1))
