"""The section on energy: of a useful product, by design and format, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Bar

from ..measure import Record
from .model import ROLES, WEIGHTS, Area, Missing, Plot, Results, Section, Table, named
from .style import bars

__all__ = ["energy", "least", "ratio"]

CLASSES = ("data", "clock", "internal", "leakage")


@dataclass(frozen=True)
class Spent:
    """The energy of a product of a point."""

    record: Record

    @property
    def area(self) -> Area:
        """The design, as sections on area see it."""
        return Area(self.record)

    @property
    def figures(self) -> dict[str, Any]:
        """fJ a product: in all, by class, by unit."""
        return self.record.figures

    @property
    def weights(self) -> str:
        """The type of weights that was streamed."""
        return str(self.record.point["format"])

    @property
    def whole(self) -> bool:
        """Whether precompute and epilogue are included."""
        return bool(self.record.point.get("whole", False))


def _spent(results: Results) -> list[Spent]:
    return [Spent(record) for record in results.of_kind("energy")]


def least(
    results: Results, role: str, weights: str, activations: str, whole: bool = False
) -> Spent | None:
    """The point of a role that spends least on a product of these formats."""
    able = [
        spent
        for spent in _spent(results)
        if (spent.area.role, spent.weights, spent.area.activations) == (role, weights, activations)
        and spent.whole == whole
    ]
    return min(able, key=lambda spent: spent.figures["fj"], default=None)


def ratio(
    results: Results, role: str, weights: str, activations: str, other: str = ""
) -> float | None:
    """Energy of a product of `role` over that of this core; `other`: activations of `role`."""
    ours = least(results, "lut", weights, activations)
    theirs = least(results, role, weights, other or activations)
    return theirs.figures["fj"] / ours.figures["fj"] if ours and theirs else None


def energy(results: Results) -> Section:
    """Energy of a useful product of every design and pair of formats."""
    found = _spent(results)
    if not found:
        raise Missing("no energy was measured; it needs the library of a process")
    found.sort(
        key=lambda s: (
            s.area.activations,
            WEIGHTS.index(s.weights) if s.weights in WEIGHTS else len(WEIGHTS),
            list(ROLES).index(s.area.role),
        )
    )
    rows = []
    for spent in found:
        ours = least(results, "lut", spent.weights, spent.area.activations)
        fj = spent.figures["fj"]
        rows.append(
            [
                spent.area.role + (", whole core" if spent.whole else ""),
                named(spent.weights),
                spent.area.activations,
                fj,
                fj / ours.figures["fj"] if ours else None,
                *(spent.figures[name] for name in CLASSES),
                2e3 / fj,
                spent.area.tile,
                spent.area.variant,
            ]
        )
    best = {}
    for spent in found:
        if not spent.whole:
            key = (spent.area.role, spent.weights, spent.area.activations)
            best[key] = least(results, *key) or spent
    names = [f"{role} {named(w)} {a}" for role, w, a in best]
    plot = bars("fJ a product", len(best))
    for name in CLASSES:
        values = [spent.figures[name] for spent in best.values()]
        plot.add_trace(Bar(x=values, y=names, name=name, orientation="h"))
    columns = ["design", "weights", "activations", "fJ", "times this core", *CLASSES]
    columns += ["TOPS/W", "m x n x k", "variant"]
    layer = found[0].figures.get("layer", "")
    return Section(
        "Energy of a useful product",
        [
            f"The mapped netlist works on a layer of a language model ({layer}), weights and "
            "activations of both sides alike; every result is compared with the golden model. "
            "Toggles are counted and weighed with the library's tables at 1 GHz: switching of "
            "nets (data), the clock's pins, energy inside cells, leakage. Delays are zero, so "
            "there are no glitches, which a multiplier has more of than a selection; wires are a "
            "stated capacitance a pin; a clock tree is not counted. Tables, registers and lanes "
            "count; where it says whole core, precompute and epilogue as well. Tiles are small, "
            "so that what is shared by a row or a column is shared by fewer than in large ones.",
            "“ordinary” are weights as they were trained, not quantised.",
        ],
        [Table("energy", "fJ a product (multiply-accumulate)", columns, rows)],
        [Plot("Least of each design and format, tables and lanes", plot)],
    )
