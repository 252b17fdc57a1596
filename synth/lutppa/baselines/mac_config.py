"""`MacConfig`: what a MAC core is built for; the layouts of its streams and of its operands."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream

from lutcore.errors import ConfigError
from lutcore.formats import BF16, E4M3, E5M2, FP16, FP32, FloatFormat, named
from lutcore.unit import BaseUnit

from .golden_mac import LOWEST, Numerics

__all__ = ["CUTS", "FORMATS", "NARROW", "MacConfig", "MacLayouts", "MacUnit"]

FORMATS: dict[str, FloatFormat] = {fmt.name: fmt for fmt in (FP16, BF16, E4M3, E5M2)}
"""Operand formats by name."""

NARROW: dict[str, tuple[int, ...]] = {
    "w1": (-1, 1),
    "ternary": (-1, 0, 1),
    "w2": (-3, -1, 1, 3),
    "w4": tuple(range(-15, 16, 2)),
    "int2": (-2, -1, 0, 1),
    "int4": tuple(range(-8, 8)),
}
"""Weights for which a core can be built in place of floating-point numbers, and their values.

w1, w2, w4: odd and symmetric, code q of n bits standing for 2q - (2^n - 1), as lookup has them. The
others are two's complement, ternary of two bits.
"""


CUTS = ("", "c", "oc", "ocs", "opcs")
"""Where the registers of a dot product are, by their number.

o  after the largest exponent of the products; operands of products wait in rows and columns, which
   many dot products share
p  after products and the distances by which they are shifted
c  after the sum, kept as two numbers
s  after its carries are propagated and its magnitude is known
"""


@dataclass(frozen=True, kw_only=True)
class MacConfig:
    """A fused dot product, as a MAC tensor core has them.

    k              terms, all of one step
    operand        format of activations, and of weights unless `weights` names others
    weights        a name of `NARROW`: the multiplier is folded away; "" for floating point
    fraction_bits  F: addends are multiples of 2^(E - F), E being the step's largest exponent
    stages         registers inside a dot product, 0 to 4

    Any violation raises ConfigError with the field, its value and what would do.
    """

    m: int = 1
    n: int = 1
    k: int = 16
    operand: str = "fp16"
    weights: str = ""
    fraction_bits: int = 24
    stages: int = 0

    def __post_init__(self) -> None:
        named("operand", self.operand, FORMATS)
        if self.weights:
            named("weights", self.weights, NARROW)
        for name, smallest, largest in (
            ("m", 1, 1024), ("n", 1, 4096), ("k", 2, 64), ("stages", 0, len(CUTS) - 1),
            ("fraction_bits", self.product_fraction_bits, 30),
        ):  # fmt: skip
            value = getattr(self, name)
            if not (type(value) is int and smallest <= value <= largest):
                raise ConfigError(f"{name} must be {smallest}..{largest}, not {value!r}")

    @classmethod
    def from_json(cls, text: str) -> MacConfig:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """The configuration as text."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def fmt(self) -> FloatFormat:
        """The operands' format."""
        return FORMATS[self.operand]

    @property
    def numerics(self) -> Numerics:
        """How the core adds, for the golden model."""
        return Numerics(self.k, self.fraction_bits)

    @property
    def cuts(self) -> str:
        """Places of the registers, of CUTS."""
        return CUTS[self.stages]

    @property
    def early(self) -> bool:
        """Whether exponents are looked at one step before products are made."""
        return "o" in self.cuts

    @property
    def turns(self) -> int:
        """Tiles that take turns in the sums: a sum is as many cycles under way."""
        return 1 + sum(place in self.cuts for place in "pcs")

    @property
    def weight_shape(self) -> Shape:
        """A weight's code."""
        if not self.weights:
            return unsigned(self.fmt.bits)
        values = NARROW[self.weights]
        bits = (len(values) - 1).bit_length()
        return unsigned(bits) if self.weights.startswith("w") else signed(bits)

    @property
    def weight_bits(self) -> int:
        """Bits of a weight's code."""
        return self.weight_shape.width

    @property
    def magnitude_bits(self) -> int:
        """Bits of a weight's significand, or of its magnitude."""
        if not self.weights:
            return self.fmt.significand_bits
        return max(map(abs, NARROW[self.weights])).bit_length()

    @property
    def digits(self) -> tuple[tuple[int, ...], ...]:
        """Values other than zero that each radix-4 digit of a weight's magnitude takes.

        A lowest digit that is odd throughout is never zero: one of its values always holds.
        """
        largest = (1 << self.magnitude_bits) - 1
        magnitudes = set(map(abs, NARROW[self.weights])) if self.weights else range(largest + 1)
        return tuple(
            tuple(sorted({magnitude >> place & 3 for magnitude in magnitudes} - {0}))
            for place in range(0, self.magnitude_bits, 2)
        )

    @property
    def signs(self) -> bool:
        """Whether a weight is a sign and nothing else."""
        return self.weights == "w1"

    @property
    def zero_products(self) -> bool:
        """Whether a dot product has to see that a product is zero though its activation is not.

        Of narrow weights only infinities need it.
        """
        return not self.weights or (self.zero_weights and self.fmt.infinities)

    @property
    def zero_weights(self) -> bool:
        """Whether a weight may be zero."""
        return not self.weights or 0 in NARROW[self.weights]

    @property
    def product_bits(self) -> int:
        """Bits of a product's significand."""
        if not self.weights:
            return 2 * self.fmt.significand_bits
        largest = max(map(abs, NARROW[self.weights]))
        return (largest * ((1 << self.fmt.significand_bits) - 1)).bit_length()

    @property
    def product_fraction_bits(self) -> int:
        """Those of them that are fraction."""
        return self.fmt.fraction_bits * (1 if self.weights else 2)

    @property
    def exponent_bits(self) -> int:
        """Bits of a product's exponent, the sum of its operands' fields."""
        top = self.fmt.largest_field * (1 if self.weights else 2)
        return top.bit_length()

    @property
    def offset(self) -> int:
        """What a product's exponent lacks to be a field of FP32."""
        return FP32.bias - self.fmt.bias * (1 if self.weights else 2)

    @property
    def lowest(self) -> int:
        """LOWEST as an exponent of a product."""
        return LOWEST + FP32.bias - self.offset

    @property
    def addend_bits(self) -> int:
        """Bits of an aligned term's magnitude."""
        above = self.product_bits - self.product_fraction_bits
        return max(above, 1) + self.fraction_bits

    @property
    def distance_bits(self) -> int:
        """Bits of the distance by which a term is shifted to the right.

        From `addend_bits` on nothing is left of a term: larger ones need not be told apart.
        """
        top = self.fmt.largest_field * (1 if self.weights else 2)
        base = max(top, FP32.largest_field - self.offset)
        return min(base, top + self.addend_bits).bit_length()


