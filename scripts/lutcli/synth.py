"""`lutcore synth`: area of a core by unit and timing at a clock, or what it needs of an FPGA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutcore.errors import InputError

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
    fpga: Annotated[
        str | None,
        typer.Option(
            help="FPGA family in place of a library: ecp5, ice40, xc7, gowin.", show_default=False
        ),
    ] = None,
    place: Annotated[
        bool, typer.Option(help="Place and route it too, in ecp5 and ice40 (with --fpga).")
    ] = True,
    clock: Annotated[
        float | None,
        typer.Option(help="Clock period to meet, ps (generic: tau).", show_default="no clock"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory of the report.")] = Path("build/synth"),
) -> None:
    """Report the area of a core by unit, as a table, JSON and a bar chart.

    With --clock also its timing. With --fpga: LUTs, flip-flops, DSPs, memories and the clock after
    routing.
    """
    chosen = configuration(preset, config)
    # Imported here: Yosys takes a while to load.
    if fpga is None:
        if not place:
            raise InputError("--no-place belongs to --fpga")
        from lutppa import report

        report.main(chosen, out, liberty, unit, clock)
        return
    for name, value in (("--liberty", liberty), ("--clock", clock)):
        if value is not None:
            raise InputError(f"--fpga {fpga} and {name} {value}: one of the two would do")
    from lutppa import fpga_report

    fpga_report.main(chosen, out, fpga, unit, place=place)
