"""`Mutant`: one deliberate bug."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Mutant"]


class Mutant(NamedTuple):
    """A bug: in `file` of lutcore, `old` becomes `new`; `bench` of `preset` is to catch it."""

    name: str
    kind: str
    bench: str
    file: str
    old: str
    new: str
    preset: str = "tiny"
