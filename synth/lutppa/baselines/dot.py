"""A fused dot product: terms and an FP32 accumulator aligned to the largest exponent, added once.

    exponents -> largest -o-> distances -p-> align -> sum -c-> carries -s-> normalise -> result
              operands -o-> products ---^
    addend -------------------^

The registers o, p, c, s are there according to `stages`. Exponents are those of products: sums of
exponent fields. The sum is taken as if the addend were positive, and the result's sign turned back:
so the addend is never inverted, and each of the other terms brings its one (-x is ~x + 1).
Source: golden_mac.py.
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.unit import balanced

from .exponents import Distances, ExponentSum, Highest
from .mac_config import MacConfig, MacUnit
from .normalise import Magnitude, Normalise, sum_bits
from .term import Align, Product, right
from .tree import Columns

__all__ = ["FusedDot"]


class FusedDot(MacUnit):
    """result = addend + a . b, as `golden_mac` defines it.

    a, b: a row and a column, taken apart; addend, result: FP32 codes. Combinational without
    stages; with them, result follows `stages` cycles in which `enable` is high. The addend belongs
    to the step that has passed o.
    """

    suffix = "dot"

    def __init__(self, config: MacConfig, top: str) -> None:
        self.exponent_sum, self.highest = ExponentSum(config, top), Highest(config, top)
        if not config.signs:  # Else a product is its activation.
            self.product = Product(config, top)
        self.distances, self.align = Distances(config, top), Align(config, top)
        self.magnitude, self.normalise = Magnitude(config, top), Normalise(config, top)
        self.clocked = config.stages > 0  # type: ignore[misc]
        super().__init__(
            config,
            top,
            # With narrow weights the largest exponent is the row's.
            *(() if config.weights else (self.exponent_sum, self.highest)),
            *(() if config.signs else (self.product,)),
            self.distances,
            self.align,
            self.magnitude,
            self.normalise,
        )

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

        def cut(place: str, **values: Value) -> list[Any]:
            """`values`, registered if `place` has registers."""
            return [self._held(m, place, name, value) for name, value in values.items()]

        fraction, field = self.addend[: FP32.fraction_bits], self.addend[FP32.fraction_bits : -1]
        special, some = field.all(), fraction.any()
        sums, highest, none = self._largest(m)

        # Distances to E.
        base = Signal(self.distances.base.shape())
        away = Signal(len(Value.cast(self.distances.addend_distance)))
        distances = Signal(self.layouts.distances)
        m.submodules.distances = self.distances.place(
            exponents=sums, highest=highest, none=none, field=field, some=some,
            base=base, addend_distance=away, distances=distances,
        )  # fmt: skip
        # With no product beside it, an addend passes: a subnormal one as if it were normal.
        hidden = field.any() | (none & some) if c.offset > 0 else field.any()
        sign = self.addend[-1]
        specials: list[Value] = [
            Cat(special & ~some, Const(0, 1), special & some),
            Cat(Const(0, 2), self.a.nan if c.weights else self.a.nan | self.b.nan),
        ]
        negatives = []
        for i in range(c.k):
            a, b = self.a.terms[i], self.b.terms[i]
            negative = Signal(name=f"negative_{i}")
            m.d.comb += negative.eq(a.negative ^ b.negative ^ sign)
            negatives.append(negative)
            if c.fmt.infinities:
                infinite = a.infinite if c.weights else a.infinite | b.infinite
                zero = infinite & ~(a.nonzero & b.nonzero) if c.zero_products else Const(0, 1)
                # The sign is turned back with that of the sum.
                specials.append(Cat(infinite & ~negative, infinite & negative, zero))
        base, away, flat, significand, flags, sign = cut(
            "p", base=base, away=away, flat=none & ~field.any(),
            significand=Cat(fraction, hidden), flags=balanced(specials, or_), sign=sign,
        )  # fmt: skip

        columns = Columns(m, sum_bits(c.k, c.addend_bits))
        carry: Value = Const(0, 1)
        for i in range(c.k):
            product, distance, negative = cut(
                "p", **{
                    f"product_{i}": self._product(m, i),
                    f"distance_{i}": Value.cast(distances[i]),
                    f"negative_{i}": negatives[i],
                },
            )  # fmt: skip
            addend = Signal(c.addend_bits, name=f"addend_{i}")
            m.submodules[f"align_{i}"] = self.align.place(
                product=product, distance=distance, negative=negative, addend=addend
            )
            columns.add_signed(0, Cat(addend, negative))
            # One comes in as the last adder's carry: with it here an odd number of bits would be in
            # every column, and all would become one row, by a carry from end to end.
            if i:
                columns.add(0, negative)
            else:
                carry = self._held(m, "c", "carry", negative)
        lift = c.fraction_bits - FP32.fraction_bits
        placed = Cat(Const(0, lift), significand) if lift > 0 else significand[-lift:]
        columns.add(0, right(m, placed, away, len(placed)))
        rows = [
            Cat(*(self._held(m, "c", f"row_{i}_{place}", bit) for place, bit in enumerate(row)))
            for i, row in enumerate(columns.rows())
        ]
        base, flat, flags, sign = cut("c", base=base, flat=flat, flags=flags, sign=sign)

        magnitude, negative = Signal(columns.width - 1), Signal(name="negative")
        m.submodules.magnitude = self.magnitude.place(
            x=rows[0], y=rows[1], carry=carry, magnitude=magnitude, negative=negative
        )
        magnitude, negative, base, flat, flags, sign = cut(
            "s", magnitude=magnitude, negative=negative, base=base, flat=flat, flags=flags,
            sign=sign,
        )  # fmt: skip
        m.submodules.normalise = self.normalise.place(
            magnitude=magnitude, negative=negative, base=base, flat=flat, flags=flags, sign=sign,
            result=self.result,
        )  # fmt: skip
        return m

    def _held(self, m: Module, place: str, name: str, value: Value) -> Value:
        """A value that is registered if `place` has registers."""
        if place not in self.config.cuts or isinstance(value, Const):
            return value
        held = Signal(value.shape(), name=f"{name}_{place}", reset_less=True)
        with m.If(self.enable):
            m.d.sync += held.eq(value)
        return held

    def _largest(self, m: Module) -> tuple[Value, Value, Value]:
        """Exponents of the products, the largest of those that are not zero; whether none is."""
        c = self.config
        if c.weights:
            exponents = Cat(self.a.terms[i].field for i in range(c.k))
            return exponents, self.a.highest, ~self.a.nonzero

        def sums(name: str, a: Any, b: Any) -> Value:
            found = Signal(c.k * c.exponent_bits, name=name)
            for i in range(c.k):
                m.submodules[f"{name}_{i}"] = self.exponent_sum.place(
                    a=a[i].field, b=b[i].field,
                    total=found[i * c.exponent_bits :][: c.exponent_bits],
                )  # fmt: skip
            return found

        own = sums("exponent", self.a.terms, self.b.terms)
        a, b = (self.a.ahead, self.b.ahead) if c.early else (self.a.terms, self.b.terms)
        # Added twice they take less than registers between.
        exponents = sums("ahead", a, b) if c.early else own
        highest, none = Signal(c.exponent_bits), Signal()
        m.submodules.highest = self.highest.place(
            exponents=exponents, counting=Cat(a[i].nonzero & b[i].nonzero for i in range(c.k)),
            highest=highest, none=none,
        )  # fmt: skip
        return own, self._held(m, "o", "highest", highest), self._held(m, "o", "none", none)

    def _product(self, m: Module, i: int) -> Value:
        """The product of a term; its activation if weights are signs."""
        a, b = self.a.terms[i], self.b.terms[i]
        if self.config.signs:
            return a.significand
        value = Signal(self.config.product_bits, name=f"product_{i}")
        triple = {"triple": a.triple} if "triple" in self.layouts.activation.members else {}
        m.submodules[f"product_{i}"] = self.product.place(
            significand=a.significand, lines=b.lines, product=value, **triple
        )
        return value
