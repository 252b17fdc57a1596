"""The section on the width of weights, and where lookup stops paying."""

from __future__ import annotations

from plotly.graph_objects import Scatter

from .model import Missing, Plot, Results, Section, Table
from .style import COLOURS, MARKS, figure

__all__ = ["by_width"]

OPPONENTS = ("mac", "native", "add", "full")
BITS = range(1, 9)


def by_width(results: Results) -> Section:
    """Area of a product against the width of weights, for each role."""
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for activations in ("int8", "fp16"):
        for role in ("lut", *OPPONENTS):
            line = {}
            for bits in BITS:
                best = results.best(f"w{bits}", activations, role)
                if best:
                    line[bits] = best.per_product(f"w{bits}")
            if line:
                lines[role, activations] = line
    if not any(len(line) > 1 for line in lines.values()):
        raise Missing("only one width of weights was measured")
    unit = results.unit
    plot = figure("bits of a weight", f"{unit} a product, arithmetic only", log_y=True)
    rows = []
    roles = ("lut", *OPPONENTS)
    for (role, activations), line in lines.items():
        place = roles.index(role)
        plot.add_trace(
            Scatter(
                x=list(line),
                y=list(line.values()),
                name=f"{role}, {activations}",
                mode="lines+markers",
                line={
                    "color": COLOURS[place],
                    "dash": "solid" if activations == "int8" else "dot",
                },
                marker={"symbol": MARKS[place], "size": 8},
            )
        )
        loses = [
            _loses(lines.get(("lut", activations), {}), line) if role != "lut" else "",
        ]
        rows.append([role, activations, *(line.get(b) for b in BITS), *loses])
    plot.update_xaxes(dtick=1)
    columns = ["design", "activations", *(f"{b} bit" for b in BITS), "smaller than lookup"]
    text = [
        "The lanes compute any width up to that of their accumulator, a cycle for every bit, so "
        "that their area for a product grows in proportion. A multiplier costs the same for any "
        "width that it takes; a native design is built for one width and takes no other. Each "
        "figure is that of the smallest variant that computes this width. The last column says "
        "from which width on the design is smaller than lookup lanes of the same activations.",
    ]
    caption = f"{unit} a product, arithmetic only, best variant and tile"
    return Section(
        "Area against the width of weights",
        text,
        [Table("widths", caption, columns, rows)],
        [Plot(caption, plot)],
    )


def _loses(lut: dict[int, float], other: dict[int, float]) -> str:
    """From which width on another design is smaller."""
    both = [bits for bits in BITS if bits in lut and bits in other]
    smaller = [bits for bits in both if other[bits] < lut[bits]]
    if not both:
        return "not comparable"
    if not smaller:
        return f"at none of {both[0]} to {both[-1]} bits"
    if smaller == both[both.index(smaller[0]) :]:
        return f"from {smaller[0]} bits"
    return "at " + ", ".join(map(str, smaller)) + " bits"
