"""A bar chart of areas: units in bold, their parts below them, logic and flip-flops apart."""

from __future__ import annotations

import io
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

__all__ = ["Bar", "Chart"]

_LOGIC, _FLIP_FLOPS, _INK, _GRID = "#2f5d8a", "#e0a458", "#22272e", "#d8dde3"


_SIZE = 9
_INDENT = "    "


@dataclass(frozen=True)
class Bar:
    """A row of the chart; `depth` 0 is a unit, more a part of the unit above."""

    label: str
    depth: int
    logic: float
    flip_flops: float

    @property
    def area(self) -> float:
        """Length of the bar."""
        return self.logic + self.flip_flops


@dataclass(frozen=True)
class Chart:
    """Bars from top to bottom, in `unit`; shares are of `total`."""

    title: str
    subtitle: str
    unit: str
    total: float
    bars: list[Bar]

    def render(self, kind: str) -> bytes:
        """The image as `png` or `svg`; the same bytes on every call."""
        # Ids and dates in an SVG would differ from run to run.
        with matplotlib.rc_context(
            {"svg.hashsalt": "area", "font.size": _SIZE, "text.color": _INK}
        ):
            stream = io.BytesIO()
            self._figure().savefig(
                stream, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None
            )
        return stream.getvalue()

    def _figure(self) -> Figure:
        positions: list[float] = []
        y = 0.0
        for index, bar in enumerate(self.bars):
            # A gap sets a unit apart from the parts of the unit before.
            y += 1.45 if index and not bar.depth else 1.0 if index else 0.0
            positions.append(y)
        figure = Figure(figsize=(8.5, 1.5 + 0.25 * (y + 1)), layout="constrained")
        axes = figure.subplots()
        heights = [0.82 if not bar.depth else 0.6 for bar in self.bars]
        logic = [bar.logic for bar in self.bars]
        flip_flops = [bar.flip_flops for bar in self.bars]
        axes.barh(positions, logic, heights, color=_LOGIC, label="logic")
        axes.barh(positions, flip_flops, heights, logic, color=_FLIP_FLOPS, label="flip-flops")
        longest = max((bar.area for bar in self.bars), default=0.0) or 1.0
        for position, bar in zip(positions, self.bars, strict=True):
            share = bar.area / self.total if self.total else 0.0
            axes.annotate(
                f"{bar.area:,.0f}   {share:.1%}",
                (bar.area, position),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontweight="normal" if bar.depth else "bold",
            )
        labels = [_INDENT * bar.depth + bar.label for bar in self.bars]
        weights = ["normal" if bar.depth else "bold" for bar in self.bars]
        width = max(map(_width, labels, weights), default=0.0)
        axes.set_yticks(positions, labels, ha="left")
        axes.tick_params(axis="y", length=0, pad=width + 6)
        for tick, weight in zip(axes.get_yticklabels(), weights, strict=True):
            tick.set_fontweight(weight)
        axes.set_xlim(0, longest * 1.24)
        axes.set_ylim(y + 0.7, -0.7)
        axes.set_xlabel(self.unit)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="x", color=_GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
        axes.tick_params(axis="x", length=0)
        figure.suptitle(self.title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        axes.set_title(
            f"{self.subtitle}; total {self.total:,.0f} {self.unit}", loc="left", fontsize=_SIZE
        )
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        return figure


def _width(text: str, weight: str) -> float:
    """Of a label, in points."""
    return TextPath((0, 0), text, size=_SIZE, prop=FontProperties(weight=weight)).get_extents().x1
