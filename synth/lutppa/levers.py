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
from lutcore.weights import AffineWeights, Term
from lutverif.workload import Layer

from .activity import RESET, Words, simulate
from .command import reported
from .energy import Conditions, account
from .flat_netlist import read_netlist
from .liberty import Library, read
from .mapped import mapped, texts
from .product_energy import GROUP, at_tile, energy_figures, real_layer
from .stimulus import WrongNetlist, workload
from .tile import LookupTile
from .tile_stimulus import lookup_stimulus

__all__ = ["Variant", "in_order", "planes", "variants"]

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


class _Equal(AffineWeights):
    """Weights whose planes all weigh the same, so that their order does not matter to a sum."""

    def terms(self, config: TensorCoreConfig) -> tuple[Term, ...]:
        return tuple(replace(term, equal=True) for term in super().terms(config))


def planes(layer: Layer, library: Library) -> tuple[float, float]:
    """fJ a product of `dense8`, 2 x 64, with planes outside and with steps outside.

    The two planes of 2-bit weights are taken to weigh the same: no lane has to shift, and both
    orders have the same sums, which are compared. Sums of activations count both planes in the
    second order, and are not. A core that holds tables still has to shift what it adds.
    """
    c = replace(PRESETS["dense8"], m=ROWS, n=COLUMNS, rescale_columns=2)
    work = workload(layer, "w2", "int8", GROUP)
    assert isinstance(work.weights, AffineWeights)
    work = replace(work, weights=_Equal(**vars(work.weights)))
    first = lookup_stimulus(work, c, CYCLES)
    control = slice(c.m * c.k * c.aligned_bits, c.m * c.k * c.aligned_bits + 4)

    def turned(beats: Words) -> Words:
        blocks = beats.reshape(-1, 2, GROUP // c.k, beats.shape[1])
        return blocks.transpose(0, 2, 1, 3).reshape(beats.shape)

    second = replace(first, streams={name: turned(b) for name, b in first.streams.items()})
    second.streams["i_steps"][:, control] = first.streams["i_steps"][:, control]
    unit = LookupTile(c)
    synthesis = mapped(unit, texts(unit), library)
    netlist = read_netlist(synthesis.netlist, synthesis.top, library)
    found: list[float] = []
    sums: list[Words] = []
    for stimulus in (first, second):
        activity = simulate(netlist, stimulus.ports, stimulus.streams, warm_up=stimulus.warm_up)
        valid = np.flatnonzero(activity.outputs["o_psums__valid"][RESET:, 0])
        payload = activity.outputs["o_psums__payload"][RESET:]
        sums.append(payload[valid, : c.lanes * c.psum_bits])
        if stimulus is first:
            stimulus.check(activity.outputs)
        spent = account(netlist, activity, Conditions())
        products = stimulus.work(activity)
        units = {
            name.removeprefix(f"{unit.top}_"): {
                part: getattr(energy / products, part if part != "fj" else "total")
                for part in ("fj", "data", "clock", "internal", "leakage")
            }
            for name, energy in spent.modules.items()
        }
        figures = {"units": units, "forms": {}, "products": products}
        figures["fj"] = (spent.total / products).total
        found.append(at_tile(figures, c, ROWS, 64)["fj"])
    if not len(sums[0]) or not np.array_equal(sums[0], sums[1]):
        raise WrongNetlist("planes in another order give other sums")
    return found[0], found[1]


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


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.levers", description=__doc__)
    parser.add_argument("--liberty", type=Path, required=True, help="cell library with power")
    parser.add_argument("--only", default="", help="levers whose name begins so")
    options = parser.parse_args(arguments)
    console = Console(width=160)
    library = read(options.liberty)
    if "planes".startswith(options.only):
        for order, fj in zip(("outside", "inside"), planes(real_layer(), library), strict=True):
            console.print(f"{'planes':22}{order:18}{'w2 x int8':11}{fj:8.2f}", highlight=False)
    for variant in variants(real_layer()):
        if variant.lever.startswith(options.only):
            _print(console, variant, library)
    return 0


if __name__ == "__main__":
    sys.exit(main())
