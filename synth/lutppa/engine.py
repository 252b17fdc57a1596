"""The area of an engine beside its core: `python -m lutppa.engine --preset paper --liberty FILE`.

Buffers are memories of any technology and are given in bits; everything else is mapped as the core
is (`lutppa.area`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.engine.engine import Engine
from lutcore.export import unit_design
from lutcore.lmma.config import EngineConfig

from .area import Amount, synthesise
from .liberty import Library, read

__all__ = ["areas", "main"]


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


def main(config: TensorCoreConfig, path: Path) -> None:
    """Print the areas, and the bits of the buffers."""
    engine = EngineConfig(core=config)
    library = read(path)
    console = Console(width=100)
    table = Table(box=box.SIMPLE, title=f"engine of {config.name}, {engine.word_bits}-bit words")
    table.add_column("unit")
    for heading in ("area", "cells", "flip-flops"):
        table.add_column(heading, justify="right")
    whole = Amount()
    for name, amount in areas(engine, library).items():
        if not name.startswith("-"):
            whole += amount
        table.add_row(name, f"{amount.area:,.1f}", f"{amount.cells:,}", f"{amount.flip_flops:,}")
    table.add_row("engine beside core and buffers", f"{whole.area:,.1f}", f"{whole.cells:,}",
                  f"{whole.flip_flops:,}")  # fmt: skip
    console.print(table)
    for name, buffer in Engine(engine).buffers.items():
        console.print(f"buffer {name}: {buffer.bits << buffer.address_bits:,} bits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--liberty", type=Path, required=True)
    chosen = parser.parse_args()
    main(PRESETS[chosen.preset], chosen.liberty)
