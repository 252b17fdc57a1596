"""Number formats of activations, scales and outputs: the one table of their bit fields.

Everything that needs a bias, a field width or a code range derives it from here; the RTL takes its
constants from these objects, so that no unit states a format of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConfigError

__all__ = ["ACTIVATIONS", "FP16", "FP32", "INT8", "FloatFormat", "IntegerFormat", "activation"]


@dataclass(frozen=True)
class FloatFormat:
    """An IEEE 754 binary interchange format: sign, biased exponent, fraction.

    The exponent field of all ones holds infinity and NaN; field 0 holds zero and subnormals.
    """

    name: str
    exponent_bits: int
    fraction_bits: int

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
        """Exponent field of infinity and NaN."""
        return (1 << self.exponent_bits) - 1

    @property
    def significand_bits(self) -> int:
        """Fraction with the hidden bit."""
        return self.fraction_bits + 1

    @property
    def quiet_nan(self) -> int:
        """The canonical NaN: positive, quiet, empty payload."""
        return (self.special_field << self.fraction_bits) | (1 << (self.fraction_bits - 1))


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


INT8 = IntegerFormat("int8", 8)
FP16 = FloatFormat("fp16", exponent_bits=5, fraction_bits=10)
FP32 = FloatFormat("fp32", exponent_bits=8, fraction_bits=23)

ACTIVATIONS: dict[str, FloatFormat | IntegerFormat] = {f.name: f for f in (INT8, FP16)}
"""Activation formats by name; a command selects one by its place in the configuration's list."""


def activation(name: str) -> FloatFormat | IntegerFormat:
    """The activation format called `name`; ConfigError if there is none."""
    try:
        return ACTIVATIONS[name]
    except (KeyError, TypeError):
        raise ConfigError(
            f"activations: {name!r} is not a format; known are {', '.join(ACTIVATIONS)}"
        ) from None
