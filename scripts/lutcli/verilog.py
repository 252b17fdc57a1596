"""`lutcore verilog`: write a core as Verilog with its description, constraints and template."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, PresetOption, configuration

__all__ = ["verilog"]


def verilog(
    preset: PresetOption = None,
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Directory to write to.")] = Path("build/verilog"),
) -> None:
    """Write Verilog, a JSON description, SDC, LibreLane and FuseSoC files, and a template."""
    chosen = configuration(preset, config)
    # Imported here: Amaranth takes a second that the other subcommands need not wait for.
    from lutcore import export

    for path in export.write(chosen, out):
        print(path)
