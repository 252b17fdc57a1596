"""`TensorCoreConfig`: the front door. It validates the parameters and owns every derived width."""

# Callers need not be type-checked: what the annotations promise is checked all the same.
# pyright: reportUnnecessaryIsInstance=false, reportUnnecessaryContains=false

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .errors import ConfigError, check_range
from .formats import (
    ACTIVATIONS,
    FP32,
    INT32,
    OUTPUTS,
    SCALES,
    FloatFormat,
    IntegerFormat,
    PowerFormat,
    named,
)

__all__ = ["PRESETS", "TensorCoreConfig", "preset", "read_toml"]

MAX_LANES = 1 << 16

TRITS, TRIT_CODE_BITS = 3, 5
"""Ternary digits that share a code of the weight stream, and the bits of that code."""


def _ceil_log2(value: int) -> int:
    return (value - 1).bit_length()


def _signed_bits(magnitude: int) -> int:
    """Bits of a two's complement number that holds -magnitude to +magnitude."""
    return magnitude.bit_length() + 1


FORMAT_FIELDS: dict[str, Mapping[str, object]] = {
    "activations": ACTIVATIONS,
    "scales": SCALES,
    "outputs": OUTPUTS,
}
"""The fields that list formats by name, and the formats that each may list."""


@dataclass(frozen=True, kw_only=True)
class TensorCoreConfig:
    """Parameters of a LUT tensor core that computes O[m, n] += A[m, k] W[n, k]^T each step.

    name             what Verilog, reports and files call it
    m, n             rows of activations and columns of weights; m * n lanes
    table_digits     values of a weight digit: 2 (-1, +1) or 3 (-1, 0, +1: ternary in one pass)
    lookup_group     g, activations that one table combines (2 to 6; ternary: 2)
    groups_per_step  tables that a lane reads in one cycle
    table_bits       width of a table entry, two's complement (4 to 16)
    block            most activations along K that share one scale; a multiple of k
    weight_bits      most bit planes in a pass (1 to 8)
    zero_bits        width of the doubled zero point z' = 2z + 1 - 2^bits (2 to 16; 0: weights are
                     symmetric, z' = 0)
    activations      names of the activation formats built in (formats.ACTIVATIONS)
    scales           names of the weight scale formats built in (formats.SCALES)
    outputs          names of the result formats built in (formats.OUTPUTS), one a float format
    rescale_columns  columns rescaled in a cycle; divides n
    pipeline         registers for a faster clock (0 to 3); 0 has the least area
    addends          whether accumulators may start from a stream of FP32 or INT32 numbers, and
                     not from zero alone
    truncate         whether accumulations drop what falls below a frame and below FP32, as tensor
                     cores do, and not round to nearest: less area

    Any violation raises ConfigError with the field, its value and what would do. The derived
    widths are properties; no unit computes one itself. Source: paper sections 3 and 4;
    docs/specification.md for the arithmetic.
    """

    name: str = "custom"
    m: int
    n: int
    table_digits: int = 2
    lookup_group: int = 4
    groups_per_step: int = 1
    table_bits: int = 9
    block: int = 64
    weight_bits: int = 8
    zero_bits: int = 10
    activations: tuple[str, ...] = ("int8", "fp16")
    scales: tuple[str, ...] = ("fp32",)
    outputs: tuple[str, ...] = ("fp32", "int32")
    rescale_columns: int = 1
    pipeline: int = 0
    addends: bool = False
    truncate: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and type(value) is not int:
                raise ConfigError(f"{field.name} must be an integer, not {value!r}")
            if field.type == "bool" and type(value) is not bool:
                raise ConfigError(f"{field.name} must be true or false, not {value!r}")
        if (
            not isinstance(self.name, str)
            or not self.name.isidentifier()
            or not self.name.isascii()
        ):
            raise ConfigError(
                f"name must be an identifier of letters, digits and '_', not {self.name!r}"
            )
        for field, low, high in (
            ("m", 1, 1024),
            ("n", 1, 4096),
            ("table_digits", 2, 3),
            ("lookup_group", 2, 6),
            ("groups_per_step", 1, 64),
            ("table_bits", 4, 16),
            ("block", 2, 4096),
            ("weight_bits", 1, 8),
            ("rescale_columns", 1, 4096),
            ("pipeline", 0, 3),
        ):
            check_range(field, getattr(self, field), low, high)
        if self.zero_bits and not 2 <= self.zero_bits <= 16:
            raise ConfigError(f"zero_bits must be 0 or 2..16, not {self.zero_bits}")
        if self.lanes > MAX_LANES:
            raise ConfigError(f"m * n must be at most {MAX_LANES} lanes, not {self.lanes}")
        if self.table_digits == 3:
            self._check_ternary()
        if self.block % self.k:
            raise ConfigError(
                f"block must be a multiple of k = lookup_group * groups_per_step = {self.k}, "
                f"not {self.block}; {max(1, self.block // self.k) * self.k} would do"
            )
        if self.n % self.rescale_columns:
            raise ConfigError(
                f"rescale_columns must divide n = {self.n}, not {self.rescale_columns}"
            )
        self._check_formats()
        # The golden model counts sums that are cut off in 64 bits.
        limit = 38 if self.truncate else 41
        if self.difference_bits > limit:
            raise ConfigError(
                f"difference_bits must be at most {limit}, not {self.difference_bits}; "
                f"reduce block ({self.block}), table_bits ({self.table_bits}), "
                f"weight_bits ({self.weight_bits}) or zero_bits ({self.zero_bits})"
            )
        if self.truncate:
            self._check_truncate()

    def _check_truncate(self) -> None:
        narrow = [fmt.name for fmt in self.output_formats if fmt not in (FP32, INT32)]
        if narrow:
            raise ConfigError(
                f"outputs must be fp32 or int32 with truncate, not {', '.join(narrow)}: "
                f"these are rounded"
            )
        if self.pipeline > 2:
            raise ConfigError(
                f"pipeline must be 0..2 with truncate, which has no stages for more, "
                f"not {self.pipeline}"
            )

    def _check_ternary(self) -> None:
        if self.lookup_group != 2:
            raise ConfigError(
                f"lookup_group must be 2 for table_digits = 3, not {self.lookup_group}: "
                f"three ternary digits would need a table of 13 entries"
            )
        if self.groups_per_step % TRITS:
            raise ConfigError(
                f"groups_per_step must be a multiple of {TRITS} for table_digits = 3, whose "
                f"digits share codes by {2 * TRITS}, not {self.groups_per_step}; "
                f"{TRITS * -(-self.groups_per_step // TRITS)} would do"
            )

    def _check_formats(self) -> None:
        for field, known in FORMAT_FIELDS.items():
            value = getattr(self, field)
            if not isinstance(value, tuple) or not value:
                raise ConfigError(f"{field} must be a tuple of one or more formats, not {value!r}")
            names = cast("tuple[str, ...]", value)
            for name in names:
                named(field, name, known)
            if len(set(names)) != len(names):
                raise ConfigError(f"{field} must not repeat a format: {', '.join(names)}")
        if not any(isinstance(fmt, FloatFormat) for fmt in self.output_formats):
            raise ConfigError(
                f"outputs must hold a float format, not only {', '.join(self.outputs)}; "
                f"adding fp32 would do"
            )

    # Derived sizes, in the order of the data flow.

    @property
    def formats(self) -> tuple[FloatFormat | IntegerFormat, ...]:
        """The activation formats built in; the `format` field of a pass indexes this tuple."""
        return tuple(ACTIVATIONS[name] for name in self.activations)

    @property
    def scale_formats(self) -> tuple[FloatFormat | PowerFormat, ...]:
        """The scale formats built in; the `scale` field of a pass indexes this tuple."""
        return tuple(SCALES[name] for name in self.scales)

    @property
    def output_formats(self) -> tuple[FloatFormat | IntegerFormat, ...]:
        """The result formats built in; the `output` field of a pass indexes this tuple."""
        return tuple(OUTPUTS[name] for name in self.outputs)

    @property
    def total_bits(self) -> int:
        """Width of the sums of a lookup group that entries stand for, two's complement."""
        return self.table_bits + self.parity

    def exact(self, fmt: FloatFormat | IntegerFormat) -> bool:
        """Whether tables hold every sum of activations of `fmt` in units of 1."""
        return isinstance(fmt, IntegerFormat) and self.total_bits >= fmt.bits + self.group_bits

    @property
    def raw(self) -> bool:
        """Whether the core has INT32 results: they are built in, and a format is exact."""
        return "int32" in self.outputs and any(self.exact(fmt) for fmt in self.formats)

    @property
    def k(self) -> int:
        """Activations along K that a step consumes."""
        return self.lookup_group * self.groups_per_step

    @property
    def lanes(self) -> int:
        """Lanes in the array."""
        return self.m * self.n

    @property
    def max_steps(self) -> int:
        """Steps in a full block."""
        return self.block // self.k

    @property
    def subsets(self) -> bool:
        """Whether a table holds sums over subsets: of pairs of binary digits, the two activations
        and their sum. Three entries and none, for no digit of +1, need no negation in the lanes."""
        return self.table_digits == 2 and self.lookup_group == 2

    @property
    def parity(self) -> bool:
        """Whether a table holds the low bit of its sums apart: those of +x and -x of the same
        integers are all odd or all even."""
        return self.table_digits == 2 and not self.subsets

    @property
    def entries(self) -> int:
        """Stored entries of one table: subsets, or half of 2^g, or of 3^g without zero."""
        if self.subsets:
            return 3
        return self.table_digits**self.lookup_group // 2

    @property
    def code_bits(self) -> int:
        """Bits of the weight codes of one column in one step."""
        return self.k if self.table_digits == 2 else self.k // TRITS * TRIT_CODE_BITS

    @property
    def group_bits(self) -> int:
        """Bits that a sum of lookup_group equal terms adds: ceil(log2 g)."""
        return _ceil_log2(self.lookup_group)

    @property
    def activation_bits(self) -> int:
        """Width of one activation on the input stream: the widest format built in."""
        return max(fmt.bits for fmt in self.formats)

    @property
    def significand_bits(self) -> int:
        """Width of a decoded significand: the widest of the formats built in."""
        return max(fmt.significand_bits for fmt in self.formats)

    @property
    def doubled_peak_limit(self) -> int:
        """Twice the bound on the peak of a block, in units of its exponent.

        A peak below it leaves room for the alignment of lookup_group activations: no sum overflows
        `total_bits`, and nothing saturates.
        """
        return (1 << self.total_bits) - self.lookup_group

    @property
    def group_limit(self) -> int:
        """Largest magnitude of a sum of lookup_group aligned activations."""
        # A peak below `doubled_peak_limit` leaves half a unit for the rounding of each.
        limits = [
            -fmt.min * self.lookup_group
            if isinstance(fmt, IntegerFormat) and self.exact(fmt)
            else (1 << (self.total_bits - 1)) - 1
            for fmt in self.formats
        ]
        return max(limits)

    @property
    def entry_range(self) -> range:
        """The table entries that there are."""
        limit = (self.group_limit + 1) // 2 if self.parity else self.group_limit
        return range(-limit, min(limit, (1 << self.table_bits >> 1) - 1) + 1)

    @property
    def aligned_bits(self) -> int:
        """Width of an aligned activation, two's complement."""
        return max(fmt.bits if self.exact(fmt) else self.total_bits for fmt in self.formats)

    def exponent_range(self, fmt: FloatFormat | IntegerFormat) -> tuple[int, int]:
        """Bounds of the block exponent e of `fmt`; it never leaves them."""
        if self.exact(fmt):
            return 0, 0
        low = fmt.unit_exponent
        # A peak is below 2^peak_exponent, and one below 2^(e + total_bits - 2) always fits.
        peak_exponent = low + fmt.largest_field - 1 + fmt.significand_bits + self.group_bits
        return low, max(low, peak_exponent + 2 - self.total_bits)

    @property
    def exponent_bits(self) -> int:
        """Width of the two's complement block exponent e (aligned activations count in 2^e)."""
        bounds = [abs(bound) for fmt in self.formats for bound in self.exponent_range(fmt)]
        return _signed_bits(max(1, *bounds))

    @property
    def sum_bits(self) -> int:
        """Width of the sum of a block's aligned activations."""
        return _signed_bits(self._sum_limit)

    @property
    def psum_bits(self) -> int:
        """Width of a lane's accumulator: entries of all planes of a block."""
        entries, terms = self.entry_range, self._planes * self._groups_per_block
        # Where lanes negate, an entry may also be the negated lowest.
        highest = entries.stop - 1 if self.subsets else -entries.start
        return max((-entries.start * terms - 1).bit_length(), (highest * terms).bit_length()) + 1

    @property
    def lane_enable(self) -> bool:
        """Whether lanes have an enable, since decoders that select nothing without a step would lie
        on the longest path."""
        return self.pipeline >= 2

    @property
    def odd_bits(self) -> int:
        """Width of what the low bits of a row's sums add up to over all planes of a block."""
        return (self._planes * self._groups_per_block).bit_length()

    @property
    def difference_bits(self) -> int:
        """Width of the sum over all planes minus z' times the sum of activations."""
        return _signed_bits((self._planes - self.zero_range.start) * self._sum_limit)

    @property
    def zero_range(self) -> range:
        """The doubled zero points z' that a weight stream can hold."""
        limit = 1 << self.zero_bits >> 1
        return range(-limit, max(limit, 1))

    @property
    def column_groups(self) -> int:
        """Beats in which the columns of a tile are rescaled and emitted."""
        return self.n // self.rescale_columns

    @property
    def fma_latency(self) -> int:
        """Cycles of a multiply-add, in the last of which the accumulator is written."""
        return 3 if self.truncate else (3, 4, 5, 7)[self.pipeline]

    @property
    def addend_delay(self) -> int:
        """Cycles after which a multiply-add reads the accumulator."""
        return (2, 2, 1)[self.pipeline] if self.truncate else (2, 2, 2, 4)[self.pipeline]

    @property
    def round_cycles(self) -> int:
        """Cycles of a round of rescale: one a beat of columns, and so many that an accumulator is
        written before it is read again."""
        return max(self.column_groups, self.fma_latency - self.addend_delay + 1)

    @property
    def weight_beat_bytes(self) -> int:
        """Bytes of one beat of folded weight codes, padded to whole bytes."""
        return -(-self.n * self.code_bits // 8)

    @property
    def _groups_per_block(self) -> int:
        return self.max_steps * self.groups_per_step

    @property
    def _planes(self) -> int:
        """What all planes of a pass weigh together."""
        return (1 << self.weight_bits) - 1

    @property
    def _sum_limit(self) -> int:
        return self._groups_per_block * self.group_limit

    # Files.

    @classmethod
    def from_toml(cls, path: str | Path) -> TensorCoreConfig:
        """Read a configuration file; every key is a field of this class, but for the table
        `engine` (`lutcore.lmma.EngineConfig.from_toml`)."""
        values = read_toml(path)
        values.pop("engine", None)
        fields = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in fields:
                raise ConfigError(f"{path}: unknown key {key!r}; known are {', '.join(fields)}")
        for key in ("m", "n"):
            if key not in values:
                raise ConfigError(f"{path}: key {key!r} is missing")
        for key in FORMAT_FIELDS:
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """The configuration as TOML text that `from_toml` reads back."""
        lines: list[str] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                names = cast("tuple[str, ...]", value)
                value = "[" + ", ".join(f'"{name}"' for name in names) + "]"
            elif isinstance(value, str):
                value = f'"{value}"'
            elif isinstance(value, bool):
                value = str(value).lower()
            lines.append(f"{field.name} = {value}\n")
        return "".join(lines)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The keys and values of a TOML file; ConfigError where it is none."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


_ALL_OUTPUTS = ("fp32", "int32", "fp16", "bf16")

PRESETS: dict[str, TensorCoreConfig] = {
    config.name: config
    for config in (
        TensorCoreConfig(
            name="paper",
            m=2,
            n=64,
            activations=tuple(ACTIVATIONS),
            outputs=_ALL_OUTPUTS,
            rescale_columns=4,
        ),
        TensorCoreConfig(
            name="tiny",
            m=2,
            n=4,
            lookup_group=3,
            block=12,
            activations=tuple(ACTIVATIONS),
            scales=tuple(SCALES),
            outputs=_ALL_OUTPUTS,
            rescale_columns=2,
        ),
        TensorCoreConfig(name="wide", m=2, n=16, groups_per_step=4, rescale_columns=4),
        TensorCoreConfig(
            name="ternary",
            m=2,
            n=16,
            table_digits=3,
            lookup_group=2,
            groups_per_step=6,
            table_bits=9,
            block=60,
            rescale_columns=4,
        ),
        TensorCoreConfig(
            name="dense",
            m=2,
            n=64,
            lookup_group=2,
            groups_per_step=16,
            table_bits=8,
            block=128,
            weight_bits=1,
            zero_bits=0,
            activations=("fp16",),
            scales=("fp16",),
            outputs=("fp32",),
            rescale_columns=16,
        ),
        TensorCoreConfig(
            name="dense8",
            m=2,
            n=16,
            lookup_group=2,
            groups_per_step=16,
            table_bits=9,
            block=128,
            weight_bits=2,
            zero_bits=0,
            activations=("int8",),
            scales=("fp16",),
            rescale_columns=4,
        ),
    )
}
"""Named configurations: choices of the command, rows of the CI matrix and of synthesis at once.

paper    the best tile of the original at M N K = 512: M2 N64 K4, every format of activations
tiny     for tests and small FPGAs; every format of all kinds, a lookup group of no power of two
wide     four lookup groups in a step, INT8 and FP16 only
ternary  ternary weights in one pass, other weights as before
dense    most products for its area: FP16 activations, pairs in 8-bit tables, planes as terms,
         symmetric weights
dense8   the same for INT8 activations, exact, and weights of two planes
"""


def preset(name: str) -> TensorCoreConfig:
    """The preset called `name`; ConfigError if there is none."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"preset {name!r} is unknown; known are {', '.join(PRESETS)}") from None
