"""`lutcore run`: an LMMA program on a memory image, by the functional simulator."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lutcore.lmma import Cause
from lutcore.outputs import write_files
from lutverif import lmma

from .files import in_file
from .options import ConfigOption, PresetOption, engine_configuration
from .programs import read_program

__all__ = ["run"]


def run(
    program: Annotated[Path, typer.Argument(help="PROGRAM.lmma, text or assembled.")],
    memory: Annotated[Path, typer.Option(help="IN.bin: all of memory, whole words of its port.")],
    out: Annotated[Path, typer.Option(help="OUT.bin to write: memory afterwards.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
) -> int:
    """Run a program; status 1 where it stopped without halt, memory as it was at that point."""
    engine = engine_configuration(preset, config)
    words = read_program(program, engine)
    image = np.frombuffer(memory.read_bytes(), np.uint8).copy()
    with in_file(memory):
        status, counters = lmma.run(words, image, engine)
    write_files({out: image.tobytes()})
    print(f"{status.cause.name.lower()} at instruction {status.at}: {status.cause.meaning}")
    for name, value in dataclasses.asdict(counters).items():
        print(f"{name.replace('_', ' '):14} {value:,}")
    return 0 if status.cause is Cause.HALT else 1
