"""A lane that writes `*` and leaves products to the flow, which takes DSPs where it may."""

# The methods keep the contracts that the base class states.
# ruff: noqa: D102

from __future__ import annotations

from operator import add
from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from lutcore.unit import balanced

from .operands import BaselineUnit

__all__ = ["Multiplier"]


class Multiplier(BaselineUnit):
    """One element of the output tile, of a `mac` configuration.

    values: the row's activations; codes: the column's weights; enable: take them; clear: start
    from zero. Cycle contract: psum holds the sum one cycle after enable.
    """

    suffix = "multiplier"

    def ports(self) -> dict[str, Any]:
        return {
            "values": In(self.layouts.values),
            "codes": In(self.layouts.codes),
            "enable": In(1),
            "clear": In(1),
            "psum": Out(signed(self.config.accumulator_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        products = [self.values[i] * self.codes[i].as_signed() for i in range(c.terms)]
        psum = Signal(signed(c.accumulator_bits), reset_less=True, name="accumulator")
        m.d.comb += self.psum.eq(psum)
        with m.If(self.enable):
            m.d.sync += psum.eq(Mux(self.clear, 0, psum) + balanced(products, add))
        return m
