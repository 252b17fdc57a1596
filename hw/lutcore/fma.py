"""The only rounder: an integer times a scale times a power of two, added to FP32, rounded once.

Source: docs/specification.md, "Rescale". The scheme is that of a classical fused multiply-add: the
product stays where it is, the addend moves, what falls below the digits of any result becomes
sticky. The sum is rounded to FP32 or straight to the format of the output, by one shifter and one
adder: formats differ in the smallest exponent, the place of the last bit and the largest exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .formats import FP32, INT32, FloatFormat, PowerFormat
from .streams import index_bits
from .unit import Unit

__all__ = ["Fma", "leading_zeros", "scale_layout"]

EXTRA_BITS = 3  # guard, round and sticky below the digits of the smallest product
GAP_BITS = 2  # between product and an addend far above it, so that it rounds alike


def leading_zeros(value: Value) -> Value:
    """Zeros above the highest one of `value`; its width where there is none. A tree of halves."""
    width = len(value)
    if width == 1:
        return ~value
    low = 1 << ((width - 1).bit_length() - 1)
    low_half, high_half = value[:low], value[low:]
    return Mux(high_half.any(), leading_zeros(high_half), leading_zeros(low_half) + (width - low))


def _scale_exponents(config: TensorCoreConfig) -> range:
    """Exponents of the scales of `config`, as `scale_layout` has them."""
    bounds: list[int] = []
    for fmt in config.scale_formats:
        rebias = FP32.bias - fmt.bias
        if isinstance(fmt, PowerFormat):
            bounds += [rebias, rebias + fmt.quiet_nan - 1]
        else:
            bounds += [rebias + 2 - fmt.significand_bits, rebias + fmt.largest_field]
    return range(min(bounds), max(bounds) + 1)


def scale_layout(config: TensorCoreConfig) -> data.StructLayout:
    """A decoded scale of any of `config.scale_formats`.

    exponent     what FP32 would have as exponent field, were it unbounded: 127 for 1.0
    significand  normalised and left-aligned in the width of the widest format; 0 for zero only
    special      infinity or NaN
    """
    return data.StructLayout(
        {
            "sign": 1,
            "exponent": Shape.cast(_scale_exponents(config)),
            "significand": max(fmt.significand_bits for fmt in config.scale_formats),
            "special": 1,
        }
    )


class Fma(Unit):
    """result = RN(addend + difference * scale * 2^(exponent - 1)), or addend + difference.

    enable      moves the three stages on
    difference  psum - z' sum; scale: as `scale_layout` has it; exponent: of a table step
    nonfinite   makes the result NaN, as does a special scale
    output      place of the output's format in `config.outputs`; int32: integer sum modulo 2^32
    last        rounds to that format; otherwise to FP32
    addend      FP32 or INT32, two enabled cycles after its difference
    result      combinational after the third register: three enabled cycles after its difference;
                a narrow format in the low bits, 0 above
    """

    suffix = "fma"

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "enable": In(1),
            "difference": In(signed(c.difference_bits)),
            "scale": In(scale_layout(c)),
            "exponent": In(signed(c.exponent_bits)),
            "nonfinite": In(1),
            "output": In(unsigned(index_bits(len(c.outputs)))),
            "last": In(1),
            "addend": In(unsigned(FP32.bits)),
            "result": Out(unsigned(FP32.bits)),
        }

    @property
    def _narrow(self) -> list[FloatFormat]:
        """Formats of results other than FP32, which every pass but the last has."""
        formats = self.config.output_formats
        return [fmt for fmt in formats if isinstance(fmt, FloatFormat) and fmt is not FP32]

    def _is_output(self, name: str) -> Value:
        index = self.config.outputs.index(name)
        if len(self.config.outputs) == 1:
            return Const(1, 1)
        return self.output == index if index else ~self.output.any()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        narrow = self._narrow
        fraction_bits, field_bits = FP32.fraction_bits, FP32.exponent_bits
        digits = FP32.significand_bits
        scale_digits = len(self.scale.significand)
        magnitude_bits = c.difference_bits - 1
        product_bits = magnitude_bits + scale_digits
        # The smallest product has scale_digits; below it a result has digits of the addend.
        extra = EXTRA_BITS + digits - scale_digits
        top = product_bits + GAP_BITS
        width = top + digits + extra
        reach = digits + extra  # an addend lower than this is all sticky

        # Exponents of bits are biased so that bit 0 of an FP32 significand has max(field, 1).
        steps = [bound for fmt in c.formats for bound in c.exponent_range(fmt)]
        align = digits - 1 - scale_digits
        scale_exponents = _scale_exponents(c)
        lowest = min(steps) + scale_exponents.start + align
        highest = max(steps) + scale_exponents.stop + align
        span = max(abs(lowest), abs(highest)) + FP32.special_field + width
        exponent = signed(span.bit_length() + 1)

        def register(shape: Any, name: str) -> Any:
            return Signal(shape, name=name, reset_less=True)

        kind = data.StructLayout({"nan": 1, "raw": 1, **{fmt.name: 1 for fmt in narrow}})
        kind_1, kind_2 = register(kind, "kind_1"), register(kind, "kind_2")
        kind_3 = register(kind, "kind_3")

        # Stage 1: sign and magnitude, held.
        negative, magnitude = register(1, "negative"), register(magnitude_bits, "magnitude")
        significand, sign_1 = register(scale_digits, "significand"), register(1, "sign_1")
        exponent_1 = register(range(lowest, highest + 1), "exponent_1")
        blocks = any(steps)
        with m.If(self.enable):
            m.d.sync += [
                negative.eq(self.difference < 0),
                magnitude.eq(Mux(self.difference < 0, -self.difference, self.difference)),
                sign_1.eq(self.scale.sign ^ (self.difference < 0)),
                significand.eq(self.scale.significand),
                exponent_1.eq(self.scale.exponent + (self.exponent if blocks else 0) + align),
                kind_1.nan.eq(self.scale.special | (self.nonfinite if blocks else 0)),
                kind_1.raw.eq(self._is_output(INT32.name) if c.raw else 0),
                *(kind_1[fmt.name].eq(self.last & self._is_output(fmt.name)) for fmt in narrow),
                kind_2.eq(kind_1),
                kind_3.eq(kind_2),
            ]

        # Stage 2: the product, exact. exponent_1 is that of its bit 0.
        product, sign_2 = register(product_bits, "product"), register(1, "sign_2")
        product_exponent = register(exponent_1.shape(), "product_exponent")
        product_zero = register(1, "product_zero")
        raw_term = register(FP32.bits if c.raw else 1, "raw_term")
        normalised = Cat(significand[:-1], Const(1, 1))
        with m.If(self.enable):
            m.d.sync += [
                product.eq(magnitude if scale_digits == 1 else magnitude * normalised),
                sign_2.eq(sign_1),
                product_exponent.eq(exponent_1),
                product_zero.eq(~magnitude.any() | ~significand[-1]),
                raw_term.eq(Mux(negative, -magnitude, magnitude)),
            ]

        # Stage 3: align the addend and add.
        addend_field = self.addend[fraction_bits : fraction_bits + field_bits]
        addend_fraction = self.addend[:fraction_bits]
        addend_exponent, distance = Signal(exponent), Signal(exponent)
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
        product_window = Signal(product_bits + extra)
        with m.If(~product_zero):
            m.d.comb += product_window.eq(Cat(Const(0, extra), product))
        subtract = Signal()
        total = Signal(signed(width + 2))
        m.d.comb += [
            subtract.eq(sign_2 ^ self.addend[-1]),
            total.eq(addend_window + Mux(subtract, -product_window, product_window)),
        ]
        size, sign_3 = register(width + 1, "size"), register(1, "sign_3")
        room = register(exponent, "room")
        special, special_value = register(1, "special"), register(FP32.bits, "special_value")

        def chosen(kind: Any, of: Callable[[FloatFormat], Any]) -> Any:
            """What the format of the result has; FP32 where no other is chosen."""
            value = of(FP32)
            for fmt in narrow:
                value = Mux(kind[fmt.name], of(fmt), value)
            return value

        with m.If(self.enable):
            m.d.sync += [
                size.eq(Mux(total < 0, -total, total)),
                sign_3.eq(self.addend[-1] ^ (total < 0)),
                # Bit `width` of size has the exponent field room + 1, and it is shifted by as much
                # as room to be a subnormal's. The base is never below 1 - top: the room of FP32 is
                # never below 1, that of a format of smaller exponents may be negative.
                room.eq(base + chosen(kind_2, lambda fmt: top - (FP32.bias - fmt.bias))),
                special.eq(kind_2.nan | kind_2.raw | (addend_field == FP32.special_field)),
                special_value.eq(self.addend),
            ]
            with m.If(kind_2.nan | ((addend_field == FP32.special_field) & addend_fraction.any())):
                m.d.sync += special_value.eq(FP32.quiet_nan)
            if c.raw:
                with m.If(kind_2.raw):
                    m.d.sync += special_value.eq(self.addend + raw_term)

        # After stage 3: normalise, round to nearest even, pack. A negative room is a shift to the
        # right, of so many digits that nothing remains at most.
        down = max(
            fmt.significand_bits + 1 if fmt.bias < FP32.bias else 0 for fmt in [FP32, *narrow]
        )
        zeros, shift = Signal(range(width + 2)), Signal(range(down + width + 2))
        normal = Signal()
        m.d.comb += [zeros.eq(leading_zeros(size)), normal.eq(zeros <= room)]
        smallest = Mux(room < -down, 0, room + down) if down else room
        m.d.comb += shift.eq(Mux(normal, zeros + down, smallest))
        shifted = Signal(down + width + 1)
        m.d.comb += shifted.eq(size << shift)
        low = len(shifted) - digits
        field = Signal(exponent)
        m.d.comb += field.eq(Mux(normal & shifted[-1], room - zeros + 1, 0))

        def last_place(fmt: FloatFormat) -> int:
            """The last bit of a result in the digits of FP32."""
            return fraction_bits - fmt.fraction_bits

        def increment(fmt: FloatFormat) -> Value:
            last = low + last_place(fmt)
            half, rest = shifted[last - 1], shifted[: last - 1].any()
            return (half & (rest | shifted[last])).shift_left(last_place(fmt))

        packed, infinite, nonzero = Signal(FP32.bits), Signal(), Signal()
        result_field = packed[fraction_bits:]
        m.d.comb += [
            packed.eq(Cat(shifted[low:-1], field[:field_bits]) + chosen(kind_3, increment)),
            infinite.eq(
                chosen(
                    kind_3,
                    lambda fmt: (field >= fmt.special_field) | (result_field >= fmt.special_field),
                )
            ),
            nonzero.eq(chosen(kind_3, lambda fmt: packed[last_place(fmt) :].any())),
        ]
        code = Signal(FP32.bits)
        with m.If(special):
            m.d.comb += code.eq(special_value)
        with m.Elif(infinite):
            m.d.comb += code.eq(Cat(Const(FP32.infinity, FP32.bits - 1), sign_3))
        with m.Elif(nonzero):
            m.d.comb += code.eq(Cat(packed[: FP32.bits - 1], sign_3))
        # In infinity and NaN too, exponents and fractions of all formats begin with the same bits.
        m.d.comb += self.result.eq(
            chosen(
                kind_3,
                lambda fmt: Cat(code[last_place(fmt) :][: fmt.bits - 1], code[-1]),
            )
        )
        return m