class MacLayouts:
    """The payload layouts of `config`; the first field at the least significant bit.

    activations  m rows of k codes and control, one beat a step
    weights      n columns of k codes, one beat a step
    results      n columns of m FP32 sums
    exponents    of k products
    distances    of k terms below E
    exponent     the field of a code, 1 for subnormals, and whether it is not zero
    row          k activations taken apart, and what they have in common
    column       k weights likewise

    In a row and a column, `ahead` are the exponents of the step after that of `terms`.
    """

    def __init__(self, config: MacConfig) -> None:
        c = config
        self.codes = data.ArrayLayout(c.fmt.bits, c.k)
        self.weight_codes = data.ArrayLayout(c.weight_bits, c.k)
        self.control = data.StructLayout({"first": 1, "last": 1})
        self.activations = data.StructLayout(
            {"rows": data.ArrayLayout(self.codes, c.m), "control": self.control}
        )
        self.weights = data.ArrayLayout(self.weight_codes, c.n)
        self.results = data.ArrayLayout(data.ArrayLayout(FP32.bits, c.m), c.n)
        infinite = {"infinite": 1} if c.fmt.infinities else {}
        zero = {"nonzero": 1} if not c.early or (c.zero_products and c.fmt.infinities) else {}
        number = {"negative": 1, "field": c.fmt.exponent_bits, **zero, **infinite}
        triple = {"triple": c.fmt.significand_bits + 2} if any(3 in d for d in c.digits) else {}
        self.activation = data.StructLayout(
            {**number, "significand": c.fmt.significand_bits, **triple}
        )
        lines = {} if c.signs else {"lines": sum(map(len, c.digits))}
        if c.weights:
            number = {"negative": 1, **({"nonzero": 1} if c.zero_products else {})}
        self.weight = data.StructLayout({**number, **lines})
        highest = {"highest": c.exponent_bits, "nonzero": 1} if c.weights else {}
        self.exponents = data.ArrayLayout(c.exponent_bits, c.k)
        self.distances = data.ArrayLayout(c.distance_bits, c.k)
        self.exponent = data.StructLayout({"field": c.fmt.exponent_bits, "nonzero": 1})
        early = c.early and not c.weights
        ahead = {"ahead": data.ArrayLayout(self.exponent, c.k)} if early else {}
        self.row = data.StructLayout(
            {"terms": data.ArrayLayout(self.activation, c.k), "nan": 1, **ahead, **highest}
        )
        common = {} if c.weights else {"nan": 1, **ahead}
        self.column = data.StructLayout({"terms": data.ArrayLayout(self.weight, c.k), **common})

    def signature(self, name: str) -> stream.Signature:
        """The valid/ready stream that carries the layout called `name`."""
        return stream.Signature(getattr(self, name))


class MacUnit(BaseUnit):
    """Base of the units of MAC cores."""

    def __init__(self, config: MacConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = MacLayouts(config)
        super().__init__(top, *children)
