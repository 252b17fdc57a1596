"""Drive strengths: cells on paths that miss the clock become stronger, those with time smaller.

Each cell is judged by estimates around the last analysis: its own delay at its load, the slew that
it gives on, and what its input capacitance costs whoever drives it. What an analysis of the whole
does not confirm is taken back. Every instance of a unit is sized for itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .circuit import Circuit, Graph, graph
from .timing import Timing, analyse

__all__ = ["resized"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

_ROUNDS = 60
_RECOVERY = 12
_SLEW_COST = 0.25  # ps of delay that a ps of slew costs the next cell, about
_STEP_FF = 0.1
_LEAST = 0.1  # ps of gain that is worth a change


def resized(circuit: Circuit, period_ps: float) -> Timing:
    """The timing of the circuit with other sizes; the least slack is never less than it was."""
    of = graph(circuit)
    timing = analyse(circuit, period_ps, of)
    share = 0.5
    for _ in range(_ROUNDS):
        if timing.slack_ps >= 0 or share < 0.01:
            break
        tried = _analysed(timing, of, _stronger(timing, share))
        if tried is None:
            break
        if _better(tried, timing):
            timing, share = tried, min(0.5, 1.5 * share)
        else:
            share /= 2
    share = 0.5
    for _ in range(_RECOVERY):
        tried = _analysed(timing, of, _smaller(timing, share))
        if tried is None or share < 0.01:
            break
        if tried.slack_ps >= min(0.0, timing.slack_ps):
            timing = tried
        else:
            share /= 2
    return timing


def _analysed(timing: Timing, of: Graph, kind: Ints) -> Timing | None:
    """The timing with these cells; None where they are the same."""
    if (kind == timing.circuit.kind).all():
        return None
    return analyse(replace(timing.circuit, kind=kind), timing.period_ps, of)


def _better(new: Timing, old: Timing) -> bool:
    def missed(timing: Timing) -> float:
        return float(np.minimum(timing.slacks, 0).sum())

    return (new.slack_ps, missed(new)) > (old.slack_ps, missed(old))


def _choices(timing: Timing, below: float, above: float) -> tuple[Ints, Floats, Ints, Floats]:
    """Cells with a slack in a range; that, and [cell, size] the kinds of each and what they gain.

    The gain is of ps on the worst link of the cell, -inf for sizes that there are not.
    """
    circuit, of = timing.circuit, timing.graph
    arcs, launches = of.arcs, of.launches
    ends = timing.required[arcs.sink] - timing.arrival[arcs.source] - timing.delay
    slack = np.concatenate([ends, timing.required[launches.sink] - timing.launch])
    slack[~np.isfinite(slack)] = np.inf
    source = np.concatenate([arcs.source, np.full(len(launches.sink), -1)])
    sink, cell, link, pin = (
        np.concatenate([getattr(arcs, name), getattr(launches, name)])
        for name in ("sink", "cell", "link", "pin")
    )
    order = np.lexsort((slack, cell))
    worst = order[np.flatnonzero(np.diff(cell[order], prepend=-1))]
    sizes = _family_table(circuit)[circuit.kind[cell[worst]]]
    worst = worst[(slack[worst] >= below) & (slack[worst] < above) & (sizes[:, 1] >= 0)]
    sizes = _family_table(circuit)[circuit.kind[cell[worst]]]
    source, sink, cell, link, pin = (a[worst] for a in (source, sink, cell, link, pin))
    launched = source < 0
    slew = np.where(launched, 0.0, timing.slew[source])
    resistance = np.where(launched, 0.0, _resistance(timing)[source])
    edge = source % 2

    def cost(kinds: Ints) -> Floats:
        tables = circuit.delays.link_tables[kinds, link]
        delay, transition = circuit.delays.tables.look_up(tables, slew, timing.load[sink])
        pins = circuit.delays.capacitance[kinds, pin, edge]
        return delay + _SLEW_COST * transition + resistance * pins

    now = cost(circuit.kind[cell])
    gains = np.full(sizes.shape, -np.inf)
    for column in range(sizes.shape[1]):
        held = sizes[:, column] >= 0
        gains[:, column] = np.where(held, now - cost(np.where(held, sizes[:, column], 0)), -np.inf)
    gains[sizes == circuit.kind[cell][:, None]] = -np.inf
    return cell, slack[worst], sizes, gains


def _family_table(circuit: Circuit) -> Ints:
    """[kind, size]: the family of every kind, -1 where there are no more."""
    families = circuit.delays.families
    found = np.full((len(families), max(2, *map(len, families))), -1)
    for row, family in zip(found, families, strict=True):
        row[: len(family)] = family
    return found


def _stronger(timing: Timing, share: float) -> Ints:
    """Kinds of all cells, of which the worst have changed where an area buys most time."""
    circuit = timing.circuit
    cell, slack, sizes, gains = _choices(timing, -np.inf, min(0.0, 0.6 * timing.slack_ps))
    kind = circuit.kind.copy()
    if not len(cell):
        return kind
    areas = circuit.delays.areas
    more = areas[sizes] - areas[kind[cell]][:, None]
    value = np.where(gains > _LEAST, gains / np.maximum(more, 0.1 * areas.max() / 100), -np.inf)
    best = value.argmax(axis=1)
    rows = np.arange(len(cell))
    worth = value[rows, best] * np.abs(slack)
    taken = np.argsort(-worth)[: max(1, int(share * np.isfinite(worth).sum()))]
    taken = taken[worth[taken] > 0]
    kind[cell[taken]] = sizes[taken, best[taken]]
    return kind


def _smaller(timing: Timing, share: float) -> Ints:
    """Kinds of all cells, of which those with time to spare have become smaller."""
    circuit = timing.circuit
    cell, slack, sizes, gains = _choices(timing, 0.0, np.inf)
    kind = circuit.kind.copy()
    if not len(cell):
        return kind
    areas = circuit.delays.areas
    saved = areas[kind[cell]][:, None] - areas[sizes]
    # Others on the path take their share of the slack as well.
    fits = np.isfinite(gains) & (saved > 0) & (-gains * 4 < slack[:, None])
    value = np.where(fits, saved, 0.0)
    best = value.argmax(axis=1)
    rows = np.arange(len(cell))
    worth = value[rows, best]
    taken = np.argsort(-worth)[: int(np.ceil(share * (worth > 0).sum()))]
    taken = taken[worth[taken] > 0]
    kind[cell[taken]] = sizes[taken, best[taken]]
    return kind


def _resistance(timing: Timing) -> Floats:
    """[node]: ps per fF that its driver takes, on the link that arrives last."""
    circuit, of = timing.circuit, timing.graph
    found = np.zeros(of.nodes)

    def slopes(table: Ints, slew: Floats, sink: Ints) -> Floats:
        load = timing.load[sink]
        low = circuit.delays.tables.look_up(table, slew, load)
        high = circuit.delays.tables.look_up(table, slew, load + _STEP_FF)
        change = (high - low) / _STEP_FF
        return change[0] + _SLEW_COST * change[1]

    arcs, launches = of.arcs, of.launches
    last = timing.arrival[arcs.source] + timing.delay >= timing.arrival[arcs.sink] - 1e-6
    value = slopes(arcs.tables(circuit)[last], timing.slew[arcs.source[last]], arcs.sink[last])
    np.maximum.at(found, arcs.sink[last], value)
    zeros = np.zeros(len(launches.sink))
    np.maximum.at(found, launches.sink, slopes(launches.tables(circuit), zeros, launches.sink))
    return found
