"""The section on FPGAs."""

from __future__ import annotations

from ..fpga import NOTES
from .model import Missing, Results, Section, Table

__all__ = ["boards"]


def boards(results: Results) -> Section:
    """What designs need of an FPGA, and the clock after routing."""
    records = results.of_kind("fpga")
    if not records:
        raise Missing("no FPGA was asked for; the sweep `fpga` does that")
    rows = []
    for record in records:
        f, design = record.figures, record.figures["design"]
        tile = " x ".join(str(design[name]) for name in ("m", "n", "k"))
        what = record.point.get("unit") or "whole"
        rows.append(
            [
                design["role"],
                what,
                tile,
                "+".join(design["activations"]),
                f["family"],
                f["luts"],
                f["flip_flops"],
                f["dsps"],
                f["memories"],
                f["fmax_mhz"],
                f["device"] or f["note"],
            ]
        )
    columns = [
        "design",
        "unit",
        "m x n x k",
        "activations",
        "family",
        "LUTs",
        "flip-flops",
        "DSPs",
        "memories",
        "Fmax, MHz",
        "device",
    ]
    return Section("On FPGAs", list(NOTES), [Table("fpga", "By family", columns, rows, 1)])
