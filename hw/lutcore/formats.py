"""Number formats of activations, scales and outputs: the one table of their bit fields.

Everything that needs a bias, a field width or a code range derives it from here; the RTL takes its
constants from these objects, so that no unit states a format of its own.
Sources: IEEE 754-2019; OCP 8-bit Floating Point 1.0 (E4M3, E5M2); OCP Microscaling 1.0 (E8M0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from .errors import ConfigError

__all__ = [
    "ACTIVATIONS",
    "BF16",
    "E4M3",
    "E5M2",
    "E8M0",
    "FP16",
    "FP32",
    "INT32",
    "INT4",
    "INT8",
    "INT16",
    "OUTPUTS",
    "SCALES",
    "FloatFormat",
    "IntegerFormat",
    "PowerFormat",
    "named",
]


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format: sign, biased exponent, fraction.

    Exponent field 0 holds zero and subnormals. With `infinities` the field of all ones holds
    infinity and NaN, as in IEEE 754; without, only the code whose exponent and fraction are all
    ones is special: NaN.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    infinities: bool = True

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """Value subtracted from the exponent field."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def special_field(self) -> int:
        """The exponent field of all ones."""
        return (1 << self.exponent_bits) - 1

    @property
    def largest_field(self) -> int:
        """Exponent field of the largest finite number."""
        return self.special_field - self.infinities

    @property
    def significand_bits(self) -> int:
        """Fraction with the hidden bit."""
        return self.fraction_bits + 1

    @property
    def unit_exponent(self) -> int:
        """The smallest subnormal is 2^unit_exponent; every number is a multiple of it."""
        return 1 - self.bias - self.fraction_bits

    @property
    def infinity(self) -> int:
        """The code of +infinity."""
        assert self.infinities
        return self.special_field << self.fraction_bits

    @property
    def quiet_nan(self) -> int:
        """The canonical NaN: positive, quiet, empty payload."""
        if not self.infinities:
            return (1 << (self.bits - 1)) - 1
        return self.infinity | (1 << (self.fraction_bits - 1))


@dataclass(frozen=True)
class IntegerFormat:
    """A two's complement integer."""

    name: str
    bits: int

    @property
    def min(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        """Largest value."""
        return (1 << (self.bits - 1)) - 1

    @property
    def largest_field(self) -> int:
        """Integers are the subnormals of a format without any other number."""
        return 1

    @property
    def significand_bits(self) -> int:
        """Bits of the largest magnitude, that of `min`."""
        return self.bits

    @property
    def unit_exponent(self) -> int:
        """Every number is a multiple of 2^0."""
        return 0


@dataclass(frozen=True)
class PowerFormat:
    """A power of two: 2^(code - bias), no sign, no zero; the code of all ones is NaN."""

    name: str
    bits: int

    @property
    def bias(self) -> int:
        """Value subtracted from the code."""
        return (1 << (self.bits - 1)) - 1

    @property
    def quiet_nan(self) -> int:
        """The code of all ones."""
        return (1 << self.bits) - 1

    @property
    def significand_bits(self) -> int:
        """The hidden bit alone."""
        return 1


INT4 = IntegerFormat("int4", 4)
INT8 = IntegerFormat("int8", 8)
INT16 = IntegerFormat("int16", 16)
INT32 = IntegerFormat("int32", 32)
FP16 = FloatFormat("fp16", exponent_bits=5, fraction_bits=10)
BF16 = FloatFormat("bf16", exponent_bits=8, fraction_bits=7)
FP32 = FloatFormat("fp32", exponent_bits=8, fraction_bits=23)
E4M3 = FloatFormat("e4m3", exponent_bits=4, fraction_bits=3, infinities=False)
E5M2 = FloatFormat("e5m2", exponent_bits=5, fraction_bits=2)
E8M0 = PowerFormat("e8m0", 8)

ACTIVATIONS: dict[str, FloatFormat | IntegerFormat] = {
    f.name: f for f in (INT4, INT8, INT16, FP16, BF16, E4M3, E5M2)
}
"""Activation formats by name; a pass selects one by its place in the configuration's list."""

SCALES: dict[str, FloatFormat | PowerFormat] = {f.name: f for f in (FP32, FP16, BF16, E8M0, E4M3)}
"""Formats of weight scales by name; selected likewise."""

OUTPUTS: dict[str, FloatFormat | IntegerFormat] = {f.name: f for f in (FP32, FP16, BF16, INT32)}
"""Formats of results by name; selected likewise."""

Format = TypeVar("Format")


def named(field: str, name: str, known: Mapping[str, Format]) -> Format:
    """The format called `name` of `known`; ConfigError naming the configuration's field if none."""
    try:
        return known[name]
    except (KeyError, TypeError):
        raise ConfigError(
            f"{field}: {name!r} is not a format; known are {', '.join(known)}"
        ) from None
