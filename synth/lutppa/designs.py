"""The designs that sweeps measure, by name: a point's fields in, a unit and what it computes out.

A new design is one function in `DESIGNS`. It takes the fields of a point that are not the
measurement's own and returns a `Built`; a field that it does not know is an InputError.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lutcore.config import TensorCoreConfig, preset
from lutcore.core import TensorCore
from lutcore.errors import InputError
from lutcore.unit import BaseUnit

__all__ = ["DESIGNS", "Broadcast", "Built", "build"]


@dataclass(frozen=True)
class Broadcast:
    """A bundle of wires that many instances of a module read.

    name       for a reader
    unit       suffix of the module that reads
    ports      its ports, by the start of their names
    instances  of the module on one wire, as a function of m and n in words: "n", "m" or "m n"
    """

    name: str
    unit: str
    ports: tuple[str, ...]
    instances: str


@dataclass(frozen=True)
class Built:
    """A design at a point.

    role         what it stands for in the account: lut, mac, add, table, native, unpu, ...
    unit         the whole of it, a product's top or a baseline's
    arithmetic   suffixes of the modules that count as arithmetic only, all their instances
    m, n, k      rows, columns and depth of the tile that it computes a cycle, for one plane
    weight_bits  widths of weights that it computes, each with the cycles that a tile takes
    activations  names of the activation formats that it computes
    parameters   what tells variants apart, for a reader
    broadcasts   wires that many lanes share
    parts        suffixes of units by part of the account: tables, precompute, rescale
    """

    role: str
    unit: BaseUnit
    arithmetic: tuple[str, ...]
    m: int
    n: int
    k: int
    weight_bits: Mapping[int, int]
    activations: tuple[str, ...]
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    broadcasts: tuple[Broadcast, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What a reader of figures has to know of the design, as JSON can hold it."""
        return {
            "role": self.role,
            "m": self.m,
            "n": self.n,
            "k": self.k,
            "weight_bits": {str(bits): cycles for bits, cycles in self.weight_bits.items()},
            "activations": list(self.activations),
            "parameters": dict(self.parameters),
        }


_PARAMETERS = ("lookup_group", "groups_per_step", "table_bits", "weight_bits", "psum_bits")


def _lut(values: dict[str, Any]) -> Built:
    """The product: a preset, or m and n, and any other field of TensorCoreConfig."""
    known = {f.name for f in dataclasses.fields(TensorCoreConfig)} - {"name"}
    unknown = sorted(set(values) - known - {"preset"})
    if unknown:
        raise InputError(
            f"point: unknown key {unknown[0]!r} of design lut; known are preset, "
            f"{', '.join(sorted(known))}"
        )
    for name in ("activations", "scales", "outputs"):
        if name in values:
            values[name] = tuple(str(values[name]).split("+"))
    if "preset" in values:
        config = dataclasses.replace(preset(str(values.pop("preset"))), name="custom", **values)
    else:
        for name in ("m", "n"):
            if name not in values:
                raise InputError(f"point: key {name!r} is missing; a preset would do as well")
        config = TensorCoreConfig(**values)
    return Built(
        role="lut",
        unit=TensorCore(config),
        arithmetic=("lane", "decoder"),
        m=config.m,
        n=config.n,
        k=config.k,
        weight_bits={bits: bits for bits in range(1, config.weight_bits + 1)},
        activations=config.activations,
        parameters={name: getattr(config, name) for name in _PARAMETERS},
        broadcasts=(
            Broadcast("tables", "lane", ("tables",), "n"),
            Broadcast("weights", "lane", ("selections",), "m"),
            Broadcast("control", "lane", ("keep", "shift"), "m n"),
        ),
        parts={"precompute": "precompute", "tables": "table", "rescale": "rescale"},
    )


DESIGNS: dict[str, Callable[[dict[str, Any]], Built]] = {"lut": _lut}
"""Every design that a point may name."""


def build(name: str, values: Mapping[str, Any]) -> Built:
    """The design `name` with these fields; InputError or ConfigError if there is no such thing."""
    if name not in DESIGNS:
        raise InputError(f"point: design {name!r} is unknown; known are {', '.join(DESIGNS)}")
    return DESIGNS[name](dict(values))
