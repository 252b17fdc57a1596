"""Sections that go from one design to another in steps: the ablation, and what each step earns."""

from __future__ import annotations

from plotly.graph_objects import Waterfall

from .model import Area, Missing, Plot, Results, Section, Table
from .style import figure

__all__ = ["ablation", "waterfall"]

ABLATION = (
    ("unpu", "UNPU-like"),
    ("unpu_reinterpreted", "weights reinterpreted: half a table"),
    ("unpu_folded", "no negation on the index"),
    ("lut", "precompute shared: this core"),
)
"""Roles of designs and what each step changes, from the bit-serial original to the product."""

ATTRIBUTION = (
    ("mac", "fp16", "FP16 multiply-accumulate"),
    ("mac", "int8", "shared block exponent, integer lanes"),
    ("native", "int8", "narrow weights"),
    ("add", "int8", "bit-serial, without tables"),
    ("table", "int8", "lookup, a table for each unit"),
    ("lut", "int8", "half tables, shared by all columns"),
)
"""Roles, activations and what each step changes, from the FP16 core to the product."""


def ablation(results: Results) -> Section:
    """The four steps from a bit-serial lookup core to this one, W2 A-INT8."""
    return _steps(
        results,
        [(role, "int8", label) for role, label in ABLATION],
        2,
        "ablation",
        "The ablation: four steps from UNPU to this core",
        "Each step changes one thing; weights of two bits, activations in INT8, arithmetic and "
        "tables of the variant that is best.",
    )


def waterfall(results: Results) -> Section:
    """What each step from the FP16 MAC core to this one earns, for one-bit weights."""
    return _steps(
        results,
        list(ATTRIBUTION),
        1,
        "attribution",
        "Which step earns what: from FP16 multiply-accumulate to this core",
        "Area of a product of a one-bit weight, arithmetic only, from step to step.",
    )


def _steps(
    results: Results,
    wanted: list[tuple[str, str, str]],
    bits: int,
    name: str,
    title: str,
    text: str,
) -> Section:
    found: list[tuple[str, Area]] = []
    absent: list[str] = []
    for role, activations, label in wanted:
        area = results.best(bits, activations, role)
        if area:
            found.append((label, area))
        else:
            absent.append(f"{role} in {activations}")
    if len(found) < 2:
        raise Missing(f"not measured: {', '.join(absent)}")
    values = [area.per_product(bits) for _, area in found]
    labels = [label for label, _ in found]
    changes = [values[0], *(b - a for a, b in zip(values, values[1:], strict=False))]
    plot = figure("", f"{results.unit} a product")
    kinds = ["absolute", *["relative"] * (len(values) - 1)]
    plot.add_trace(Waterfall(x=labels, y=changes, measure=kinds, name=name))
    rows = [
        [label, area.role, area.activations, area.tile, value, values[0] / value]
        for (label, area), value in zip(found, values, strict=True)
    ]
    columns = [
        "step",
        "design",
        "activations",
        "m x n x k",
        f"{results.unit} a product",
        "against the first",
    ]
    texts = [text, f"Not measured in this run: {', '.join(absent)}."] if absent else [text]
    return Section(title, texts, [Table(name, title, columns, rows, 3)], [Plot(title, plot)])
