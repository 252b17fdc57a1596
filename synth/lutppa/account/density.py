"""Sections on density: by design and pair of formats, and the front of area and density."""

from __future__ import annotations

from plotly.graph_objects import Scatter

from .model import LARGEST, ROLES, WEIGHTS, Area, Missing, Plot, Results, Section, Table, named
from .style import COLOURS, MARKS, figure

__all__ = ["by_format", "front"]

TILE = 512
PAIRS = (("w1", "fp16"), ("w2", "fp16"), ("w1", "int8"), ("w2", "int8"), ("w4", "int8"))
"""Pairs of formats in the plot."""


def tops(per_product: float) -> float:
    """Tera operations a second per mm2 and GHz, at two operations a product; area in um2."""
    return 2e3 / per_product


def by_format(results: Results) -> Section:
    """Density of every design for every pair of formats, and the ratio to the MAC core."""
    if not results.areas:
        raise Missing("no areas were measured")
    unit = results.unit
    tables = [
        _table(results, f"density{end}{part}", f"{kind}, {tile}", products, all_in)
        for end, products, tile in (
            ("", None, f"best tile of up to {LARGEST:,} products a cycle"),
            (f"_{TILE}", TILE, f"best tile of {TILE} products a cycle"),
        )
        for part, all_in, kind in (("", False, "arithmetic only"), ("_all_in", True, "all in"))
    ]
    plot = figure("", f"{unit} a product, all in", log_y=True)
    names = [f"{named(w)} {a}" for w, a in PAIRS]
    for number, role in enumerate(("lut", "mac", "native", "add", "full")):
        best = [results.best(w, a, role, all_in=True) for w, a in PAIRS]
        values = [
            area.per_product(w, all_in=True) if area else None
            for area, (w, _) in zip(best, PAIRS, strict=True)
        ]
        if any(values):
            mark = {"color": COLOURS[number], "symbol": MARKS[number], "size": 12}
            plot.add_trace(Scatter(x=names, y=values, name=role, mode="markers", marker=mark))
    return Section(
        "Density by design and format",
        [
            "Area that one product of a weight and an activation needs each cycle. A bit-serial "
            "core takes a cycle for every bit of a weight, so that its area counts as often, and "
            "cycles in which a core waits for its epilogue count too. Arithmetic only is the lanes "
            "with their accumulators and what decodes weights for them; tables, registers of "
            "operands and the epilogue are outside, as papers count. All in is everything. Each "
            "figure is that of the variant and tile that is best in this respect. The columns "
            "“MAC”, “native” and “ADD” say how many times the area of a product of that design is "
            "the one of this row, in the same formats: above 1 this row is smaller.",
            "Designs: " + "; ".join(f"{name}: {text}" for name, text in ROLES.items()) + ".",
            "Activations “int8 in 8 bits” are rounded to tables of 8 bits; all other integers "
            "are summed exactly.",
        ],
        [table for table in tables if table.rows],
        [Plot(f"{unit} a product at the best tile, all in", plot)] if plot.data else [],
    )


def _table(results: Results, name: str, caption: str, products: int | None, all_in: bool) -> Table:
    pairs = sorted({(area.role, area.activations) for area in results.areas})
    pairs.sort(key=lambda pair: list(ROLES).index(pair[0]))
    process = results.unit != "NAND2"
    rows = []
    for role, activations in pairs:
        for weights in WEIGHTS:
            best = results.best(weights, activations, role, all_in, products)
            if best is None:
                continue
            own = best.per_product(weights, all_in)
            row: list[str | float | None] = [role, named(weights), activations, own]
            row += [own / results.nand2, tops(own)] if process else []
            for other in ("mac", "native", "add"):
                plain = activations.split(" ")[0]
                against = results.best(weights, plain, other, all_in, products)
                shown = against.per_product(weights, all_in) / own if against else None
                row.append(shown if role != other else None)
            rows.append([*row, best.tile, best.variant])
    columns = ["design", "weights", "activations", results.unit]
    columns += ["NAND2", "TOPS/mm² a GHz"] if process else []
    columns += ["MAC", "native", "ADD", "m x n x k", "variant"]
    return Table(name, f"A product: {caption}", columns, rows)


def front(results: Results) -> Section:
    """Points that no other beats in both total area and area of a product, all in."""
    able = [area for area in results.areas if "w1" in area.cycles and area.role in ROLES]
    if len(able) < 2:
        raise Missing("fewer than two areas were measured for weights of one bit")
    plot = figure(
        f"whole core, {results.unit}",
        f"{results.unit} a product",
        log_x=True,
        log_y=True,
    )
    kinds = sorted({area.activations.split(" ")[0] for area in able})
    marks = dict(zip(kinds, MARKS, strict=False))
    for number, role in enumerate(ROLES):
        chosen = [area for area in able if area.role == role]
        if chosen:
            symbols = [marks[area.activations.split(" ")[0]] for area in chosen]
            plot.add_trace(
                Scatter(
                    x=[area.all_in for area in chosen],
                    y=[area.per_product("w1", all_in=True) for area in chosen],
                    text=[f"{a.activations}; {a.tile}; {a.variant}" for a in chosen],
                    hovertemplate="%{text}<br>%{x:,.0f} in all, %{y:.2f} a product",
                    name=role,
                    mode="markers",
                    marker={"symbol": symbols, "color": COLOURS[number], "size": 9},
                )
            )
    edge = _edge(able)
    plot.add_trace(
        Scatter(
            x=[area.all_in for area in edge],
            y=[area.per_product("w1", all_in=True) for area in edge],
            name="front",
            mode="lines",
            line={"shape": "hv", "color": "#22272e", "width": 1.5},
        )
    )
    rows = [
        [
            area.role,
            area.activations,
            area.tile,
            area.variant,
            area.products,
            area.all_in,
            area.per_product("w1", all_in=True),
            area.arithmetic / area.all_in,
        ]
        for area in edge
    ]
    columns = [
        "design",
        "activations",
        "m x n x k",
        "variant",
        "one-bit products a cycle",
        f"all in, {results.unit}",
        f"{results.unit} a product",
        "share of arithmetic",
    ]
    return Section(
        "The front: size of a core against its density",
        [
            "What is shared costs a large core less, so it is denser than a small one. Points on "
            "the line are not beaten in both respects by any measured point, of whatever formats. "
            f"Marks: {'; '.join(f'{mark} {kind}' for kind, mark in marks.items())}."
        ],
        [Table("front", "Points on the front, weights of one bit", columns, rows, 3)],
        [Plot("Every measured point; below and to the left is better", plot)],
    )


def _edge(areas: list[Area]) -> list[Area]:
    edge: list[Area] = []
    best = float("inf")
    for area in sorted(areas, key=lambda a: (a.all_in, a.per_product("w1", all_in=True))):
        if area.per_product("w1", all_in=True) < best:
            best = area.per_product("w1", all_in=True)
            edge.append(area)
    return edge
