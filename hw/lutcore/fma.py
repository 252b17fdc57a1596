"""The only rounder: an integer times a scale times a power of two, added to FP32, rounded once.

Source: docs/specification.md, "Rescale". The factors are normalised, so that product and addend are
two numbers of as many digits: the lower one moves, what falls below the digits of any result
becomes sticky. The sum is rounded to FP32 or straight to the format of the output, by one shifter
and one adder: formats differ in the smallest exponent, the place of the last bit and the largest
exponent.
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

GUARD_BITS = 2  # places that the lower operand may move without losing a digit


def leading_zeros(value: Value) -> Value:
    """Zeros above the highest one of `value`; its width where there is none. A tree of halves."""
    width = len(value)
    if width == 1:
        return ~value
    low = 1 << ((width - 1).bit_length() - 1)
    low_half, high_half = value[:low], value[low:]
    return Mux(high_half.any(), leading_zeros(high_half), leading_zeros(low_half) + (width - low))


def _times(value: Value, factor: Value, addend: Value | None = None) -> Value:
    """value * factor + addend, in len(value) + len(factor) bits. A row a digit: of factors as short
    as these Booth's recoding, which synthesis has for `*`, is larger."""
    rows = [
        (value & digit.replicate(len(value))).shift_left(place)
        for place, digit in enumerate(factor)
    ]
    total = sum(rows, Const(0, 1) if addend is None else addend)
    return total[: len(value) + len(factor)]


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

    enable      moves all stages on
    empty       the product is 0, so that a number stays what it is, whatever difference, scale,
                exponent and nonfinite are
    difference  psum - z' sum; scale: as `scale_layout` has it; exponent: of a table step
    nonfinite   makes the result NaN, as does a special scale
    output_format  place of the output's format in `config.outputs`; int32: integer sum modulo 2^32
    last        rounds to that format; otherwise to FP32
    addend      FP32 or INT32, `config.addend_delay` enabled cycles after its difference
    result      combinational after the last register, `config.fma_latency` enabled cycles after its
                difference; a narrow format in the low bits, 0 above

    With `pipeline` a register stands between normalisation of the sum and rounding; with 2 also one
    between normalisation of the difference and the product; with 3 two more, between two halves of
    the product, and between alignment and sum.
    """

    suffix = "fma"

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "enable": In(1),
            "empty": In(1),
            "difference": In(signed(c.difference_bits)),
            "scale": In(scale_layout(c)),
            "exponent": In(signed(c.exponent_bits)),
            "nonfinite": In(1),
            "output_format": In(unsigned(index_bits(len(c.outputs)))),
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
        return self.output_format == index if index else ~self.output_format.any()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        narrow = self._narrow
        fraction_bits, field_bits = FP32.fraction_bits, FP32.exponent_bits
        digits = FP32.significand_bits
        scale_digits = len(self.scale.significand)
        magnitude_bits = c.difference_bits - 1
        product_bits = magnitude_bits + scale_digits
        # Both operands lie at the top of a frame, the lower one is shifted to the right. By two
        # places or less nothing is lost; by more, the difference keeps a bit of the upper two.
        frame = max(product_bits, digits)
        guard = max(GUARD_BITS, digits + 3 - frame)
        width = frame + guard + 1  # sticky below

        # Exponents are the field of an FP32 number whose highest bit is that of the frame.
        steps = [bound for fmt in c.formats for bound in c.exponent_range(fmt)]
        scale_exponents = _scale_exponents(c)
        lowest = min(steps) + scale_exponents.start - 1
        highest = max(steps) + scale_exponents.stop + magnitude_bits
        exponent = signed(max(-lowest, highest + FP32.special_field).bit_length() + 1)

        def register(shape: Any, name: str) -> Any:
            return Signal(shape, name=name, reset_less=True)

        def held(here: bool, name: str, value: Any) -> Any:
            """The value, in a register if there is one here."""
            signal = Signal(value.shape(), name=name, reset_less=True)
            if not here:
                m.d.comb += signal.eq(value)
                return signal
            with m.If(self.enable):
                m.d.sync += signal.eq(value)
            return signal

        kind = data.StructLayout({"nan": 1, "raw": 1, **{fmt.name: 1 for fmt in narrow}})
        kind_1, kind_2 = register(kind, "kind_1"), register(kind, "kind_2")

        # Stage 1: sign and magnitude; with 3 the register stands before the magnitude.
        deep = c.pipeline == 3
        significand, sign_1 = register(scale_digits, "significand"), register(1, "sign_1")
        exponent_1 = register(range(lowest, highest + 1), "exponent_1")
        raw, blocks = self._is_output(INT32.name) if c.raw else Const(0, 1), any(steps)
        counted = held(deep, "counted", self.difference)
        counts = held(deep, "counts", ~self.empty & (raw | self.scale.significand[-1]))
        positive = Mux(counted < 0, -counted, counted)[:magnitude_bits]
        magnitude = held(not deep, "magnitude", Mux(counts, positive, 0))
        with m.If(self.enable):
            m.d.sync += [
                sign_1.eq((self.scale.sign & ~raw) ^ (self.difference < 0)),
                significand.eq(self.scale.significand),
                exponent_1.eq(
                    self.scale.exponent + (self.exponent if blocks else 0) + (magnitude_bits - 1)
                ),
                kind_1.nan.eq(
                    ~self.empty & (self.scale.special | (self.nonfinite if blocks else 0))
                ),
                kind_1.raw.eq(raw),
                *(kind_1[fmt.name].eq(self.last & self._is_output(fmt.name)) for fmt in narrow),
            ]

        # Normalise; an integer sum stays as it is.
        zeros_1 = Signal(range(magnitude_bits + 1))
        m.d.comb += zeros_1.eq(Mux(kind_1.raw, 0, leading_zeros(magnitude)))
        apart = c.pipeline >= 2
        normal = held(apart, "normal", (magnitude << zeros_1)[:magnitude_bits])
        lowered = held(apart, "lowered", exponent_1 - zeros_1)
        significand = held(apart, "significand_n", significand)
        sign_1, kind_1 = held(apart, "sign_n", sign_1), held(apart, "kind_n", kind_1)

        # Stage 2: the product, exact.
        product, sign_2 = register(product_bits, "product"), register(1, "sign_2")
        exponent_2 = register(exponent_1.shape(), "exponent_2")
        factor: Value = Cat(significand[:-1], Const(1, 1))
        if deep:
            # The low digits of the scale first, the others in the next stage.
            part = (scale_digits + 1) // 2
            partial = held(True, "partial", _times(normal, factor[:part]))
            factor, sign_1 = held(True, "factor", factor[part:]), held(True, "sign_p", sign_1)
            normal, lowered = held(True, "normal_p", normal), held(True, "lowered_p", lowered)
            kind_1 = held(True, "kind_p", kind_1)
            scaled = Cat(partial[:part], _times(normal, factor, partial[part:]))
        else:
            scaled = _times(normal, factor)
        with m.If(self.enable):
            m.d.sync += [
                product.eq(Mux(kind_1.raw, normal, scaled) if c.raw else scaled),
                sign_2.eq(sign_1),
                exponent_2.eq(lowered),
                kind_2.eq(kind_1),
            ]

        # Stage 3: align the lower one and add. The product has its highest bit in one of the upper
        # two places, unless it is zero. Where the addend is the lower one it starts a place down,
        # so that the ones' complement of the distance is what remains.
        addend_field = self.addend[fraction_bits : fraction_bits + field_bits]
        addend_fraction = self.addend[:fraction_bits]
        addend_exponent, distance = Signal(field_bits), Signal(exponent)
        addend_above = Signal()
        below = distance[-1]
        m.d.comb += [
            addend_exponent.eq(Mux(addend_field.any(), addend_field, 1)),
            distance.eq(addend_exponent - exponent_2),
            addend_above.eq(~below | ~product[-2:].any()),
        ]
        addend_frame = Cat(Const(0, frame - digits), addend_fraction, addend_field.any())
        product_frame = Cat(Const(0, frame - product_bits), product)
        upper, lower = Signal(frame), Signal(frame + 1)
        places = Signal(range(width))
        steps = distance[:-1] ^ below.replicate(len(distance) - 1)
        m.d.comb += [
            upper.eq(Mux(addend_above, addend_frame, product_frame)),
            lower.eq(Mux(addend_above, Cat(Const(0, 1), product_frame), addend_frame)),
            places.eq(steps[: len(places)] | steps[len(places) :].any().replicate(len(places))),
        ]
        farthest = (1 << len(places)) - 1
        moved = Signal(farthest + guard + frame)
        m.d.comb += moved.eq(Cat(Const(0, farthest + guard - 1), lower) >> places)
        window = Cat(moved[:farthest].any(), moved[farthest:])
        subtract = sign_2 ^ self.addend[-1]
        # -x = ~x + 1, the one as a carry.
        inverted = window ^ subtract.replicate(width)

        def chosen(kind: Any, of: Callable[[FloatFormat], Any]) -> Any:
            """What the format of the result has; FP32 where no other is chosen."""
            value = of(FP32)
            for fmt in narrow:
                value = Mux(kind[fmt.name], of(fmt), value)
            return value

        # Bit `width` of size has the exponent field room + 1, and it is shifted by as much as room
        # to be a subnormal's. The room of FP32 is never below 1, that of a format of smaller
        # exponents may be negative.
        room = Signal(exponent)
        m.d.comb += room.eq(
            Mux(addend_above, addend_exponent, exponent_2)
            + chosen(kind_2, lambda fmt: fmt.bias - FP32.bias)
        )
        addend_special = addend_field == FP32.special_field
        special = kind_2.nan | addend_special
        nan = kind_2.nan | (addend_special & addend_fraction.any())
        sign = Mux(addend_above | addend_special, self.addend[-1], sign_2)
        integer = Const(0, 1)
        if c.raw:
            term = Mux(sign_2, -product[:magnitude_bits], product[:magnitude_bits])
            integer = (self.addend + term)[: FP32.bits]

        # With 3 a register stands before the sum.
        upper, inverted = held(deep, "upper_a", upper), held(deep, "inverted_a", inverted)
        subtract, room = held(deep, "subtract_a", subtract), held(deep, "room_a", room)
        special, nan = held(deep, "special_a", special), held(deep, "nan_a", nan)
        sign, kind_2 = held(deep, "sign_a", sign), held(deep, "kind_a", kind_2)
        fixed = held(deep, "fixed_a", addend_special)
        integer = held(deep, "integer_a", integer)

        sums, reverse = Signal(width + 2), Signal(width)
        upper = Cat(Const(0, guard + 1), upper)
        m.d.comb += sums.eq(Cat(subtract, upper) + Cat(subtract, inverted))
        negative = subtract & ~sums[-1]
        # Negated at once, or by a second sum beside the first: -(u + ~w + 1) = ~(u + ~w).
        m.d.comb += reverse.eq(~(upper + inverted) if deep else -sums[1:-1])
        size = Mux(negative, reverse, Cat(sums[1:-1], sums[-1] & ~subtract))
        if c.raw:
            size = Mux(kind_2.raw, integer, size)
        size, sign = held(True, "size", size), held(True, "sign_3", sign ^ (negative & ~fixed))
        room, kind_3 = held(True, "room", room), held(True, "kind_3", kind_2)
        special, nan = held(True, "special", special), held(True, "nan", nan)

        # Normalise. A negative room is a shift to the right, of so many digits that nothing remains
        # at most; a room of more than all digits is as good as none.
        down = max(
            fmt.significand_bits + 1 if fmt.bias < FP32.bias else 0 for fmt in [FP32, *narrow]
        )
        zeros, shift = Signal(range(width + 2)), Signal(range(down + width + 2))
        most, normal = Signal(len(shift)), Signal()
        lifted = room + down
        m.d.comb += [
            zeros.eq(leading_zeros(size[: width + 1])),
            most.eq(
                (lifted[: len(most)] | lifted[len(most) : -1].any().replicate(len(most)))
                & ~lifted[-1].replicate(len(most))
            ),
            normal.eq(zeros + down <= most),
            shift.eq(Mux(normal, zeros + down, most)),
        ]
        shifted = Signal(down + width + 1)
        m.d.comb += shifted.eq(size[: width + 1] << shift)
        field = Signal(exponent)
        m.d.comb += field.eq(Mux(normal & shifted[-1], room - zeros + 1, 0))
        # Above `low` bits come the digits of FP32: one half of the last place, one for all below.
        low = 2
        rest = len(shifted) - digits - 1
        kept = Cat(shifted[:rest].any(), shifted[rest:])
        normalised = Cat(kept, field)
        if c.raw:
            normalised = Mux(kind_3.raw, size[: FP32.bits], normalised)
        piped = c.pipeline > 0
        normalised = held(piped, "normalised", normalised)
        kept, field = normalised[: len(kept)], normalised[len(kept) :]
        kind_4, sign = held(piped, "kind_4", kind_3), held(piped, "sign_4", sign)
        special, nan = held(piped, "special_4", special), held(piped, "nan_4", nan)

        # Round to nearest even, pack.
        def last_place(fmt: FloatFormat) -> int:
            """The last bit of a result in the digits of FP32."""
            return fraction_bits - fmt.fraction_bits

        def increment(fmt: FloatFormat) -> Value:
            last = low + last_place(fmt)
            half, rest = kept[last - 1], kept[: last - 1].any()
            return (half & (rest | kept[last])).shift_left(last_place(fmt))

        packed, infinite, nonzero = Signal(FP32.bits), Signal(), Signal()
        result_field = packed[fraction_bits:]
        m.d.comb += [
            packed.eq(Cat(kept[low:-1], field[:field_bits]) + chosen(kind_4, increment)),
            infinite.eq(
                chosen(
                    kind_4,
                    lambda fmt: (field >= fmt.special_field) | (result_field >= fmt.special_field),
                )
            ),
            nonzero.eq(chosen(kind_4, lambda fmt: packed[last_place(fmt) :].any())),
        ]
        code = Signal(FP32.bits)
        with m.If(kind_4.raw):
            m.d.comb += code.eq(normalised)
        with m.Elif(special & nan):
            m.d.comb += code.eq(FP32.quiet_nan)
        with m.Elif(special | infinite):
            m.d.comb += code.eq(Cat(Const(FP32.infinity, FP32.bits - 1), sign))
        with m.Elif(nonzero):
            m.d.comb += code.eq(Cat(packed[: FP32.bits - 1], sign))
        # In infinity and NaN too, exponents and fractions of all formats begin with the same bits.
        m.d.comb += self.result.eq(
            chosen(
                kind_4,
                lambda fmt: Cat(code[last_place(fmt) :][: fmt.bits - 1], code[-1]),
            )
        )
        return m
