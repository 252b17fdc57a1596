"""`lutcore sim`: the layers of a model through RTL and golden model, every output bit compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["sim"]


def sim(
    model: Annotated[
        Path | None,
        typer.Option(help="Directory of a llama2.c checkpoint.", show_default="embedded model"),
    ] = None,
    waves: Annotated[
        bool, typer.Option("--waves", help="Write a waveform of a tile that differs.")
    ] = False,
) -> None:
    """Run a model's layers through RTL and golden model; status 1 if a bit differs."""
    # Imported here: the simulation stack takes a second to load.
    from lutverif import simulate

    raise typer.Exit(simulate.main(model, waves))
