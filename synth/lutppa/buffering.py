"""Buffer trees: no output drives more than it can, in a hierarchy whose modules are mapped once.

Modules are done from the leaves up. What a module shows to its parent at an input is at most what a
buffer drives, so that an enable of a thousand multiplexers becomes a tree across the hierarchy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .liberty_timing import TimedCell, TimingLibrary
from .netlist import ONE, Cell, Netlist

__all__ = ["Drives", "buffered", "leaves_first"]

_SLEWS = 2.0
"""Largest transition of a net, in those of an inverter that drives four of its kind."""


def leaves_first(netlists: Mapping[str, Netlist], top: str) -> Iterator[str]:
    """Modules of a hierarchy in an order in which a module follows those that it places."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        seen.add(name)
        for cell in netlists[name].cells:
            if cell.kind in netlists and cell.kind not in seen:
                yield from visit(cell.kind)
        yield name

    return visit(top)


class Drives:
    """What outputs can drive in fF, such that the transition stays short, and the best buffer."""

    def __init__(self, library: TimingLibrary) -> None:
        self.library = library
        inverter = min(
            (
                cell
                for name, cell in library.cells.items()
                if len(plain := library.library.cells[name].inputs) == 1
                and library.library.cells[name].table(
                    next(iter(library.library.cells[name].outputs), "")
                )
                == (True, False)
                and plain
            ),
            key=lambda cell: cell.area,
        )
        four = 4 * max(next(iter(inverter.capacitance.values())))
        slew = 0.0
        for _ in range(4):  # the inverter is driven by its like
            slew = self._transition(inverter, slew, four)
        self.slew = slew
        self.most = {name: self._most(cell) for name, cell in library.cells.items()}
        # The buffer that drives most for its area; its own input is load too.
        self.buffer = max(
            library.buffers,
            key=lambda name: (self.most[name] - self.input(name)) / library.cells[name].area,
            default="",
        )
        self.limit = self.most[self.buffer] if self.buffer else np.inf

    def input(self, name: str) -> float:
        """fF of a cell's first input."""
        return max(next(iter(self.library.cells[name].capacitance.values())))

    def _transition(self, cell: TimedCell, slew: float, load: float) -> float:
        arcs = cell.arcs or cell.launches
        tables = np.array([arc.table for arc in arcs])
        count = len(arcs)
        found = self.library.tables.look_up(tables, np.full(count, slew), np.full(count, load))
        return float(found[1].max())

    def _most(self, cell: TimedCell) -> float:
        limit = min(cell.most_load.values(), default=0.0)
        if not (cell.arcs or cell.launches):
            return limit
        low, high = 0.0, min(limit, 1e6)
        if self._transition(cell, self.slew, high) <= _SLEWS * self.slew:
            return high
        for _ in range(12):
            middle = (low + high) / 2
            if self._transition(cell, self.slew, middle) <= _SLEWS * self.slew:
                low = middle
            else:
                high = middle
        return low


class _Sink(NamedTuple):
    slack: float
    load: float
    cell: int
    pin: str
    bit: int


@dataclass
class _Border:
    """What a module shows at its inputs, by port and bit: fF, slack, whether it is a clock."""

    load: dict[str, list[float]]
    slack: dict[str, list[float]]
    clock: dict[str, list[bool]]


def buffered(
    netlists: Mapping[str, Netlist],
    top: str,
    drives: Drives,
    wire_ff: float,
    slacks: Mapping[str, np.ndarray],
) -> dict[str, Netlist]:
    """A hierarchy with buffers; `netlists` stay as they are.

    slacks  of the library cells of each module in their order: sinks with the least go first
    """
    done: dict[str, Netlist] = {}
    borders: dict[str, _Border] = {}
    for name in leaves_first(netlists, top):
        done[name], borders[name] = _module(
            netlists[name], borders, drives, wire_ff, slacks[name], name == top
        )
    return done


