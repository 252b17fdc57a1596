"""The section on the clock: what meeting one costs each design."""

from __future__ import annotations

from functools import partial

from ..measure import Record
from .model import ROLES, Area, Cell, Missing, Results, Section, Table, least, named

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
                "met" if _met(record) else "missed",
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
        f"Missed by variants of {', '.join(missed)}, by how much their longest paths say; these "
        "have no ratio."
        if missed
        else "All meet it."
    )
    tables = [Table("clock", "Fitted to a clock, beside the smallest area", columns, rows)]
    ratios = _ratios([Area(record) for record in records if _met(record)])
    if ratios:
        heads = ["weights", "activations", "design", "µm² a product", "this core's", "times"]
        caption = "Arithmetic only, of designs that meet the clock: the least of each"
        tables.append(Table("clock_ratios", caption, heads, ratios))
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
        tables,
    )


def _met(record: Record) -> bool:
    return record.figures["length_ps"] <= record.figures["clock_ps"]


def _ratios(areas: list[Area]) -> list[list[Cell]]:
    """Area of a product beside that of this core, for every format that both have."""
    found: list[list[Cell]] = []
    formats = dict.fromkeys((w, area.activations) for area in areas for w in area.cycles)
    for weights, activations in formats:
        fitting = [area for area in areas if weights in area.cycles]
        best = {
            role: least(
                (a for a in fitting if (a.role, a.activations) == (role, activations)),
                partial(Area.per_product, weights=weights),
            )
            for role in ROLES
        }
        ours = best.pop("lut")
        for role, theirs in best.items():
            if ours and theirs:
                pair = theirs.per_product(weights), ours.per_product(weights)
                found.append([named(weights), activations, ROLES[role], *pair, pair[0] / pair[1]])
    return found
