"""The groups of a Liberty file: its syntax, and where its cells are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Group", "cell_texts", "head", "parse"]

_TOKEN = re.compile(r'/\*.*?\*/|\\\n|"(?:\\.|[^"\\])*"|[^\s{}();:,"]+|[{}();:,]', re.DOTALL)
# Delays are seldom needed, and are nine tenths of the text; such a group holds groups of one level.
_TIMING = re.compile(
    r"\b(?:timing|receiver_capacitance)\s*\([^(){}]*\)\s*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}"
)


@dataclass
class Group:
    """`kind (arguments) { attributes, groups }`; the values of an attribute are text."""

    kind: str
    arguments: list[str]
    attributes: dict[str, list[str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def all(self, kind: str) -> Iterator[Group]:
        """The groups of that kind inside."""
        return (group for group in self.groups if group.kind == kind)

    def text(self, name: str, default: str = "") -> str:
        """The first value of an attribute."""
        return self.attributes.get(name, [default])[0]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """All numbers in the values of an attribute."""
        words = " ".join(self.attributes.get(name, [])).replace(",", " ").replace("\\", " ")
        return np.array([float(word) for word in words.split()])


def parse(text: str, *, delays: bool = False) -> Group:
    """The groups of a text in a nameless one, without delays; EOFError where one does not end."""
    if not delays:
        text = _TIMING.sub("", text)
    root = Group("", [])
    path = [root]
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "{":
            group = Group(words[0], words[1:]) if words else Group("", [])
            path[-1].groups.append(group)
            path.append(group)
            words = []
        elif token in ("}", ";"):
            if words:
                path[-1].attributes.setdefault(words[0], []).extend(words[1:])
            words = []
            if token == "}":
                path.pop()
                if not path:
                    raise EOFError
        elif token[0] not in "():,\\" and not token.startswith("/*"):
            words.append(token.strip('"'))
    if len(path) != 1:
        raise EOFError
    return root


def head(text: str) -> Group:
    """A library without its cells."""
    first = _CELL.search(text)
    return parse(text[: first.start() if first else len(text)] + "}").groups[0]


def cell_texts(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of every cell of a library."""
    for match in _CELL.finditer(text):
        yield match[1], text[match.start() : _end(text, match.start())]


_CELL = re.compile(r'\bcell\s*\(\s*"?(\w+)"?\s*\)\s*\{')
_BRACE = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|[{}]', re.DOTALL)


def _end(text: str, start: int) -> int:
    """Where the group that starts at `start` ends."""
    depth = 0
    for match in _BRACE.finditer(text, start):
        depth += (match[0] == "{") - (match[0] == "}")
        if match[0] == "}" and not depth:
            return match.end()
    raise EOFError
