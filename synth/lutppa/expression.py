"""Boolean expressions of Liberty files, over any operands that have ~, &, ^ and |.

Tightest first: ! and ', ^, & or * or nothing, | or +.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Code", "evaluate", "names"]

_SYMBOL = re.compile(r"\s*([A-Za-z_][\w\[\]]*|[01]|[!'^*&+|()])")
_NAME = re.compile(r"[A-Za-z_][\w\[\]]*")


class Code(str):
    """An operand that becomes the text of a C expression."""

    def __invert__(self) -> Code:
        return Code(f"~{self}")

    def __and__(self, other: str) -> Code:
        return Code(f"({self} & {other})")

    def __or__(self, other: str) -> Code:
        return Code(f"({self} | {other})")

    def __xor__(self, other: str) -> Code:
        return Code(f"({self} ^ {other})")


def names(text: str) -> list[str]:
    """The names in an expression, each once, in order of appearance."""
    return list(dict.fromkeys(_NAME.findall(text)))


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The expression over `values`; the constants are the values named "0" and "1".

    KeyError where a name has no value, IndexError where the text is no expression.
    """
    symbols = [*_SYMBOL.findall(text), ""]
    position = 0

    def factor() -> Any:
        nonlocal position
        symbol = symbols[position]
        position += 1
        if symbol == "!":
            return ~factor()
        if symbol == "(":
            value = either()
            position += 1
        else:
            value = values[symbol]
        while symbols[position] == "'":
            position += 1
            value = ~value
        return value

    def exclusive() -> Any:
        nonlocal position
        value = factor()
        while symbols[position] == "^":
            position += 1
            value = value ^ factor()
        return value

    def both() -> Any:
        nonlocal position
        value = exclusive()
        while symbols[position] not in ("", ")", "|", "+"):
            position += symbols[position] in ("&", "*")
            value = value & exclusive()
        return value

    def either() -> Any:
        nonlocal position
        value = both()
        while symbols[position] in ("|", "+"):
            position += 1
            value = value | both()
        return value

    return either()
