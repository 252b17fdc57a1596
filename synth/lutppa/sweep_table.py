"""A sweep on screen: a line a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from .measure import Record

__all__ = ["label", "table"]


def _summary(record: Record) -> str:
    figures = record.figures
    if record.error:
        return record.error
    if "clock_ps" in figures:
        met = "met" if figures["length_ps"] <= figures["clock_ps"] else "missed"
        return (
            f"{figures['clock_ps']:,.0f} ps {met}: longest path {figures['length_ps']:,.0f} ps, "
            f"{figures['all_in']:,.0f} µm², without clock {figures['all_in_unclocked']:,.0f}"
        )
    if "all_in" in figures:
        unit = "NAND2" if figures["unit"] == "NAND2" else "µm²"
        return f"{figures['arithmetic']:,.0f} {unit} arithmetic, {figures['all_in']:,.0f} all in"
    if "luts" in figures:
        clock = f"{figures['fmax_mhz']} MHz" if figures["fmax_mhz"] else figures["note"]
        parts = ", ".join(f"{figures[k]:,} {k}" for k in ("luts", "flip_flops", "dsps", "memories"))
        return f"{parts.replace('_', '-')}; {clock}"
    if "fj" in figures:
        return f"{figures['fj']:.2f} fJ a product"
    if "broadcasts" in figures:
        return ", ".join(
            f"{name}: {len(found['pins'])} wires" for name, found in figures["broadcasts"].items()
        )
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def label(point: Mapping[str, Any], common: Mapping[str, Any]) -> str:
    """A point in a line, without what it has in common with the others."""
    return " ".join(
        str(value) if key in ("kind", "design", "preset") else f"{key}={value}"
        for key, value in point.items()
        if common.get(key) != value
    )


def table(records: Sequence[Record]) -> Table:
    """Every point with its main figures or its error."""
    shown = Table("point", "figures", "seconds", box=box.SIMPLE_HEAD, padding=(0, 1))
    shown.columns[2].justify = "right"
    points = [record.point for record in records]
    first = points[0]
    common = {k: v for k, v in first.items() if all(point.get(k) == v for point in points)}
    shown.caption = f"all points: {label(common, {})}" if common else None
    for record in records:
        seconds = "kept" if record.cached else f"{record.seconds:.1f}"
        style = "red" if record.error else ""
        shown.add_row(label(record.point, common), _summary(record), seconds, style=style)
    return shown
