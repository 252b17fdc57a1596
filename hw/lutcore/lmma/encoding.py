"""The instructions as data: names, opcodes, fields, legal values, and the causes of refusal.

Assembler, disassembler, simulator, decoder and the tables of docs/lmma.md come from `INSTRUCTIONS`
and `Cause`; nothing else states an opcode, a width or a limit. An instruction is one little-endian
word of `WORD_BITS`: the opcode in its low byte, then the fields in their order, then zeros.
"""

from __future__ import annotations

import enum
import string
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from lutcore.formats import ACTIVATIONS, OUTPUTS, SCALES

from .config import REGISTERS, EngineConfig

__all__ = [
    "INSTRUCTIONS",
    "WORD_BITS",
    "WORD_BYTES",
    "Cause",
    "Choice",
    "Field",
    "Flag",
    "Instruction",
    "Number",
    "Op",
    "Refusal",
    "Signed",
    "decode",
    "encode",
    "illegal",
    "new",
]

WORD_BITS, OPCODE_BITS = 128, 8
WORD_BYTES = WORD_BITS // 8


class Cause(enum.IntEnum):
    """Why an engine stopped, in the order of precedence: of several causes the first counts."""

    HALT = 0, "the program ended with halt"
    FETCH = 1, "the program ended without halt"
    OPCODE = 2, "no instruction has this opcode"
    RESERVED = 3, "a bit beyond the fields is 1"
    SHAPE = 4, "m, n or k are not those of the core"
    FORMAT = 5, "the core lacks the format, planes, addends or part, or they do not go together"
    RANGE = 6, "a count is larger than the core or the buffers"
    NESTING = 7, "a loop too deep, or an end without a loop"
    CHAIN = 8, "lmma continues or keeps what the lmma before did not leave"
    OPERAND = 9, "a buffer slot does not hold what is read"
    MISALIGNED = 10, "an address or stride is no multiple of a memory word"
    ADDRESS = 11, "a tile lies outside of memory"
    BUS = 12, "memory answered with an error"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Cause:
        """A cause of that number; the text is for people."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class Refusal(Exception):
    """An instruction that cannot be executed."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.meaning)
        self.cause = cause


@dataclass(frozen=True)
class Number:
    """Unsigned; the code is the value less `least`."""

    least: int = 0


@dataclass(frozen=True)
class Signed:
    """Two's complement."""


@dataclass(frozen=True)
class Flag:
    """One bit, by its name in the text."""


@dataclass(frozen=True)
class Choice:
    """One of `names`, by its place."""

    names: tuple[str, ...]


Allowed = Callable[[EngineConfig], Container[int]]


@dataclass(frozen=True)
class Field:
    """A field of an instruction.

    allowed   the values that an engine takes; None for all that the bits hold
    cause     that of another value
    default   the value where the text does not give it; None where it must
    """

    name: str
    bits: int
    kind: Number | Signed | Flag | Choice
    meaning: str
    allowed: Allowed | None = None
    cause: Cause = Cause.RANGE
    default: int | None = None

    def value(self, code: int) -> int:
        """The value of a code."""
        if isinstance(self.kind, Number):
            return code + self.kind.least
        if isinstance(self.kind, Signed) and code >> (self.bits - 1):
            return code - (1 << self.bits)
        return code

    @cached_property
    def values(self) -> range:
        """The values that the bits can hold, or that have a name."""
        if isinstance(self.kind, Signed):
            return range(-(1 << (self.bits - 1)), 1 << (self.bits - 1))
        least = self.kind.least if isinstance(self.kind, Number) else 0
        count = len(self.kind.names) if isinstance(self.kind, Choice) else 1 << self.bits
        return range(least, least + count)

    def code(self, value: int) -> int:
        """The code of a value."""
        assert value in self.values or isinstance(self.kind, Choice)
        if isinstance(self.kind, Number):
            value -= self.kind.least
        return value & ((1 << self.bits) - 1)

    def legal(self, value: int, config: EngineConfig) -> bool:
        """Whether an engine of `config` takes the value."""
        return value in self.values and (self.allowed is None or value in self.allowed(config))


