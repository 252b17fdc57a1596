"""The designs that sweeps measure, by name: a point's fields in, a unit and what it computes out.

A new design is one function in `DESIGNS`. It takes the fields of a point that are not the
measurement's own and returns a `Built`; a field that it does not know is an InputError.

lut                  the product
mac, native          multiply-accumulate, and weights of one width alone; integer or floating
                     point, as `activations` says; `mac` for weights narrower than its activations
                     stands for `native`
add                  bit-serial without tables
full                 bit-serial lookup in tables of all sums
unpu                 the same; the first step of the ablation, where `readers` columns share tables
unpu_reinterpreted   tables of half of the signed sums, negation of the index in hardware
unpu_folded          the same, the index negated offline
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lutcore.errors import InputError

from .built import Broadcast, Built
from .floating import FORMATS, floating
from .integer import integer
from .lut import lut

__all__ = ["DESIGNS", "Broadcast", "Built", "build"]


def _either(role: str) -> Callable[[dict[str, Any]], Built]:
    """The floating-point design of this role where the activations are, else the integer one."""

    def built(values: dict[str, Any]) -> Built:
        if values.get("activations") in FORMATS:
            return floating(role, values)
        return integer(role, role)(values)

    return built


DESIGNS: dict[str, Callable[[dict[str, Any]], Built]] = {
    "lut": lut,
    "mac": _either("mac"),
    "native": _either("native"),
    "add": integer("add", "add"),
    "full": integer("full", "full"),
    "unpu": integer("full", "unpu"),
    "unpu_reinterpreted": integer("half", "unpu_reinterpreted"),
    "unpu_folded": integer("folded", "unpu_folded"),
}
"""Every design that a point may name."""


def build(name: str, values: Mapping[str, Any]) -> Built:
    """The design `name` with these fields; InputError or ConfigError if there is no such thing."""
    if name not in DESIGNS:
        raise InputError(f"point: design {name!r} is unknown; known are {', '.join(DESIGNS)}")
    return DESIGNS[name](dict(values))
