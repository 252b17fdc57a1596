"""The fused floating-point baselines as designs of sweeps."""

from __future__ import annotations

import dataclasses
from typing import Any

from lutcore.errors import InputError
from lutcore.unit import BaseUnit

from ..baselines.dequantise import CoreConfig
from ..baselines.mac_array import MacArray
from ..baselines.mac_config import FORMATS, NARROW, MacConfig
from ..baselines.mac_core import MacCore
from .built import Broadcast, Built, known

__all__ = ["FORMATS", "floating"]

TYPES = {"w1": "w1", "ternary": "ternary", "w2": "w2", "w4": "w4", "int2": "w2", "int4": "w4"}
"""The type of weight that a name of NARROW computes."""


def floating(role: str, values: dict[str, Any]) -> Built:
    """Fused dot products of floating-point activations, with FP32 accumulators.

    Fields of a point: those of MacConfig, `activations` in place of operand; of a MAC core whose
    weights are dequantised at its door also `codes` and `zero_bits`. Without codes its weights are
    of the format of its activations, which the account calls ordinary.
    """
    values = dict(values)
    fields = {f.name for f in dataclasses.fields(MacConfig)} - {"operand"}
    core = {"codes", "zero_bits"} if role == "mac" else set()
    known(role, values, fields - ({"weights"} if role == "mac" else set()) | core | {"activations"})
    operand = values.pop("activations")
    door = {name: values.pop(name) for name in core & set(values)}
    weights = values.get("weights", "")
    if role == "native" and weights not in NARROW:
        raise InputError(
            f"point: weights of design native must be one of {', '.join(NARROW)}, not {weights!r}"
        )
    config = MacConfig(operand=operand, **values)
    if door:
        unit: BaseUnit = MacCore(CoreConfig(mac=config, **door))
    else:
        unit = MacArray(config)
    taken = door.get("codes") or TYPES.get(weights, "ordinary")
    return Built(
        role=role,
        unit=unit,
        arithmetic=("dot", "accumulator"),
        m=config.m,
        n=config.n,
        k=config.k,
        cycles={taken: 1.0},
        activations=(operand,),
        parameters={"terms": config.k, "stages": config.stages},
        parts={"dequantise": ("dequantise",)},
        broadcasts=(
            Broadcast("tables", "dot", ("a",), "n"),
            Broadcast("weights", "dot", ("b",), "m"),
        ),
    )
