"""The last units of a multiply-add, and the only rounder: normalise, round once, pack.

By one shifter and one adder: formats differ in the smallest exponent, the place of the last bit and
the largest exponent.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .fma_layout import LOW_BITS, FmaUnit, held
from .formats import FP32, FloatFormat
from .unit import leading_zeros

__all__ = ["FmaNormalise", "FmaRound"]


class FmaNormalise(FmaUnit):
    """Cycle contract: combinational, with `pipeline` and no `truncate` one enabled cycle later."""

    suffix = "fma_normalise"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.clocked = config.pipeline > 0 and not config.truncate  # type: ignore[misc]
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        return {
            "enable": In(1),
            "total": In(self.widths.total),
            "digits": Out(self.widths.digits),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, w = self.config, self.widths
        room, down, size = self.total.room, w.down, self.total.size[: w.width + 1]
        # A room of more than all digits is as good as none.
        zeros, shift = Signal(range(w.width + 2)), Signal(range(down + w.width + 2))
        most, normal = Signal(len(shift)), Signal()
        lifted = room + down
        shifted, field = Signal(down + w.width + 1), Signal(w.exponent)
        m.d.comb += [
            zeros.eq(leading_zeros(size)),
            most.eq(
                (lifted[: len(most)] | lifted[len(most) : -1].any().replicate(len(most)))
                & ~lifted[-1].replicate(len(most))
            ),
            normal.eq(zeros + down <= most),
            shift.eq(Mux(normal, zeros + down, most)),
            shifted.eq(size << shift),
            field.eq(Mux(normal & shifted[-1], room - zeros + 1, 0)),
        ]
        if c.truncate:
            normalised = Cat(shifted[-FP32.significand_bits :], field)
        else:
            rest = len(shifted) - FP32.significand_bits - 1
            normalised = Cat(shifted[:rest].any(), shifted[rest:], field)
        if c.raw:
            normalised = Mux(self.total.raw, self.total.size[: FP32.bits], normalised)
        digits = Signal(w.digits)
        m.d.comb += [
            digits.normalised.eq(normalised),
            *(digits[name].eq(self.total[name]) for name in ("sign", "special", "nan", *w.flags)),
        ]
        m.d.comb += self.digits.eq(held(m, self.clocked, self.enable, "held_digits", digits))
        return m


class FmaRound(FmaUnit):
    """Rounds to the nearest, ties to even, or not with `truncate`, and packs. Combinational."""

    suffix = "fma_round"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {"digits": In(self.widths.digits), "result": Out(unsigned(FP32.bits))}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chosen, low_bits = self.widths.chosen, self.widths.low_bits
        fraction_bits, field_bits = FP32.fraction_bits, FP32.exponent_bits
        digits = self.digits
        kept_bits = FP32.significand_bits + low_bits
        kept = digits.normalised[:kept_bits]
        field = digits.normalised[kept_bits:].as_signed()

        def last_place(fmt: FloatFormat) -> int:
            """The last bit of a result in the digits of FP32."""
            return fraction_bits - fmt.fraction_bits

        def increment(fmt: FloatFormat) -> Value:
            if self.config.truncate:
                return Const(0, 1)
            last = LOW_BITS + last_place(fmt)
            half, rest = kept[last - 1], kept[: last - 1].any()
            return (half & (rest | kept[last])).shift_left(last_place(fmt))

        packed, infinite, nonzero = Signal(FP32.bits), Signal(), Signal()
        result_field = packed[fraction_bits:]
        m.d.comb += [
            packed.eq(Cat(kept[low_bits:-1], field[:field_bits]) + chosen(digits, increment)),
            infinite.eq(
                chosen(
                    digits,
                    lambda fmt: (field >= fmt.special_field) | (result_field >= fmt.special_field),
                )
            ),
            nonzero.eq(chosen(digits, lambda fmt: packed[last_place(fmt) :].any())),
        ]
        code = Signal(FP32.bits)
        with m.If(digits.special & digits.nan):
            m.d.comb += code.eq(FP32.quiet_nan)
        with m.Elif(digits.special | infinite):
            m.d.comb += code.eq(Cat(Const(FP32.infinity, FP32.bits - 1), digits.sign))
        with m.Elif(nonzero):
            m.d.comb += code.eq(Cat(packed[: FP32.bits - 1], digits.sign))
        if self.config.raw:
            with m.If(digits.raw):
                m.d.comb += code.eq(digits.normalised)
        # In infinity and NaN too, exponents and fractions of all formats begin with the same bits.
        m.d.comb += self.result.eq(
            chosen(
                digits,
                lambda fmt: Cat(code[last_place(fmt) :][: fmt.bits - 1], code[-1]),
            )
        )
        return m
