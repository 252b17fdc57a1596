"""Widths and layouts of what passes between the units of a multiply-add.

Source: docs/specification.md, "Rescale". Exponents are the field of an FP32 number whose highest
bit is that of the frame, in which both operands lie at the top and the lower one moves right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data

from .config import TensorCoreConfig
from .formats import FP32, FloatFormat, PowerFormat
from .unit import BaseUnit, Unit

__all__ = ["FmaLayouts", "FmaUnit", "held", "scale_layout"]

GUARD_BITS = 2  # places that the lower operand may move without losing a digit
LOW_BITS = 2  # below the digits of FP32: a half, and one for all below


def _scale_exponents(config: TensorCoreConfig) -> range:
    """Exponents of the scales of `config`, as `scale_layout` has them."""
    bounds: list[int] = []
    for fmt in config.scale_formats:
        rebias = FP32.bias - fmt.bias
        if isinstance(fmt, PowerFormat):
            bounds += [rebias, rebias + fmt.quiet_nan - 1]
        else:
            bounds += [rebias + 2 - fmt.significand_bits, rebias + fmt.largest_field]
    # A round of offsets counts in units twice as large.
    return range(min(bounds), max(bounds) + 2)


def scale_layout(config: TensorCoreConfig) -> data.StructLayout:
    """A decoded scale of any of `config.scale_formats`.

    exponent     what FP32 would have as exponent field, were it unbounded: 127 for 1.0; of offsets
                 one more
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


def held(m: Module, here: bool, enable: Value, name: str, value: Any) -> Any:
    """The value, in a register that takes it with `enable` if there is one here."""
    signal: Any = Signal(value.shape(), name=name, reset_less=True)
    if not here:
        m.d.comb += signal.eq(value)
        return signal
    with m.If(enable):
        m.d.sync += signal.eq(value)
    return signal


class FmaLayouts:
    """What passes between the units of a multiply-add of `config`.

    narrow   formats of results other than FP32, which every pass but the last has
    factors  the difference's magnitude, normalised but for an integer sum, and the scale's digits
             below its highest; where the scale is zero, so is the magnitude
    product  exact; its highest bit is one of the upper two, unless it is zero; with `truncate`
             anywhere, where the flag `some` tells that it is not zero
    terms    the upper operand and the lower one, aligned, inverted if it is to be subtracted
    total    magnitude of the sum, `room` digits above which is the smallest normal exponent
    digits   those of FP32 with `low_bits` for a half and all below, and the exponent field above
    """

    def __init__(self, config: TensorCoreConfig) -> None:
        c = config
        self.narrow = [
            fmt for fmt in c.output_formats if isinstance(fmt, FloatFormat) and fmt is not FP32
        ]
        self.scale = scale_layout(c)
        self.scale_digits = max(fmt.significand_bits for fmt in c.scale_formats)
        self.magnitude_bits = c.difference_bits - 1
        self.product_bits = self.magnitude_bits + self.scale_digits
        # The lower operand moves by two places or less and nothing is lost; by more, and the
        # difference keeps a bit of the upper two.
        self.frame = max(self.product_bits, FP32.significand_bits)
        self.low_bits = 0 if c.truncate else LOW_BITS
        # Guard digits and one for all below them, or none of both.
        guard = max(GUARD_BITS, FP32.significand_bits + 3 - self.frame)
        self.below = 0 if c.truncate else guard + 1
        self.width = self.frame + self.below

        steps = [bound for fmt in c.formats for bound in c.exponent_range(fmt)]
        self.blocks = any(steps)
        scale_exponents = _scale_exponents(c)
        lowest = min(steps) + scale_exponents.start - 1
        highest = max(steps) + scale_exponents.stop + self.magnitude_bits
        self.product_exponent = Shape.cast(range(lowest, highest + 1))
        self.exponent = signed(max(-lowest, highest + FP32.special_field).bit_length() + 1)

        # A negative room is a shift to the right, of so many digits that nothing remains at most.
        self.down = max(
            fmt.significand_bits + 1 if fmt.bias < FP32.bias else 0 for fmt in [FP32, *self.narrow]
        )
        # What the result is, FP32 if nothing: an integer sum, or the narrow format.
        self.flags = ("raw",) * c.raw + tuple(fmt.name for fmt in self.narrow)
        raw = {"integer": FP32.bits} if c.raw else {}
        state = {"sign": 1, "nan": 1, **dict.fromkeys(self.flags, 1)}
        self.factors = data.StructLayout(
            {
                "magnitude": self.magnitude_bits,
                "fraction": self.scale_digits - 1,
                "exponent": self.product_exponent,
                **state,
            }
        )
        self.product = data.StructLayout(
            {
                "digits": self.product_bits,
                "exponent": self.product_exponent,
                **({"some": 1} if c.truncate else {}),
                **state,
            }
        )
        self.terms = data.StructLayout(
            {
                "upper": self.frame,
                "lower": self.width,
                "subtract": 1,
                "fixed": 1,
                "room": self.exponent,
                **raw,
                "special": 1,
                **state,
            }
        )
        size = max(self.width + 1, FP32.bits if c.raw else 0)
        self.total = data.StructLayout({"size": size, "room": self.exponent, "special": 1, **state})
        normalised = FP32.significand_bits + self.low_bits + self.exponent.width
        self.digits = data.StructLayout(
            {"normalised": max(normalised, FP32.bits if c.raw else 0), "special": 1, **state}
        )

    def chosen(self, result: Any, of: Callable[[FloatFormat], Any]) -> Any:
        """What the format has that the flags of `result` name; FP32 if they name none."""
        value = of(FP32)
        for fmt in self.narrow:
            value = Mux(result[fmt.name], of(fmt), value)
        return value


class FmaUnit(Unit):
    """Base of the units of a multiply-add."""

    def __init__(self, config: TensorCoreConfig, top: str, *children: BaseUnit) -> None:
        self.widths = FmaLayouts(config)
        super().__init__(config, top, *children)
