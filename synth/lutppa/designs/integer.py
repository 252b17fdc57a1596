"""The integer baselines as designs of sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, IntegerFormat, named
from lutcore.rescale import Rescale

from ..baselines.array import BaselineArray
from ..baselines.config import DESIGNS as CODINGS
from ..baselines.config import TABLES, BaselineConfig
from .built import Broadcast, Built, known, paced, planes
from .lut import FORMATS, split

__all__ = ["integer"]

FIELDS = {f.name for f in dataclasses.fields(BaselineConfig)}
RENAMED = {"k": "terms"}
"""Fields of a point that `BaselineConfig` calls by another name."""


def integer(design: str, role: str) -> Callable[[dict[str, Any]], Built]:
    """A function that builds the baseline `design` of `BaselineConfig` under the name `role`.

    Fields of a point: those of BaselineConfig, k in place of terms and `activations` in place of
    activation_bits, and of the epilogue scales, outputs, rescale_columns and zero_bits. All in is
    the array with its registers, and the product's rescale at the same tile and formats.
    """

    def build(values: dict[str, Any]) -> Built:
        own = FIELDS - {"design", "terms", "activation_bits"}
        epilogue = {*FORMATS, "rescale_columns", "zero_bits"}
        known(role, values, own | epilogue | {"k"})
        values = split(values)
        for name in ("m", "n", "k"):
            if name not in values:
                raise InputError(f"point: key {name!r} of design {role} is missing")
        (name,) = values.get("activations", ("int8",))
        fmt = named("activations", name, ACTIVATIONS)
        if not isinstance(fmt, IntegerFormat):
            raise InputError(f"point: activations of design {role} must be integers, not {name}")
        rest = {RENAMED.get(k, k): v for k, v in values.items() if k not in epilogue}
        rest.setdefault("coding", _coding(design, rest))
        config = BaselineConfig(design=design, activation_bits=fmt.bits, **rest)
        after = TensorCoreConfig(
            m=config.m,
            n=config.n,
            lookup_group=2,
            groups_per_step=config.terms // 2,
            table_bits=fmt.bits + 1,
            block=config.block,
            weight_bits=min(config.weight_bits, 8),
            **{"activations": (name,), **{k: values[k] for k in epilogue & set(values)}},
        )
        cycles = planes(config.weight_bits)
        if config.coding == "ternary":
            cycles = {"w1": 1, "ternary": 1}
        elif not config.bit_serial:
            cycles = dict.fromkeys(cycles, 1)
        steps = config.block // config.terms
        narrow = design == "mac" and config.weight_bits < fmt.bits
        return Built(
            # A multiplier for narrow weights takes no others.
            role="native" if narrow else role,
            unit=BaselineArray(config),
            arithmetic=("lane", "column"),
            m=config.m,
            n=config.n,
            k=config.terms,
            cycles=paced(cycles, steps, after.round_cycles),
            activations=(name,),
            parameters=_parameters(config),
            broadcasts=(
                Broadcast("tables", "lane", ("operand",), "n"),
                Broadcast("weights", "lane", ("selections",), "m"),
                Broadcast("control", "lane", ("keep", "shift", "move", "enable"), "m n"),
            ),
            parts={
                # Multiples and digits of a row; of a lookup core the sums in its tables.
                "precompute": ("row",),
                "tables": ("row_registers",),
                "weights": ("column_registers",),
            },
            beside=(("rescale", Rescale(after, "after"), 1),),
        )

    return build


def _coding(design: str, values: dict[str, Any]) -> str:
    """The coding that a design has by itself."""
    codings = CODINGS[design]
    if design == "native":
        return "odd" if values.get("weight_bits") == 1 else "integer"
    return "odd" if "odd" in codings and design != "full" else codings[0]


def _parameters(config: BaselineConfig) -> dict[str, int | str]:
    shown: dict[str, int | str] = {
        "weight_bits": config.weight_bits,
        "psum_bits": config.accumulator_bits,
        "block": config.block,
    }
    if config.design in TABLES:
        shown |= {
            "lookup_group": config.lookup_group,
            "groups_per_step": config.groups,
            "readers": config.table_readers,
        }
    else:
        shown["terms"] = config.terms
    return shown
