"""Sections on the lookup itself: the best group, and broadcast."""

from __future__ import annotations

from plotly.graph_objects import Scatter

from ..fanout import buffers
from .model import Area, Missing, Plot, Results, Section, Table
from .style import MARKS, figure

__all__ = ["broadcast", "group"]

LIMITS = (8, 16, 32)
COLUMNS = (4, 8, 16, 32, 64, 128, 256)


STEP = range(20, 29)
"""Weights a step of the variants in the plot of groups: about as many for every group."""


def _plain(area: Area) -> bool:
    """Whether this is the product with weights of four bits and INT8 activations."""
    if area.role != "lut" or "w4" not in area.cycles or "w5" in area.cycles:
        return False
    return area.design["activations"] == ["int8"]


def group(results: Results) -> Section:
    """Area of a one-bit product by lookup group, counted and measured."""
    # Lanes do not depend on the tile: one area a variant.
    variants = {tuple(area.parameters.values()): area for area in results.areas if _plain(area)}
    found = list(variants.values())
    if len({area.parameters["lookup_group"] for area in found}) < 2:
        raise Missing("fewer than two lookup groups were measured")
    rows = []
    unit = results.unit
    plot = figure("lookup group g", f"{unit} a one-bit product, lanes")
    lines: dict[int, dict[int, float]] = {}
    names = ("table_bits", "lookup_group", "groups_per_step")
    found.sort(key=lambda area: tuple(area.parameters[name] for name in names))
    for area in found:
        t, g, groups = (area.parameters[name] for name in names)
        k = area.design["k"]
        parts = _counted(area)
        total = sum(parts.values())
        measured = area.arithmetic / area.products
        rows.append(
            [
                t,
                g,
                groups,
                k,
                *(value / k for value in parts.values()),
                total / k,
                measured,
                measured * k / total,
            ]
        )
        if k in STEP:
            lines.setdefault(t, {})[g] = measured
    for number, (t, line) in enumerate(sorted(lines.items())):
        plot.add_trace(
            Scatter(
                x=sorted(line),
                y=[line[g] for g in sorted(line)],
                mode="lines+markers",
                name=f"entries of {t} bits",
                marker={"symbol": MARKS[number % len(MARKS)], "size": 8},
            )
        )
    plot.update_xaxes(dtick=1)
    best = {t: min((value, g) for g, value in line.items()) for t, line in sorted(lines.items())}
    text = [
        "A larger group looks more weights up at once, but its table has 2^(g-1) entries. First "
        "principles, for a bit of entry and a weight: selection (2^(g-1) - 1)/g multiplexers, "
        "negation 1/g exclusive-ors, addition 1/g full adders; pairs have three entries or none "
        "instead, and no negation; and, over the k weights of a step, the accumulator with its "
        "adder, register, clear and shift. Counts are of the smallest cells of the library; "
        "measured is the mapped lane.",
        f"Best measured at {STEP[0]} to {STEP[-1]} weights a step: "
        + "; ".join(f"{t}-bit entries g = {g} at {v:.3f} {unit}" for t, (v, g) in best.items())
        + ".",
    ]
    columns = [
        "bits of an entry",
        "g",
        "G",
        "weights a step",
        "selection",
        "negation",
        "addition",
        "accumulator",
        "counted",
        "measured",
        "measured / counted",
    ]
    return Section(
        "The best lookup group",
        text,
        [Table("lookup_group", f"{unit} a one-bit product", columns, rows, 3)],
        [Plot(f"Measured lanes of {STEP[0]} to {STEP[-1]} weights a step", plot)],
    )


def _counted(area: Area) -> dict[str, float]:
    """First principles for a lane: what its parts need in the smallest cells."""
    cell = area.record.figures["gates"]
    g, groups, t = (
        area.parameters[name] for name in ("lookup_group", "groups_per_step", "table_bits")
    )
    # A pair has three entries and none, and no sign.
    lines = 2 * cell["mux"] + cell["and"] if g == 2 else ((1 << (g - 1)) - 1) * cell["mux"]
    # A tree of G terms: G - 1 adders, each a bit wider at every level.
    tree, width, terms = 0, t, groups
    while terms > 1:
        width += 1
        tree += terms // 2 * width
        terms -= terms // 2
    return {
        "selection": groups * t * lines,
        "negation": groups * t * (cell["xor"] if g > 2 else 0),
        "addition": tree * cell["full_adder"],
        "accumulator": area.parameters["psum_bits"]
        * (cell["full_adder"] + cell["flip_flop"] + cell["mux"]),
    }


def broadcast(results: Results) -> Section:
    """Loads on table and weight wires, and the buffers that areas leave out, by n."""
    records = results.of_kind("fanout")
    if not records:
        raise Missing("no fan-out was counted")
    rows = []
    unit = results.unit
    plot = figure("columns n", "area of buffers / area of lanes", log_x=True)
    for number, record in enumerate(records):
        figures, variant = record.figures, Area(record).variant
        m = figures["m"]
        shares = []
        for n in COLUMNS:
            counted = {limit: 0 for limit in LIMITS}
            worst: dict[str, int] = {}
            for name, wires in figures["broadcasts"].items():
                instances = {"n": n, "m": m, "m n": m * n}[wires["instances"]]
                bundles = {"n": m, "m": n, "m n": 1}[wires["instances"]]
                worst[name] = max(wires["pins"], default=0) * instances
                for limit in LIMITS:
                    counted[limit] += bundles * sum(
                        buffers(pins * instances, limit) for pins in wires["pins"]
                    )
            lanes = m * n * figures["lane_area"]
            areas = [counted[limit] * figures["buffer_area"] / lanes for limit in LIMITS]
            rows.append(
                [
                    variant,
                    m,
                    n,
                    *(worst.get(b, 0) for b in ("tables", "weights", "control")),
                    *(counted[limit] for limit in LIMITS),
                    areas[1],
                ]
            )
            shares.append(areas[1])
        plot.add_trace(
            Scatter(
                x=list(COLUMNS),
                y=shares,
                name=variant,
                mode="lines+markers",
                marker={"symbol": MARKS[number % len(MARKS)], "size": 8},
            )
        )
    plot.update_xaxes(tickvals=list(COLUMNS))
    plot.update_yaxes(tickformat=".1%")
    columns = [
        "variant",
        "m",
        "n",
        "loads: table wire",
        "weight wire",
        "control wire",
        *(f"buffers at {limit}" for limit in LIMITS),
        f"area at {LIMITS[1]} / lanes",
    ]
    figures = records[0].figures
    return Section(
        "Broadcast: what sharing tables and weights costs in buffers",
        [
            "Every table wire is read by n lanes, every weight wire by m, every control wire by "
            "all. Loads are gate inputs, counted in the mapped lane and multiplied by the lanes "
            "on the wire; the most loaded wire of each kind is shown. Buffers make a tree in "
            "which no driver has more loads than the limit. Their area is in no other figure of "
            f"this page: {figures['buffer']} at {figures['buffer_area']:.3f} {unit}, beside the "
            "area of the lanes.",
        ],
        [
            Table(
                "broadcast",
                "Loads, buffers by limit, and their area beside the lanes",
                columns,
                rows,
                3,
            )
        ],
        [Plot("Buffers for at most 16 loads on a driver", plot)],
    )
