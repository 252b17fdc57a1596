"""Liberty text as a tree of groups with attributes, read lazily: a large library takes a second.

    kind (arguments) { attribute : value;  attribute (values);  groups }

Only the braces of the whole text are looked at; a group's attributes are read when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["Group", "numbers", "parse"]

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r'"[^"{}]*"|"(?:\\.|[^"\\])*"|[{}]')
_HEADER = re.compile(r"(\w+)\s*\(([^(){};]*)\)\s*$")
_ATTRIBUTE = re.compile(
    r'(\w+)\s*(?::\s*("(?:\\.|[^"\\])*"|[^;\n]+)|\(((?:"(?:\\.|[^"\\])*"|[^()"])*)\))'
)
_LONGEST_KIND = 40


@dataclass
class Group:
    """A group: its kind, its arguments without quotes, and the groups inside it in order."""

    kind: str
    arguments: tuple[str, ...]
    groups: list[Group] = field(default_factory=list)
    _pieces: list[tuple[int, int]] = field(default_factory=list)
    _text: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The first argument; empty where there is none."""
        return self.arguments[0] if self.arguments else ""

    @cached_property
    def attributes(self) -> dict[str, str]:
        """Simple attributes without quotes, complex ones as what stands in the parentheses.

        Of an attribute that stands several times the last one is kept.
        """
        found: dict[str, str] = {}
        for begin, end in self._pieces:
            for name, simple, several in _ATTRIBUTE.findall(self._text[begin:end]):
                found[name] = _plain(simple) if simple else several
        return found

    def each(self, *kinds: str) -> Iterator[Group]:
        """The groups directly inside that are of one of `kinds`."""
        return (group for group in self.groups if group.kind in kinds)

    def get(self, name: str, default: str = "") -> str:
        """An attribute, or `default` where it is not there."""
        return self.attributes.get(name, default)

    def number(self, name: str, default: float = 0.0) -> float:
        """An attribute as a number, or `default` where it is not there."""
        value = self.attributes.get(name)
        return default if value is None else float(value)


def _plain(value: str) -> str:
    return value.strip().strip('"').strip()


def numbers(text: str) -> list[float]:
    """The numbers of a list such as `"1, 2", "3, 4"`, rows one after another."""
    return [float(word) for word in re.sub(r'[",\\]', " ", text).split()]


def parse(text: str) -> list[Group]:
    """The outermost groups of a text; EOFError where one does not end."""
    if "/*" in text:
        text = _COMMENT.sub(" ", text)
    root = Group("", ())
    path = [root]
    after = 0  # where what is not yet known begins
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == "{":
            at = token.start()
            # From the last opening parenthesis: a search for the header itself would be slow.
            opening = text.rfind("(", after, at)
            header = _HEADER.search(text, max(after, opening - _LONGEST_KIND), at)
            kind, arguments, start = (
                (header[1], tuple(map(_plain, header[2].split(","))), header.start())
                if header
                else ("", (), at)
            )
            path[-1]._pieces.append((after, start))
            group = Group(kind, arguments, _text=text)
            path[-1].groups.append(group)
            path.append(group)
            after = token.end()
        elif mark == "}":
            if len(path) > 1:
                path.pop()._pieces.append((after, token.start()))
            after = token.end()
    if len(path) > 1:
        raise EOFError
    return root.groups
