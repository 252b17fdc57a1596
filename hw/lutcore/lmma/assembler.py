"""LMMA programs as text and as words, and back.

    lmma.m2n64k4.fp16.w4.fp32.fp32 a0, w0, s0, d0, steps=8, passes=32, first, last  # a comment

One instruction a line: mnemonic, operands by place, then the others by name in any order; those
with a default may be left out. `.word 0x...` is a word as it is. Numbers are decimal, 0x or 0b.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lutcore.errors import InputError

from .config import EngineConfig
from .encoding import (
    INSTRUCTIONS,
    WORD_BITS,
    WORD_BYTES,
    Cause,
    Choice,
    Field,
    Flag,
    Instruction,
    Op,
    Refusal,
    decode,
    encode,
    illegal,
)

__all__ = ["AssemblyError", "assemble", "disassemble", "from_bytes", "text", "to_bytes"]

DIRECTIVE = ".word"


def _pattern(item: Instruction) -> re.Pattern[str]:
    """What the mnemonic of an instruction looks like, a group for each field."""

    def group(match: re.Match[str]) -> str:
        part = r"\w+?" if isinstance(item.field(match[1]).kind, Choice) else r"\d+"
        return f"(?P<{match[1]}>{part})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(item.mnemonic)))


_PATTERNS = {item.name: _pattern(item) for item in INSTRUCTIONS}


class AssemblyError(InputError):
    """Text that is no program; the message starts with line and column, both from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.line, self.column = line, column


class _Token(NamedTuple):
    """A piece of a line, and the column of its first character."""

    text: str
    column: int


def assemble(source: str, config: EngineConfig | None = None) -> list[int]:
    """The words of a program. AssemblyError with line and column of the first fault.

    With `config`, what that engine would refuse in any state is a fault too, and a loop without its
    end.
    """
    words: list[int] = []
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(source.splitlines(), 1):
        try:
            tokens = _tokens(line)
            if not tokens:
                continue
            mnemonic, *operands = tokens
            if mnemonic.text == DIRECTIVE:
                words.append(_directive(mnemonic, operands))
                continue
            op, columns = _op(mnemonic, operands)
            if config is not None:
                _check(op, columns, config)
                if op.instruction.name == "loop":
                    loops.append((number, mnemonic.column))
                elif op.instruction.name == "end":
                    if not loops:
                        raise _Fault(mnemonic.column, "expected a loop before its end")
                    loops.pop()
        except _Fault as fault:
            raise AssemblyError(number, fault.column, fault.message) from None
        words.append(encode(op))
    if loops:
        raise AssemblyError(*loops[-1], "expected an end for this loop")
    return words


class _Fault(Exception):
    def __init__(self, column: int, message: str) -> None:
        super().__init__(message)
        self.column, self.message = column, message


def _tokens(line: str) -> list[_Token]:
    """The mnemonic and the operands of a line; none for a blank one."""
    code = line.partition("#")[0]
    head = re.match(r"\s*(\S+)", code)
    if head is None:
        return []
    tokens = [_Token(head[1], head.start(1) + 1)]
    start = head.end()
    rest = code[start:]
    if not rest.strip():
        return tokens
    for piece in rest.split(","):
        column = start + len(piece) - len(piece.lstrip()) + 1
        if not piece.strip():
            raise _Fault(column, "expected an operand between commas")
        tokens.append(_Token(piece.strip(), column))
        start += len(piece) + 1
    return tokens


def _number(token: _Token, what: str) -> int:
    try:
        return int(token.text, 0)
    except ValueError:
        raise _Fault(token.column, f"expected {what}, not {token.text!r}") from None


def _directive(mnemonic: _Token, operands: Sequence[_Token]) -> int:
    if len(operands) != 1:
        raise _Fault(mnemonic.column, f"expected one number after {DIRECTIVE}")
    value = _number(operands[0], f"a number of {WORD_BITS} bits")
    if not 0 <= value < 1 << WORD_BITS:
        raise _Fault(operands[0].column, f"expected a number of {WORD_BITS} bits")
    return value


def _instruction(mnemonic: _Token) -> tuple[Instruction, re.Match[str]]:
    for item in INSTRUCTIONS:
        match = _PATTERNS[item.name].fullmatch(mnemonic.text)
        if match:
            return item, match
    stem = mnemonic.text.partition(".")[0]
    near = [item.mnemonic for item in INSTRUCTIONS if item.mnemonic.partition(".")[0] == stem]
    known = near or sorted({item.mnemonic.partition(".")[0] for item in INSTRUCTIONS})
    raise _Fault(mnemonic.column, f"expected {' or '.join(known)}, not {mnemonic.text!r}")


