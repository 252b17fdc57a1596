"""`MacCore`: a MAC array that takes codes of narrow weights and dequantises them at its door.

i_activations ----------------------------> array -> o_results
i_weights -> dequantise of n columns ---------^
i_scales --> registers ----^
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from .dequantise import CoreConfig, CoreUnit, Dequantise
from .mac_array import MacArray

__all__ = ["MacCore"]


class MacCore(CoreUnit):
    """A `MacArray` with n dequantisers before its operand registers.

    i_activations, o_results  those of `MacArray`
    i_weights                 n columns of k codes, and `end` in the last beat of a group
    i_scales                  n columns of scale and zero; one beat before the codes of each group

    Cycle contract: that of `MacArray`. Scales are taken with the last codes of the group before,
    or earlier if there is none, so that groups follow each other without a gap.
    """

    suffix = "core"

    def __init__(self, config: CoreConfig, top: str = "mac") -> None:
        self.dequantise = Dequantise(config, top)
        self.array = MacArray(config.mac, top)
        super().__init__(config, top, self.dequantise, self.array)

    def ports(self) -> dict[str, Any]:
        array = self.array.layouts
        return {
            "i_activations": In(array.signature("activations")),
            "i_weights": In(self.layouts.signature("weights")),
            "i_scales": In(self.layouts.signature("scales")),
            "o_results": Out(array.signature("results")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weights, scales = self.i_weights, self.i_scales
        operands = self.array.layouts.signature("weights").create(path=("operands",))
        held, some = Signal(self.layouts.scales, reset_less=True), Signal()
        m.d.comb += [
            operands.valid.eq(weights.valid & some),
            weights.ready.eq(operands.ready & some),
            scales.ready.eq(~some | (weights.valid & operands.ready & weights.payload.end)),
        ]
        with m.If(scales.ready):
            m.d.sync += [some.eq(scales.valid), held.eq(scales.payload)]
        for column in range(self.config.mac.n):
            m.submodules[f"dequantise_{column}"] = self.dequantise.place(
                codes=weights.payload.columns[column],
                scale=held[column],
                weights=operands.payload[column],
            )
        m.submodules.array = self.array.place(
            i_activations=self.i_activations, i_weights=operands, o_results=self.o_results
        )
        return m
