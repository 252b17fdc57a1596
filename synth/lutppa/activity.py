"""Activity of a mapped netlist: 64 streams of data simulated side by side, one bit of a word each.

    library cells -> C++ kernels, compiled once -> levelised netlist as index arrays -> counts

Cycle-based and without delays, so free of glitches: in a cycle a net moves at most once after the
rising edge of the clock, and once more after the falling edge where a latch or a gated clock lets
it. Everything is counted inside; nothing is dumped.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutverif.native import HarnessError, cached

from .flat_netlist import Instances, Netlist
from .kernels import kernels

__all__ = ["STREAMS", "Activity", "integers", "simulate", "words"]

STREAMS = 64

Words = NDArray[np.uint64]

_FLAGS = ["-O2", "-std=c++17", "-fPIC", "-shared"]
if platform.machine() == "x86_64":
    _FLAGS.append("-mpopcnt")


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
    """

    cycles: int
    toggles: NDArray[np.float64]
    ones: NDArray[np.float64]
    edges: list[NDArray[np.float64]]
    arcs: list[NDArray[np.float64]]
    outputs: dict[str, Words]


class _Kind(ctypes.Structure):
    _fields_ = (
        ("pins", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
        ("clock", ctypes.c_void_p),
        ("edges", ctypes.c_void_p),
        ("arcs", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("always", ctypes.c_int32),
    )


class _List(ctypes.Structure):
    """Runs (kind, first cell, cells), or nets."""

    _fields_ = (("data", ctypes.c_void_p), ("count", ctypes.c_int32))


class _Job(ctypes.Structure):
    _fields_ = (
        ("nets", ctypes.c_int32),
        ("kinds", ctypes.c_int32),
        ("clock", ctypes.c_int32),
        ("cycles", ctypes.c_int32),
        ("warm_up", ctypes.c_int32),
        ("kind", ctypes.c_void_p),
        ("cone", _List),
        ("low", _List),
        ("all", _List),
        ("inputs", _List),
        ("outputs", _List),
        ("stimulus", ctypes.c_void_p),
        ("result", ctypes.c_void_p),
        ("toggles", ctypes.c_void_p),
        ("ones", ctypes.c_void_p),
    )


def simulate(
    netlist: Netlist, stimulus: Mapping[str, Words], *, clock: str = "clk", warm_up: int = 1
) -> Activity:
    """Run `stimulus`, words [cycles, bits] of every input port but the clock, and count.

    In a cycle the clock rises first and registers take what the cycle before has left at their
    inputs; then the cycle's inputs arrive, and its outputs are those that follow from them. The
    first `warm_up` cycles, which start from all registers at 0, are not counted. Without a port
    of the name `clock` the netlist is combinational. ValueError where ports and stimulus differ.
    InputError for a loop, or for a clock that data changes while it is high.
    """
    names = [name for name, port in netlist.ports.items() if port.input and name != clock]
    if set(names) != set(stimulus):
        raise ValueError(f"stimulus is for {sorted(stimulus)}, input ports are {sorted(names)}")
    for name in names:
        if stimulus[name].shape[1:] != netlist.ports[name].nets.shape:
            raise ValueError(f"{name} has {len(netlist.ports[name].nets)} bits, not those of "
                             f"{stimulus[name].shape}")  # fmt: skip
    cycles = len(stimulus[names[0]]) if names else 0
    if cycles <= warm_up:
        raise ValueError(f"{cycles} cycles of stimulus leave none after {warm_up} of warm-up")
    clock_net = int(netlist.ports[clock].nets[0]) if clock in netlist.ports else -1
    schedule = _Schedule(netlist, clock_net)
    kinds = netlist.kinds
    library = _load(kernels([kind.cell for kind in kinds]))
    keep: list[NDArray[Any]] = []

    def address(array: NDArray[Any]) -> int:
        keep.append(array)
        return array.ctypes.data

    def listed(array: NDArray[np.int32], width: int = 1) -> _List:
        array = np.ascontiguousarray(array, np.int32)
        return _List(address(array), array.size // width)

    edges = [np.zeros((len(k), len(k.cell.outputs), 2), np.uint32) for k in kinds]
    arcs = [np.zeros((len(k), len(k.cell.arcs), 2), np.uint32) for k in kinds]
    table = (_Kind * len(kinds))()
    for entry, kind, pins, edge, arc in zip(table, kinds, schedule.pins, edges, arcs, strict=True):
        entry.pins = address(pins)
        entry.state = address(np.zeros(len(kind), np.uint64))
        entry.clock = address(np.zeros(len(kind), np.uint64))
        entry.edges, entry.arcs = address(edge), address(arc)
        entry.count = len(kind)
        entry.always = schedule.both_phases or kind.cell.state is not None
    outputs = {name: port for name, port in netlist.ports.items() if not port.input}
    result = np.zeros((cycles, sum(len(port.nets) for port in outputs.values())), np.uint64)
    toggles, ones = np.zeros(netlist.nets, np.uint64), np.zeros(netlist.nets, np.uint64)
    inputs = [netlist.ports[name].nets for name in names]
    beats = np.concatenate([stimulus[name] for name in names], axis=1).astype(np.uint64)
    empty = np.zeros(0, np.int32)
    job = _Job(
        nets=netlist.nets,
        kinds=len(kinds),
        clock=clock_net,
        cycles=cycles,
        warm_up=warm_up,
        kind=ctypes.addressof(table),
        cone=listed(schedule.cone, 3),
        low=listed(schedule.low, 3),
        all=listed(schedule.all, 3),
        inputs=listed(np.concatenate([*inputs, empty])),
        outputs=listed(np.concatenate([*(port.nets for port in outputs.values()), empty])),
        stimulus=address(np.ascontiguousarray(beats)),
        result=address(result),
        toggles=address(toggles),
        ones=address(ones),
    )
    if library.simulate(ctypes.byref(job)):
        raise InputError(
            f"{netlist.top}: data changes the clock of a flip-flop while {clock} is high; "
            "a gate behind a latch that is open while it is low would do"
        )
    counted = (cycles - warm_up) * STREAMS
    ends = np.cumsum([len(port.nets) for port in outputs.values()])[:-1]
    parts = np.split(result, ends, axis=1) if outputs else []
    return Activity(
        cycles=counted,
        toggles=toggles / counted,
        ones=ones / counted / (1 if clock_net < 0 else 2),
        edges=[schedule.unsorted(i, array) / counted for i, array in enumerate(edges)],
        arcs=[schedule.unsorted(i, array) / counted for i, array in enumerate(arcs)],
        outputs=dict(zip(outputs, parts, strict=True)),
    )


class _Schedule:
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


_HARNESS = """
#include <cstdint>
#include <cstring>
#include <vector>
typedef uint64_t W;
struct Kind {
  const int32_t* pins; W* state; W* clock; uint32_t* edges; uint32_t* arcs;
  int32_t count, always;
};
struct List { const int32_t* data; int32_t count; };
struct Job {
  int32_t nets, kinds, clock, cycles, warm_up;
  const Kind* kind;
  List cone, low, all, inputs, outputs;
  const W* stimulus; W* result; W* toggles; W* ones;
};
static inline int ones(W x) { return __builtin_popcountll(x); }
/*KERNELS*/
static void settle(const Job& j, const List& list, W* v) {
  const int32_t* r = list.data;
  for (int i = 0; i < list.count; i++, r += 3) evaluate[r[0]](j.kind[r[0]], r[1], r[2], v);
}
extern "C" int simulate(const Job* job) {
  const Job& j = *job;
  std::vector<W> now(j.nets, 0), before(j.nets, 0);
  W* v = now.data();
  v[1] = ~W(0);
  int wrong = 0;
  settle(j, j.all, v);
  for (int k = 0; k < j.kinds; k++) if (sample[k]) sample[k](j.kind[k], v);
  for (int k = 0; k < j.kinds; k++) if (drive[k]) drive[k](j.kind[k], v);
  settle(j, j.all, v);
  for (int t = 0; t < j.cycles; t++) {
    for (int high = 1; high >= 0; high--) {
      if (!high && j.clock < 0) continue;
      memcpy(before.data(), v, sizeof(W) * j.nets);
      if (j.clock >= 0) {
        v[j.clock] = high ? ~W(0) : 0;
        settle(j, j.cone, v);
        for (int k = 0; k < j.kinds; k++) if (sample[k]) sample[k](j.kind[k], v);
        for (int k = 0; k < j.kinds; k++) if (drive[k]) drive[k](j.kind[k], v);
      }
      if (high) {
        const W* beat = j.stimulus + W(t) * j.inputs.count;
        for (int i = 0; i < j.inputs.count; i++) v[j.inputs.data[i]] = beat[i];
        settle(j, j.all, v);
        W* out = j.result + W(t) * j.outputs.count;
        for (int i = 0; i < j.outputs.count; i++) out[i] = v[j.outputs.data[i]];
      } else {
        settle(j, j.low, v);
      }
      for (int k = 0; k < j.kinds; k++) if (unstable[k]) wrong |= unstable[k](j.kind[k], v);
      if (t < j.warm_up) continue;
      for (int i = 0; i < j.nets; i++) {
        j.toggles[i] += ones(before[i] ^ v[i]);
        j.ones[i] += ones(v[i]);
      }
      for (int k = 0; k < j.kinds; k++)
        if (high || j.kind[k].always) count[k](j.kind[k], before.data(), v);
    }
  }
  return wrong;
}
"""


@functools.cache
def _load(cells: str) -> ctypes.CDLL:
    source = _HARNESS.replace("/*KERNELS*/", cells)
    recipe = "\0".join([source, *_FLAGS])
    key = hashlib.sha256(recipe.encode()).hexdigest()[:24]

    def build(work: Path) -> None:
        (work / "cells.cpp").write_text(source)
        command = ["g++", *_FLAGS, "cells.cpp", "-o", "cells.so"]
        try:
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise HarnessError("g++ is missing; install the Debian package g++") from None
        if done.returncode:
            raise HarnessError(f"the cells do not compile: {done.stderr[:500]}")

    with cached(f"cells-{key}", build) as entry:
        library = ctypes.CDLL(str(entry / "cells.so"))
    library.simulate.argtypes = [ctypes.c_void_p]
    library.simulate.restype = ctypes.c_int
    return library
