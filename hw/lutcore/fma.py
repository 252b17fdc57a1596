"""The only rounder: an integer times an FP32 scale times a power of two, added to FP32, once.

Source: docs/specification.md, "Rescale". The scheme is that of a classical fused multiply-add: the
product stays where it is, the addend moves, what falls below three extra bits becomes sticky.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from .formats import FP32, FloatFormat, IntegerFormat
from .unit import Unit

__all__ = ["Fma"]

EXTRA_BITS = 3  # guard, round and sticky below the product
GAP_BITS = 2  # between product and an addend far above it, so that it rounds alike


def leading_zeros(value: Value) -> Value:
    """Zeros above the highest one of `value`; its width where there is none. A tree of halves."""
    width = len(value)
    if width == 1:
        return ~value
    low = 1 << ((width - 1).bit_length() - 1)
    low_half, high_half = value[:low], value[low:]
    return Mux(high_half.any(), leading_zeros(high_half), leading_zeros(low_half) + (width - low))


class Fma(Unit):
    """result = RN32(addend + difference * scale * 2^(exponent - 1)), or addend + difference.

    enable      moves the three stages on
    difference  psum - z' sum; scale: FP32, zero or normal; exponent: of a table step
    nonfinite   makes the result NaN; raw: integer sum modulo 2^32
    addend      FP32 or INT32, two enabled cycles after its difference
    result      combinational after the third register: three enabled cycles after its difference
    """

    suffix = "fma"

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "enable": In(1),
            "difference": In(signed(c.difference_bits)),
            "scale": In(unsigned(FP32.bits)),
            "exponent": In(signed(c.exponent_bits)),
            "nonfinite": In(1),
            "raw": In(1),
            "addend": In(unsigned(FP32.bits)),
            "result": Out(unsigned(FP32.bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        integers = any(isinstance(fmt, IntegerFormat) for fmt in c.formats)
        floats = any(isinstance(fmt, FloatFormat) for fmt in c.formats)
        fraction_bits, field_bits = FP32.fraction_bits, FP32.exponent_bits
        digits = FP32.significand_bits
        magnitude_bits = c.difference_bits - 1
        product_bits = magnitude_bits + digits
        # Exponents of bits are biased so that bit 0 of an FP32 significand has max(field, 1).
        exponent = signed(max(field_bits, c.exponent_bits, product_bits.bit_length()) + 4)

        def register(shape: Any, name: str) -> Signal:
            return Signal(shape, name=name, reset_less=True)

        # Stage 1: sign and magnitude, held.
        negative, magnitude = register(1, "negative"), register(magnitude_bits, "magnitude")
        scale, step = register(FP32.bits, "scale_1"), register(signed(c.exponent_bits), "step")
        kind_1 = register(2, "kind_1")
        with m.If(self.enable):
            m.d.sync += [
                negative.eq(self.difference < 0),
                magnitude.eq(Mux(self.difference < 0, -self.difference, self.difference)),
                scale.eq(self.scale),
                step.eq(self.exponent if floats else 0),
                kind_1.eq(Cat(self.nonfinite if floats else 0, self.raw if integers else 0)),
            ]

        # Stage 2: the product, exact. Its bit 0 has exponent field + step - 1.
        scale_field = scale[fraction_bits : fraction_bits + field_bits]
        significand = Cat(scale[:fraction_bits], Const(1, 1))
        product, sign_2 = register(product_bits, "product"), register(1, "sign_2")
        product_exponent = register(exponent, "product_exponent")
        product_zero = register(1, "product_zero")
        kind_2, raw_term = register(2, "kind_2"), register(FP32.bits if integers else 1, "raw_term")
        with m.If(self.enable):
            m.d.sync += [
                product.eq(magnitude * significand),
                sign_2.eq(negative ^ scale[-1]),
                product_exponent.eq(scale_field + step - 1),
                product_zero.eq(~magnitude.any() | ~scale_field.any()),
                kind_2.eq(kind_1),
                raw_term.eq(Mux(negative, -magnitude, magnitude)),
            ]

        # Stage 3: align the addend and add.
        addend_field = self.addend[fraction_bits : fraction_bits + field_bits]
        addend_fraction = self.addend[:fraction_bits]
        addend_exponent, distance = Signal(exponent), Signal(exponent)
        top = product_bits + GAP_BITS
        width = top + digits + EXTRA_BITS
        reach = digits + EXTRA_BITS  # an addend lower than this is all sticky
        m.d.comb += [
            addend_exponent.eq(Mux(addend_field.any(), addend_field, 1)),
            distance.eq(addend_exponent - product_exponent),
        ]
        place, base = Signal(range(reach + top + 1)), Signal(exponent)
        with m.If(product_zero):
            m.d.comb += [place.eq(reach), base.eq(addend_exponent)]
        with m.Elif(distance < -reach):
            m.d.comb += [place.eq(0), base.eq(product_exponent)]
        with m.Elif(distance > top):
            # The product is below a quarter of the addend's last place, were the addend 0 too.
            m.d.comb += [place.eq(reach + top), base.eq(addend_exponent - top)]
        with m.Else():
            m.d.comb += [place.eq(distance + reach), base.eq(product_exponent)]
        moved = Signal(width + digits)
        m.d.comb += moved.eq(Cat(addend_fraction, addend_field.any()) << place)
        addend_window = Cat(moved[: digits + 1].any(), moved[digits + 1 :])
        product_window = Signal(product_bits + EXTRA_BITS)
        with m.If(~product_zero):
            m.d.comb += product_window.eq(Cat(Const(0, EXTRA_BITS), product))
        subtract = Signal()
        total = Signal(signed(width + 2))
        m.d.comb += [
            subtract.eq(sign_2 ^ self.addend[-1]),
            total.eq(addend_window + Mux(subtract, -product_window, product_window)),
        ]
        size, sign_3 = register(width + 1, "size"), register(1, "sign_3")
        base_3 = register(exponent, "base_3")
        special, special_value = register(1, "special"), register(FP32.bits, "special_value")
        with m.If(self.enable):
            m.d.sync += [
                size.eq(Mux(total < 0, -total, total)),
                sign_3.eq(self.addend[-1] ^ (total < 0)),
                base_3.eq(base),
                special.eq(kind_2.any() | (addend_field == FP32.special_field)),
                special_value.eq(self.addend),
            ]
            with m.If(kind_2[0] | ((addend_field == FP32.special_field) & addend_fraction.any())):
                m.d.sync += special_value.eq(FP32.quiet_nan)
            if integers:
                with m.If(kind_2[1]):
                    m.d.sync += [special.eq(1), special_value.eq(self.addend + raw_term)]

        # After stage 3: normalise, round to nearest even, pack.
        zeros, room, shift = Signal(range(width + 2)), Signal(exponent), Signal(range(width + 2))
        m.d.comb += zeros.eq(leading_zeros(size))
        # Bit `width` of size has exponent base + width - EXTRA_BITS; field 1 has its top at digits.
        # The base is never below 1 - top, so there is always room.
        m.d.comb += room.eq(base_3 + (width - EXTRA_BITS - digits))
        normal = Signal()
        m.d.comb += [
            normal.eq(zeros <= room),
            shift.eq(Mux(normal, zeros, room)),
        ]
        shifted = Signal(width + 1)
        m.d.comb += shifted.eq(size << shift)
        low = width + 1 - digits
        kept, half, rest = shifted[low:], shifted[low - 1], shifted[: low - 1].any()
        field = Signal(exponent)
        m.d.comb += field.eq(Mux(normal & kept[-1], room - zeros + 1, 0))
        packed = Signal(field_bits + fraction_bits + 1)
        m.d.comb += packed.eq(
            Cat(kept[:fraction_bits], field[:field_bits]) + (half & (rest | kept[0]))
        )
        infinite = Signal()
        m.d.comb += infinite.eq(
            (field >= FP32.special_field) | (packed[fraction_bits:] >= FP32.special_field)
        )
        with m.If(special):
            m.d.comb += self.result.eq(special_value)
        with m.Elif(infinite):
            m.d.comb += self.result.eq(
                Cat(Const(FP32.special_field << fraction_bits, FP32.bits - 1), sign_3)
            )
        with m.Elif(packed.any()):
            m.d.comb += self.result.eq(Cat(packed[: FP32.bits - 1], sign_3))
        return m
