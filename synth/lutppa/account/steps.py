"""Sections that go from one design to another in steps: the ablation, and what each step earns."""

from __future__ import annotations

from dataclasses import dataclass

from plotly.graph_objects import Scatter, Waterfall

from .model import Area, Missing, Plot, Results, Section, Table
from .style import COLOURS, figure

__all__ = ["ablation", "waterfall"]

UNIT = 16
"""Columns that share tables in a unit of the UNPU-like design."""


@dataclass(frozen=True)
class Step:
    """A design on the way, and what it changes.

    readers  columns that share its tables; 0 for any number
    group    activations in a table; 0 for any number
    """

    role: str
    activations: str
    label: str
    readers: int = 0
    group: int = 0

    def best(self, results: Results, weights: str) -> Area | None:
        """The smallest with tables of `results`; lanes and tables count."""
        able = [
            area
            for area in results.areas
            if area.role == self.role
            and area.activations == self.activations
            and weights in area.cycles
            and (not self.readers or area.parameters.get("readers", self.readers) == self.readers)
            and (not self.group or area.parameters.get("lookup_group") == self.group)
        ]
        return min(able, key=lambda area: with_tables(area, weights), default=None)


def with_tables(area: Area, weights: str) -> float:
    """Area of a product, of all but the epilogue and the search for a block's exponent."""
    parts = area.record.figures["parts"]
    outside = parts.get("rescale", 0.0) + parts.get("dequantise", 0.0)
    outside += parts["precompute"] if area.role == "lut" else 0.0
    # Lanes that wait for their epilogue are the fault of the epilogue.
    cycles = 1
    if area.role not in ("mac", "native"):
        cycles = 2 if weights == "ternary" else int(weights[1:])
    return (area.all_in - outside) * cycles / area.products


ABLATION = (
    Step("unpu", "int8", f"UNPU-like: full tables, a set for {UNIT} columns", UNIT),
    Step("unpu_reinterpreted", "int8", "weights reinterpreted: half a table", UNIT),
    Step("unpu_folded", "int8", "no negation on the index", UNIT),
    Step("unpu_folded", "int8", "precompute shared by all columns", 64),
    Step("lut", "int8", "this core, g = 4: parity apart, no hold, carries for negation", 0, 4),
    Step("lut", "int8", "this core, best lookup group"),
)
"""From the bit-serial original to the product."""

ATTRIBUTION = (
    Step("mac", "fp16", "FP16 multiply-accumulate"),
    Step("mac", "int8", "shared block exponent, integer lanes"),
    Step("native", "int8", "narrow weights"),
    Step("add", "int8", "bit-serial: free in width"),
    Step("full", "int8", "lookup: full tables"),
    Step("lut", "int8", "half tables, shared"),
)
"""From the FP16 core to the product."""


def ablation(results: Results) -> Section:
    """The steps from a bit-serial lookup core to this one, W2 A-INT8."""
    section = _steps(
        results,
        ABLATION,
        "w2",
        "ablation",
        "The ablation: from UNPU to this core",
        "Each step changes one thing; weights of two bits, activations in INT8 and summed "
        "exactly; lanes, tables, what fills them, and registers, without the epilogue. The "
        "published steps are 17,272, 13,117, 12,780 and 11,991 µm² (1.32, 1.35 and 1.44 times "
        "smaller) for two of their planes.",
    )
    shared = Step("unpu", "int8", "", 64).best(results, "w2")
    ours = ABLATION[-1].best(results, "w2")
    if shared and ours:
        ratio = with_tables(shared, "w2") / with_tables(ours, "w2")
        section.text.append(
            "An UNPU-like core whose tables all 64 columns share, which takes from it what it "
            f"lacks most, needs {ratio:.2f} times the area of this core."
        )
    return section


def waterfall(results: Results) -> Section:
    """What each step from the FP16 MAC core to this one earns, for one-bit weights."""
    return _steps(
        results,
        ATTRIBUTION,
        "w1",
        "attribution",
        "Which step earns what: from FP16 multiply-accumulate to this core",
        "Area of a product of a one-bit weight, lanes, tables and registers without the epilogue, "
        "from step to step. Integer lanes stand for FP16 activations that share an exponent. A "
        "step that is worse than the one before buys something else: bit-serial designs compute "
        "weights of any width.",
    )


def _steps(
    results: Results, wanted: tuple[Step, ...], weights: str, name: str, title: str, text: str
) -> Section:
    found: list[tuple[str, Area]] = []
    absent: list[str] = []
    for step in wanted:
        area = step.best(results, weights)
        if area:
            found.append((step.label, area))
        else:
            absent.append(f"{step.role} in {step.activations}")
    if len(found) < 2 or found[0][0] != wanted[0].label:
        raise Missing(f"not measured: {', '.join(absent)}")
    values = [with_tables(area, weights) for _, area in found]
    numbers = [f"{i}" for i in range(1, len(found) + 1)]
    changes = [values[0], *(b - a for a, b in zip(values, values[1:], strict=False))]
    plot = figure("step, as numbered in the table", f"{results.unit} a product")
    kinds = ["absolute", *["relative"] * (len(values) - 1)]
    plot.add_trace(
        Waterfall(
            x=numbers,
            y=changes,
            measure=kinds,
            name=name,
            hovertext=[label for label, _ in found],
            decreasing={"marker": {"color": COLOURS[2]}},
            increasing={"marker": {"color": COLOURS[3]}},
            totals={"marker": {"color": COLOURS[0]}},
        )
    )
    # Above every bar; a waterfall would write below those that go down, into the axis.
    tops = [max(pair) for pair in zip([values[0], *values], values, strict=False)]
    plot.add_trace(
        Scatter(
            x=numbers,
            y=tops,
            text=[f"{value:.2f}" for value in values],
            mode="text",
            textposition="top center",
            hoverinfo="skip",
            cliponaxis=False,
        )
    )
    plot.update_layout(showlegend=False)
    plot.update_xaxes(type="category")
    rows = [
        [number, label, value, before / value, values[0] / value, area.role, area.activations,
         area.tile, area.variant]
        for number, (label, area), value, before in zip(
            numbers, found, values, [values[0], *values], strict=False
        )
    ]  # fmt: skip
    columns = ["step", "what it changes", f"{results.unit} a product", "times smaller"]
    columns += ["than the first", "design", "activations", "m x n x k", "variant"]
    texts = [text, f"Not measured in this run: {', '.join(absent)}."] if absent else [text]
    caption = "Labels: area of a product after the step"
    return Section(title, texts, [Table(name, title, columns, rows, 3)], [Plot(caption, plot)])