@dataclass(frozen=True)
class Instruction:
    """An instruction: `mnemonic` is its text, with fields in braces; `operands` follow by place.

    All other fields follow by name, flags alone and the rest as name=value.
    """

    name: str
    opcode: int
    mnemonic: str
    meaning: str
    fields: tuple[Field, ...] = ()
    operands: tuple[str, ...] = ()
    places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places: dict[str, int] = {}
        offset = OPCODE_BITS
        for item in self.fields:
            places[item.name] = offset
            offset += item.bits
        assert offset <= WORD_BITS
        object.__setattr__(self, "places", places)

    @property
    def used_bits(self) -> int:
        """Bits of opcode and fields; those above are reserved."""
        return OPCODE_BITS + sum(item.bits for item in self.fields)

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(item for item in self.fields if item.name == name)

    @property
    def in_mnemonic(self) -> tuple[str, ...]:
        """Names of the fields that are part of the mnemonic."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.mnemonic) if name)

    @property
    def named(self) -> tuple[Field, ...]:
        """The fields that the text gives by name."""
        placed = {*self.in_mnemonic, *self.operands}
        return tuple(item for item in self.fields if item.name not in placed)


@dataclass(frozen=True)
class Op:
    """An instruction with the values of its fields, each in `Field.values` or beyond its names."""

    instruction: Instruction
    values: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    @property
    def named(self) -> bool:
        """Whether every value is one that has a name or is a number: the op has a text."""
        return all(self.values[item.name] in item.values for item in self.instruction.fields)

    def choice(self, field: str) -> str:
        """The name of the value of a field that is a choice."""
        kind = self.instruction.field(field).kind
        assert isinstance(kind, Choice)
        return kind.names[self.values[field]]


def _names(prefix: str, count: int) -> Choice:
    return Choice(tuple(f"{prefix}{i}" for i in range(count)))


def _built_in(kinds: Mapping[str, object], attribute: str) -> Allowed:
    names = tuple(kinds)
    return lambda c: {names.index(name) for name in getattr(c.core, attribute)}


def _up_to(value: Callable[[EngineConfig], int]) -> Allowed:
    return lambda c: range(1, value(c) + 1)


def _shape(name: str, bits: int, meaning: str) -> Field:
    return Field(name, bits, Number(1), meaning, lambda c: {getattr(c.core, name)}, Cause.SHAPE)


def _slot(buffer: str) -> Field:
    return Field(buffer, 1, _names(buffer, 2), f"slot of buffer {buffer.upper()}")


def _width(names: tuple[str, ...], meaning: str, most: Callable[[EngineConfig], int]) -> Field:
    def allowed(c: EngineConfig) -> set[int]:
        return {i for i, name in enumerate(names) if int(name) <= most(c)}

    return Field("bits", 2, Choice(names), meaning, allowed, Cause.FORMAT)


_REGISTER = Field("address", 3, _names("r", REGISTERS), "register that holds the address")
_NEXT = Field("next", 32, Signed(), "bytes added to the register afterwards", default=0)
_ROWS = Field("rows", 10, Number(1), "rows of the tile", _up_to(lambda c: c.core.m))
_COLUMNS = Field("columns", 12, Number(1), "columns of the tile", _up_to(lambda c: c.core.n))
_STRIDE = Field(
    "stride",
    32,
    Number(),
    "bytes from a row to the next",
    lambda c: range(0, 1 << 32, c.word_bytes),
    Cause.MISALIGNED,
    0,
)


def _beats(most: Callable[[EngineConfig], int]) -> Field:
    return Field("beats", 16, Number(1), "beats", _up_to(most))


def _flag(name: str, meaning: str) -> Field:
    return Field(name, 1, Flag(), meaning, default=0)


_ADDEND = Choice(("none", "c0", "c1"))
_PLANES = Choice(tuple(f"w{i}" for i in range(1, 9)) + tuple(f"w{i}e" for i in range(1, 9)))


def _planes(c: EngineConfig) -> set[int]:
    return {i for i in range(16) if i % 8 < c.core.weight_bits}


INSTRUCTIONS: tuple[Instruction, ...] = (
    Instruction(
        "lmma",
        0x01,
        "lmma.m{m}n{n}k{k}.{a_type}.{w_type}.{acc_type}.{o_type}",
        "passes of the core: look up, rescale, accumulate",
        (
            _shape("m", 10, "rows of a tile"),
            _shape("n", 12, "columns of a tile"),
            _shape("k", 9, "activations along K in a step"),
            Field(
                "a_type",
                4,
                Choice(tuple(ACTIVATIONS)),
                "format of activations",
                _built_in(ACTIVATIONS, "activations"),
                Cause.FORMAT,
            ),
            Field("w_type", 4, _PLANES, "planes; `e`: of equal weight", _planes, Cause.FORMAT),
            Field("acc_type", 1, Choice(("fp32", "int32")), "format of accumulation"),
            Field(
                "o_type",
                4,
                Choice(tuple(OUTPUTS)),
                "format of results",
                _built_in(OUTPUTS, "outputs"),
                Cause.FORMAT,
            ),
            _slot("a"),
            _slot("w"),
            _slot("s"),
            _slot("d"),
            Field(
                "steps",
                12,
                Number(1),
                "steps of a pass",
                _up_to(lambda c: c.core.max_steps),
            ),
            Field("passes", 12, Number(1), "passes, one after the other", default=1),
            Field(
                "scale",
                4,
                Choice(tuple(SCALES)),
                "format of scales",
                _built_in(SCALES, "scales"),
                Cause.FORMAT,
                0,
            ),
            _flag("first", "the first pass starts from zero"),
            _flag("last", "the last pass puts its results in the slot of D"),
            _flag("keep", "every pass has the activations of the pass before"),
            _flag("offset", "every pass has a second round of scales"),
            _flag("rewind_a", "read the slot of A from its start, not from where it was left"),
            _flag("rewind_w", "the same of W"),
            _flag("rewind_s", "the same of S"),
            Field(
                "addend",
                2,
                _ADDEND,
                "slot of buffer C from which, with `first`, the first pass starts, not from zero",
                lambda c: range(len(_ADDEND.names) if c.core.addends else 1),
                Cause.FORMAT,
                0,
            ),
        ),
        ("a", "w", "s", "d"),
    ),
    Instruction(
        "load_a",
        0x02,
        "load.a.{bits}",
        "rows of activations, from the start of a slot of A; rows beyond them become zero",
        (
            _slot("a"),
            _REGISTER,
            _width(("4", "8", "16"), "bits of an activation", lambda c: c.core.activation_bits),
            _ROWS,
            Field("steps", 16, Number(1), "steps of every row", _up_to(lambda c: c.a_steps)),
            _STRIDE,
            _NEXT,
        ),
        ("a", "address"),
    ),
    Instruction(
        "load_w",
        0x03,
        "load.w",
        "beats of weights, from the start of a slot of W",
        (
            _slot("w"),
            _REGISTER,
            _beats(lambda c: c.w_beats),
            _NEXT,
            Field(
                "part",
                2,
                Choice(("1", "2", "4", "8")),
                "a beat in memory has n by this many columns; codes of the others are zero",
                lambda c: range(c.weight_halvings + 1),
                Cause.FORMAT,
                0,
            ),
        ),
        ("w", "address"),
    ),
    Instruction(
        "load_s",
        0x04,
        "load.s",
        "beats of scales and z', from the start of a slot of S",
        (_slot("s"), _REGISTER, _beats(lambda c: c.s_beats), _NEXT),
        ("s", "address"),
    ),
    Instruction(
        "store_d",
        0x05,
        "store.d.{bits}",
        "results from a slot of D",
        (
            _slot("d"),
            _REGISTER,
            _width(("16", "32"), "bits of a result", lambda c: c.output_bits),
            _ROWS,
            _COLUMNS,
            _STRIDE,
            _NEXT,
        ),
        ("d", "address"),
    ),
    Instruction(
        "load_c",
        0x06,
        "load.c",
        "accumulators, FP32 or INT32, into a slot of C; those beyond rows and columns become zero",
        (
            replace(
                _slot("c"),
                allowed=lambda c: range(2) if c.core.addends else range(0),
                cause=Cause.FORMAT,
            ),
            _REGISTER,
            _ROWS,
            _COLUMNS,
            _STRIDE,
            _NEXT,
        ),
        ("c", "address"),
    ),
    Instruction(
        "set",
        0x08,
        "set",
        "set an address register",
        (
            _REGISTER,
            Field("value", 48, Number(), "bytes", lambda c: range(1 << c.address_bits)),
        ),
        ("address", "value"),
    ),
    Instruction(
        "add",
        0x09,
        "add",
        "add to an address register, modulo its width",
        (_REGISTER, Field("value", 48, Signed(), "bytes")),
        ("address", "value"),
    ),
    Instruction(
        "loop",
        0x0A,
        "loop",
        "execute what follows up to the matching end so many times",
        (Field("count", 32, Number(1), "times"),),
        ("count",),
    ),
    Instruction("end", 0x0B, "end", "end of a loop's body"),
    Instruction("fence", 0x0C, "fence", "wait until all before it is complete, memory included"),
    Instruction("halt", 0x0D, "halt", "wait as fence does, then stop"),
)
"""Every instruction. Opcode 0 is none, so that cleared memory stops an engine."""

_BY_OPCODE = {item.opcode: item for item in INSTRUCTIONS}


def new(name: str, **values: int | str) -> Op:
    """The instruction of that name, with values or names of its fields, and else their defaults.

    Raises TypeError for a field that it has not, or one without a default that is missing.
    """
    instruction = next(item for item in INSTRUCTIONS if item.name == name)
    found: dict[str, int] = {}
    for item in instruction.fields:
        value = values.pop(item.name, item.default)
        if value is None:
            raise TypeError(f"{name} needs {item.name}")
        if isinstance(value, str):
            assert isinstance(item.kind, Choice)
            value = item.kind.names.index(value)
        found[item.name] = int(value)
    if values:
        raise TypeError(f"{name} has no {', '.join(values)}")
    return Op(instruction, found)


def encode(op: Op) -> int:
    """The word of an instruction."""
    word = op.instruction.opcode
    for item in op.instruction.fields:
        word |= item.code(op[item.name]) << op.instruction.places[item.name]
    return word


def decode(word: int) -> Op:
    """The instruction of a word. Refusal where it has none, or a bit is set that means nothing."""
    instruction = _BY_OPCODE.get(word & ((1 << OPCODE_BITS) - 1))
    if instruction is None:
        raise Refusal(Cause.OPCODE)
    if word >> instruction.used_bits:
        raise Refusal(Cause.RESERVED)
    values = {
        item.name: item.value(word >> instruction.places[item.name] & ((1 << item.bits) - 1))
        for item in instruction.fields
    }
    return Op(instruction, values)


def illegal(op: Op, config: EngineConfig) -> tuple[Cause, Field | None] | None:
    """What an engine of `config` refuses in an instruction whatever its state is, and which field.

    None where there is nothing; field None where several fields do not go together.
    """
    found: list[tuple[Cause, Field | None]] = [
        (item.cause, item)
        for item in op.instruction.fields
        if not item.legal(op[item.name], config)
    ]
    known = all(cause > Cause.FORMAT for cause, _ in found)
    if op.instruction.name == "lmma" and known and not _goes_together(op, config):
        found.append((Cause.FORMAT, None))
    return min(found, key=lambda pair: pair[0], default=None)


def _goes_together(op: Op, config: EngineConfig) -> bool:
    """INT32 is accumulated as it is given out, of exact formats, and has no offsets; only what
    begins has an addend."""
    if op["addend"] and not op["first"]:
        return False
    raw = op.choice("o_type") == "int32"
    if raw != (op.choice("acc_type") == "int32"):
        return False
    return not raw or (config.raw(ACTIVATIONS[op.choice("a_type")]) and not op["offset"])
