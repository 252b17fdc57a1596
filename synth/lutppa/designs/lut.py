"""The product as a design of sweeps."""

from __future__ import annotations

import dataclasses
from typing import Any

from lutcore.config import TensorCoreConfig, preset
from lutcore.core import TensorCore
from lutcore.errors import InputError
from lutcore.formats import IntegerFormat

from ..baselines.config import BaselineConfig
from ..baselines.operands import ColumnRegisters
from .built import Broadcast, Built, known, paced, planes

__all__ = ["FORMATS", "lut", "split"]

FORMATS = ("activations", "scales", "outputs")
"""Fields that are several formats joined by +."""

PARAMETERS = (
    "lookup_group",
    "groups_per_step",
    "table_bits",
    "weight_bits",
    "psum_bits",
    "block",
    "pipeline",
    "truncate",
)


def split(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a point with formats as tuples."""
    return {k: tuple(str(v).split("+")) if k in FORMATS else v for k, v in values.items()}


def lut(values: dict[str, Any]) -> Built:
    """The product: a preset, or m and n, and any other field of TensorCoreConfig.

    All in counts a register for the weights, which a core without `pipeline` reads from its stream:
    an opponent holds its own as well.
    """
    fields = {f.name for f in dataclasses.fields(TensorCoreConfig)} - {"name"}
    known("lut", values, fields | {"preset"})
    values = split(values)
    if "preset" in values:
        config = dataclasses.replace(preset(str(values.pop("preset"))), name="custom", **values)
    else:
        for name in ("m", "n"):
            if name not in values:
                raise InputError(f"point: key {name!r} is missing; a preset would do as well")
        config = TensorCoreConfig(**values)
    cycles = planes(config.weight_bits)
    if config.table_digits == 3:
        cycles["ternary"] = 1
    return Built(
        role="lut",
        unit=TensorCore(config),
        arithmetic=("lane", "decoder"),
        m=config.m,
        n=config.n,
        k=config.k,
        cycles=paced(cycles, config.max_steps, config.round_cycles),
        activations=config.activations,
        exact=all(config.exact(f) for f in config.formats if isinstance(f, IntegerFormat)),
        parameters={name: getattr(config, name) for name in PARAMETERS},
        broadcasts=(
            Broadcast("tables", "lane", ("tables",), "n"),
            Broadcast("weights", "lane", ("selections",), "m"),
            Broadcast("control", "lane", ("keep", "shift"), "m n"),
        ),
        parts={"precompute": ("precompute",), "tables": ("table",), "rescale": ("rescale",)},
        beside=() if config.pipeline else (("weights", _codes(config), config.n),),
    )


def _codes(config: TensorCoreConfig) -> ColumnRegisters:
    """A register for the codes of a column in a step."""
    bits = config.code_bits
    held = BaselineConfig(
        design="add", coding="odd", m=1, n=1, terms=bits, block=bits, weight_bits=1
    )
    return ColumnRegisters(held, "weights")
