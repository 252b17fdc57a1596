"""Activity of a mapped netlist: 64 streams of data simulated side by side, one bit of a word each.

    library cells -> C++ kernels, compiled once -> levelised netlist as index arrays -> counts

Cycle-based and without delays, so free of glitches: in a cycle a net moves at most once after the
rising edge of the clock, and once more after the falling edge where a latch or a gated clock lets
it. Everything is counted inside; nothing is dumped.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .flat_netlist import Netlist
from .harness import Job, Kind, List, Stream, load
from .kernels import kernels
from .schedule import Schedule

__all__ = ["RESET", "STREAMS", "Activity", "integers", "simulate", "words"]

STREAMS = 64

RESET = 2
"""Cycles for which valid/ready streams offer nothing; `rst` is to be high for as long."""

Words = NDArray[np.uint64]


def words(values: Any, bits: int) -> Words:
    """[cycles, bits] of integers [cycles, streams, ...]: bit s of a word belongs to stream s.

    Elements of the last axes lie side by side, the first lowest, each in `bits` bits of two's
    complement. Python integers of any width come as an object array. Streams are repeated up to
    64, so their number must divide it.
    """
    array = np.asarray(values)
    if array.ndim < 2 or STREAMS % array.shape[1]:
        raise ValueError(f"values have shape {array.shape}, not [cycles, a divisor of 64, ...]")
    array = array.reshape(*array.shape[:2], -1)
    if array.dtype == object:
        size, mask = -(-bits // 8), (1 << bits) - 1
        data = b"".join((int(v) & mask).to_bytes(size, "little") for v in array.ravel())
        raw = np.frombuffer(data, np.uint8).reshape(*array.shape, size)
        single = np.unpackbits(raw, axis=-1, bitorder="little")[..., :bits]
    else:
        shifts = np.minimum(np.arange(bits), 63)
        single = ((array.astype(np.int64)[..., None] >> shifts) & 1).astype(np.uint8)
    single = single.reshape(*array.shape[:2], -1)[:, np.arange(STREAMS) % array.shape[1]]
    packed = np.packbits(single.transpose(0, 2, 1), axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8")[..., 0].astype(np.uint64)


def integers(port: Words, signed: bool = False) -> NDArray[Any]:
    """The inverse of `words` for one number a stream: [cycles, 64]; objects above 62 bits."""
    single = np.unpackbits(port.astype("<u8").view(np.uint8).reshape(*port.shape, 8), axis=-1,
                           bitorder="little")  # fmt: skip
    bits = port.shape[1]
    weights = np.array([1 << i for i in range(bits)], dtype=np.int64 if bits < 63 else object)
    if signed:
        weights[-1] = -weights[-1]
    return np.einsum("cbs,b->cs", single.astype(weights.dtype), weights)


@dataclass(frozen=True)
class Activity:
    """What happened, a cycle of a stream on average.

    cycles   counted cycles times streams
    toggles  [nets] edges of every net
    ones     [nets] part of the time for which it is high
    edges    by kind of cell: [cells, outputs, 2] rising and falling edges of every output
    arcs     by kind of cell: [cells, arcs, 2] edges that an arc's related pins and condition match
    outputs  words [cycles, bits] of every output port at the end of every cycle, warm-up included
    moved    [cycles] beats of every stream that have moved by the end of a cycle
    """

    cycles: int
    toggles: NDArray[np.float64]
    ones: NDArray[np.float64]
    edges: list[NDArray[np.float64]]
    arcs: list[NDArray[np.float64]]
    outputs: dict[str, Words]
    moved: dict[str, NDArray[np.int32]]


def simulate(
    netlist: Netlist,
    stimulus: Mapping[str, Words],
    streams: Mapping[str, Words] | None = None,
    *,
    clock: str = "clk",
    warm_up: int = 1,
) -> Activity:
    """Run `stimulus`, words [cycles, bits] of every input port but the clock, and count.

    In a cycle the clock rises first and registers take what the cycle before has left at their
    inputs; then the cycle's inputs arrive, and its outputs are those that follow from them. The
    first `warm_up` cycles, which start from all registers at 0, are not counted. Without a port
    of the name `clock` the netlist is combinational.

    streams  beats, words [beats, bits], of valid/ready streams by name. They have no stimulus of
             their own: from cycle RESET on each offers a beat until it is taken, and the run ends
             when one of them has no more.

    ValueError where ports and stimulus differ. InputError for a loop, for a clock that data changes
    while it is high, and for a stream that is not ready for all 64 at once.
    """
    streams = streams or {}
    own = {f"{name}__{part}" for name in streams for part in ("valid", "payload")}
    names = [
        name
        for name, port in netlist.ports.items()
        if port.input and name != clock and name not in own
    ]
    if set(names) != set(stimulus):
        raise ValueError(f"stimulus is for {sorted(stimulus)}, input ports are {sorted(names)}")
    beats = {**stimulus, **{f"{name}__payload": words for name, words in streams.items()}}
    for name, port in beats.items():
        if port.shape[1:] != netlist.ports[name].nets.shape:
            raise ValueError(f"{name} has {len(netlist.ports[name].nets)} bits, not those of "
                             f"{port.shape}")  # fmt: skip
    cycles = len(stimulus[names[0]]) if names else 0
    if cycles <= warm_up:
        raise ValueError(f"{cycles} cycles of stimulus leave none after {warm_up} of warm-up")
    run = _Run(netlist, clock, warm_up)
    job, library = run.job, load(kernels([kind.cell for kind in netlist.kinds]))
    job.cycles, job.begin = cycles, RESET
    job.inputs = run.nets([netlist.ports[name].nets for name in names])
    whole = np.concatenate([stimulus[name] for name in names], axis=1).astype(np.uint64)
    job.stimulus = run.address(np.ascontiguousarray(whole))
    outputs = {name: port.nets for name, port in netlist.ports.items() if not port.input}
    job.outputs = run.nets(list(outputs.values()))
    result = np.zeros((cycles, job.outputs.count), np.uint64)
    job.result = run.address(result)
    moved = {name: np.zeros(cycles, np.int32) for name in streams}
    table = (Stream * len(streams))()
    for entry, (name, words) in zip(table, streams.items(), strict=True):
        entry.payload = run.nets([netlist.ports[f"{name}__payload"].nets])
        entry.valid = int(netlist.ports[f"{name}__valid"].nets[0])
        entry.ready = int(netlist.ports[f"{name}__ready"].nets[0])
        entry.beats, entry.data = len(words), run.address(np.ascontiguousarray(words))
        entry.moved = run.address(moved[name])
    job.streams, job.stream = len(streams), ctypes.addressof(table)
    wrong = library.simulate(ctypes.byref(job))
    if wrong == 1:
        raise InputError(
            f"{netlist.top}: data changes the clock of a flip-flop while {clock} is high; "
            "a gate behind a latch that is open while it is low would do"
        )
    if wrong:
        raise InputError(f"{netlist.top}: the {STREAMS} streams of data are not ready together")
    ends = np.cumsum([len(nets) for nets in outputs.values()])[:-1]
    parts = np.split(result[: job.ran], ends, axis=1) if outputs else []
    return run.activity(
        dict(zip(outputs, parts, strict=True)),
        {name: count[: job.ran] for name, count in moved.items()},
    )


class _Run:
    """The job of a simulation, with the arrays that it points to."""

    def __init__(self, netlist: Netlist, clock: str, warm_up: int) -> None:
        kinds = netlist.kinds
        self._keep: list[Any] = []
        self._clock = int(netlist.ports[clock].nets[0]) if clock in netlist.ports else -1
        self._schedule = schedule = Schedule(netlist, self._clock)
        self._edges = [np.zeros((len(k), len(k.cell.outputs), 2), np.uint32) for k in kinds]
        self._arcs = [np.zeros((len(k), len(k.cell.arcs), 2), np.uint32) for k in kinds]
        self._toggles = np.zeros(netlist.nets, np.uint64)
        self._ones = np.zeros(netlist.nets, np.uint64)
        table = (Kind * len(kinds))()
        for entry, kind, pins, edge, arc in zip(
            table, kinds, schedule.pins, self._edges, self._arcs, strict=True
        ):
            entry.pins = self.address(pins)
            entry.state = self.address(np.zeros(len(kind), np.uint64))
            entry.clock = self.address(np.zeros(len(kind), np.uint64))
            entry.edges, entry.arcs = self.address(edge), self.address(arc)
            entry.count = len(kind)
            entry.always = schedule.both_phases or kind.cell.state is not None
        self._keep.append(table)
        self.job = Job(
            nets=netlist.nets,
            kinds=len(kinds),
            clock=self._clock,
            warm_up=warm_up,
            kind=ctypes.addressof(table),
            cone=self._list(schedule.cone, 3),
            low=self._list(schedule.low, 3),
            all=self._list(schedule.all, 3),
            toggles=self.address(self._toggles),
            ones=self.address(self._ones),
        )

    def address(self, array: NDArray[Any]) -> int:
        """Where it is, for as long as this object lives."""
        self._keep.append(array)
        return array.ctypes.data

    def nets(self, parts: list[NDArray[np.int32]]) -> List:
        """The nets of some ports, one after the other."""
        return self._list(np.concatenate([*parts, np.zeros(0, np.int32)]), 1)

    def _list(self, array: NDArray[np.int32], width: int) -> List:
        array = np.ascontiguousarray(array, np.int32)
        return List(self.address(array), array.size // width)

    def activity(self, outputs: dict[str, Words], moved: dict[str, NDArray[np.int32]]) -> Activity:
        """What has been counted."""
        counted = max(1, self.job.ran - self.job.warm_up) * STREAMS
        return Activity(
            cycles=counted,
            toggles=self._toggles / counted,
            ones=self._ones / counted / (1 if self._clock < 0 else 2),
            edges=[self._schedule.unsorted(i, a) / counted for i, a in enumerate(self._edges)],
            arcs=[self._schedule.unsorted(i, a) / counted for i, a in enumerate(self._arcs)],
            outputs=outputs,
            moved=moved,
        )
