"""Energy of a useful product, of every design on the same data: `python -m lutppa.power`.

    design -> mapped netlist -> a real layer, 64 streams -> results checked -> energy by class

A row appears as it is measured, and is kept: the next run prints it at once. A few lanes are
simulated, and what rows and columns share is divided by as many of them as the tile has. Rows of a
core and of its opponents have the same layer, the same quantised weights in groups of 128 and the
same activations. Tables, operand and weight registers, lanes and their clock pins are counted; rows
`all in` add precompute and rescale. No clock tree; no glitches.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError
from lutverif.workload import Layer

from .baselines.config import BaselineConfig
from .baselines.mac_config import MacConfig
from .command import reported
from .energy import Conditions
from .liberty import Library, read
from .opensta import LIMIT, cross_check
from .product_energy import CYCLES, GROUP, Config, at_tile, energy_figures, real_layer
from .stimulus import random_layer

__all__ = ["OWN", "RATIOS", "Subject", "ratios", "subjects"]

WIDTHS = ("w1", "w2", "w4", "ternary")


@dataclass(frozen=True)
class Subject:
    """A design, and the formats (weights, activations) in which it is measured."""

    name: str
    config: Config
    formats: tuple[tuple[str, str], ...]
    whole: bool = False


def _own(name: str, base: str, **more: Any) -> TensorCoreConfig:
    return replace(PRESETS[base], name=name, **more)


def _all(activations: str, widths: tuple[str, ...] = WIDTHS) -> tuple[tuple[str, str], ...]:
    return tuple((width, activations) for width in widths)


_BOTH = _all("int8") + _all("fp16")
OWN = (
    ("lut dense", _own("dense", "dense"), _all("fp16", ("w1",))),
    ("lut dense, 2 planes", _own("dense_2", "dense", weight_bits=2), _all("fp16", ("w2",))),
    ("lut dense, 4 planes", _own("dense_4", "dense", weight_bits=4), _all("fp16", ("w2", "w4"))),
    ("lut dense8, 1 plane", _own("dense8_1", "dense8", weight_bits=1), _all("int8", ("w1",))),
    ("lut dense8", _own("dense8", "dense8"), _all("int8", ("w1", "w2", "ternary"))),
    ("lut dense8, 4 planes", _own("dense8_4", "dense8", weight_bits=4), _all("int8", ("w4",))),
    ("lut ternary", _own("ternary_120", "ternary", block=120), _all("int8", ("ternary",))),
    ("lut paper", PRESETS["paper"], _BOTH),
    ("lut wide", PRESETS["wide"], _BOTH),
)
"""Tiles of the product: name, configuration, formats."""


def subjects(m: int, n: int) -> list[Subject]:
    """Every design, with m rows and n columns; floating-point arrays with 4 columns at most."""

    def integer(design: str, coding: str, **more: int) -> BaselineConfig:
        return BaselineConfig(
            design=design, coding=coding, m=m, n=n, **({"terms": 16, "block": GROUP} | more)
        )

    def floating(weights: str = "") -> MacConfig:
        # A dot product is so large that a larger tile changes little.
        return MacConfig(m=m, n=min(n, 4), weights=weights)

    int8 = _all("int8")
    found = [
        Subject(name, replace(config, m=m, n=n, rescale_columns=max(1, n // 4)), formats)
        for name, config, formats in OWN
    ]
    found += [
        Subject(f"{own.name}, all in", own.config, own.formats, whole=True)
        for own in found
        if own.name in ("lut dense", "lut dense8")
    ]
    found += [
        Subject("MAC INT8", integer("mac", "integer"), int8),
        Subject("ADD 0/1", integer("add", "unsigned"), int8),
        Subject("ADD -1/+1", integer("add", "odd"), int8),
        Subject(
            "ADD 0/1, 2 bits", integer("add", "unsigned", weight_bits=2), _all("int8", ("w2",))
        ),
        Subject("ADD 0/1, 1 bit", integer("add", "unsigned", weight_bits=1), _all("int8", ("w1",))),
    ]
    found += [
        Subject(
            f"native INT8 x {bits}, {coding}",
            integer("native", coding, weight_bits=bits),
            ((f"w{bits}", "int8"),),
        )
        for bits in (1, 2, 4)
        for coding in (("unsigned", "odd") if bits == 1 else ("unsigned", "integer", "odd"))
    ]
    found += [
        Subject(
            "native INT8 x ternary",
            integer("native", "ternary", weight_bits=2),
            (("ternary", "int8"),),
        ),
        Subject("full table", integer("full", "unsigned", lookup_group=4), int8),
        Subject("UNPU-like", integer("half", "odd", lookup_group=4), int8),
        Subject("UNPU-like, own tables", integer("half", "odd", lookup_group=4, readers=1), int8),
        Subject("UNPU-like, folded", integer("folded", "odd", lookup_group=4), int8),
        Subject("MAC FP16", floating(), (*_all("fp16"), ("ordinary", "fp16"))),
    ]
    found += [
        Subject(f"native FP16 x {width}", floating(width), ((width, "fp16"),)) for width in WIDTHS
    ]
    return found


@dataclass(frozen=True)
class Ratio:
    """How many times the energy of our best an opponent's best takes; floor and goal asked.

    form   in which the opponent is given the weights; "" for the least of all
    other  its weights, where they are not those that we have
    """

    name: str
    weights: str
    activations: str
    opponents: tuple[str, ...]
    floor: float
    goal: float
    form: str = ""
    other: str = ""


_FP16, _INT8 = ("MAC FP16",), ("MAC INT8",)
RATIOS = (
    Ratio("FP16 MAC, dequantised", "w1", "fp16", _FP16, 11.2, 20.0, form="real"),
    Ratio("FP16 MAC, -1 and +1", "w1", "fp16", _FP16, 11.2, 20.0, form="digits"),
    Ratio("FP16 MAC, ordinary", "w1", "fp16", _FP16, 11.2, 20.0, other="ordinary"),
    Ratio("INT8 MAC, 2q - 3", "w2", "int8", _INT8, 3.0, 5.0, form="odd"),
    Ratio("INT8 MAC, q", "w2", "int8", _INT8, 3.0, 5.0, form="code"),
    Ratio("ADD", "w1", "int8", ("ADD",), 1.0, 1.3),
    Ratio("ADD", "w2", "int8", ("ADD",), 1.0, 1.3),
    Ratio("native", "w1", "int8", ("native INT8",), 1.0, 1.0),
    Ratio("native", "w2", "int8", ("native INT8",), 1.0, 1.0),
    Ratio("native", "w4", "int8", ("native INT8",), 1.0, 1.0),
    Ratio("native", "ternary", "int8", ("native INT8",), 1.0, 1.0),
    Ratio("native", "w1", "fp16", ("native FP16",), 5.0, 5.0),
    Ratio("UNPU-like, own tables", "w2", "int8", ("UNPU-like, own",), 1.6, 1.6),
    Ratio("UNPU-like, shared tables", "w2", "int8", ("UNPU-like",), 1.0, 1.6),
)
"""Opponents by the start of their names. A floor of 1.0 is parity, where no other was asked."""

Found = dict[tuple[str, str, str], dict[str, Any]]
"""Figures by design, weights and activations."""


def ratios(found: Found, whole: bool) -> list[tuple[Ratio, str, float, str, float]]:
    """Of every ratio whose designs were measured: our best and its fJ, theirs and its."""
    rows: list[tuple[Ratio, str, float, str, float]] = []
    for ratio in RATIOS:
        ours, theirs = (
            min(
                (
                    (figures["forms"][form] if form else figures["fj"], name)
                    for (name, *formats), figures in found.items()
                    if name.startswith(starts)
                    and formats == [weights, ratio.activations]
                    and name.endswith(", all in") == all_in
                ),
                default=(0.0, ""),
            )
            for starts, weights, form, all_in in (
                (("lut",), ratio.weights, "", whole),
                (ratio.opponents, ratio.other or ratio.weights, ratio.form, False),
            )
        )
        if ours[1] and theirs[1]:
            rows.append((ratio, ours[1], ours[0], theirs[1], theirs[0]))
    return rows


_HEAD = ("fJ", "data", "clock", "internal", "leakage")


def _line(name: str, weights: str, activations: str, figures: dict[str, Any]) -> str:
    parts = [figures["fj"], *(figures[part] for part in _HEAD[1:])]
    values = "".join(f"{value:9.2f}" for value in parts)
    others = ", ".join(f"{form} {fj:.2f}" for form, fj in figures["forms"].items())
    note = others if len(figures["forms"]) > 1 else figures["form"]
    return f"{name:26}{weights + ' x ' + activations:18}{values}  {note}"


def _ratio_table(found: Found, whole: bool) -> Table:
    table = Table(
        "format", "against", "ours", "fJ", "theirs", "fJ ", "ratio", "floor", "goal",
        title="energy a product, their best over our best"
        + (": our core all in, their array alone" if whole else ""),
    )  # fmt: skip
    for ratio, ours, fj, theirs, others in ratios(found, whole):
        table.add_row(
            f"{ratio.weights} x {ratio.activations}", ratio.name, ours, f"{fj:.2f}", theirs,
            f"{others:.2f}", f"{others / fj:.2f}", f"{ratio.floor:g}", f"{ratio.goal:g}",
        )  # fmt: skip
    return table


def _report(
    console: Console, chosen: list[Subject], library: Library, layer: Layer, options: Any
) -> None:
    conditions = Conditions(period_ps=1e6 / options.mhz)
    console.print(
        f"{'design':26}{'format':18}" + "".join(f"{name:>9}" for name in _HEAD) + "  forms"
    )
    found: Found = {}
    for subject in chosen:
        for weights, activations in subject.formats:
            figures = energy_figures(
                subject.config, library, weights, activations,
                whole=subject.whole, layer=layer, cycles=options.cycles, conditions=conditions,
            )  # fmt: skip
            figures = at_tile(figures, subject.config, options.m, options.n)
            found[subject.name, weights, activations] = figures
            console.print(_line(subject.name, weights, activations, figures), highlight=False)
    for whole in (False, True):
        table = _ratio_table(found, whole)
        if table.row_count:
            console.print(table)
    console.print(
        f"{library.name}, {options.mhz:,.0f} MHz, {layer.name}. Tiles of {options.m} x "
        f"{options.n}, of which {options.rows} x {options.columns} are simulated. Activity is "
        "zero-delay: free of glitches. Every result equals the golden model's. Wires: "
        f"{conditions.wire_pitches:g} cell pitches a driven pin at {conditions.wire_ff_um:g} "
        "fF/um. No clock tree. Baselines are not charged for zero "
        "points, scales and what follows a block.",
        highlight=False,
    )


def _cross_check(console: Console, library: Library, period_ps: float) -> bool:
    """Prints both accounts; whether the totals are within 15 %."""
    rows = cross_check(library, period_ps)
    table = Table("power", "ours, uW", "OpenSTA, uW", "ratio")
    for row in rows:
        table.add_row(row.category, f"{row.ours:.3f}", f"{row.theirs:.3f}", f"{row.ratio:.4f}")
    console.print(table)
    return abs(rows[-1].ratio - 1) <= LIMIT


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lutppa.power", description=__doc__)
    parser.add_argument("--liberty", type=Path, required=True, help="cell library with power")
    parser.add_argument("--model", type=Path, help="llama2.c checkpoint (the embedded model)")
    parser.add_argument("--random", action="store_true", help="even random data, of no model")
    parser.add_argument("--mhz", type=float, default=1000.0, help="clock, for leakage (1000)")
    for name, default, text in (
        ("m", 2, "rows of the tile"),
        ("n", 64, "columns of the tile"),
        ("rows", 2, "rows that are simulated"),
        ("columns", 8, "columns that are simulated"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")
    parser.add_argument("--cycles", type=int, default=CYCLES, help=f"steps simulated ({CYCLES})")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="designs whose name begins so"
    )
    parser.add_argument("--cross-check", action="store_true", help="compare a block with OpenSTA")
    options = parser.parse_args(arguments)
    for name in ("mhz", "m", "n", "rows", "columns", "cycles"):
        if getattr(options, name) <= 0:
            raise InputError(f"--{name} must be positive, not {getattr(options, name):g}")
    return options


def _chosen(options: argparse.Namespace) -> list[Subject]:
    known = subjects(options.rows, options.columns)
    chosen = [s for s in known if not options.only or s.name.startswith(tuple(options.only))]
    if not chosen:
        raise InputError(f"--only must begin a name of {', '.join(s.name for s in known)}")
    return chosen


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for files that cannot be used, 1 for a failed check."""
    console = Console(width=140)
    options = _options(arguments)
    library = read(options.liberty)
    if options.cross_check:
        return 0 if _cross_check(console, library, 1e6 / options.mhz) else 1
    layer = random_layer() if options.random else real_layer(options.model)
    _report(console, _chosen(options), library, layer, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
