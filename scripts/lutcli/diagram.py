"""`lutcore diagram`: the data flow of a core as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutcore.errors import InputError
from lutcore.outputs import write_files

from .options import ConfigOption, PresetOption, configuration

__all__ = ["diagram"]

KINDS = {".svg": "svg", ".png": "png"}


def diagram(
    preset: PresetOption = None,
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Picture to write, .svg or .png.")] = Path(
        "build/core.svg"
    ),
) -> None:
    """Draw the data flow of a core, every size from its configuration."""
    chosen = configuration(preset, config)
    kind = KINDS.get(out.suffix)
    if kind is None:
        raise InputError(f"{out}: must end in {' or '.join(KINDS)}, not {out.suffix!r}")
    # Imported here: Amaranth and matplotlib take a second that other subcommands need not wait for.
    from .drawing import Drawing

    write_files({out: Drawing(chosen).render(kind)})
