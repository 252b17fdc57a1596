"""`energy_figures`: energy of a useful product of any design on a real layer, kept by content.

    configuration -> unit -> mapped netlist -> 64 streams of tiles -> results checked -> energy

A netlist whose results are not the golden model's gives no figure.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.errors import ConfigError
from lutcore.unit import BaseUnit
from lutcore.weights import TernaryWeights
from lutverif import native
from lutverif.workload import Layer, load

from .activity import simulate
from .baseline_stimulus import baseline_stimulus, forms
from .baselines.array import BaselineArray
from .baselines.config import BaselineConfig
from .baselines.mac_array import MacArray
from .baselines.mac_config import MacConfig
from .baselines.mac_stimulus import mac_stimulus
from .core_stimulus import core_stimulus
from .energy import Account, Conditions, Energy, account
from .flat_netlist import Netlist, read_netlist
from .liberty import Library
from .mapped import digest, flow, mapped, sources, texts
from .stimulus import Stimulus, Workload, workload
from .tile import LookupTile
from .tile_stimulus import lookup_stimulus

__all__ = [
    "CYCLES",
    "GROUP",
    "LAYER",
    "Config",
    "at_tile",
    "energy_figures",
    "flow_hash",
    "measured",
    "real_layer",
]

CYCLES = 512
GROUP = 128
"""Weights that share a scale, for every design alike."""

LAYER = "block1.gate_up"
"""The layer of the embedded model that has the most tiles."""

Config = TensorCoreConfig | BaselineConfig | MacConfig


def real_layer(model: Path | None = None) -> Layer:
    """The layer measured by default: of the embedded model, or the first of a checkpoint."""
    layers = load(model)
    return next((layer for layer in layers if layer.name == LAYER), layers[0])


def measured(netlist: Netlist, stimulus: Stimulus, conditions: Conditions) -> tuple[Account, float]:
    """Energy of an average cycle, and its useful products; WrongNetlist for wrong results."""
    activity = simulate(netlist, stimulus.ports, stimulus.streams, warm_up=stimulus.warm_up)
    stimulus.check(activity.outputs)
    return account(netlist, activity, conditions), stimulus.work(activity)


def _unit(config: Config, whole: bool) -> BaseUnit:
    if isinstance(config, TensorCoreConfig):
        # Its name reaches no Verilog.
        config = replace(config, name="measured")
        return TensorCore(config) if whole else LookupTile(config)
    if whole:
        raise ConfigError("whole must be False for a baseline, which has nothing around its array")
    return BaselineArray(config) if isinstance(config, BaselineConfig) else MacArray(config)


def _stimuli(
    config: Config, whole: bool, work: Workload, weights: str, cycles: int
) -> Iterator[tuple[str, Stimulus]]:
    """By form of the weights: a design that takes several is measured with each."""
    if isinstance(config, TensorCoreConfig):
        yield "", (core_stimulus if whole else lookup_stimulus)(work, config, cycles)
    elif isinstance(config, BaselineConfig):
        for form in forms(config, weights):
            yield form, baseline_stimulus(work, config, form, cycles)
    elif weights == "ordinary":
        yield "", mac_stimulus(work, config, cycles, ordinary=True)
    elif not config.weights:
        yield "real", mac_stimulus(work, config, cycles)
        yield "digits", mac_stimulus(_digits(work), config, cycles)
    elif config.weights == weights:
        yield "", mac_stimulus(work, config, cycles)


def _digits(work: Workload) -> Workload:
    """The same weights without scale and zero point: 2q - (2^b - 1), or ternary digits."""
    weights = work.weights
    if isinstance(weights, TernaryWeights):
        return replace(work, weights=replace(weights, scales=np.ones_like(weights.scales)))
    middle = ((1 << weights.bits) - 1) / 2
    whole = replace(
        weights,
        scales=np.full_like(weights.scales, 2),
        zeros=np.full_like(weights.zeros, middle),
    )
    return replace(work, weights=whole)


def energy_figures(
    config: Config,
    library: Library,
    weights: str,
    activations: str,
    *,
    whole: bool = False,
    layer: Layer | None = None,
    cycles: int = CYCLES,
    conditions: Conditions | None = None,
) -> dict[str, Any]:
    """Energy in fJ of a useful product (multiply-accumulate), as JSON can hold it.

    config       of the product or of a baseline
    weights      w1 to w8, or ternary: how `layer` is quantised, in groups of GROUP; for a
                 floating-point core also `ordinary`: not quantised
    activations  name of an activation format
    whole        the whole core, precompute and rescale included, not its tile of tables and lanes
    layer        a linear layer with its activations; by default one of the embedded model
    cycles       of steps that are simulated, at least

    Keys: `fj`; its parts `data`, `clock`, `internal`, `leakage`; `units`, the same by suffix of
    the module; `products` of a cycle; `form` in which the weights
    were given, the least of those that the design takes, with `forms` all of them; `layer`. Forms
    of integer baselines: `baseline_stimulus.FORMS`; of floating-point cores `real`, weights with
    their scale, and `digits` without.
    ConfigError where the design does not take such operands. The figures are kept by content.
    """
    layer = real_layer() if layer is None else layer
    conditions = conditions or Conditions()
    unit = _unit(config, whole)
    modules = texts(unit)
    key = digest(
        json.dumps([modules, weights, activations, whole, cycles, asdict(conditions)]),
        repr(config),
        layer.name, layer.weights.tobytes().hex(), layer.activations.tobytes().hex(),
        library.sha256, flow_hash(),
    )  # fmt: skip

    def build(work: Path) -> None:
        coded = "w8" if weights == "ordinary" else weights
        data = workload(layer, coded, activations, GROUP)
        stimuli = _stimuli(config, whole, data, weights, cycles)
        found = _figures(unit, modules, library, stimuli, conditions)
        if not found:
            raise ConfigError(f"weights must be of a width that the design takes, not {weights}")
        (work / "figures.json").write_text(json.dumps(found | {"layer": layer.name}))

    with native.cached(f"energy-{key}", build) as entry:
        return json.loads((entry / "figures.json").read_text())


def _figures(
    unit: BaseUnit,
    modules: dict[str, str],
    library: Library,
    stimuli: Iterator[tuple[str, Stimulus]],
    conditions: Conditions,
) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for form, stimulus in stimuli:
        netlist = _netlist(unit, modules, library)
        spent, products = measured(netlist, stimulus, conditions)
        units = {
            name.removeprefix(unit.top).removeprefix("_"): _parts(energy / products)
            for name, energy in spent.modules.items()
        }
        found[form] = _summed(units) | {"products": products}
    if not found:
        return {}
    best = min(found, key=lambda form: found[form]["fj"])
    return found[best] | {
        "form": best,
        "forms": {form: figures["fj"] for form, figures in found.items()},
    }


_PARTS = ("fj", "data", "clock", "internal", "leakage")


def _parts(energy: Energy) -> dict[str, float]:
    values = (energy.total, energy.data, energy.clock, energy.internal, energy.leakage)
    return dict(zip(_PARTS, values, strict=True))


def _summed(units: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {part: sum(unit[part] for unit in units.values()) for part in _PARTS} | {"units": units}


_ROWS = {
    "table", "entries", "lookup", "precompute", "peak", "largest", "align", "decode",
    "row", "row_registers", "activation",
}  # fmt: skip
"""Suffixes of the units whose work is one row's, for all its columns."""
_COLUMNS = {"tile", "decoder", "scale_decode", "column", "column_registers", "weight"}
"""Those whose work is one column's, for all its rows."""


