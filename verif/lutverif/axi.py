"""A long random run of the AXI4 master: `python -m lutverif.axi --transactions N`.

Random reads, writes and soft resets on a memory port, against a random slave that stalls every
channel and answers with errors. A protocol monitor watches the bus; a scoreboard knows every beat.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import re
import sys
import time
from importlib import resources
from typing import TYPE_CHECKING

from lutcore.axi import AxiParameters
from lutcore.errors import LutCoreError
from lutcore.memory_port import MemoryPort

from .bench.monitored import FAULTS, master, verilog
from .native import HarnessError, compiled

__all__ = ["CHANNELS", "CONFIGURATIONS", "AxiFault", "Statistics", "run"]

CHANNELS = ("i_reads", "o_read_data", "i_writes", "i_write_data", "o_write_done",
            "AR", "R", "AW", "W", "B")  # fmt: skip
"""The streams and channels of a run, in the order of its counts."""

CONFIGURATIONS: dict[str, AxiParameters] = {
    "default": AxiParameters(),
    "narrow": AxiParameters(
        port=MemoryPort(data_bits=32, length_bits=8), max_beats=4, outstanding=1
    ),
    "single": AxiParameters(max_beats=1, outstanding=3),
    "wide": AxiParameters(
        port=MemoryPort(data_bits=512, address_bits=64, length_bits=24),
        id_bits=4,
        max_beats=256,
        outstanding=16,
    ),
}
"""Masters of the runs: the default, and the edges of the parameters."""


class Statistics(ctypes.Structure):
    """What happened in a run; `moved` and `stalled` in the order of CHANNELS."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in (
            "cycles", "reads", "writes", "read_bursts", "write_bursts", "read_beats",
            "write_beats", "read_errors", "write_errors", "flushes",
        )),
        ("moved", ctypes.c_uint64 * len(CHANNELS)),
        ("stalled", ctypes.c_uint64 * len(CHANNELS)),
    )  # fmt: skip

    if TYPE_CHECKING:
        cycles: int
        reads: int
        writes: int
        read_bursts: int
        write_bursts: int
        read_beats: int
        write_beats: int
        read_errors: int
        write_errors: int
        flushes: int
        moved: list[int]
        stalled: list[int]


class AxiFault(HarnessError):
    """The master broke a rule, or lost, repeated or changed a beat."""


@functools.cache
def _library(parameters: AxiParameters) -> ctypes.CDLL:
    unit = master(parameters)
    port = parameters.port
    source = resources.files("lutverif").joinpath("axi_harness.cpp").read_text()
    # Verilator spells "__" in a name "___05F".
    source = re.sub(r"top->\w+", lambda match: match[0].replace("__", "___05F"), source)
    defines = (
        f"-DDATA_BYTES={port.beat_bytes} -DADDRESS_BYTES={port.address_bits // 8} "
        f"-DLENGTH_BYTES={-(-port.length_bits // 8)} -DLENGTH_BITS={port.length_bits} "
        f"-DMAX_BEATS={parameters.max_beats}"
    )
    library = ctypes.CDLL(str(compiled(verilog(unit), unit.module_name, source, defines)))
    library.axi_run.argtypes = [
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.POINTER(Statistics),
        ctypes.c_char_p,
        ctypes.c_uint32,
    ]
    return library


def run(parameters: AxiParameters, seed: int, transactions: int) -> Statistics:
    """A run of at least `transactions` bursts; it depends on its seed alone.

    address_bits must be a multiple of 8. AxiFault names what went wrong, and the cycle;
    HarnessError if the master does not build.
    """
    statistics, message = Statistics(), ctypes.create_string_buffer(400)
    if _library(parameters).axi_run(
        seed, transactions, ctypes.byref(statistics), message, len(message)
    ):
        text = re.sub(r"fault (\d+)", lambda m: FAULTS[int(m[1])], message.value.decode())
        raise AxiFault(text)
    return statistics


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 on the first fault."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.axi", description=__doc__)
    parser.add_argument("--transactions", type=int, default=100_000, help="bursts (100000)")
    parser.add_argument("--seed", type=int, default=1, help="(1)")
    parser.add_argument("--only", choices=CONFIGURATIONS, help="one master instead of all")
    options = parser.parse_args(arguments)
    names = [options.only] if options.only else list(CONFIGURATIONS)
    share = -(-options.transactions // len(names))
    for name in names:
        try:
            begin = time.monotonic()
            s = run(CONFIGURATIONS[name], options.seed, share)
        except LutCoreError as error:
            print(f"{name}, seed {options.seed}: {error}")
            return 1
        print(
            f"{name}: {s.read_bursts:,} read and {s.write_bursts:,} write bursts of "
            f"{s.reads:,} and {s.writes:,} requests, {s.read_beats:,} and {s.write_beats:,} beats, "
            f"{s.read_errors:,} beats and {s.write_errors:,} writes with errors, "
            f"{s.flushes:,} soft resets in {s.cycles:,} cycles, "
            f"{time.monotonic() - begin:.0f} s: no fault, no beat lost or twice"
        )
        stalls = [
            f"{channel} {s.stalled[i] / max(1, s.stalled[i] + s.moved[i]):.0%}"
            for i, channel in enumerate(CHANNELS)
        ]
        print(f"  waiting for READY: {', '.join(stalls)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
