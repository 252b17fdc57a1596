"""`lutcore synth`: area of a core by unit, and its timing at a clock, with native Yosys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, PresetOption, configuration

__all__ = ["synth"]


def synth(
    preset: PresetOption = None,
    config: ConfigOption = None,
    liberty: Annotated[
        Path | None, typer.Option(help="Cell library, .lib or .lib.gz.", show_default="generic")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="One unit alone, such as lookup.", show_default="all")
    ] = None,
    clock: Annotated[
        float | None,
        typer.Option(help="Clock period to meet, ps (generic: tau).", show_default="no clock"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory of the report.")] = Path("build/synth"),
) -> None:
    """Report the area of a core by unit, as a table, JSON and a bar chart; with a clock, timing."""
    chosen = configuration(preset, config)
    # Imported here: Yosys takes a while to load.
    from lutppa import report

    report.main(chosen, out, liberty, unit, clock)
