"""The fused floating-point baselines as designs of sweeps."""

from __future__ import annotations

from typing import Any

from lutcore.errors import InputError

from ..baselines.dot_stream import DotStream
from ..baselines.mac_config import FORMATS, NARROW, MacConfig
from .built import Built, known, planes

__all__ = ["FORMATS", "floating"]

TYPES = {"w1": "w1", "ternary": "ternary", "w2": "w2", "w4": "w4", "int2": "w2", "int4": "w4"}
"""The type of weight that a name of NARROW computes."""


def floating(role: str, values: dict[str, Any]) -> Built:
    """A fused dot product with its own operand registers: one lane, nothing shared yet."""
    values = dict(values)
    known(role, values, {"activations", "k", "weights", "fraction_bits", "stages"})
    operand = values.pop("activations")
    if role == "native" and values.get("weights") not in NARROW:
        raise InputError(
            f"point: weights of design native must be one of {', '.join(NARROW)}, not "
            f"{values.get('weights')!r}"
        )
    config = MacConfig(operand=operand, **values)
    cycles = planes(8) if role == "mac" else {TYPES[config.weights]: 1}
    return Built(
        role=role,
        unit=DotStream(config),
        arithmetic=("dot",),
        m=1,
        n=1,
        k=config.k,
        cycles=dict.fromkeys(cycles, 1.0),
        activations=(operand,),
        parameters={"terms": config.k, "weights": config.weights or operand},
    )
