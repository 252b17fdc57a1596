"""A straight run of instructions as nested loops.

A compiler writes its schedule flat, every instruction in the order in which it should be issued,
and `rolled` finds the loops: software pipelining, alternating slots and ragged ends then need no
code of their own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

__all__ = ["Loop", "rolled"]

LONGEST = 96
"""Instructions and loops in the longest body that is looked for."""


@dataclass(frozen=True)
class Loop:
    """`body`, `count` times."""

    count: int
    body: tuple[Hashable, ...]
    depth: int


def rolled(items: Sequence[Hashable], levels: int) -> list[Hashable]:
    """The items with repetitions replaced by `Loop`, nested up to `levels` deep.

    Bodies that are short are found first, so that they are what longer ones consist of.
    """
    found = list(items)
    longest = 1
    while longest <= LONGEST:
        shorter = _pass(found, longest, levels)
        longest = 1 if len(shorter) < len(found) and longest > 1 else longest + 1
        found = shorter
    return found


def _pass(items: list[Hashable], length: int, levels: int) -> list[Hashable]:
    """The items with all repetitions of `length` of them replaced, from the left."""
    ids: dict[Hashable, int] = {}
    codes = [ids.setdefault(item, len(ids)) for item in items]
    found: list[Hashable] = []
    at = 0
    while at < len(items):
        end = at
        # Item by item a repetition is an item that equals the one `length` before it.
        while end + length < len(items) and codes[end] == codes[end + length]:
            end += 1
        count = (end - at) // length + 1
        body = tuple(items[at : at + length])
        depth = 1 + max((item.depth for item in body if isinstance(item, Loop)), default=0)
        if count > 1 and depth <= levels and _worth(body, count):
            found.append(Loop(count, body, depth))
            at += count * length
        else:
            found.append(items[at])
            at += 1
    return found


def _worth(body: tuple[Hashable, ...], count: int) -> bool:
    """Whether the loop is shorter than what it replaces."""
    return len(body) * (count - 1) > 2
