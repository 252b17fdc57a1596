"""The section on the shape of a tile: m n k = 512 as published, and up to 4,096."""

from __future__ import annotations

from plotly.graph_objects import Bar

from .model import LARGEST, ROLES, Area, Missing, Plot, Results, Section, Table
from .style import bars

__all__ = ["tiles"]

TILE = 512
PARTS = ("lanes", "tables", "precompute", "rescale", "weights", "rest")


def tiles(results: Results) -> Section:
    """Cores of 512 one-bit products a cycle by shape, and the best shape of larger ones."""
    found = [
        area
        for area in results.areas
        if area.role == "lut"
        and area.products == TILE
        and area.design["activations"] == ["int8"]
        and (area.parameters["lookup_group"], area.parameters["weight_bits"]) == (4, 4)
        and area.parameters["table_bits"] == 9
    ]
    if len(found) < 2:
        raise Missing(f"fewer than two tiles with m n k = {TILE} were measured")
    found.sort(key=lambda area: (area.design["k"], area.design["m"]))
    unit = results.unit
    plot = bars(f"{unit} a product of a 4-bit weight", len(found))
    parts = [_parts(area) for area in found]
    for label in PARTS:
        values = [part[label] for part in parts]
        plot.add_trace(Bar(x=values, y=[a.tile for a in found], name=label, orientation="h"))
    rows = [
        [area.tile, *(part[label] for label in PARTS), sum(part.values())]
        for area, part in zip(found, parts, strict=True)
    ]
    columns = ["m x n x k", *PARTS, "all in"]
    lanes = min(found, key=lambda area: sum(_parts(area)[name] for name in PARTS[:2]))
    whole = min(found, key=lambda area: area.per_product("w4", all_in=True))
    return Section(
        "The tile: shapes with m n k = 512, and larger ones",
        [
            "Tables cost with m, weights with n; lanes are m n. A long tile reads each table from "
            "many lanes. The epilogue works on a column's m rows at a time and is as fast as the "
            "lanes need it, so that its area hardly depends on the shape.",
            f"Published best is 2 x 64 x 4. Here lanes and tables are smallest at {lanes.tile}, "
            f"the whole at {whole.tile}.",
        ],
        [
            Table("tiles", f"{unit} a product of a 4-bit weight, A-INT8", columns, rows, 3),
            _larger(results),
        ],
        [Plot("Where the area of a product goes, m n k = 512", plot)],
    )


def _parts(area: Area) -> dict[str, float]:
    """Area of a product of a weight of four bits, by part."""
    scale = area.cycles["w4"] / area.products
    parts = {"lanes": area.arithmetic, **area.record.figures["parts"]}
    found = {name: parts[name] * scale for name in PARTS[:-1]}
    return {**found, "rest": area.all_in * scale - sum(found.values())}


def _larger(results: Results) -> Table:
    """The best shape of every design, by products a cycle."""
    rows = []
    for role in ROLES:
        for activations, weights in (("int8", "w2"), ("fp16", "w1")):
            sizes = sorted({a.products for a in results.areas if a.products <= LARGEST})
            for products in sizes:
                best = results.best(weights, activations, role, True, products)
                if best:
                    own = [best.per_product(weights, all_in) for all_in in (False, True)]
                    pair = f"{weights.upper()} A-{activations.upper()}"
                    rows.append([role, pair, products, *own, best.tile, best.variant])
    columns = ["design", "formats", "products a cycle", "arithmetic only", "all in"]
    columns += ["best m x n x k", "variant"]
    caption = f"Best shape of each size that was measured, {results.unit} a product"
    return Table("tile_sizes", caption, columns, rows, 3)
