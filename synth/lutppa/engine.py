"""The area of an engine beside its core: `python -m lutppa.engine --preset paper --liberty FILE`.

Buffers are memories of any technology and are given in bits; everything else is mapped as the core
is (`lutppa.area`). With `--fpga ecp5` instead, `EngineAxi` as a whole through place and route.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.engine.axi import EngineAxi
from lutcore.engine.engine import Engine
from lutcore.errors import LutCoreError
from lutcore.export import unit_design
from lutcore.lmma.config import EngineConfig

from . import fpga, fpga_families, fpga_report
from .area import Amount, synthesise
from .liberty import Library, read

__all__ = ["areas", "main", "print_areas", "print_fpga"]


def areas(config: EngineConfig, library: Library) -> dict[str, Amount]:
    """The area of every unit beside core and buffers, with all that it places, by name."""
    engine = Engine(config)
    units = [engine.sequencer, engine.mover, engine.feeder, *engine.readers.values()]
    found: dict[str, Amount] = {}
    for unit in units:
        done = synthesise(unit_design(unit), unit.module_name, library)
        found[unit.suffix] = done.totals[unit.module_name]
        for child in unit.children:
            found[f"- {child.suffix}"] = done.totals[child.module_name]
    return found


def print_areas(config: EngineConfig, path: Path) -> None:
    """Print the areas, and the bits of the buffers."""
    library = read(path)
    console = Console(width=100)
    title = f"engine of {config.core.name}, {config.word_bits}-bit words"
    table = Table(box=box.SIMPLE, title=title)
    table.add_column("unit")
    for heading in ("area", "cells", "flip-flops"):
        table.add_column(heading, justify="right")
    whole = Amount()
    for name, amount in areas(config, library).items():
        if not name.startswith("-"):
            whole += amount
        table.add_row(name, f"{amount.area:,.1f}", f"{amount.cells:,}", f"{amount.flip_flops:,}")
    table.add_row("engine beside core and buffers", f"{whole.area:,.1f}", f"{whole.cells:,}",
                  f"{whole.flip_flops:,}")  # fmt: skip
    console.print(table)
    for name, buffer in Engine(config).buffers.items():
        console.print(f"buffer {name}: {buffer.bits << buffer.address_bits:,} bits")


def print_fpga(config: EngineConfig, family: str) -> None:
    """Print what `EngineAxi` needs of an FPGA, and its clock."""
    unit, console = EngineAxi(config), Console(width=100)
    found = fpga.implement(unit, unit_design(unit), family, say=console.print)
    # Core and engine have no name below the top; their parts do.
    found.units.pop("", None)
    console.print(fpga_report.table(config.core, "engine_axi", found))
    clock = found.note if found.fmax_mhz is None else f"{found.fmax_mhz} MHz in {found.device}"
    console.print(clock, highlight=False)


def main() -> int:
    """The command; status 2 for what cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.engine", description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--config", type=Path, help="TOML file of a core, in place of a preset")
    parser.add_argument("--word-bytes", type=int, default=16, help="of a word of memory (16)")
    parser.add_argument("--address-bits", type=int, default=40, help="of an address (40)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--liberty", type=Path, help="cell library")
    target.add_argument("--fpga", choices=fpga_families.FAMILIES, help="FPGA family")
    chosen = parser.parse_args()
    try:
        core = (
            TensorCoreConfig.from_toml(chosen.config) if chosen.config else PRESETS[chosen.preset]
        )
        engine = EngineConfig(
            core=core, word_bytes=chosen.word_bytes, address_bits=chosen.address_bits
        )
        if chosen.fpga:
            print_fpga(engine, chosen.fpga)
        else:
            print_areas(engine, chosen.liberty)
    except LutCoreError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
