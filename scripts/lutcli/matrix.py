"""`lutcore matrix`: every activation type times every weight type, checked, as a table."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .options import ConfigOption, PresetOption, configuration

__all__ = ["matrix"]


def matrix(
    preset: PresetOption = None,
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(help="Of the operands.")] = 1,
) -> None:
    """Check oracle, golden model and RTL on every combination of number formats."""
    chosen = configuration(preset, config)
    # Imported here: it loads Amaranth and the benches.
    from lutblas.matrix import Combination, Mismatch, combinations
    from lutblas.types import TYPES

    console = Console(width=max(100, Console().width))
    found: dict[str, dict[str, Combination]] = {}
    outputs = 0
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(chosen.name, total=(len(TYPES) + 1) * len(chosen.activations))
            for item in combinations(chosen, seed):
                found.setdefault(item.weight_type, {})[item.activation_type] = item
                outputs += item.outputs
                progress.advance(task)
    except Mismatch as error:
        print(error)
        raise typer.Exit(1) from None
    table = Table(box=box.SIMPLE)
    table.add_column("weights")
    table.add_column("planes", justify="right")
    for name in chosen.activations:
        table.add_column(name, justify="right")
    for name, row in found.items():
        planes = str(next(iter(row.values())).planes)
        cells = ["=" if item.exact else f"{item.error:.2f}" for item in row.values()]
        table.add_row(name, planes, *cells)
    console.print(table)
    console.print(
        "=: every output is the FP32 number nearest to the exact product; otherwise the largest "
        "error as a part of its bound",
        highlight=False,
    )
    console.print(
        f"{len(found)} weight types x {len(chosen.activations)} activation types on core "
        f"{chosen.name}, {outputs} outputs: within bounds, and RTL and golden model agree in every "
        f"bit",
        highlight=False,
    )
