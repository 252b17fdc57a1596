"""The fused floating-point baselines as designs of sweeps."""

from __future__ import annotations

import dataclasses
from typing import Any

from lutcore.errors import InputError

from ..baselines.mac_array import MacArray
from ..baselines.mac_config import FORMATS, NARROW, MacConfig
from .built import Broadcast, Built, known, planes

__all__ = ["FORMATS", "floating"]

TYPES = {"w1": "w1", "ternary": "ternary", "w2": "w2", "w4": "w4", "int2": "w2", "int4": "w4"}
"""The type of weight that a name of NARROW computes."""


def floating(role: str, values: dict[str, Any]) -> Built:
    """Fused dot products of floating-point activations, with FP32 accumulators.

    Fields of a point: those of MacConfig, `activations` in place of operand.
    """
    values = dict(values)
    fields = {f.name for f in dataclasses.fields(MacConfig)} - {"operand"}
    known(role, values, fields | {"activations"})
    operand = values.pop("activations")
    weights = values.get("weights", "")
    if role == "native" and weights not in NARROW:
        raise InputError(
            f"point: weights of design native must be one of {', '.join(NARROW)}, not {weights!r}"
        )
    config = MacConfig(operand=operand, **values)
    cycles = {TYPES[weights]: 1} if weights else planes(8)
    return Built(
        role=role,
        unit=MacArray(config),
        arithmetic=("dot", "column"),
        m=config.m,
        n=config.n,
        k=config.k,
        cycles=dict.fromkeys(cycles, 1.0),
        activations=(operand,),
        parameters={"terms": config.k, "weights": weights or operand, "stages": config.stages},
        broadcasts=(
            Broadcast("tables", "dot", ("a",), "n"),
            Broadcast("weights", "dot", ("b",), "m"),
        ),
    )
