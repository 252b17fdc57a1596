"""What a section is made of, and what it may ask of the measured points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from plotly.graph_objects import Figure

from ..measure import Record

__all__ = [
    "ROLES",
    "Area",
    "Cell",
    "Missing",
    "Plot",
    "Results",
    "Section",
    "Table",
    "least",
    "named",
]

SHORT = {
    "lookup_group": "g",
    "groups_per_step": "G",
    "table_bits": "t",
    "terms": "terms",
    "stages": "stages",
    "pipeline": "pipeline",
}
"""What tables call a parameter; others they leave out."""

WEIGHTS = ("w1", "w2", "w4", "ternary", "ordinary")
"""Types of weights that tables show."""

LARGEST = 4096
"""Products a cycle up to which a design may choose its best tile."""

SMALLEST = 512
"""Products a cycle from which the area of all is compared: in smaller tiles little is shared."""

TABLE_BITS = 8
"""Bits of an entry from which a rounded table loses no accuracy that matters (docs/numerics.md)."""

ROLES = {
    "lut": "this core",
    "mac": "multiply-accumulate in the activations' format, weights dequantised",
    "native": "a datapath for one width of weights and no other",
    "add": "bit-serial without tables",
    "full": "conventional lookup, a table of all sums for a few columns",
    "unpu": "UNPU-like lookup",
    "unpu_reinterpreted": "with half tables",
    "unpu_folded": "with the index negated offline",
}
"""Designs by their role in the account."""


def named(weights: str) -> str:
    """What a reader is told of a type of weight: W2, ternary."""
    return weights.upper() if weights[1:].isdigit() else weights


Cell = str | int | float | None


class Missing(Exception):
    """A section has nothing to show; the message is the line that stands in its place."""


@dataclass(frozen=True)
class Table:
    """Rows under columns; numbers are shown with `digits` and written to CSV in full."""

    name: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    digits: int = 2


@dataclass(frozen=True)
class Plot:
    """A plotly figure and what it shows."""

    caption: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    text: list[str]
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


@dataclass(frozen=True)
class Area:
    """The area of a design at a point, in the library's unit."""

    record: Record

    @property
    def design(self) -> Mapping[str, Any]:
        """Role, tile, widths and formats of the design."""
        return self.record.figures["design"]

    @property
    def role(self) -> str:
        """What the design stands for: lut is the product."""
        return self.design["role"]

    @property
    def activations(self) -> str:
        """The activation formats joined by +; with the bits of a table that loses some of them,
        and whether accumulation truncates."""
        bits = self.parameters.get("table_bits", TABLE_BITS)
        names = self.design["activations"]
        floats = any(not name.startswith("int") for name in names)
        loses = not self.design["exact"] or (floats and bits < TABLE_BITS)
        cut = " truncated" if self.parameters.get("truncate") else ""
        return "+".join(names) + (f" in {bits} bits" if loses else "") + cut

    @property
    def tile(self) -> str:
        """m x n x k, the products of a cycle."""
        return " x ".join(str(self.design[name]) for name in ("m", "n", "k"))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What tells variants of the design apart."""
        return self.design["parameters"]

    @property
    def variant(self) -> str:
        """The parameters in a few letters."""
        return ", ".join(
            f"{SHORT[name]}={value}"
            for name, value in self.parameters.items()
            if name in SHORT and value
        )

    @property
    def cycles(self) -> Mapping[str, float]:
        """Cycles of a tile by type of weight."""
        return self.design["cycles"]

    @property
    def all_in(self) -> float:
        """Everything."""
        return self.record.figures["all_in"]

    @property
    def arithmetic(self) -> float:
        """The lanes alone, or what a baseline has in their place."""
        return self.record.figures["arithmetic"]

    @property
    def products(self) -> int:
        """Of a cycle with one plane."""
        return self.design["m"] * self.design["n"] * self.design["k"]

    def per_product(self, weights: str, all_in: bool = False) -> float:
        """Area times cycles for each product of an activation and a weight of this type."""
        area = self.all_in if all_in else self.arithmetic
        return area * self.cycles[weights] / self.products


@dataclass(frozen=True)
class Results:
    """All records of the sweeps."""

    records: list[Record]

    @cached_property
    def areas(self) -> list[Area]:
        """Every point of kind area that has figures."""
        return [Area(record) for record in self.of_kind("area")]

    def of_kind(self, kind: str) -> list[Record]:
        """The records of a kind of measurement that have figures."""
        return [r for r in self.records if r.point.get("kind", "area") == kind and not r.error]

    @property
    def unit(self) -> str:
        """Of areas, for a reader."""
        return "µm²" if self.areas and self.areas[0].record.figures["unit"] != "NAND2" else "NAND2"

    @property
    def nand2(self) -> float:
        """Area of a NAND2 of the library."""
        return self.areas[0].record.figures["nand2"] if self.areas else 1.0

    @property
    def asap7(self) -> bool:
        """Whether the library is ASAP7, for which goals in µm² are stated."""
        return any(r.library.get("name", "").lower().startswith("asap7") for r in self.records)

    def best(
        self,
        weights: str,
        activations: str,
        role: str = "lut",
        all_in: bool = False,
        products: int | None = None,
    ) -> Area | None:
        """The smallest area per product of a role for these formats.

        Of all tiles of up to LARGEST products, or of exactly `products` of them; all in of no
        smaller ones than SMALLEST.
        """
        return least(
            (
                area
                for area in self.areas
                if area.role == role
                and area.activations == activations
                and weights in area.cycles
                and (area.products == products if products else area.products <= LARGEST)
                and (not all_in or area.products >= SMALLEST)
            ),
            lambda area: area.per_product(weights, all_in),
        )

    def ratio(
        self,
        weights: str,
        activations: str,
        role: str,
        *,
        other: str = "",
        all_in: bool = False,
        products: int | None = None,
    ) -> float | None:
        """Area of a product of `role` over that of the product's core; None if one is missing.

        other  activations of `role`, where they differ
        """
        ours = self.best(weights, activations, "lut", all_in, products)
        theirs = self.best(weights, other or activations, role, all_in, products)
        if ours is None or theirs is None:
            return None
        return theirs.per_product(weights, all_in) / ours.per_product(weights, all_in)


def least(areas: Iterable[Area], key: Callable[[Area], float]) -> Area | None:
    """The area with the least key; None where there is none."""
    return min(areas, key=key, default=None)
