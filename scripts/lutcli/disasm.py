"""`lutcore disasm`: an LMMA program from words to text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutcore.lmma import disassemble

from .programs import read_words

__all__ = ["disasm"]


def disasm(
    program: Annotated[Path, typer.Argument(help="File that `lutcore asm` wrote.")],
) -> None:
    """Print a program as text that `lutcore asm` takes."""
    for line in disassemble(read_words(program)):
        print(line)
