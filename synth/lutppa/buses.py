"""Area of the buses: `python -m lutppa.buses [--liberty FILE]`.

The reader, the writer and the control registers by themselves, at the widths of a memory port.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lutcore.axi import AxiMaster, AxiParameters, ControlRegisters, engine_registers
from lutcore.axi.registers import COUNTERS
from lutcore.export import unit_design
from lutcore.memory_port import MemoryPort

from .area import Amount, synthesise
from .command import reported
from .liberty import Library, read

__all__ = ["WIDTHS", "measure"]

WIDTHS = (32, 64, 128, 256, 512)
"""Data widths of the masters: bursts of 16 beats, 4 in flight, addresses of 32 bits."""


def measure(library: Library, widths: tuple[int, ...] = WIDTHS) -> Iterator[tuple[str, Amount]]:
    """What each unit is called, and what it takes with all below it."""
    for width in widths:
        master = AxiMaster(AxiParameters(port=MemoryPort(data_bits=width)))
        totals = synthesise(unit_design(master), master.module_name, library).totals
        for name, unit in (("reader", master.reader), ("writer", master.writer)):
            yield f"AXI4 {name}, {width} bits", totals[unit.module_name]
    control = ControlRegisters(engine_registers())
    totals = synthesise(unit_design(control), control.module_name, library).totals
    yield f"AXI4-Lite registers, {len(COUNTERS)} counters of 64 bits", totals[control.module_name]


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.buses", description=__doc__)
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    parser.add_argument(
        "--width", type=int, choices=WIDTHS, action="append", help="this width alone (all)"
    )
    options = parser.parse_args(arguments)
    library = read(options.liberty)
    rows = list(measure(library, tuple(options.width or WIDTHS)))
    table = Table("unit", f"area, {library.unit}", "cells", "flip-flops", "their area")
    for name, amount in rows:
        table.add_row(
            name, f"{amount.area:.1f}", str(amount.cells), str(amount.flip_flops),
            f"{amount.flip_flop_area:.1f}",
        )  # fmt: skip
    console = Console(width=110)
    console.print(f"{library.name}: registers included, no clock constraint", highlight=False)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
