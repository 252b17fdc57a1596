"""Energy of a useful product on real model data: `python -m lutppa.power --liberty FILE`.

    tile -> mapped netlist -> real layers, 64 streams -> psums checked -> energy by unit and class

Tables, weight registers, lanes and their clock pins are counted; precompute, rescale and a clock
tree are not. Activity is free of glitches. A netlist whose psums are wrong gives no figure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError, LutCoreError
from lutcore.export import unit_design
from lutverif.workload import Layer, load

from .activity import simulate
from .area import synthesise
from .energy import Account, Conditions, Energy, account
from .flat_netlist import Netlist, read_netlist
from .liberty import Library, read
from .opensta import LIMIT, cross_check
from .stimulus import Stimulus, lookup_stimulus, random_layer, workload
from .tile import LookupTile

__all__ = ["CONFIGS", "FORMATS", "Measured", "measure", "measured"]

CONFIGS = (
    PRESETS["paper"],
    PRESETS["wide"],
    replace(PRESETS["wide"], name="wide8", table_bits=8),
    replace(PRESETS["wide"], name="pairs", lookup_group=2, groups_per_step=8),
)
FORMATS = [(w, a) for w in ("w1", "w2", "w4", "ternary") for a in ("int8", "fp16")]
CYCLES = 512
LAYER = "block1.gate_up"
"""The layer of the embedded model that has the most tiles."""


def measured(netlist: Netlist, stimulus: Stimulus, conditions: Conditions) -> Account:
    """Energy a cycle of any design on any stimulus; WrongNetlist where its results are wrong."""
    activity = simulate(netlist, stimulus.ports, warm_up=stimulus.warm_up)
    stimulus.check(activity.outputs)
    return account(netlist, activity, conditions)


@dataclass(frozen=True)
class Measured:
    """Energy of a useful product, fJ: in all, and by module of the tile."""

    config: TensorCoreConfig
    weights: str
    activations: str
    data: str
    total: Energy
    modules: dict[str, Energy]


def measure(
    config: TensorCoreConfig,
    library: Library,
    layers: list[Layer],
    conditions: Conditions,
    formats: list[tuple[str, str]] = FORMATS,
    cycles: int = CYCLES,
) -> Iterator[Measured]:
    """A tile of `config` on every layer in every format of weights and activations."""
    unit = LookupTile(config)
    synthesis = synthesise(unit_design(unit), unit.module_name, library)
    netlist = read_netlist(synthesis.netlist, synthesis.top, library)
    for layer in layers:
        for weights, activations in formats:
            work = workload(layer, weights, activations, config.block)
            stimulus = lookup_stimulus(work, config, cycles)
            found = measured(netlist, stimulus, conditions)
            modules = {
                name.removeprefix(f"{unit.top}_"): energy / stimulus.products
                for name, energy in found.modules.items()
            }
            total = found.total / stimulus.products
            yield Measured(config, weights, activations, layer.name, total, modules)


def real_layer(model: Path | None) -> Layer:
    """The layer measured by default: of the embedded model, or the first of a checkpoint."""
    layers = load(model)
    return next((layer for layer in layers if layer.name == LAYER), layers[0])


UNITS = {
    "tables": ("entries", "table"),
    "weights": ("tile",),
    "lanes": ("lane", "lookup"),
    "ports": ("",),
}
"""Columns of the report, and the modules that each adds up."""


def _row(found: Measured) -> list[str]:
    total = found.total
    units = [
        sum((found.modules.get(name, Energy()) for name in names), Energy()).total
        for names in UNITS.values()
    ]
    classes = [total.total, total.data, total.clock, total.internal, total.leakage]
    return [
        found.config.name,
        f"{found.weights} x {found.activations}",
        found.data,
        *(f"{value:.2f}" for value in (*classes, *units)),
    ]


def _report(console: Console, library: Library, model: Path | None, conditions: Conditions) -> None:
    table = Table(
        "tile", "format", "data",
        *("fJ a product", "data", "clock", "internal", "leakage", *UNITS),
    )  # fmt: skip
    layers = [real_layer(model), random_layer()]
    for config in CONFIGS:
        for found in measure(config, library, layers, conditions):
            table.add_row(*_row(found))
        table.add_section()
    console.print(table)
    console.print(
        f"{library.name}, {1e6 / conditions.period_ps:,.0f} MHz. Activity is zero-delay: free of "
        f"glitches. Every psum equals the golden model's. Wires: {conditions.wire_pitches:g} cell "
        f"pitches a driven pin at {conditions.wire_ff_um:g} fF/um. No clock tree, precompute, "
        "rescale.",
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


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for files that cannot be used, 1 for a failed check."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.power", description=__doc__)
    parser.add_argument("--liberty", type=Path, required=True, help="cell library with power")
    parser.add_argument("--model", type=Path, help="llama2.c checkpoint (the embedded model)")
    parser.add_argument("--mhz", type=float, default=1000.0, help="clock, for leakage (1000)")
    parser.add_argument("--cross-check", action="store_true", help="compare a block with OpenSTA")
    options = parser.parse_args(arguments)
    console = Console(width=120)
    try:
        if options.mhz <= 0:
            raise InputError(f"--mhz must be positive, not {options.mhz:g}")
        library = read(options.liberty)
        conditions = Conditions(period_ps=1e6 / options.mhz)
        if options.cross_check:
            return 0 if _cross_check(console, library, conditions.period_ps) else 1
        _report(console, library, options.model, conditions)
    except LutCoreError as error:
        print("error:", error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
