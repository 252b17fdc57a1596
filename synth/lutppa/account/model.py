"""What a section is made of, and what it may ask of the measured points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from plotly.graph_objects import Figure

from ..measure import Record

__all__ = ["Area", "Missing", "Plot", "Results", "Section", "Table"]

SHORT = {
    "lookup_group": "g",
    "groups_per_step": "G",
    "table_bits": "t",
    "weight_bits": "",
    "psum_bits": "",
}
"""What tables call a parameter; nothing where they leave it out."""

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
        """The activation formats that it takes, joined by +."""
        return "+".join(self.design["activations"])

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
            f"{SHORT.get(name, name)}={value}"
            for name, value in self.parameters.items()
            if SHORT.get(name) != ""
        )

    @property
    def widths(self) -> dict[int, int]:
        """Cycles of a tile by width of the weights."""
        return {int(bits): cycles for bits, cycles in self.design["weight_bits"].items()}

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

    def per_product(self, weight_bits: int, all_in: bool = False) -> float:
        """Area times cycles for each product of an activation and a weight of `weight_bits`."""
        area = self.all_in if all_in else self.arithmetic
        return area * self.widths[weight_bits] / self.products


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

    def best(
        self, weight_bits: int, activations: str, role: str = "lut", all_in: bool = False
    ) -> Area | None:
        """The smallest area per product of a role for these formats."""
        return least(
            (
                area
                for area in self.areas
                if area.role == role
                and area.activations == activations
                and weight_bits in area.widths
            ),
            lambda area: area.per_product(weight_bits, all_in),
        )


def least(areas: Iterable[Area], key: Callable[[Area], float]) -> Area | None:
    """The area with the least key; None where there is none."""
    return min(areas, key=key, default=None)
