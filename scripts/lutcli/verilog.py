"""`lutcore verilog`: write a top module as Verilog with all that a flow or driver needs of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, PresetOption, configuration, engine_configuration

__all__ = ["verilog"]


def verilog(
    preset: PresetOption = None,
    config: ConfigOption = None,
    top: Annotated[
        str, typer.Option(help="core, engine_axi (AXI4, AXI4-Lite) or engine_stream (AXI4-Stream).")
    ] = "core",
    out: Annotated[Path, typer.Option(help="Directory to write to.")] = Path("build/verilog"),
) -> None:
    """Write Verilog, a JSON description, SDC, LibreLane and FuseSoC files, and a template.

    With engine_axi also the registers: SystemRDL, C header, Python access, HTML and IP-XACT. The
    sizes of its buffers and its word are those of the table `engine` in the file of --config.
    """
    read = engine_configuration if top == "engine_axi" else configuration
    chosen = read(preset, config)
    # Imported here: Amaranth takes a second that the other subcommands need not wait for.
    from lutcore import tops

    paths, remark = tops.write(chosen, out, top)
    # Of what is deeper, such as the HTML page, only the folder.
    for shown in dict.fromkeys(out.joinpath(*path.relative_to(out).parts[:2]) for path in paths):
        print(f"{shown}/" if shown.is_dir() else shown)
    if remark:
        print(remark, file=sys.stderr)
