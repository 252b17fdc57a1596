"""`BaselineConfig`: parameters and derived widths of the integer baselines."""

# Callers need not be type-checked: what the annotations promise is checked all the same.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from lutcore.errors import ConfigError, check_range

__all__ = ["CODINGS", "DESIGNS", "BaselineConfig"]

DESIGNS: dict[str, tuple[str, ...]] = {
    "mac": ("integer",),
    "add": ("unsigned", "odd"),
    "native": ("unsigned", "integer", "odd", "ternary"),
    "full": ("unsigned", "odd"),
    "half": ("odd",),
    "folded": ("odd",),
}
"""Designs, and the weight codings that each takes.

mac     multiplier: weights of `weight_bits` in one cycle, activations recoded in radix 4
add     bit-serial without tables: each plane adds the activations whose bit is set
native  select among multiples of the activation: one weight width only, in one cycle
full    bit-serial lookup, tables of all sums of the activations whose bit is set
half    bit-serial lookup, tables of half of the signed sums; the index is negated in hardware
folded  the same, with the index negated offline
"""

CODINGS = ("unsigned", "integer", "odd", "ternary")
"""Weights w of a code q = 0 .. 2^weight_bits - 1.

unsigned  w = q
integer   w = q as two's complement
odd       w = 2q - (2^weight_bits - 1): -1 and +1; -3, -1, +1 and +3; ...
ternary   w = q - 1, q = 0 .. 2
"""

BIT_SERIAL = ("add", "full", "half", "folded")
TABLES = ("full", "half", "folded")


