"""`lutcore types`: every weight type, how it reaches the lanes, and what that costs."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from lutblas.lowering import lower
from lutblas.types import TYPES

from .options import ConfigOption, PresetOption, configuration

__all__ = ["types"]


def types(preset: PresetOption = None, config: ConfigOption = None) -> None:
    """List the weight types: bits, route to the lanes, planes, cycles a weight, losslessness."""
    chosen = configuration(preset, config)
    table = Table(box=box.SIMPLE)
    for heading in ("type", "bits a weight", "block", "scale", "route"):
        table.add_column(heading, no_wrap=True)
    for heading in ("planes", "passes", "cycles a weight", "of lookup"):
        table.add_column(heading, justify="right")
    table.add_column("lossless")
    for dtype in TYPES.values():
        route = lower(dtype, chosen)
        table.add_row(
            dtype.name,
            dtype.storage,
            "any" if dtype.group is None else str(dtype.group),
            " + ".join(filter(None, (dtype.scale, dtype.offset and "offset"))),
            route.kind,
            str(route.planes),
            str(route.passes),
            f"{route.cycles:.3f}",
            f"{route.lookup_cycles:.3f}",
            "yes" if route.lossless else f"within {float(route.error):.3g} scales",
        )
    console = Console(width=max(120, Console().width))
    console.print(
        f"core {chosen.name}: M{chosen.m} N{chosen.n} K{chosen.k}, {chosen.weight_bits} planes a "
        f"pass; a cycle serves {chosen.m} x {chosen.n} outputs",
        highlight=False,
    )
    console.print(table)
    console.print("codebook: any 2 to 256 FP32 levels, from the file", highlight=False)