def _module(
    source: Netlist,
    borders: Mapping[str, _Border],
    drives: Drives,
    wire_ff: float,
    slacks: np.ndarray,
    is_top: bool,
) -> tuple[Netlist, _Border]:
    cells = [
        Cell(cell.name, cell.kind, {pin: list(nets) for pin, nets in cell.pins.items()})
        for cell in source.cells
    ]
    module = replace(source, cells=cells)
    library = drives.library.cells
    sinks: dict[int, list[_Sink]] = {}
    driver: dict[int, float] = {}
    clocks: set[int] = set()
    place = 0
    for index, cell in enumerate(cells):
        timed = library.get(cell.kind)
        slack = 0.0
        if timed is not None:
            slack = float(slacks[place])
            place += 1
        border = borders.get(cell.kind)
        for pin, nets in cell.pins.items():
            for bit, net in enumerate(nets):
                if net <= ONE:
                    continue
                if timed is not None:
                    if pin in timed.clocks:
                        clocks.add(net)
                    elif pin in timed.capacitance:
                        load = max(timed.capacitance[pin]) + wire_ff
                        sinks.setdefault(net, []).append(_Sink(slack, load, index, pin, bit))
                    else:
                        driver[net] = drives.most[cell.kind]
                elif border is not None and pin in border.load:
                    if border.clock[pin][bit]:
                        clocks.add(net)
                    elif border.load[pin][bit]:
                        load, slack = border.load[pin][bit], border.slack[pin][bit]
                        sinks.setdefault(net, []).append(_Sink(slack, load, index, pin, bit))
                else:
                    driver[net] = drives.limit  # a child's output: what drives it is not known
    for nets in source.inputs.values():
        for net in nets:
            driver[net] = drives.limit if is_top else drives.limit / 4
    remaining = {
        net: _tree(module, net, found, driver.get(net, drives.limit), drives, wire_ff)
        if net not in clocks
        else found
        for net, found in sinks.items()
    }

    def at(net: int) -> tuple[float, float]:
        found = remaining.get(net, [])
        return sum(sink.load for sink in found), min((sink.slack for sink in found), default=0.0)

    return module, _Border(
        {port: [at(net)[0] for net in nets] for port, nets in source.inputs.items()},
        {port: [at(net)[1] for net in nets] for port, nets in source.inputs.items()},
        {port: [net in clocks for net in nets] for port, nets in source.inputs.items()},
    )


def _tree(
    module: Netlist, root: int, sinks: list[_Sink], limit: float, drives: Drives, wire_ff: float
) -> list[_Sink]:
    """Move sinks of `root` behind buffers until it has at most `limit`; what is left at it."""
    if not drives.buffer:
        return sinks
    timed = drives.library.cells[drives.buffer]
    pin_in, pin_out = next(iter(timed.capacitance)), next(iter(timed.most_load))
    own = drives.input(drives.buffer) + wire_ff
    while sum(sink.load for sink in sinks) > limit and len(sinks) > 1:
        sinks = sorted(sinks, key=lambda sink: sink.slack)
        total = sum(sink.load for sink in sinks)
        packed: list[_Sink] = []
        while total > limit and len(sinks) > 1:
            # The least critical go behind a buffer together.
            group: list[_Sink] = []
            held = 0.0
            while sinks and (not group or held + sinks[-1].load <= drives.limit):
                held += sinks[-1].load
                group.append(sinks.pop())
                if total - held + own <= limit:
                    break
            if len(group) == 1 and group[0].load <= own:
                sinks += group
                break
            net = module.new_net()
            for sink in group:
                module.cells[sink.cell].pins[sink.pin][sink.bit] = net
            module.cells.append(
                Cell(f"buffer_{net}", drives.buffer, {pin_in: [root], pin_out: [net]})
            )
            slack = min(sink.slack for sink in group)
            packed.append(_Sink(slack, own, len(module.cells) - 1, pin_in, 0))
            total += own - held
        if not packed:
            break
        sinks += packed
    return sinks
