"""What a design says of itself to the account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lutcore.errors import InputError
from lutcore.unit import BaseUnit

__all__ = ["Broadcast", "Built", "known", "paced", "planes"]


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

    role         what it stands for in the account: lut, mac, add, native, full, unpu, ...
    unit         the whole of it, a product's top or a baseline's
    arithmetic   suffixes of the modules that count as arithmetic only, all their instances
    m, n, k      rows, columns and depth of the tile that it computes a step, for one plane
    cycles       of a step by type of weight (w1 to w8, ternary), stalls included
    activations  names of the activation formats that it computes
    exact        whether it sums products of integers exactly
    parameters   what tells variants apart, for a reader
    broadcasts   wires that many lanes share
    parts        suffixes of units by part of the account: tables, precompute, ...
    beside       units that belong to the whole and stand outside `unit`: part, unit, instances
    """

    role: str
    unit: BaseUnit
    arithmetic: tuple[str, ...]
    m: int
    n: int
    k: int
    cycles: Mapping[str, float]
    activations: tuple[str, ...]
    exact: bool = True
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    broadcasts: tuple[Broadcast, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: tuple[tuple[str, BaseUnit, int], ...] = ()

    def facts(self) -> dict[str, Any]:
        """What a reader of figures has to know of the design, as JSON can hold it."""
        return {
            "role": self.role,
            "m": self.m,
            "n": self.n,
            "k": self.k,
            "cycles": dict(self.cycles),
            "activations": list(self.activations),
            "exact": self.exact,
            "parameters": dict(self.parameters),
        }


def known(design: str, values: Iterable[str], fields: Iterable[str]) -> None:
    """InputError for a value that is not among the fields of a design."""
    fields = sorted(fields)
    for key in sorted(values):
        if key not in fields:
            raise InputError(
                f"point: unknown key {key!r} of design {design}; known are {', '.join(fields)}"
            )


def planes(bits: int) -> dict[str, int]:
    """Cycles of a step in a design that takes weights a bit at a time, up to `bits` of them."""
    return {f"w{b}": b for b in range(1, bits + 1)} | ({"ternary": 2} if bits > 1 else {})


def paced(cycles: Mapping[str, int], steps: int, rescale_cycles: int) -> dict[str, float]:
    """Cycles of a step where a block of `steps` waits for the rescaling of the one before."""
    return {name: max(count, rescale_cycles / steps) for name, count in cycles.items()}
