"""Dequantisers: codes of narrow weights to operands of a MAC array, a scale and a zero a column.

    w = RN(scale (d - zero)),  d = 2q - (2^b - 1) for codes q of b bits, or -1, 0, +1

Up to two bits every value of a weight is made once a column, and each weight selects its own;
wider ones are multiplied each by itself. Without zero points only positive values are made.
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from operator import add, or_
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from lutcore.errors import ConfigError
from lutcore.unit import BaseUnit, balanced, leading_zeros

from .compress import product
from .golden_mac import narrow_codes
from .mac_config import NARROW, MacConfig, MacLayouts

__all__ = ["CoreConfig", "CoreUnit", "Dequantise", "Scaled"]

CODES = ("w1", "ternary", "w2", "w4")

MOST_LEVELS = 8
"""Most values of a weight that are made once a column."""


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """A MAC core with weights dequantised at its door.

    mac        the array; its operands are floating-point numbers, and scales are of their format
    codes      w1, w2, w4: codes q of so many bits; ternary: two's complement of two bits
    zero_bits  of a zero point, two's complement in units of d; 0 for cores without
    """

    mac: MacConfig
    codes: str = "w1"
    zero_bits: int = 0

    def __post_init__(self) -> None:
        if self.mac.weights:
            raise ConfigError(
                f"weights must be '' for a core that dequantises, not {self.mac.weights!r}"
            )
        if self.codes not in CODES:
            raise ConfigError(f"codes must be one of {', '.join(CODES)}, not {self.codes!r}")
        if not 0 <= self.zero_bits <= 8 or self.zero_bits == 1:
            raise ConfigError(f"zero_bits must be 0 or 2..8, not {self.zero_bits}")

    @classmethod
    def from_json(cls, text: str) -> CoreConfig:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"mac": MacConfig(**values["mac"])})

    def to_json(self) -> str:
        """The configuration as text."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def code_bits(self) -> int:
        """Bits of a weight's code."""
        return int(self.codes[1:]) if self.codes != "ternary" else 2

    @property
    def factors(self) -> range:
        """Bounds of d - zero."""
        values = NARROW[self.codes]
        half = 1 << self.zero_bits >> 1
        return range(values[0] - max(half - 1, 0), values[-1] + half + 1)

    @cached_property
    def levels(self) -> dict[int, int]:
        """The values d that are made once a column, and the code of each; empty if none are.

        Without zero points only the positive ones: a weight takes the sign by itself.
        """
        values = [d for d in NARROW[self.codes] if self.zero_bits or d > 0]
        if len(values) > MOST_LEVELS:
            return {}
        return dict(zip(values, narrow_codes(np.array(values), self.codes).tolist(), strict=True))


class CoreLayouts:
    """The payload layouts of a core's door; the first field at the least significant bit.

    weights  n columns of k codes, and `end` in the last beat of a group
    scales   n columns of scale and zero, one beat a group
    """

    def __init__(self, config: CoreConfig) -> None:
        mac = config.mac
        zero = {"zero": signed(config.zero_bits)} if config.zero_bits else {}
        self.codes = data.ArrayLayout(config.code_bits, mac.k)
        self.scale = data.StructLayout({"scale": mac.fmt.bits, **zero})
        self.operands = MacLayouts(mac).codes
        self.weights = data.StructLayout({"columns": data.ArrayLayout(self.codes, mac.n), "end": 1})
        self.scales = data.ArrayLayout(self.scale, mac.n)

    def signature(self, name: str) -> stream.Signature:
        """The valid/ready stream that carries the layout called `name`."""
        return stream.Signature(getattr(self, name))