def _signed_bits(magnitude: int) -> int:
    """Bits of a two's complement number that holds -magnitude to +magnitude."""
    return magnitude.bit_length() + 1


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Parameters of a baseline that computes O[m, n] += A[m, terms] W[n, terms]^T each step.

    design           one of DESIGNS
    coding           of weights, one of CODINGS
    m, n             rows of activations and columns of weights; m * n lanes
    terms            activations along K that a step combines
    activation_bits  two's complement activations (3 to 16); what block floating point aligns to
    weight_bits      of a weight; bit-serial designs take fewer bits too
    lookup_group     activations that one table combines (2 to 6; 1 in designs without tables)
    readers          columns that share one table with its adders, or 0 for all n
    block            most activations along K in one sum; a multiple of terms
    psum_bits        of the accumulator, or 0 for what the largest sum needs
    lane_enable      1: lanes have an enable, which is larger than gates in front of many lanes but
                     on no long path; or 0
    stages           1: registers in a lane between its products' sum and the accumulator, and an
                     enable for both; or 0

    Any violation raises ConfigError with the field, its value and what would do.
    """

    design: str
    coding: str
    m: int
    n: int
    terms: int
    activation_bits: int = 8
    weight_bits: int = 8
    lookup_group: int = 1
    readers: int = 0
    block: int = 64
    psum_bits: int = 0
    lane_enable: int = 0
    stages: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = int if field.type == "int" else str
            if type(value) is not kind:
                raise ConfigError(f"{field.name} must be of type {kind.__name__}, not {value!r}")
        if self.design not in DESIGNS:
            raise ConfigError(f"design must be one of {', '.join(DESIGNS)}, not {self.design!r}")
        codings = DESIGNS[self.design]
        if self.coding not in codings:
            raise ConfigError(
                f"coding of {self.design} must be one of {', '.join(codings)}, not {self.coding!r}"
            )
        for field, low, high in (
            ("m", 1, 1024),
            ("n", 1, 4096),
            ("terms", 1, 256),
            ("activation_bits", 3, 16),
            ("weight_bits", 1, 16 if self.design == "mac" else 8),
            ("block", 1, 65536),
            ("psum_bits", 0, 64),
            ("lane_enable", 0, 1),
            ("stages", 0, 1),
        ):
            check_range(field, getattr(self, field), low, high)
        low, high = (2, 6) if self.design in TABLES else (1, 1)
        if not low <= self.lookup_group <= high:
            raise ConfigError(
                f"lookup_group of {self.design} must be {low}..{high}, not {self.lookup_group}"
            )
        if self.terms % self.lookup_group:
            raise ConfigError(
                f"terms must be a multiple of lookup_group = {self.lookup_group}, not {self.terms}"
            )
        if self.block % self.terms:
            raise ConfigError(f"block must be a multiple of terms = {self.terms}, not {self.block}")
        self._check_rest()

    def _check_rest(self) -> None:
        if self.design == "mac" and self.activation_bits % 2:
            raise ConfigError(
                f"activation_bits of mac must be even, for digits of radix 4, not "
                f"{self.activation_bits}; {self.activation_bits + 1} would do"
            )
        if self.coding == "ternary" and self.weight_bits != 2:
            raise ConfigError(f"weight_bits must be 2 for ternary codes, not {self.weight_bits}")
        if not 0 <= self.readers <= self.n or self.n % self.table_readers:
            raise ConfigError(f"readers must divide n = {self.n}, not {self.readers}")
        if self.design not in TABLES and self.readers:
            raise ConfigError(f"readers must be 0 for {self.design}, not {self.readers}")
        if self.psum_bits and self.psum_bits < self.needed_psum_bits:
            raise ConfigError(
                f"psum_bits must be at least {self.needed_psum_bits} for this block, not "
                f"{self.psum_bits}"
            )

    @classmethod
    def from_json(cls, text: str) -> BaselineConfig:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """The configuration as text."""
        return json.dumps(dataclasses.asdict(self))

    # Derived sizes.

    @property
    def bit_serial(self) -> bool:
        """Whether a step takes one plane of the weights in a cycle, not whole weights."""
        return self.design in BIT_SERIAL

    @property
    def folded(self) -> bool:
        """Whether codes are negated where their last bit is 0: bit g-1 negates, others select."""
        return self.design in ("half", "folded")

    @property
    def table_readers(self) -> int:
        """Columns that share what is prepared from the activations."""
        return self.readers or self.n

    @property
    def code_bits(self) -> int:
        """Bits of a weight on the stream in one step."""
        return 1 if self.bit_serial else self.weight_bits

    @property
    def groups(self) -> int:
        """Lookup groups in a step; of one activation without tables."""
        return self.terms // self.lookup_group

    @property
    def doubled(self) -> bool:
        """Whether lanes double what they select: w = 2q - offset, elsewhere w = q - offset."""
        return self.coding == "odd" and not self.folded

    @property
    def offset(self) -> int:
        """What a step's codes count too much; `integer` codes with their top bit inverted.

        Of `mac` nothing: it takes codes with their signs.
        """
        if self.folded or self.design == "mac":
            return 0
        return {
            "unsigned": 0,
            "integer": 1 << (self.weight_bits - 1),
            "odd": (1 << self.code_bits) - 1,
            "ternary": 1,
        }[self.coding]

    @property
    def digits(self) -> tuple[tuple[int, int], ...]:
        """(place, lines) of the digits that a lane selects by: the bit of weight, entries.

        `mac`: digits of an activation; elsewhere of a weight, or the index of a table.
        """
        if self.design == "mac":
            return tuple((place, 3) for place in range(0, self.activation_bits, 2))
        if self.design == "full":
            return ((0, (1 << self.lookup_group) - 1),)
        if self.folded:
            return ((0, 1 << (self.lookup_group - 1)),)
        if self.coding == "ternary":
            return ((0, 2),)
        return tuple(
            (place, 3 if place + 1 < self.code_bits else 1) for place in range(0, self.code_bits, 2)
        )

    @property
    def stored(self) -> int:
        """Entries that are held for a lookup group; twice an activation needs none of its own."""
        if self.design in TABLES:
            return self.digits[0][1]
        return 2 if (0, 3) in self.digits else 1

    @property
    def entry_bits(self) -> int:
        """Width of an entry, two's complement."""
        if self.design in TABLES:
            return self.activation_bits + (self.lookup_group - 1).bit_length()
        return self.activation_bits + max(count for _, count in self.digits) - 1

    @property
    def correction_bits(self) -> int:
        """Width of the number that a row of activations adds to each of its lanes; 0 for none."""
        limit = self.offset * self.terms << (self.activation_bits - 1)
        if self.design == "mac":
            limit = self.terms * sum(1 << place for place, _ in self.digits)
        return _signed_bits(limit) if limit else 0

    @property
    def gates_rows(self) -> bool:
        """Whether a cycle without a step is kept from lanes in the operands of rows.

        Elsewhere in the selections of columns, where that takes fewer gates.
        """
        entries = self.stored * self.entry_bits * self.groups * self.m // self.table_readers
        lines = sum(count for _, count in self.digits) * self.groups
        return not self.enables and (self.design == "mac" or entries < lines)

    @property
    def gates_columns(self) -> bool:
        """Whether it is kept from lanes in the selections of columns."""
        return not self.enables and not self.gates_rows

    @property
    def decodes_first(self) -> bool:
        """Whether columns hold selections and not codes: more registers, and shorter paths."""
        return bool(self.lane_enable and not self.stages and self.design not in TABLES)

    @property
    def enables(self) -> bool:
        """Whether lanes have an enable; what lies in a lane has to wait there."""
        return bool(self.lane_enable or self.stages)

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a weight."""
        top = (1 << self.weight_bits) - 1
        return {
            "unsigned": top,
            "integer": 1 << (self.weight_bits - 1),
            "odd": top,
            "ternary": 1,
        }[self.coding]

    @property
    def needed_psum_bits(self) -> int:
        """Bits of the largest sum over a block."""
        return _signed_bits(self.block * self.weight_limit << (self.activation_bits - 1))

    @property
    def accumulator_bits(self) -> int:
        """Width of a lane's accumulator."""
        return self.psum_bits or self.needed_psum_bits
