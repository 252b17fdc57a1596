"""The generated part of docs/lmma.md: `python -m lutcore.lmma.document docs/lmma.md` renews it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lutcore.errors import InputError
from lutcore.outputs import write_files

from .encoding import INSTRUCTIONS, Cause, Choice, Field, Flag, Instruction, Signed

__all__ = ["renewed", "tables"]

BEGIN = "<!-- From hw/lutcore/lmma/encoding.py by `python -m lutcore.lmma.document`. -->"
END = "<!-- End of what is generated. -->"


def tables() -> str:
    """Every instruction with its fields, and the causes, as Markdown."""
    return "\n".join([*_instructions(), *_causes()])


def _instructions() -> Iterator[str]:
    for item in INSTRUCTIONS:
        yield f"### `{item.mnemonic}`: {item.meaning}"
        yield ""
        yield f"Opcode 0x{item.opcode:02x}. `{_syntax(item)}`"
        yield ""
        if item.fields:
            yield "| bits | field | values | meaning | otherwise |"
            yield "|---|---|---|---|---|"
        for field in item.fields:
            low = item.places[field.name]
            bits = f"{low + field.bits - 1}..{low}" if field.bits > 1 else f"{low}"
            cause = "" if field.allowed is None else field.cause.name.lower()
            yield f"| {bits} | `{field.name}` | {_values(field)} | {field.meaning} | {cause} |"
        yield from [""] * bool(item.fields)


def _syntax(item: Instruction) -> str:
    named: list[str] = []
    for field in item.named:
        text = field.name if isinstance(field.kind, Flag) else f"{field.name}="
        named.append(text if field.default is None else f"[{text}]")
    operands = ", ".join([*item.operands, *named])
    return f"{item.mnemonic} {operands}".rstrip()


def _values(field: Field) -> str:
    if isinstance(field.kind, Choice):
        names = field.kind.names
        if field.name == "address":
            return f"{names[0]}..{names[-1]}"
        return ", ".join(names)
    if isinstance(field.kind, Flag):
        return "flag"
    if isinstance(field.kind, Signed):
        return f"signed, {field.bits} bits"
    least = f", code + {field.values[0]}" if field.values[0] else ""
    return f"{field.values[0]}..{field.values[-1]}{least}"


def _causes() -> Iterator[str]:
    yield "### Causes"
    yield ""
    yield "| code | cause | meaning |"
    yield "|---|---|---|"
    for cause in Cause:
        yield f"| {cause.value} | {cause.name.lower()} | {cause.meaning} |"
    yield ""


def renewed(document: str) -> str:
    """The document with its generated part as it should be; InputError where it has none."""
    before, begin, rest = document.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"the document has no part from {BEGIN!r} to {END!r}")
    return f"{before}{begin}\n{tables()}\n{end}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_files({path: renewed(path.read_text(encoding="utf-8")).encode()})
