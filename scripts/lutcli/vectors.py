"""`lutcore vectors`: results of real tensor cores against the MAC baseline, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["vectors"]


def vectors(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV, plain or gzipped: a0.., b0.., c, d as FP32 codes in hexadecimal."
        ),
    ],
    model: Annotated[
        Literal["v100", "a100", "ada", "h100"], typer.Option(help="The GPU that the file is from.")
    ],
    number_type: Annotated[Literal["fp16", "bf16"], typer.Option("--type", help="Of a and b.")],
    rtl: Annotated[
        bool, typer.Option("--rtl", help="Simulate the RTL in place of the golden model.")
    ] = False,
) -> None:
    """Compare the MAC baseline with a file of GPU results; status 1 if a bit differs."""
    from lutppa.baselines.golden_mac import GPUS
    from lutppa.baselines.vectors import TYPES, mismatches, read

    fmt = TYPES[number_type]
    different = mismatches(read(file, fmt), fmt, GPUS[model], rtl)
    print(f"{len(different)} vectors, {different.sum()} mismatches")
    raise typer.Exit(int(different.any()))
