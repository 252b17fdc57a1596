"""How the plots look: one palette, one layout."""

from __future__ import annotations

from plotly.graph_objects import Figure

__all__ = ["COLOURS", "MARKS", "bars", "figure"]

COLOURS = ("#2f5d8a", "#e0a458", "#6b9a5b", "#b3544a", "#7d6aa3", "#4aa0a8", "#8a6d4b", "#5f6b7a")
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")

_TICKS = [digit * 10**place for place in range(-3, 9) for digit in (1, 2, 5)]
_LOG = {"type": "log", "tickvals": _TICKS, "ticktext": [f"{tick:,.9g}" for tick in _TICKS]}
"""An axis whose every label is a whole number; by itself plotly would write 2 for 20 and 200."""


def figure(x: str, y: str, *, log_x: bool = False, log_y: bool = False) -> Figure:
    """An empty figure with these titles of axes."""
    shown = Figure()
    axis = {"gridcolor": "#e6eaee", "linecolor": "#aab4be", "zeroline": False, "automargin": True}
    shown.update_layout(
        height=420,
        margin={"l": 56, "r": 12, "t": 16, "b": 48},
        plot_bgcolor="white",
        paper_bgcolor="white",
        colorway=list(COLOURS),
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#22272e"},
        # Below the plot: beside it, a legend would leave no room on a narrow screen.
        legend={"orientation": "h", "yanchor": "top", "y": -0.24, "x": 0},
        hovermode="closest",
        # Any other type is found out from the data; words would not fit a linear axis.
        xaxis={**axis, "title": x, **(_LOG if log_x else {})},
        yaxis={**axis, "title": y, **(_LOG if log_y else {})},
    )
    if not log_y:
        shown.update_yaxes(rangemode="tozero")
    return shown


def bars(x: str, count: int) -> Figure:
    """An empty figure for `count` stacked horizontal bars: their names fit on a narrow screen."""
    shown = figure(x, "")
    shown.update_layout(
        barmode="stack",
        height=130 + 24 * count,
        legend={"yanchor": "bottom", "y": 1.0, "traceorder": "normal"},
        margin={"t": 48},
        bargap=0.25,
    )
    shown.update_yaxes(autorange="reversed", rangemode=None, showgrid=False, dtick=1)
    return shown
