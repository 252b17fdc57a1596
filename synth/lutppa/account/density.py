"""Sections on density: by format pair, by width of weights, and the front of area and density."""

from __future__ import annotations

from plotly.graph_objects import Scatter

from .model import Area, Missing, Plot, Results, Section, Table, least
from .style import MARKS, figure

__all__ = ["by_format", "by_width", "front"]

WIDTHS = (1, 2, 4, 8)


def tops(per_product: float) -> float:
    """Tera operations a second per mm2 and GHz, at two operations a product; area in um2."""
    return 2e3 / per_product


def by_format(results: Results) -> Section:
    """Density of every design for every pair of formats, and the ratio to the MAC core."""
    if not results.areas:
        raise Missing("no areas were measured")
    groups: dict[tuple[str, str], list[Area]] = {}
    for area in results.areas:
        groups.setdefault((area.role, area.activations), []).append(area)
    process = results.unit != "NAND2"
    measure = ["TOPS/mm² a GHz"] if process else []
    rows = []
    for (role, activations), areas in sorted(groups.items()):
        for bits in WIDTHS:
            able = [area for area in areas if bits in area.widths]
            best = least(able, lambda area, b=bits: area.per_product(b))
            whole = least(able, lambda area, b=bits: area.per_product(b, all_in=True))
            if not best or not whole:
                continue
            lanes, everything = best.per_product(bits), whole.per_product(bits, all_in=True)
            ratios = []
            for all_in, own in ((False, lanes), (True, everything)):
                mac = results.best(bits, activations, "mac", all_in)
                ratios.append(mac.per_product(bits, all_in) / own if mac else None)
            rows.append(
                [
                    role,
                    f"W{bits}",
                    activations,
                    best.variant,
                    best.tile,
                    lanes,
                    lanes / results.nand2,
                    *([tops(lanes)] if process else []),
                    ratios[0],
                    whole.variant,
                    whole.tile,
                    everything,
                    *([tops(everything)] if process else []),
                    ratios[1],
                ]
            )
    unit = results.unit
    columns = [
        "design",
        "weights",
        "activations",
        "best lanes",
        "m x n x k",
        f"arithmetic, {unit} a product",
        "NAND2",
        *measure,
        "against MAC",
        "best all in",
        "m x n x k",
        f"all in, {unit} a product",
        *measure,
        "against MAC",
    ]
    macs = any(area.role == "mac" for area in results.areas)
    return Section(
        "Density by design and format",
        [
            "Area that one product of a weight and an activation needs each cycle. A bit-serial "
            "core takes a cycle for every bit of a weight, so that its area counts as often. "
            "Arithmetic only is the lanes with their accumulators, tables outside, as papers "
            "count; all in is everything. For each pair the table shows the variant that is best "
            "in that respect: g activations in a table, G tables a step, entries of t bits.",
            *([] if macs else ["No MAC core was measured in this run, so there are no ratios."]),
        ],
        [Table("density", f"Density, {unit} on the library named above", columns, rows, 3)],
    )


def by_width(results: Results) -> Section:
    """Area of a product against the width of weights, for each role."""
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for area in results.areas:
        for bits in area.widths:
            # A core built for wider weights has a wider accumulator: the best for this width.
            line = lines.setdefault((area.role, area.activations), {})
            value = area.per_product(bits)
            line[bits] = min(value, line.get(bits, value))
    if not any(len(line) > 1 for line in lines.values()):
        raise Missing("only one width of weights was measured")
    plot = figure("bits of a weight", f"{results.unit} a product, arithmetic only")
    rows = []
    for number, ((role, activations), line) in enumerate(sorted(lines.items())):
        name = f"{role}, {activations}"
        bits = sorted(line)
        plot.add_trace(
            Scatter(
                x=bits,
                y=[line[b] for b in bits],
                name=name,
                mode="lines+markers",
                marker={"symbol": MARKS[number % len(MARKS)], "size": 8},
            )
        )
        stops = None
        others = [r for r in ("mac", "add", "native") if (r, activations) in lines]
        if role == "lut" and others:
            stops = next(
                (
                    b
                    for b in bits
                    if any(lines[r, activations].get(b, float("inf")) < line[b] for r in others)
                ),
                None,
            )
        rows.append([role, activations, *(line.get(b) for b in range(1, 9)), stops])
    plot.update_xaxes(dtick=1)
    columns = ["design", "activations", *(f"{b} bit" for b in range(1, 9)), "lookup loses from"]
    text = [
        "The lanes compute any width, a cycle for every bit, so that their area for a product "
        "grows in proportion. The last column is the first width at which a measured opponent "
        "of the same activations is smaller; it is empty where there is none, or none was "
        "measured."
    ]
    caption = f"{results.unit} a product, arithmetic only, best variant"
    return Section(
        "Area against the width of weights",
        text,
        [Table("widths", caption, columns, rows)],
        [Plot(caption, plot)],
    )


def front(results: Results) -> Section:
    """Points that no other beats in both total area and area of a product, all in."""
    able = [area for area in results.areas if 1 in area.widths]
    if len(able) < 2:
        raise Missing("fewer than two areas were measured for weights of one bit")
    plot = figure(
        f"whole core, {results.unit}",
        f"{results.unit} a one-bit product, all in",
        log_x=True,
        log_y=True,
    )
    rows, best = [], float("inf")
    ordered = sorted(able, key=lambda area: (area.all_in, area.per_product(1, all_in=True)))
    edge: list[Area] = []
    for area in ordered:
        if area.per_product(1, all_in=True) < best:
            best = area.per_product(1, all_in=True)
            edge.append(area)
    names = sorted({(area.role, area.activations) for area in able})
    for number, (role, activations) in enumerate(names):
        chosen = [a for a in able if (a.role, a.activations) == (role, activations)]
        plot.add_trace(
            Scatter(
                x=[area.all_in for area in chosen],
                y=[area.per_product(1, all_in=True) for area in chosen],
                text=[f"{area.tile}; {area.variant}" for area in chosen],
                hovertemplate="%{text}<br>%{x:,.0f} in all, %{y:.2f} a product",
                name=f"{role}, {activations}",
                mode="markers",
                marker={"symbol": MARKS[number % len(MARKS)], "size": 9},
            )
        )
    x, y = ([a.all_in for a in edge], [a.per_product(1, all_in=True) for a in edge])
    plot.add_trace(
        Scatter(
            x=x,
            y=y,
            name="front",
            mode="lines",
            line={"shape": "hv", "color": "#22272e", "width": 1.5},
        )
    )
    for area in edge:
        per = area.per_product(1, all_in=True)
        rows.append(
            [
                area.role,
                area.activations,
                area.tile,
                area.variant,
                area.products,
                area.all_in,
                per,
                area.arithmetic / area.all_in,
            ]
        )
    columns = [
        "design",
        "activations",
        "m x n x k",
        "variant",
        "one-bit products a cycle",
        f"all in, {results.unit}",
        f"{results.unit} a product",
        "share of lanes",
    ]
    return Section(
        "The front: size of a core against its density",
        [
            "Precompute and rescale are shared, so a large core is denser than a small one. "
            "Points on the line are not beaten in both respects by any measured point."
        ],
        [Table("front", "Points on the front, weights of one bit", columns, rows, 3)],
        [Plot("Every measured point; below and to the left is better", plot)],
    )
