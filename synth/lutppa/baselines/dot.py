"""A fused dot product: terms and an FP32 accumulator aligned to the largest exponent, added once.

    a, b -> products -> | -> align -> | -> sum -> | -> normalise -> result
                 addend -> align ----/

The registers | are there according to `stages`. Exponents are those of products: sums of exponent
fields. The sum is taken as if the addend were positive, and the result's sign turned back: so the
addend is never inverted, and each of the other terms brings its one (-x is ~x + 1) as the carry of
an adder. Source: golden_mac.py.
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from lutcore.fma import leading_zeros
from lutcore.formats import FP32
from lutcore.unit import balanced

from .mac_config import MacConfig, MacUnit
from .term import Align, Product, distance_bits, largest, right

__all__ = ["FusedDot"]

CUTS = {0: "", 1: "p", 2: "ps", 3: "pas"}
"""Where the registers are: after the products, the alignment, the sum."""


class FusedDot(MacUnit):
    """result = addend + a . b, as `golden_mac` defines it.

    a, b: a row and a column, taken apart; addend, result: FP32 codes. Combinational without
    stages; with them, result follows `stages` cycles in which `enable` is high.
    """

    suffix = "dot"

    def __init__(self, config: MacConfig, top: str) -> None:
        if not config.signs:  # Else a product is its activation.
            self.product = Product(config, top)
        self.align = Align(config, top)
        children = [self.align] if config.signs else [self.product, self.align]
        self.clocked = config.stages > 0  # type: ignore[misc]
        super().__init__(config, top, *children)

    def ports(self) -> dict[str, Any]:
        return {
            **({"enable": In(1)} if self.config.stages else {}),
            "a": In(self.layouts.row),
            "b": In(self.layouts.column),
            "addend": In(unsigned(FP32.bits)),
            "result": Out(unsigned(FP32.bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        cuts = CUTS[c.stages]

        def cut(place: str, **values: Any) -> list[Any]:
            """`values`, registered if `place` has registers."""
            held: list[Any] = []
            for name, value in values.items():
                shape = value.shape() if isinstance(value, data.View) else Value.cast(value).shape()
                signal = Signal(shape, name=f"{name}_{place}", reset_less=True)
                if place in cuts:
                    with m.If(self.enable):
                        m.d.sync += signal.eq(value)
                else:
                    m.d.comb += signal.eq(value)
                held.append(signal)
            return held

        # Products, their exponents, and whether they are not zero.
        fraction, field = self.addend[: FP32.fraction_bits], self.addend[FP32.fraction_bits : -1]
        sign = self.addend[-1]
        products, exponents, negatives, counting, specials = [], [], [], [], []
        for i in range(c.k):
            a, b = self.a.terms[i], self.b.terms[i]
            value = Signal(c.product_bits, name=f"product_{i}")
            if c.signs:
                m.d.comb += value.eq(a.significand)
            else:
                triple = {"triple": a.triple} if hasattr(self.product, "triple") else {}
                m.submodules[f"product_{i}"] = self.product.place(
                    significand=a.significand, lines=b.lines, product=value, **triple
                )
            exponent = Signal(c.exponent_bits, name=f"exponent_{i}")
            m.d.comb += exponent.eq(a.field if c.weights else a.field + b.field)
            negative, nonzero = Signal(name=f"negative_{i}"), Signal(name=f"nonzero_{i}")
            m.d.comb += [
                negative.eq(a.negative ^ b.negative ^ sign),
                nonzero.eq(a.nonzero & b.nonzero if c.zero_products else a.nonzero),
            ]
            if c.fmt.infinities:
                infinite = a.infinite if c.weights else a.infinite | b.infinite
                zero = infinite & ~nonzero if c.zero_products else Const(0, 1)
                specials.append(Cat(infinite & ~negative, infinite & negative, zero))
            products.append(value)
            exponents.append(exponent)
            negatives.append(negative)
            counting.append(nonzero)

        # E, as a product's exponent; the addend's reach may end below 0.
        special = field.all()
        some = fraction.any()
        highest, none = Signal(c.exponent_bits), Signal()
        if c.weights:
            m.d.comb += [highest.eq(self.a.highest), none.eq(~self.a.nonzero)]
        else:
            any_, most = largest(m, list(zip(counting, exponents, strict=True)))
            m.d.comb += [highest.eq(most), none.eq(~any_)]
        own = Signal(
            Shape.cast(range(min(1 - c.offset, c.lowest), FP32.special_field - c.offset + 1))
        )
        m.d.comb += own.eq(Cat(field[0] | ~field.any(), field[1:]) - c.offset)
        if c.offset < 0:  # Products may be smaller than any FP32 number.
            with m.If(~field.any() & ~some):
                m.d.comb += own.eq(c.lowest)
        base = Signal(Shape.cast(range(min(c.lowest, 0), FP32.special_field + abs(c.offset) + 1)))
        ahead = Signal()
        m.d.comb += [
            ahead.eq(none | (own > highest)),
            base.eq(Mux(ahead, own, highest)),
        ]
        top = (1 << distance_bits(c)) - 1
        near = Signal(distance_bits(c))
        m.d.comb += near.eq(
            Mux(base > top, top, base) if FP32.special_field - c.offset > top else base
        )
        addend_distance = Signal(len(base))
        m.d.comb += addend_distance.eq(Mux(ahead, 0, highest - own))
        # With no product beside it, an addend passes: a subnormal one as if it were normal.
        flat = none & ~field.any()
        hidden = field.any() | (none & some) if c.offset > 0 else field.any()
        nan = self.a.nan if c.weights else self.a.nan | self.b.nan
        specials.append(Cat(special & ~some, Const(0, 1), special & some | nan))
        flags = balanced(specials, or_)

        held = cut(
            "p",
            **{f"product_{i}": value for i, value in enumerate(products)},
            **{f"negative_{i}": value for i, value in enumerate(negatives)},
            **{f"exponent_{i}": value for i, value in enumerate(exponents)},
        )
        products, negatives, exponents = (held[i * c.k : (i + 1) * c.k] for i in range(3))
        base, near, addend_distance, significand, flat, flags, sign = cut(
            "p", base=base, near=near, addend_distance=addend_distance,
            significand=Cat(fraction, hidden), flat=flat, flags=flags, sign=sign,
        )  # fmt: skip

        # Alignment. Bits of an addend inverted with its sign are unsigned: no tree extends a sign.
        addends = []
        for i, (value, exponent, negative) in enumerate(
            zip(products, exponents, negatives, strict=True)
        ):
            addend, distance = (
                Signal(c.addend_bits, name=f"addend_{i}"),
                Signal(len(near), name=f"distance_{i}"),
            )
            m.d.comb += distance.eq(near - exponent)
            m.submodules[f"align_{i}"] = self.align.place(
                product=value, distance=distance, negative=negative, addend=addend
            )
            addends.append(Cat(addend, ~negative))
        lift = c.fraction_bits - FP32.fraction_bits
        placed = Cat(Const(0, lift), significand) if lift > 0 else significand[-lift:]
        start = right(m, placed, addend_distance, len(placed))
        held = cut("a", **{f"addend_{i}": value for i, value in enumerate(addends)}, start=start)
        addends, start = held[:-1], held[-1]
        negatives = cut("a", **{f"negative_{i}": value for i, value in enumerate(negatives)})
        base, flat, flags, sign = cut("a", base=base, flat=flat, flags=flags, sign=sign)

        # The sum, and what the inverted signs added to it.
        carries = list(negatives)

        def join(x: Value, y: Value) -> Value:
            total = Signal(max(len(x), len(y)) + 2, name=f"sum_{len(carries)}")
            m.d.comb += total.eq(Cat(Const(1, 1), x) + Cat(carries.pop(), y))
            return total[1:]

        total = balanced([*addends, start], join)
        width = (c.k * (1 << c.addend_bits)).bit_length() + 1
        size = Signal(signed(width))
        m.d.comb += size.eq(Cat(total[: c.addend_bits], total[c.addend_bits :] - c.k))
        size, base, flat, flags, sign = cut(
            "s", size=size, base=base, flat=flat, flags=flags, sign=sign
        )
        self._normalise(m, size, base, flat, flags, sign)
        return m

    def _normalise(
        self, m: Module, size: Value, base: Value, flat: Value, flags: Value, sign: Value
    ) -> None:
        """Magnitude, leading zeros, truncation, special values."""
        c = self.config
        negative = size[-1]
        digits = len(size) - 1
        # Subnormal results of large exponent ranges need a place above the sum to begin from.
        above = digits - 1 - c.fraction_bits  # exponent of the highest bit less E
        lowest_field = (1 if c.weights else c.lowest) + c.offset + above
        spare = max(0, 1 - lowest_field) if c.offset <= 0 else 0
        magnitude = Signal(digits + spare)
        m.d.comb += magnitude.eq((size[:-1] ^ negative.replicate(digits)) + negative)
        field = Signal(Shape.cast(range(-(1 << 9), 1 << 10)))
        top = Signal(Shape.cast(range(-(1 << 9), 1 << 10)))
        m.d.comb += top.eq(base + (c.offset + above + spare))
        shifted = Signal(len(magnitude))
        if c.offset <= 0:
            marker = Const(1 << (len(magnitude) - 1), len(magnitude))
            room = Signal(len(top))
            m.d.comb += room.eq(top - 1)
            zeros = leading_zeros(magnitude | (marker >> room))
            m.d.comb += shifted.eq(magnitude << zeros)
        else:
            value, found = magnitude, []
            for place in reversed(range((len(magnitude) - 1).bit_length())):
                step, moved = 1 << place, Signal(len(magnitude), name=f"moved_{place}")
                clear = ~value[-step:].any()
                m.d.comb += moved.eq(Mux(clear, value << step, value))
                found.insert(0, clear)
                value = moved
            zeros = Cat(*found)
            m.d.comb += shifted.eq(value)
        m.d.comb += field.eq(top - zeros)
        normal = shifted[-1]
        kept = shifted[:-1]
        fraction = (
            Cat(Const(0, FP32.fraction_bits - len(kept)), kept)
            if len(kept) < FP32.fraction_bits
            else kept[-FP32.fraction_bits :]
        )
        nan = flags[2] | (flags[0] & flags[1])
        infinite = flags.any() | (normal & (field >= FP32.special_field))
        code_field = field[: FP32.exponent_bits] & normal.replicate(FP32.exponent_bits)
        some = magnitude.any() if c.offset <= 0 else normal
        if c.offset > 0:
            if c.fraction_bits < FP32.fraction_bits:  # the whole of a subnormal addend may be lost
                some = some & (~flat | fraction.any())
            code_field = Cat(code_field[0] & ~flat, code_field[1:])
        result_negative = Mux(flags.any(), flags[1], negative) ^ sign
        m.d.comb += self.result.eq(
            Cat(
                (fraction & (~infinite).replicate(len(fraction))) | nan.replicate(len(fraction)),
                code_field | infinite.replicate(FP32.exponent_bits),
                result_negative & (some | infinite) & ~nan,
            )
        )
