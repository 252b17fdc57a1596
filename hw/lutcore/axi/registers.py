"""The control registers as data: the one definition of what software sees of an engine.

The AXI4-Lite decoder (`control`), the SystemRDL text, and through it the C header, the Python
access, the HTML page and the IP-XACT file (`rdl`) all come from a `RegisterMap`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from lutcore.errors import ConfigError, check_range

__all__ = [
    "COUNTERS",
    "IDENTIFICATION",
    "Access",
    "Field",
    "Register",
    "RegisterMap",
    "configuration_hash",
    "engine_registers",
]

IDENTIFICATION = int.from_bytes(b"LUTC", "big")
COUNTERS: dict[str, str] = {
    "busy": "cycles in which a program ran, or was read",
    "tiles": "tiles of results finished",
    "stall_fetch": "cycles in which the program was read, before its first instruction",
    "stall_activations": "cycles without work for the lanes while activations were loaded",
    "stall_weights": "cycles without work for the lanes while weights were loaded",
    "stall_scales": "cycles without work for the lanes while scales were loaded",
    "stall_results": "cycles without work for the lanes while results were stored",
    "stall_addends": "cycles without work for the lanes while addends were loaded",
}
"""The counters of an engine, and what they count."""
INTERRUPTS = {"done": "the program has ended", "error": "an instruction was refused or failed"}
WORD_BYTES = 4
PAGE_BITS = 12
"""Width of an address: a device has a page of 4 KiB."""


class Access(enum.Enum):
    """What software and hardware do with a field."""

    CONSTANT = enum.auto()
    """Set when the engine is built."""
    STATUS = enum.auto()
    """Hardware drives it."""
    VALUE = enum.auto()
    """Software writes it and hardware reads it."""
    PULSE = enum.auto()
    """A written 1 is high for one cycle; it reads as 0."""
    CLEAR = enum.auto()
    """A written 1 clears all counters; it reads as 0."""
    EVENT = enum.auto()
    """Hardware sets it and a written 1 clears it; setting wins. Raises the interrupt if enabled."""
    ENABLE = enum.auto()
    """Software writes it; it lets the event of the same name raise the interrupt."""
    COUNT = enum.auto()
    """Low word of the cycles in which hardware held a line high. A read keeps the high word."""
    KEPT = enum.auto()
    """The high word that the last read of a low word kept."""

    @property
    def writable(self) -> bool:
        """Whether a write can change anything."""
        return "sw = r;" not in PROPERTIES[self]


PROPERTIES: dict[Access, str] = {
    Access.CONSTANT: "sw = r; hw = na;",
    Access.STATUS: "sw = r; hw = w;",
    Access.VALUE: "sw = rw; hw = r;",
    Access.PULSE: "sw = w; hw = r; singlepulse;",
    Access.CLEAR: "sw = w; hw = na; singlepulse;",
    # An `enable` would give the register's type another name in the C header.
    Access.EVENT: "sw = rw; hw = w; woclr; intr;",
    Access.ENABLE: "sw = rw; hw = na;",
    Access.COUNT: "sw = r; hw = w;",
    Access.KEPT: "sw = r; hw = w;",
}
"""Properties of a field in SystemRDL."""


@dataclass(frozen=True)
class Field:
    """Bits `low` to `low + bits - 1` of a register.

    value  what it is built with (CONSTANT) or what a reset makes it
    """

    name: str
    low: int
    bits: int
    access: Access
    meaning: str
    value: int = 0

    @property
    def mask(self) -> int:
        """The bits of the field in its register."""
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A word of 32 bits at a byte offset."""

    name: str
    offset: int
    meaning: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class RegisterMap:
    """Registers of a device of 4 KiB.

    ConfigError if an offset or field is out of range or taken, or a name or value does not fit.
    """

    name: str
    meaning: str
    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        _check_names("registers", [self.name, *(register.name for register in self.registers)])
        taken: dict[int, str] = {}
        for register in self.registers:
            check_range(f"{register.name}.offset", register.offset, 0, (1 << PAGE_BITS) - 1)
            if register.offset % WORD_BYTES:
                raise ConfigError(
                    f"{register.name}.offset must be a multiple of {WORD_BYTES}, "
                    f"not {register.offset:#x}"
                )
            if register.offset in taken:
                raise ConfigError(
                    f"{register.name}.offset {register.offset:#x} is that of "
                    f"{taken[register.offset]}"
                )
            taken[register.offset] = register.name
            self._check_fields(register)

    def _check_fields(self, register: Register) -> None:
        _check_names(register.name, [field.name for field in register.fields])
        used = 0
        for field in register.fields:
            name = f"{register.name}.{field.name}"
            check_range(f"{name}.low", field.low, 0, 31)
            check_range(f"{name}.bits", field.bits, 1, 32 - field.low)
            check_range(f"{name}.value", field.value, 0, (1 << field.bits) - 1)
            if used & field.mask:
                raise ConfigError(f"{name} has bits of another field of the register")
            used |= field.mask

    def fields(self, *accesses: Access) -> list[tuple[Register, Field]]:
        """The fields of some kinds with their registers, in order."""
        return [
            (register, field)
            for register in self.registers
            for field in register.fields
            if field.access in accesses
        ]

    def systemrdl(self) -> str:
        """The map as SystemRDL 2.0."""
        lines = [f"addrmap {self.name} {{", *_texts(1, self.name, self.meaning)]
        lines += ["    default regwidth = 32;", "    default accesswidth = 32;"]
        for register in self.registers:
            lines += ["    reg {", *_texts(2, register.name, register.meaning)]
            for field in register.fields:
                high = field.low + field.bits - 1
                lines += ["        field {", *_texts(3, field.name, field.meaning)]
                lines += [f"            {PROPERTIES[field.access]}"]
                driven = field.access in (Access.STATUS, Access.COUNT, Access.KEPT)
                reset = "" if driven else f" = {field.value:#x}"
                lines += [f"        }} {field.name}[{high}:{field.low}]{reset};"]
            lines += [f"    }} {register.name} @ {register.offset:#x};"]
        return "\n".join([*lines, "};", ""])


