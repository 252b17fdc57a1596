"""Plots of `lutcore numerics`: over table width on the left, over the block on the right."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from lutcore.formats import ACTIVATIONS
from lutverif.numerics import BLOCKS, WIDTHS, Change, Point, RmsError

R = TypeVar("R", RmsError, Change)

__all__ = ["error_figure", "perplexity_figure", "rendered"]

STYLES = {
    "int4": ("#7a7f87", "v"),
    "int8": ("#5aa9d6", "o"),
    "int16": ("#1f4e79", "s"),
    "fp16": ("#b5371f", "D"),
    "bf16": ("#e08a1e", "^"),
    "e4m3": ("#3d8b45", "P"),
    "e5m2": ("#8e5ea2", "X"),
}
"""Colour and marker of each activation format."""


def rendered(name: str, figure: Figure) -> dict[str, bytes]:
    """The figure as SVG and PNG files; the same results give the same bytes."""
    files: dict[str, bytes] = {}
    with matplotlib.rc_context({"svg.hashsalt": name, "font.size": 9}):
        for kind in ("svg", "png"):
            stream = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(stream, format=kind, dpi=130, metadata=metadata)
            files[f"{name}.{kind}"] = stream.getvalue()
    return files


def error_figure(results: list[RmsError]) -> Figure:
    """Error over table bits at block 64, and over blocks with 8-bit tables."""
    subtitles = ("block 64; exact settings are left out", "tables of 8 bits")
    figure, (left, right) = _figure("Error of layer outputs", subtitles, "relative RMS error")
    left.set_yscale("log")
    _lines(left, results, lambda p: p.block == 64, lambda p: p.table_bits, lambda r: (r.value, 0))
    _lines(right, results, lambda p: p.table_bits == 8, lambda p: p.block, lambda r: (r.value, 0))
    return figure


def perplexity_figure(results: list[Change]) -> Figure:
    """Change of perplexity of W4 over table bits at block 64, and over blocks with 8-bit tables."""
    subtitles = ("4-bit weights, block 64; band: 0.2 %", "4-bit weights, tables of 8 bits")
    figure, panels = _figure("Change of perplexity", subtitles, "change, %")

    def percent(change: Change) -> tuple[float, float]:
        return 100 * change.value, 100 * change.uncertainty

    left, right = panels
    own = [r for r in results if r.point.bits == 4]
    _lines(left, own, lambda p: p.block == 64, lambda p: p.table_bits, percent)
    _lines(right, own, lambda p: p.table_bits == 8, lambda p: p.block, percent)
    for axes in panels:
        axes.set_yscale("symlog", linthresh=1, linscale=2)
        axes.yaxis.set_major_locator(FixedLocator([-2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20, 50, 100]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.axhspan(-0.2, 0.2, color="#e9eef3", zorder=0)
    return figure


def _figure(title: str, subtitles: tuple[str, str], value: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    panels = list(figure.subplots(1, 2, sharey=True, width_ratios=(3, 2)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    for axes, subtitle in zip(panels, subtitles, strict=True):
        axes.set_title(subtitle, loc="left", fontsize=9)
        axes.grid(color="#d8dde3", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_xlabel("table bits")
    panels[0].set_ylabel(value)
    panels[0].xaxis.set_major_locator(FixedLocator(WIDTHS))
    panels[0].set_xlim(min(WIDTHS) - 0.5, max(WIDTHS) + 0.5)
    panels[1].set_xlabel("block (activations that share an exponent)")
    panels[1].set_xscale("log", base=2)
    panels[1].set_xlim(min(BLOCKS) / 1.3, max(BLOCKS) * 1.3)
    panels[1].xaxis.set_major_locator(FixedLocator(BLOCKS))
    panels[1].xaxis.set_minor_locator(NullLocator())
    panels[1].xaxis.set_major_formatter("{x:.0f}")
    handles = [
        Line2D([], [], color=color, marker=marker, label=name)
        for name, (color, marker) in STYLES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=7)
    return figure, panels


def _lines(
    axes: Axes,
    results: list[R],
    chosen: Callable[[Point], bool],
    x: Callable[[Point], int],
    y: Callable[[R], tuple[float, float]],
) -> None:
    """A line for each format through those of the chosen results that are not exact."""
    for name in ACTIVATIONS:
        shown = [
            r
            for r in results
            if r.point.activation_type == name and chosen(r.point) and not r.point.exact
        ]
        shown.sort(key=lambda r: x(r.point))
        if shown:
            values = [y(r) for r in shown]
            color, marker = STYLES[name]
            axes.errorbar(
                [x(r.point) for r in shown], [v for v, _ in values], [e for _, e in values],
                color=color, marker=marker, markersize=5, linewidth=1.4, capsize=2,
            )  # fmt: skip
