"""A flat netlist in arrays, and the graph of its timing: what changes with sizes and what does not.

A node is a net and an edge: 2 net + edge, edges as `delays` has them. Nets 0 and 1 are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .delays import Delays, Kind, Link, delays
from .flat_netlist import HIGH, Flat, Port, flatten
from .liberty import Library

__all__ = ["Circuit", "Graph", "Links", "circuit", "graph"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Circuit:
    """Cells of a library, joined by numbered nets.

    kind     [cells] index in `delays.kinds`
    pins     [cells, pins] net of every pin in the order of the kind's, -1 where there is none
    module   [cells] index in `modules` of the unit that holds the cell; 0 is the top
    ports    of the top
    """

    top: str
    delays: Delays
    kind: Ints
    pins: Ints
    module: Ints
    modules: list[str]
    names: list[str]
    ports: dict[str, Port]
    nets: int

    @property
    def areas(self) -> dict[str, float]:
        """Area of all cells of a unit, by its module."""
        spent = np.bincount(self.module, self.delays.areas[self.kind], len(self.modules))
        return dict(zip(self.modules, spent.tolist(), strict=True))

    @property
    def area(self) -> float:
        """Of all cells."""
        return float(self.delays.areas[self.kind].sum())

    def select(self, chosen: Callable[[Kind], list[int]]) -> tuple[Ints, Ints]:
        """Cell and place of the connected pins, constants apart, that `chosen` names by kind."""
        cells: list[Ints] = []
        places: list[Ints] = []
        for index in np.unique(self.kind):
            own = np.flatnonzero(self.kind == index)
            for place in chosen(self.delays.kinds[index]):
                connected = own[self.pins[own, place] > HIGH]
                cells.append(connected)
                places.append(np.full(len(connected), place))
        empty = np.empty(0, np.intp)
        return np.concatenate([empty, *cells]), np.concatenate([empty, *places])

    def loads(self) -> tuple[Ints, Ints]:
        """Cell and place of every input pin that is no clock."""
        return self.select(lambda kind: [p for p in range(len(kind.cell.inputs))
                                         if p not in kind.clocks])  # fmt: skip

    def opened(self) -> Circuit:
        """With a port for every net that nothing drives or nothing reads."""
        driven = self.pins[self.select(lambda kind: list(range(len(kind.cell.inputs),
                                                               len(kind.pins))))]  # fmt: skip
        read = self.pins[self.select(lambda kind: list(range(len(kind.cell.inputs))))]
        ports = {
            "opened": Port(True, np.setdiff1d(read, driven).astype(np.int32)),
            "ended": Port(False, np.setdiff1d(driven, read).astype(np.int32)),
        }
        return replace(self, ports=ports)

    def verilog(self) -> str:
        """The netlist as one module: nets n2, n3, ..., cells c0, c1, ... by place."""
        names = {0: "1'b0", 1: "1'b1"}
        ports: list[str] = []
        assigned: list[str] = []
        for name, port in self.ports.items():
            width = f" [{len(port.nets) - 1}:0]" if len(port.nets) > 1 else ""
            ports.append(f"  {'input' if port.input else 'output'}{width} {name}")
            for place, net in enumerate(port.nets.tolist()):
                bit = f"{name}[{place}]" if width else name
                if names.setdefault(net, bit) != bit:  # an output that is an input or a constant
                    assigned.append(f"  assign {bit} = {names[net]};")
        lines = [f"module {self.top} (", ",\n".join(ports), ");"]
        for place, (index, nets) in enumerate(zip(self.kind, self.pins.tolist(), strict=True)):
            kind = self.delays.kinds[index]
            joined = ", ".join(
                f".{pin}({names.get(net, f'n{net}')})"
                for pin, net in zip(kind.pins, nets, strict=False)
                if net >= 0
            )
            lines.append(f"  {kind.cell.name} c{place} ({joined});")
        return "\n".join([*lines, *assigned, "endmodule", ""])

    def clocks(self) -> Ints:
        """Nets of clock pins."""
        return np.unique(self.pins[self.select(lambda kind: sorted(kind.clocks))])


def circuit(text: str, top: str, library: Library) -> Circuit:
    """Read Verilog of modules and cells of `library` below `top`.

    InputError where there is no such module, or a cell that the library does not have or time.
    """
    return _circuit(flatten(text, top, library), top, delays(library))


def _circuit(flat: Flat, top: str, timing: Delays) -> Circuit:
    count = sum(map(len, flat.cells.values()))
    kinds = np.empty(count, np.intp)
    pins = np.full((count, timing.capacitance.shape[1]), -1, np.intp)
    modules = np.empty(count, np.intp)
    names: list[str] = []
    for name, found in flat.cells.items():
        index = timing.index[name]
        if not timing.kinds[index].links and timing.kinds[index].cell.inputs:
            raise InputError(
                f"{timing.library.file}: cell {name} has no delays; NLDM timing would do"
            )
        place = {pin: i for i, pin in enumerate(timing.kinds[index].pins)}
        kinds[len(names) : len(names) + len(found)] = index
        for path, module, connections in found:
            row = len(names)
            modules[row] = module
            for pin, label in connections.items():
                pins[row, place[pin]] = flat.number[label]
            names.append(path)
    ports = {name: Port(is_input, flat.number[labels]) for name, is_input, labels in flat.ports}
    return Circuit(
        top, timing, kinds, pins, modules, flat.modules, names, ports, len(flat.names)
    )  # fmt: skip


class Links(NamedTuple):
    """Links of cells: the nodes where they begin and end, the cell, and the place in its links.

    pin  place of the pin where the link begins
    """

    source: Ints
    sink: Ints
    cell: Ints
    link: Ints
    pin: Ints

    def tables(self, of: Circuit) -> Ints:
        """The table of every link at the present sizes."""
        return of.delays.link_tables[of.kind[self.cell], self.link]

    def take(self, order: Ints) -> Links:
        """Some of them."""
        return Links(*(column[order] for column in self))


@dataclass(frozen=True)
class Graph:
    """Links of a circuit of whatever sizes.

    arcs      by level of the sink, then by sink
    levels    where the arcs of each level begin, and the end
    launches  from the clock to outputs of flip-flops; setups of their data
    inputs    nets of input ports without clocks, outputs those of output ports
    pins      node of every input pin: [pins, 2], and their cells and places
    """

    nodes: int
    arcs: Links
    levels: Ints
    launches: Links
    setups: Links
    inputs: Ints
    outputs: Ints
    pin_nets: Ints
    pin_cells: Ints
    pin_places: Ints


def graph(of: Circuit) -> Graph:
    """The graph of a circuit; InputError where gates form a loop."""
    arcs = _links(of, lambda kind: kind.arcs, lambda kind: 0)
    launches = _links(of, lambda kind: kind.launches, lambda kind: len(kind.arcs))
    setups = _links(
        of, lambda kind: kind.setups, lambda kind: len(kind.arcs) + len(kind.launches)
    )  # fmt: skip
    order, levels = _levels(arcs.source, arcs.sink, 2 * of.nets)
    cells, places = of.loads()
    inputs = [port.nets for port in of.ports.values() if port.input]
    outputs = [port.nets for port in of.ports.values() if not port.input]
    clocks = of.clocks()

    def nets(found: list[NDArray[np.int32]]) -> Ints:
        every = np.unique(np.concatenate([np.empty(0, np.intp), *found]))
        return np.setdiff1d(every[every > HIGH], clocks).astype(np.intp)

    return Graph(
        2 * of.nets, arcs.take(order), levels, launches, setups, nets(inputs), nets(outputs),
        of.pins[cells, places], cells, places,
    )  # fmt: skip


def _links(
    of: Circuit, links: Callable[[Kind], tuple[Link, ...]], first: Callable[[Kind], int]
) -> Links:
    """Links of every cell; those from a constant or of a pin that is not connected are left out."""
    found: list[list[Ints]] = [[np.empty(0, np.intp)] for _ in Links._fields]
    for index in np.unique(of.kind):
        kind = of.delays.kinds[index]
        cells = np.flatnonzero(of.kind == index)
        for place, link in enumerate(links(kind), first(kind)):
            source, sink = of.pins[cells, link.source], of.pins[cells, link.sink]
            held = (source > HIGH) & (sink > HIGH)
            columns = (
                2 * source[held] + link.source_edge, 2 * sink[held] + link.sink_edge,
                cells[held], np.full(held.sum(), place), np.full(held.sum(), link.source),
            )  # fmt: skip
            for column, values in zip(found, columns, strict=True):
                column.append(values)
    return Links(*(np.concatenate(column) for column in found))


def _levels(source: Ints, sink: Ints, nodes: int) -> tuple[Ints, Ints]:
    """An order of arcs by the level of their sink, and where in it each level begins."""
    waiting = np.bincount(sink, minlength=nodes)
    by_source = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[by_source], np.arange(nodes + 1))
    level = np.zeros(nodes, np.intp)
    ready = np.flatnonzero(waiting == 0)
    rounds = 0
    while len(ready):
        level[ready] = rounds
        rounds += 1
        counts = starts[ready + 1] - starts[ready]
        offsets = np.repeat(starts[ready] - np.cumsum(counts) + counts, counts)
        sinks = sink[by_source[offsets + np.arange(len(offsets))]]
        reached, times = np.unique(sinks, return_counts=True)
        waiting[reached] -= times
        ready = reached[waiting[reached] == 0]
    if waiting.any():
        raise InputError("the netlist has a loop of gates, which has no timing")
    order = np.lexsort((sink, level[sink]))
    starts = np.searchsorted(level[sink[order]], np.arange(1, rounds + 1))
    return order.astype(np.intp), starts.astype(np.intp)