def at_tile(figures: dict[str, Any], config: Config, m: int, n: int) -> dict[str, Any]:
    """`figures` of `config` in a tile of m rows and n columns in place of its own.

    Lanes stay what they are; what a row's columns share is divided by more columns or by fewer, and
    so is what a column's rows share. Exact but for the control of the array and for the internal
    energy of the cells that drive the shared wires. Tables that are not shared stay as well.
    """
    rows = set() if getattr(config, "readers", 0) else _ROWS
    factors = {name: config.n / n for name in rows} | {name: config.m / m for name in _COLUMNS}
    units = {
        name: {part: fj * factors.get(name, 1.0) for part, fj in parts.items()}
        for name, parts in figures["units"].items()
    }
    scaled = _summed(units)
    ratio = scaled["fj"] / figures["fj"]
    forms = {form: fj * ratio for form, fj in figures["forms"].items()}
    return (
        figures
        | scaled
        | {"forms": forms, "products": figures["products"] * m * n / config.m / config.n}
    )


_kept: dict[str, Netlist] = {}


def _netlist(unit: BaseUnit, modules: dict[str, str], library: Library) -> Netlist:
    """The mapped netlist; the last one is kept, since it is measured in several formats."""
    key = digest(json.dumps(modules), library.sha256)
    if key not in _kept:
        synthesis = mapped(unit, modules, library)
        _kept.clear()
        _kept[key] = read_netlist(synthesis.netlist, synthesis.top, library)
    return _kept[key]


@functools.cache
def flow_hash() -> str:
    """Hash of all that maps, stimulates, simulates and accounts."""
    here = Path(__file__).parent
    own = [path for path in here.glob("*.py") if path.stem in _SOURCES or "stimulus" in path.stem]
    golden = [here / "baselines", Path(native.__file__).parent]
    files = [*map(str, sorted(own)), *map(str, golden)]
    return digest(flow(), sources(*files), np.__version__)


_SOURCES = (
    "activity", "cells", "energy", "expression", "flat_netlist", "harness", "kernels",
    "product_energy", "schedule", "tile",
)  # fmt: skip
