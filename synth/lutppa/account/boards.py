"""The section on FPGAs."""

from __future__ import annotations

from ..fpga import NOTES
from .model import Missing, Results, Section, Table

__all__ = ["boards"]

WEIGHTS = "w4"
"""Weights of the product that a column divides by."""

LANES = {"lane", "decoder", "column"}
"""Units that are arithmetic only, of whatever design."""


def boards(results: Results) -> Section:
    """What designs need of an FPGA, and the clock after routing."""
    records = results.of_kind("fpga")
    if not records:
        raise Missing("no FPGA was asked for; points of kind fpga would do that")
    rows = []
    for record in records:
        f, design = record.figures, record.figures["design"]
        tile = " x ".join(str(design[name]) for name in ("m", "n", "k"))
        products = design["m"] * design["n"] * design["k"]
        cycles = design["cycles"].get(WEIGHTS)
        lanes = sum(unit["luts"] for name, unit in f.get("units", {}).items() if name in LANES)
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
                lanes * cycles / products if lanes and cycles else None,
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
        f"LUTs of lanes a {WEIGHTS.upper()} product",
        "Fmax, MHz",
        "device",
    ]
    text = [
        *NOTES,
        "Of a baseline the whole is its array with operand registers, without epilogue.",
    ]
    return Section("On FPGAs", text, [Table("fpga", "By family", columns, rows, 1)])
