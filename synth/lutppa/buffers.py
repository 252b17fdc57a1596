"""Buffer trees: no net drives more than `LIMIT` input pins.

A tree is Huffman's: the pins with most time to spare go behind a buffer together, which then counts
as one pin with less, until no more than the limit are left. Pins of equal urgency so get a balanced
tree, and a few urgent ones among many stay at the driver. A tree lies in the unit of its driver.
Clocks are left out: a clock tree is no part of this.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .circuit import Circuit
from .timing import Timing, analyse

__all__ = ["LIMIT", "buffered"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

LIMIT = 16
"""Input pins on a net."""


def buffered(circuit: Circuit, period_ps: float) -> Circuit:
    """The circuit with buffers on every net that needs them; without, if the library has none.

    Cells keep their places; buffers follow.
    """
    choices = circuit.delays.gates((False, True))
    if not choices:
        return circuit
    cells, _ = circuit.loads()
    balanced = _trees(circuit, choices[0], np.zeros(len(cells)))
    return _trees(circuit, choices[0], _urgency(analyse(balanced, period_ps), circuit))


def _urgency(timing: Timing, circuit: Circuit) -> Floats:
    """Latest arrival at every input pin of the circuit before it had buffers."""
    latest = np.full(timing.circuit.pins.shape, np.inf)
    arcs, setups = timing.graph.arcs, timing.graph.setups
    np.minimum.at(latest, (arcs.cell, arcs.pin), timing.required[arcs.sink] - timing.delay)
    np.minimum.at(latest, (setups.cell, setups.pin), timing.due[: len(setups.sink)])
    found = latest[circuit.loads()]
    return np.where(np.isfinite(found), found, timing.period_ps)


def _trees(circuit: Circuit, buffer: int, latest: Floats) -> Circuit:
    cells, places = circuit.loads()
    nets = circuit.pins[cells, places]
    order = np.lexsort((np.argsort(np.argsort(circuit.names))[cells], nets))
    nets, counts = np.unique(nets, return_counts=True)
    starts = np.cumsum(counts) - counts
    added = int(sum(-(-(count - LIMIT) // (LIMIT - 1)) for count in counts[counts > LIMIT]))
    first = len(circuit.kind)
    pins = np.full((first + added, circuit.pins.shape[1]), -1, np.intp)
    pins[:first] = circuit.pins
    module = np.zeros(first + added, np.intp)
    module[:first] = circuit.module
    outputs = circuit.select(
        lambda kind: list(range(len(kind.cell.inputs), len(kind.pins)))
    )  # fmt: skip
    driver = dict(zip(circuit.pins[outputs].tolist(), outputs[0].tolist(), strict=True))
    names = list(circuit.names)
    delay = _delay(circuit, buffer)
    free = circuit.nets

    for net, start, count in zip(nets, starts, counts, strict=True):
        if count <= LIMIT:
            continue
        own = order[start : start + count]
        # A difference below a stage is none: neighbours stay together.
        heap = [
            (-round(float(latest[pin]) / delay), place, int(cells[pin]), int(places[pin]))
            for place, pin in enumerate(own)
        ]
        heapq.heapify(heap)
        while len(heap) > LIMIT:
            # The first buffer takes what makes all the others full.
            spare = (len(heap) - LIMIT) % (LIMIT - 1)
            group = [heapq.heappop(heap) for _ in range(spare + 1 if spare else LIMIT)]
            cell = len(names)
            for _, _, sink, place in group:
                pins[sink, place] = free
            pins[cell, :2] = net, free
            module[cell] = circuit.module[driver[net]] if net in driver else 0
            names.append(f"buffer_{cell - first}")
            urgency = max(entry[0] for entry in group) + 1
            heapq.heappush(heap, (urgency, count + cell, cell, 0))
            free += 1
    kind = np.concatenate([circuit.kind, np.full(added, buffer)])
    return replace(circuit, kind=kind, pins=pins, module=module, names=names, nets=free)


def _delay(circuit: Circuit, buffer: int) -> float:
    """About what a stage takes: a buffer that drives `LIMIT` of its own kind, from its own slew."""
    kind = circuit.delays.kinds[buffer]
    tables = np.array([arc.table for arc in kind.arcs])
    load = np.full(len(tables), LIMIT * kind.capacitance[0].max())
    _, transition = circuit.delays.tables.look_up(tables, np.zeros(len(tables)), load)
    slew = np.full(len(tables), transition.max())
    delay, _ = circuit.delays.tables.look_up(tables, slew, load)
    return float(max(delay.max(), 1e-3))
