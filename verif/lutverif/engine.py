"""The compiled engine, with a memory behind its port."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.engine.engine import Engine
from lutcore.engine.unit import COUNTERS, EngineLayouts
from lutcore.export import unit_design
from lutcore.lmma.assembler import to_bytes
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import Cause

from .lmma import Status
from .native import HarnessError, NativeModel, cached, sources, stream_ports

__all__ = ["EngineModel", "EngineResult"]

FAULTS = {
    1: "did not end",
    2: "dropped valid before its beat moved",
    3: "changed a payload before its beat moved",
    4: "requested words that memory does not have",
    5: "read while a write was unanswered, or the other way round",
    6: "gave its status before memory was quiet",
}
GOOD = (1 << 64) - 1


class _Memory(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_uint64),
        ("bad", ctypes.c_uint64),
        ("word_bytes", ctypes.c_uint32),
        ("address_bits", ctypes.c_uint32),
        ("length_bits", ctypes.c_uint32),
        ("latency", ctypes.c_uint32),
        ("stall", ctypes.c_uint32),
    )


class EngineResult(NamedTuple):
    """Why the program stopped, and the counters of the engine by name."""

    status: Status
    counters: dict[str, int]


@functools.cache
def engine_verilog(config: EngineConfig) -> str:
    """Verilog of the engine of `config`, from the cache where its sources have not changed."""
    key = hashlib.sha256((sources() + repr(config)).encode()).hexdigest()[:24]

    def build(work: Path) -> None:
        (work / "engine.v").write_text(unit_design(Engine(config)))

    with cached(f"verilog-{key}", build) as entry:
        return (entry / "engine.v").read_text()


class EngineModel(NativeModel):
    """A compiled engine of `config`, freshly reset."""

    def __init__(self, config: EngineConfig, waves: Path | None = None) -> None:
        unit = Engine(config)
        more = resources.files("lutverif").joinpath("engine_harness.cpp").read_text()
        streams = stream_ports(unit)
        super().__init__(engine_verilog(config), unit.module_name, streams, waves, more)
        self.config, self._layouts = config, EngineLayouts(config)
        self._run = self._library.engine_run
        self._run.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(_Memory),
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            ctypes.POINTER(ctypes.c_uint64),
        ]

    def execute(
        self,
        program: Sequence[int],
        memory: NDArray[np.uint8],
        *,
        stall: int = 0,
        latency: int = 0,
        seed: int = 1,
        bad: int | None = None,
        limit: int = 1_000_000,
    ) -> EngineResult:
        """Run a program on a memory, which is changed in place.

        stall: in how many of 256 cycles each channel withholds valid or ready; latency: cycles of
        memory at most; bad: an aligned address that memory answers with an error. HarnessError
        where the engine breaks a rule of its streams or does not stop within `limit` cycles.
        """
        size, words = memory.size, to_bytes(program)
        # The program lies beyond the memory that it sees.
        whole = np.zeros(self.config.aligned(size + len(words)), np.uint8)
        whole[:size] = memory
        whole[size : size + len(words)] = np.frombuffer(words, np.uint8)
        layouts = self._layouts
        start = layouts.start.const({"program": size, "count": len(program), "limit": size})
        start_bytes = start.as_value().value.to_bytes(-(-layouts.start.size // 8), "little")
        status = ctypes.create_string_buffer(-(-layouts.status.size // 8))
        port = _Memory(
            whole.ctypes.data,
            whole.size,
            GOOD if bad is None else bad,
            self.config.word_bytes,
            self.config.address_bits,
            layouts.port.length_bits,
            latency,
            stall,
        )
        cycles = ctypes.c_uint64()
        fault = self._run(
            self._handle, ctypes.byref(port), start_bytes, status, seed, limit, ctypes.byref(cycles)
        )
        if fault:
            raise HarnessError(f"the engine {FAULTS[fault]}, in cycle {cycles.value}")
        memory[:] = whole[:size]
        found = layouts.status.from_bits(int.from_bytes(status.raw, "little"))
        counters = {name: int(found[name]) for name in COUNTERS}
        return EngineResult(Status(Cause(int(found.cause)), int(found["at"])), counters)
