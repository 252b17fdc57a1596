"""The C++ that simulates a netlist, and the ctypes structures that it is called with."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import subprocess
from pathlib import Path

from lutverif.native import HarnessError, cached

__all__ = ["Job", "Kind", "List", "Stream", "load"]

_FLAGS = ["-O2", "-std=c++17", "-fPIC", "-shared"]
if platform.machine() == "x86_64":
    _FLAGS.append("-mpopcnt")


class Kind(ctypes.Structure):
    """All cells of a kind: nets of their pins, state, counters."""

    _fields_ = (
        ("pins", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
        ("clock", ctypes.c_void_p),
        ("edges", ctypes.c_void_p),
        ("arcs", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("always", ctypes.c_int32),
    )


class List(ctypes.Structure):
    """Runs (kind, first cell, cells), or nets."""

    _fields_ = (("data", ctypes.c_void_p), ("count", ctypes.c_int32))


class Stream(ctypes.Structure):
    """A valid/ready stream: its beats, the nets of its payload, and the beats moved by a cycle."""

    _fields_ = (
        ("payload", List),
        ("valid", ctypes.c_int32),
        ("ready", ctypes.c_int32),
        ("beats", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("moved", ctypes.c_void_p),
    )


class Job(ctypes.Structure):
    """A simulation; `begin` is the cycle from which streams offer. Sets `ran`, the cycles taken."""

    _fields_ = (
        ("nets", ctypes.c_int32),
        ("kinds", ctypes.c_int32),
        ("streams", ctypes.c_int32),
        ("clock", ctypes.c_int32),
        ("cycles", ctypes.c_int32),
        ("warm_up", ctypes.c_int32),
        ("begin", ctypes.c_int32),
        ("ran", ctypes.c_int32),
        ("kind", ctypes.c_void_p),
        ("stream", ctypes.c_void_p),
        ("cone", List),
        ("low", List),
        ("all", List),
        ("inputs", List),
        ("outputs", List),
        ("stimulus", ctypes.c_void_p),
        ("result", ctypes.c_void_p),
        ("toggles", ctypes.c_void_p),
        ("ones", ctypes.c_void_p),
    )


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
struct Stream { List payload; int32_t valid, ready, beats; const W* data; int32_t* moved; };
enum { FINE, CLOCK, STREAMS_DIFFER };
struct Job {
  int32_t nets, kinds, streams, clock, cycles, warm_up, begin, ran;
  const Kind* kind;
  const Stream* stream;
  List cone, low, all, inputs, outputs;
  const W* stimulus; W* result; W* toggles; W* ones;
};
static inline int ones(W x) { return __builtin_popcountll(x); }
/*KERNELS*/
static void settle(const Job& j, const List& list, W* v) {
  const int32_t* r = list.data;
  for (int i = 0; i < list.count; i++, r += 3) evaluate[r[0]](j.kind[r[0]], r[1], r[2], v);
}
// What a stream offers in this cycle: its next beat, or nothing when all have moved.
static void offer(const Stream& s, int beat, W* v) {
  v[s.valid] = beat < s.beats ? ~W(0) : 0;
  if (beat >= s.beats) return;
  const W* data = s.data + W(beat) * s.payload.count;
  for (int i = 0; i < s.payload.count; i++) v[s.payload.data[i]] = data[i];
}
extern "C" int simulate(Job* job) {
  const Job& j = *job;
  std::vector<int> at(j.streams, 0);
  std::vector<W> now(j.nets, 0), before(j.nets, 0);
  W* v = now.data();
  v[1] = ~W(0);
  settle(j, j.all, v);
  for (int k = 0; k < j.kinds; k++) if (sample[k]) sample[k](j.kind[k], v);
  for (int k = 0; k < j.kinds; k++) if (drive[k]) drive[k](j.kind[k], v);
  settle(j, j.all, v);
  for (int t = 0; t < j.cycles; t++) {
    // Once the beats of a stream are at an end, the work is no longer what it was.
    for (int i = 0; i < j.streams; i++) if (at[i] == j.stream[i].beats) return FINE;
    job->ran = t + 1;
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
        for (int i = 0; i < j.streams && t >= j.begin; i++) offer(j.stream[i], at[i], v);
        settle(j, j.all, v);
        for (int i = 0; i < j.streams; i++) {
          const Stream& s = j.stream[i];
          const W moves = v[s.valid] & v[s.ready];
          if (moves != 0 && moves != ~W(0)) return STREAMS_DIFFER;
          at[i] += moves & 1;
          s.moved[t] = at[i];
        }
        W* out = j.result + W(t) * j.outputs.count;
        for (int i = 0; i < j.outputs.count; i++) out[i] = v[j.outputs.data[i]];
      } else {
        settle(j, j.low, v);
      }
      for (int k = 0; k < j.kinds; k++) if (unstable[k] && unstable[k](j.kind[k], v)) return CLOCK;
      if (t < j.warm_up) continue;
      for (int i = 0; i < j.nets; i++) {
        j.toggles[i] += ones(before[i] ^ v[i]);
        j.ones[i] += ones(v[i]);
      }
      for (int k = 0; k < j.kinds; k++)
        if (high || j.kind[k].always) count[k](j.kind[k], before.data(), v);
    }
  }
  return FINE;
}
"""


@functools.cache
def load(cells: str) -> ctypes.CDLL:
    """`int simulate(Job*)`, compiled with the kernels of `cells`: 0, or what went wrong."""
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