class CoreUnit(BaseUnit):
    """Base of the units of a core's door."""

    def __init__(self, config: CoreConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = CoreLayouts(config)
        super().__init__(top, *children)


class Scaled(CoreUnit):
    """RN(scale factor) of a floating-point scale and a small integer. Combinational.

    Ties to even; what is too large becomes infinity, or NaN where there is none. A scale that is no
    number passes with the sign of the factor. As that is an integer, nothing but a shift to the
    right is needed, by as many places as the product has more digits than a significand.

    digit  the factor, if it is known and positive; 0 for one that comes from a port
    """

    clocked = False

    def __init__(self, config: CoreConfig, top: str, digit: int = 0) -> None:
        self.digit = digit
        self.suffix = f"scaled_{digit}" if digit else "scaled"  # type: ignore[misc]
        super().__init__(config, top)

    def ports(self) -> dict[str, Any]:
        bits = self.config.mac.fmt.bits
        factor = {} if self.digit else {"factor": In(Shape.cast(self.config.factors))}
        return {"scale": In(bits), **factor, "weight": Out(bits)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self.config.mac.fmt
        fraction, field = self.scale[: fmt.fraction_bits], self.scale[fmt.fraction_bits : -1]
        significand = Cat(fraction, field.any())
        bound = self.digit or max(map(abs, self.config.factors))
        times = Signal(range(bound * ((1 << fmt.significand_bits) - 1) + 1))
        negative = Signal()
        if self.digit:
            places_set = [i for i in range(bound.bit_length()) if bound >> i & 1]
            m.d.comb += times.eq(balanced([significand << i for i in places_set], add))
        else:
            magnitude = Signal(range(bound + 1))
            m.d.comb += [
                negative.eq(self.factor < 0),
                magnitude.eq(Mux(negative, -self.factor, self.factor)),
                times.eq(product(m, significand, magnitude)),
            ]
        over = times[fmt.significand_bits :]
        places = Signal(range(len(over) + 1))
        shifted = Signal(len(times) + len(over))
        m.d.comb += [
            places.eq(len(over) - leading_zeros(over)),
            # The places that fall off lie below the significand.
            shifted.eq(Cat(Const(0, len(over)), times) >> places),
        ]
        lost, kept = shifted[: len(over)], shifted[len(over) :][: fmt.significand_bits]
        up = lost[-1] & (lost[:-1].any() | kept[0])
        # The hidden bit runs into the exponent field, which subnormals leave at 0.
        code = Signal(fmt.bits)
        below = field - field.any()
        m.d.comb += code.eq(((below + places) << fmt.fraction_bits) + kept + up)
        limit = fmt.infinity if fmt.infinities else fmt.quiet_nan
        special = field.all() if fmt.infinities else self.scale[:-1].all()
        sign = self.scale[-1] ^ negative
        with m.If(special):
            m.d.comb += self.weight.eq(Cat(self.scale[:-1], sign))
        with m.Elif(code >= limit):
            m.d.comb += self.weight.eq(Cat(Const(limit, fmt.bits - 1), sign))
        with m.Else():
            some = times.any().replicate(fmt.bits - 1)
            m.d.comb += self.weight.eq(Cat(code[: fmt.bits - 1] & some, sign))
        return m


class Dequantise(CoreUnit):
    """The operands of a column's codes. Combinational."""

    suffix = "dequantise"
    clocked = False

    def __init__(self, config: CoreConfig, top: str) -> None:
        # Without zero points factors are known, and the first level is the scale itself.
        if config.zero_bits or not config.levels:
            self.scaled = {0: Scaled(config, top)}
        else:
            self.scaled = {d: Scaled(config, top, d) for d in config.levels if d > 1}
        super().__init__(config, top, *self.scaled.values())

    def ports(self) -> dict[str, Any]:
        return {
            "codes": In(self.layouts.codes),
            "scale": In(self.layouts.scale),
            "weights": Out(self.layouts.operands),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        zero = self.scale.zero if c.zero_bits else Const(0, 1)

        def scaled(name: str, unit: Scaled, **factor: Value) -> Value:
            weight = Signal(c.mac.fmt.bits, name=f"weight_{name}")
            m.submodules[f"scaled_{name}"] = unit.place(
                scale=self.scale.scale, weight=weight, **factor
            )
            return weight

        def factor(name: str, digit: Value | int) -> Value:
            value = Signal(Shape.cast(c.factors), name=f"factor_{name}")
            m.d.comb += value.eq(digit - zero)
            return value

        levels: dict[int, Value] = {}
        for digit, code in c.levels.items():
            name = str(code)
            if c.zero_bits:
                levels[code] = scaled(name, self.scaled[0], factor=factor(name, digit))
            elif digit > 1:
                levels[code] = scaled(name, self.scaled[digit])
            else:
                levels[code] = self.scale.scale
        for i in range(c.mac.k):
            code = self.codes[i]
            if not levels:
                digit = Signal(signed(c.code_bits + 1), name=f"digit_{i}")
                m.d.comb += digit.eq(Cat(Const(1, 1), code[:-1], ~code[-1]).as_signed())
                weight = scaled(str(i), self.scaled[0], factor=factor(str(i), digit))
            elif c.zero_bits:
                weight = _chosen(code, levels)
            elif c.codes == "ternary":
                weight = (levels[1] & code[0].replicate(len(levels[1]))) ^ _sign(code[1], c)
            else:  # Codes of d and -d are each other's inverse.
                index = code[:-1] ^ (~code[-1]).replicate(c.code_bits - 1)
                half = 1 << (c.code_bits - 1)
                weight = _chosen(index, {own - half: level for own, level in levels.items()})
                weight ^= _sign(~code[-1], c)
            m.d.comb += self.weights[i].eq(weight)
        return m


def _sign(negative: Value, config: CoreConfig) -> Value:
    return Cat(Const(0, config.mac.fmt.bits - 1), negative)


def _chosen(index: Value, levels: dict[int, Value]) -> Value:
    """The level of `index`; the only one if there is no other."""
    if len(levels) == 1:
        return next(iter(levels.values()))
    lines = {own: index == own for own in levels}
    return balanced(
        [level & lines[own].replicate(len(level)) for own, level in levels.items()], or_
    )
