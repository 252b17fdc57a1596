"""What each lever does to the energy of a product: `python -m lutppa.levers --liberty FILE`.

Every row changes one thing of `dense8` with 2-bit weights or of `dense` with 1-bit weights. Figures
are those of tables, weight registers and lanes, as `lutppa.power` has them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import LutCoreError
from lutverif.workload import Layer

from .liberty import Library, read
from .product_energy import at_tile, energy_figures, real_layer

__all__ = ["Variant", "in_order", "variants"]

ROWS, COLUMNS, CYCLES = 2, 8, 64
COMMON = 96
"""Weights along K that lookup groups of 2, 3 and 4 divide alike."""


@dataclass(frozen=True)
class Variant:
    """A row: what is changed of a design, and the tile for which the figure is."""

    lever: str
    what: str
    config: TensorCoreConfig
    weights: str
    activations: str
    layer: Layer
    m: int = 2
    n: int = 64


def in_order(layer: Layer, config: TensorCoreConfig) -> Layer:
    """`layer` with K in such an order that an input of the tables sees similar activations.

    Activations are sorted by their mean; neighbours follow each other at the same place of a step.
    """
    steps = layer.weights.shape[1] // config.k
    order = np.argsort(layer.activations.astype(np.float64).mean(axis=0), kind="stable")
    order = order[: steps * config.k].reshape(config.k, steps).T.ravel()
    return Layer(f"{layer.name}, sorted", layer.weights[:, order], layer.activations[:, order])


def variants(layer: Layer) -> Iterator[Variant]:
    """All rows."""

    def sized(base: str, **more: Any) -> TensorCoreConfig:
        return replace(PRESETS[base], **({"m": ROWS, "n": COLUMNS, "rescale_columns": 2} | more))

    w2, w1 = ("w2", "int8"), ("w1", "fp16")
    dense8, dense = sized("dense8"), sized("dense")
    for m in (1, 2, 4, 8):
        yield Variant("weights held over M", f"{m} x 64", dense8, *w2, layer, m, 64)
    for m, n in ((1, 64), (2, 64), (4, 32), (4, 64)):
        yield Variant("tile", f"{m} x {n}", dense, *w1, layer, m, n)
    yield Variant("data order", "as it is", dense8, *w2, layer)
    yield Variant("data order", "sorted by mean", dense8, *w2, in_order(layer, dense8))
    for groups in (8, 16, 32):
        config = sized("dense8", groups_per_step=groups)
        yield Variant("activations a step", f"{2 * groups}", config, *w2, layer)
    for bits in (6, 7, 8):
        config = sized("dense", table_bits=bits)
        yield Variant("entry bits", f"{bits}", config, *w1, layer)
    short = Layer(
        f"{layer.name}, K = {COMMON}", layer.weights[:, :COMMON], layer.activations[:, :COMMON]
    )
    for group, groups, bits in ((2, 12, 9), (3, 8, 9), (4, 6, 9)):
        config = sized(
            "dense8", lookup_group=group, groups_per_step=groups, table_bits=bits, block=COMMON
        )
        yield Variant("lookup group", f"g = {group}, 24 a step", config, *w2, short)


def _print(console: Console, variant: Variant, library: Library) -> None:
    figures = energy_figures(
        variant.config, library, variant.weights, variant.activations,
        layer=variant.layer, cycles=CYCLES,
    )  # fmt: skip
    figures = at_tile(figures, variant.config, variant.m, variant.n)
    units = ", ".join(f"{name} {unit['fj']:.2f}" for name, unit in figures["units"].items())
    console.print(
        f"{variant.lever:22}{variant.what:18}{variant.weights} x {variant.activations:6}"
        f"{figures['fj']:8.2f}  {units}",
        highlight=False,
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.levers", description=__doc__)
    parser.add_argument("--liberty", type=Path, required=True, help="cell library with power")
    parser.add_argument("--only", default="", help="levers whose name begins so")
    options = parser.parse_args(arguments)
    console = Console(width=160)
    try:
        library = read(options.liberty)
        for variant in variants(real_layer()):
            if variant.lever.startswith(options.only):
                _print(console, variant, library)
    except LutCoreError as error:
        print("error:", error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