def _op(mnemonic: _Token, operands: Sequence[_Token]) -> tuple[Op, dict[str, int]]:
    """The instruction of a line, and the columns of its fields."""
    instruction, match = _instruction(mnemonic)
    values: dict[str, int] = {}
    columns: dict[str, int] = {}

    def take(name: str, token: _Token) -> None:
        columns[name] = token.column
        values[name] = _value(instruction.field(name), token)

    for name in instruction.in_mnemonic:
        take(name, _Token(match[name], mnemonic.column + match.start(name)))
    for index, name in enumerate(instruction.operands):
        if index >= len(operands):
            what = _expected(instruction.field(name))
            raise _Fault(mnemonic.column, f"expected {what} as operand {index + 1}")
        take(name, operands[index])
    named = {item.name: item for item in instruction.named}
    for token in operands[len(instruction.operands) :]:
        name, equals, value = (part.strip() for part in token.text.partition("="))
        if name not in named:
            known = ", ".join(named) or "no more operands"
            raise _Fault(token.column, f"expected {known}, not {name!r}")
        if name in values:
            raise _Fault(token.column, f"expected {name} once")
        if isinstance(named[name].kind, Flag) == bool(equals):
            shape = name if equals else f"{name}=..."
            raise _Fault(token.column, f"expected {shape}, not {token.text!r}")
        at = token.column + (len(token.text) - len(value) if equals else 0)
        take(name, _Token(value if equals else "1", at))
    for name, item in named.items():
        if name not in values:
            if item.default is None:
                raise _Fault(mnemonic.column, f"expected {name}= ({item.meaning})")
            values[name] = item.default
            columns[name] = mnemonic.column
    return Op(instruction, values), columns


def _expected(item: Field) -> str:
    if isinstance(item.kind, Choice):
        return f"{item.name} ({', '.join(item.kind.names)})"
    return f"{item.name} of {item.values[0]}..{item.values[-1]}"


def _value(item: Field, token: _Token) -> int:
    what = _expected(item)
    if isinstance(item.kind, Choice):
        if token.text not in item.kind.names:
            raise _Fault(token.column, f"expected {what}, not {token.text!r}")
        return item.kind.names.index(token.text)
    value = _number(token, what)
    if value not in item.values:
        raise _Fault(token.column, f"expected {what}, not {value}")
    return value


def _check(op: Op, columns: dict[str, int], config: EngineConfig) -> None:
    found = illegal(op, config)
    if found is None:
        return
    cause, item = found
    if item is None:
        raise _Fault(min(columns.values()), f"{cause.name.lower()}: {cause.meaning}")
    given = op.choice(item.name) if isinstance(item.kind, Choice) else op[item.name]
    where = columns[item.name]
    raise _Fault(where, f"{cause.name.lower()}: {item.name} {given}: {cause.meaning}")


def text(op: Op) -> str:
    """The line of an instruction, values that are the default left out."""
    instruction = op.instruction

    def value(name: str) -> str:
        item = instruction.field(name)
        return op.choice(name) if isinstance(item.kind, Choice) else str(op[name])

    head = instruction.mnemonic.format(**{name: value(name) for name in instruction.in_mnemonic})
    parts = [value(name) for name in instruction.operands]
    for item in instruction.named:
        if isinstance(item.kind, Flag):
            parts += [item.name] * op[item.name]
        elif op[item.name] != item.default:
            parts.append(f"{item.name}={value(item.name)}")
    return f"{head} {', '.join(parts)}".rstrip()


def disassemble(words: Iterable[int]) -> Iterator[str]:
    """A line for every word, bodies of loops indented; `.word` for one that is no instruction."""
    depth = 0
    for word in words:
        try:
            op = decode(word)
            if not op.named:
                raise Refusal(Cause.FORMAT)
        except Refusal as refusal:
            line = f"{DIRECTIVE} 0x{word:032x}  # {refusal.cause.name.lower()}: {refusal}"
        else:
            line = text(op)
            depth -= op.instruction.name == "end"
        yield "  " * max(0, depth) + line
        depth += line.startswith("loop")


def to_bytes(words: Iterable[int]) -> bytes:
    """The program in memory."""
    return b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)


def from_bytes(program: bytes) -> list[int]:
    """The words of a program in memory; InputError where its length is none of whole words."""
    if len(program) % WORD_BYTES:
        raise InputError(
            f"a program is a multiple of {WORD_BYTES} bytes, not {len(program)} bytes long"
        )
    return [
        int.from_bytes(program[i : i + WORD_BYTES], "little")
        for i in range(0, len(program), WORD_BYTES)
    ]