def _check_names(where: str, names: list[str]) -> None:
    for name in names:
        if not name.isidentifier() or not name.isascii():
            raise ConfigError(f"{where}: {name!r} is no identifier of letters, digits and '_'")
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: a name occurs twice: {', '.join(names)}")


def _texts(depth: int, name: str, meaning: str) -> list[str]:
    return [
        " " * 4 * depth + f'{key} = "{text}";' for key, text in (("name", name), ("desc", meaning))
    ]


def configuration_hash(text: str) -> int:
    """The 32 bits by which software recognises a configuration: of the SHA-256 of its TOML."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def _counter(name: str, offset: int, meaning: str) -> tuple[Register, Register]:
    return (
        Register(
            f"{name}_low", offset, f"Counter, read first: {meaning}",
            (Field("value", 0, 32, Access.COUNT, "bits 31 to 0; a read keeps bits 63 to 32"),),
        ),
        Register(
            f"{name}_high", offset + WORD_BYTES, f"Counter, read second: {meaning}",
            (Field("value", 0, 32, Access.KEPT, "bits 63 to 32, kept when the low word was read"),),
        ),
    )  # fmt: skip


def engine_registers(
    *,
    version: str = "0.0.0",
    configuration: int = 0,
    address_bits: int = 32,
    counters: Mapping[str, str] = COUNTERS,
) -> RegisterMap:
    """The control registers of an engine.

    version        of the package, three numbers
    configuration  `configuration_hash` of what it was built from
    address_bits   of its memory port; upper words of addresses only above 32
    counters       their names and what they count, 64 bits each

    ConfigError if something does not fit.
    """
    check_range("address_bits", address_bits, 12, 64)
    numbers = [int(part) if part.isdigit() else 0 for part in f"{version}.0.0".split(".")[:3]]
    constant, status, value = Access.CONSTANT, Access.STATUS, Access.VALUE
    low_bits = min(32, address_bits)
    registers = [
        Register("identification", 0x00, "What this is", (
            Field("magic", 0, 32, constant, "LUTC in ASCII, L in the high byte", IDENTIFICATION),
        )),
        Register("version", 0x04, "Version of the generator", (
            Field("patch", 0, 8, constant, "third number", numbers[2]),
            Field("minor", 8, 8, constant, "second number", numbers[1]),
            Field("major", 16, 8, constant, "first number", numbers[0]),
        )),
        Register("configuration", 0x08, "Which configuration was built", (
            Field("hash", 0, 32, constant, "first 32 bits of its SHA-256", configuration),
        )),
        Register("control", 0x10, "Commands; reads as 0", (
            Field("start", 0, 1, Access.PULSE, "run the program; ignored while busy"),
            Field("soft_reset", 1, 1, Access.PULSE, "stop at once and forget all work"),
            Field("clear_counters", 2, 1, Access.CLEAR, "set all counters to 0"),
        )),
        Register("status", 0x14, "State of the engine", (
            Field("busy", 0, 1, status, "a program runs, or transfers of a reset one end"),
            Field("halted", 1, 1, status, "the program has ended, with or without an error"),
            Field("cause", 8, 8, status, "why it ended: 0 for halt, or the cause of the error"),
        )),
        Register("fault", 0x18, "Where the program ended", (
            Field("index", 0, 32, status, "index of the instruction that was refused or failed"),
        )),
        Register("interrupt_enable", 0x20, "Which events raise the interrupt", tuple(
            Field(name, i, 1, Access.ENABLE, meaning)
            for i, (name, meaning) in enumerate(INTERRUPTS.items())
        )),
        Register("interrupt_pending", 0x24, "Events; write 1 to clear", tuple(
            Field(name, i, 1, Access.EVENT, meaning)
            for i, (name, meaning) in enumerate(INTERRUPTS.items())
        )),
        Register("memory_limit_low", 0x28, "How large memory is", (
            Field("bytes", 0, low_bits, value, "no tile goes beyond; bits 31 to 0; 0 for all"),
        )),
        Register("program_base_low", 0x30, "Where the program is", (
            Field("address", 0, low_bits, value, "byte address, bits 31 to 0"),
        )),
        Register("program_length", 0x38, "How long the program is", (
            Field("instructions", 0, 32, value, "number of instructions"),
        )),
    ]  # fmt: skip
    if address_bits > 32:
        for name, offset, kind in (
            ("memory_limit", 0x2C, "bytes"),
            ("program_base", 0x34, "address"),
        ):
            field = Field(kind, 0, address_bits - 32, value, "bits 63 to 32")
            registers.append(Register(f"{name}_high", offset, "Upper word", (field,)))
    for index, (name, meaning) in enumerate(counters.items()):
        registers += _counter(name, 0x40 + 2 * WORD_BYTES * index, meaning)
    return RegisterMap(
        "lutcore_engine",
        "Control registers of a LUT tensor core engine",
        tuple(sorted(registers, key=lambda register: register.offset)),
    )
