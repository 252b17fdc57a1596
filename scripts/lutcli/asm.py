"""`lutcore asm`: an LMMA program from text to words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutcore.lmma import to_bytes
from lutcore.lmma.listing import listing
from lutcore.outputs import write_files

from .options import ConfigOption, PresetOption, engine_configuration
from .programs import read_program

__all__ = ["asm"]


def asm(
    program: Annotated[Path, typer.Argument(help="PROGRAM.lmma, text.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write: 16 bytes an instruction.")
    ] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
) -> None:
    """Assemble a program; without --out, list it with cycles of lanes and words of memory."""
    engine = engine_configuration(preset, config)
    words = read_program(program, engine)
    if out is not None:
        write_files({out: to_bytes(words)})
        return
    for line in listing(words, engine):
        print(line)
