"""The section on the clock: what meeting one costs each design."""

from __future__ import annotations

from .model import Area, Missing, Results, Section, Table

__all__ = ["clock"]


def clock(results: Results) -> Section:
    """Area of every design that was fitted to a clock, and whether it meets it."""
    records = results.of_kind("clock")
    if not records:
        raise Missing("no clock was asked for; it needs the library of a process")
    rows = []
    for record in records:
        f, area = record.figures, Area(record)
        rows.append(
            [
                area.role,
                area.activations,
                f["clock_ps"],
                f["length_ps"],
                "met" if f["length_ps"] <= f["clock_ps"] else "missed",
                f["unclocked_ps"],
                f["arithmetic"] / area.products,
                f["arithmetic"] / f["arithmetic_unclocked"],
                f["all_in"] / f["all_in_unclocked"],
                f["buffer_area"] / f["all_in"],
                area.tile,
                area.variant,
            ]
        )
    columns = ["design", "activations", "clock, ps", "longest path, ps", "clock", "path without"]
    columns += ["µm² a step's product", "times without clock", "all in, times", "share of buffers"]
    columns += ["m x n x k", "variant"]
    missed = sorted({row[0] for row in rows if row[4] == "missed"})
    short = (
        f"Missed by variants of {', '.join(missed)}: registers inside (stages) would be the way; "
        "ratios of area on this page hold without a clock."
        if missed
        else "All meet it."
    )
    return Section(
        "At one clock",
        [
            "Everywhere else on this page designs are mapped for the smallest area, without a "
            "clock. Here each module takes the smallest of several mappings with which the whole "
            "meets the clock; nets with many loads get buffers, cells their drive strengths. The "
            "longest path is the shortest clock that it would meet. Tiles are small; wires are "
            "not counted.",
            short,
        ],
        [Table("clock", "Fitted to a clock, beside the smallest area", columns, rows)],
    )
