"""The order in which a netlist's cells are evaluated: by level, as runs of cells of one kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .flat_netlist import Instances, Netlist

__all__ = ["Schedule"]


class Schedule:
    """Cells in an order in which every input is known, as runs (kind, first, count).

    pins         by kind: nets of the pins, cells in that order
    all          every combinational cell and latch
    cone         those between the clock and the clock pin of a flip-flop or latch
    low          those that may move when the clock falls
    both_phases  whether there are any
    """

    def __init__(self, netlist: Netlist, clock: int) -> None:
        kinds = netlist.kinds
        levels = _levels(netlist)
        self._order = [np.argsort(level, kind="stable") for level in levels]
        self.pins = [k.pins[order].copy() for k, order in zip(kinds, self._order, strict=True)]
        runs: list[tuple[int, int, int, int]] = []
        for index, (level, order) in enumerate(zip(levels, self._order, strict=True)):
            found = np.unique(level[order], return_index=True, return_counts=True)
            runs += [(int(a), index, int(b), int(c)) for a, b, c in zip(*found, strict=True) if a]
        ordered = [run[1:] for run in sorted(runs)]
        after, before = np.zeros(netlist.nets, bool), np.zeros(netlist.nets, bool)
        after[clock] = clock >= 0
        for kind in kinds:
            state = kind.cell.state
            if state is None:
                continue
            own = kind.pins[:, [kind.cell.pins.index(pin) for pin in kind.cell.clocks]]
            before[own] = True
            if state.edge:
                # Whatever else than the clock itself triggers may do so when the clock falls.
                others = (own != clock).any(axis=1) | ("!" in state.clock)
                after[kind.pins[others, len(kind.cell.inputs) :]] = True
        moved: list[tuple[int, int, int]] = []
        for index, first, count in ordered:
            pins, inputs = self.pins[index][first : first + count], len(kinds[index].cell.inputs)
            hit = after[pins[:, :inputs]].any(axis=1)
            after[pins[hit, inputs:]] = True
            moved += [(index, first + int(i), 1) for i in np.flatnonzero(hit)]
        cone: list[tuple[int, int, int]] = []
        for index, first, _ in reversed(moved):
            pins, inputs = self.pins[index][first], len(kinds[index].cell.inputs)
            if before[pins[inputs:]].any():
                before[pins[:inputs]] = True
                cone.insert(0, (index, first, 1))
        self.all, self.low, self.cone = (
            np.array(part, np.int32).reshape(-1, 3) for part in (ordered, moved, cone)
        )
        self.both_phases = bool(moved)

    def unsorted(self, kind: int, counts: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Counts of a kind in the order of the netlist."""
        result = np.zeros(counts.shape)
        result[self._order[kind]] = counts
        return result


def _levels(netlist: Netlist) -> list[NDArray[np.int64]]:
    """By kind, the level of every cell: 0 for flip-flops, else above all that it reads."""
    unknown = np.zeros(netlist.nets, bool)
    waiting: list[tuple[Instances, NDArray[np.int64]]] = []
    levels = [np.zeros(len(kind), np.int64) for kind in netlist.kinds]
    for kind, level in zip(netlist.kinds, levels, strict=True):
        if kind.cell.state is None or not kind.cell.state.edge:
            unknown[kind.pins[:, len(kind.cell.inputs) :]] = True
            waiting.append((kind, level))
    depth = 0
    while any(not level.all() for _, level in waiting):
        depth += 1
        known: list[NDArray[np.int32]] = []
        for kind, level in waiting:
            inputs = len(kind.cell.inputs)
            ready = (level == 0) & ~unknown[kind.pins[:, :inputs]].any(axis=1)
            level[ready] = depth
            known.append(kind.pins[ready, inputs:].ravel())
        if not sum(map(len, known)):
            kind, level = next(item for item in waiting if not item[1].all())
            name = kind.names[int(np.argmin(level))]
            raise InputError(f"{netlist.top}: combinational loop at or before cell {name}")
        unknown[np.concatenate(known)] = False
    return levels
