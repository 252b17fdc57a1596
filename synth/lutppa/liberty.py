"""Liberty files: what mapping and a report need of a cell library, and no more.

Cells are known by what they compute, not by their names: the NAND2 that areas are compared with
and the full adder that sums are mapped onto are found by truth table.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from lutcore.errors import InputError

from . import generic
from .expression import evaluate
from .recipes import dont_use

__all__ = ["Cell", "FullAdder", "Library", "read"]


@dataclass(frozen=True)
class Cell:
    """A cell: area in the library's unit, input pins, and the function of each output pin."""

    name: str
    area: float
    flip_flop: bool
    inputs: tuple[str, ...]
    outputs: dict[str, str]

    def table(self, output: str) -> tuple[bool, ...] | None:
        """Truth table of an output, first input most significant; None if it is no such function.

        Sequential and tri-state cells have functions of other names than inputs.
        """
        rows = np.array(list(product((False, True), repeat=len(self.inputs))))
        columns = dict(zip(self.inputs, rows.T, strict=True))
        constants = {"0": np.zeros(len(rows), bool), "1": np.ones(len(rows), bool)}
        try:
            return tuple(evaluate(self.outputs[output], columns | constants).tolist())
        except (KeyError, IndexError):
            return None


@dataclass(frozen=True)
class FullAdder:
    """A full-adder cell: its three inputs, and the carry and sum pins with whether each inverts."""

    cell: Cell
    carry: str
    carry_inverted: bool
    sum: str
    sum_inverted: bool


@dataclass(frozen=True)
class Library:
    """A cell library.

    name    of the Liberty group
    file    the name of the file, or that of the generic library
    sha256  of the file's bytes
    text    Liberty text without the cells that are not to be used
    cells   by name, those that may be used
    unit    of areas: um2, or NAND2 for the generic library
    """

    name: str
    file: str
    sha256: str
    text: str
    cells: dict[str, Cell]
    unit: str

    @cached_property
    def nand2(self) -> Cell:
        """The smallest cell that computes !(A & B)."""
        wanted = (True, True, True, False)
        found = [
            cell
            for cell in self.cells.values()
            if len(cell.inputs) == 2
            and len(cell.outputs) == 1
            and cell.table(next(iter(cell.outputs))) == wanted
        ]
        if not found:
            raise InputError(
                f"{self.file}: has no NAND2, the measure of areas; a cell with the "
                "function !(A&B) would do"
            )
        return min(found, key=lambda cell: cell.area)

    @cached_property
    def full_adder(self) -> FullAdder | None:
        """The smallest full adder; its outputs may be inverted. None if there is none."""
        bits = list(product((False, True), repeat=3))
        carry = tuple(sum(row) >= 2 for row in bits)
        total = tuple(sum(row) % 2 == 1 for row in bits)
        meanings = {
            carry: ("carry", False),
            total: ("sum", False),
            tuple(not value for value in carry): ("carry", True),
            tuple(not value for value in total): ("sum", True),
        }
        found: list[FullAdder] = []
        for cell in self.cells.values():
            if len(cell.inputs) != 3 or len(cell.outputs) != 2 or cell.flip_flop:
                continue
            pins: dict[str, tuple[str, bool]] = {}
            for pin in cell.outputs:
                table = cell.table(pin)
                if table in meanings:
                    kind, inverted = meanings[table]
                    pins[kind] = (pin, inverted)
            if len(pins) == 2:
                found.append(FullAdder(cell, *pins["carry"], *pins["sum"]))
        return min(found, key=lambda adder: adder.cell.area, default=None)


def read(path: Path | None) -> Library:
    """The library of a Liberty file, plain or gzip; the generic one for None.

    Raises InputError if the file cannot be read, is not Liberty, or lacks flip-flop or NAND2.
    """
    if path is None:
        return _library(generic.text().encode(), generic.NAME, "NAND2")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return _library(data, path.name, "um2")


def _library(data: bytes, file: str, unit: str) -> Library:
    try:
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: is not a whole gzip file: {error}") from None
    text = plain.decode("utf-8", errors="replace")
    try:
        outer = next((group for group in _groups(text) if group.kind == "library"), None)
    except EOFError:
        raise InputError(f"{file}: is not a whole Liberty file: it ends inside a group") from None
    if outer is None:
        raise InputError(f"{file}: is not a Liberty file: it has no `library` group")
    cells: dict[str, Cell] = {}
    kept: list[str] = []
    copied = 0
    avoided = dont_use(outer.argument)
    for group in outer.groups:
        if group.kind != "cell":
            continue
        cell, marked = _cell(group, text, file)
        if marked or any(fnmatchcase(cell.name, pattern) for pattern in avoided):
            kept.append(text[copied : group.start])
            copied = group.stop
        else:
            cells[cell.name] = cell
    kept.append(text[copied:])
    digest = hashlib.sha256(data).hexdigest()
    library = Library(outer.argument, file, digest, "".join(kept), cells, unit)
    if not any(cell.flip_flop for cell in cells.values()):
        raise InputError(f"{file}: has no flip-flop; a cell with an `ff` group would do")
    if library.nand2.area <= 0:
        raise InputError(
            f"{file}: area of {library.nand2.name} must be positive, not {library.nand2.area}"
        )
    return library


_TOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|[{}]', re.DOTALL)
_HEADER = re.compile(r"(\w+)\s*\(([^(){}]*)\)\s*$")
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_DEPTH = 3  # library, cell, pin; what lies deeper is timing


@dataclass
class _Group:
    """`kind (argument) { ... }`: where its header, its body and what follows it begin."""

    kind: str
    argument: str
    start: int
    body: int
    stop: int
    groups: list[_Group]


def _groups(text: str) -> list[_Group]:
    """The outermost groups of a text; EOFError where one does not end."""
    root = _Group("", "", 0, 0, len(text), [])
    path = [root]
    depth = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == "{":
            depth += 1
            if depth <= _DEPTH:
                group = _Group("", "", token.start(), token.end(), len(text), [])
                header = _HEADER.search(text, max(0, token.start() - 200), token.start())
                if header:
                    group.kind, group.start = header[1], header.start()
                    group.argument = header[2].strip().strip('"')
                path[-1].groups.append(group)
                path.append(group)
        elif mark == "}" and depth:
            if depth <= _DEPTH:
                path.pop().stop = token.end()
            depth -= 1
    if depth:
        raise EOFError
    return root.groups


def _attribute(text: str, name: str, value: str) -> str | None:
    match = re.search(rf'\b{name}\s*:\s*"?({value})"?\s*;?', text)
    return match[1] if match else None


def _cell(group: _Group, text: str, file: str) -> tuple[Cell, bool]:
    """The cell of a group, and whether the library says not to use it."""
    ends = [group.body, *(inner.stop for inner in group.groups)]
    starts = [*(inner.start for inner in group.groups), group.stop]
    own = "".join(text[a:b] for a, b in zip(ends, starts, strict=True))
    area = _attribute(own, "area", _NUMBER)
    if area is None:
        raise InputError(f"{file}: cell {group.argument} has no area; `area : NUMBER;` would do")
    inputs: list[str] = []
    outputs: dict[str, str] = {}
    for pin in group.groups:
        if pin.kind == "pin":
            attributes = text[pin.body : pin.stop]
            direction = _attribute(attributes, "direction", r"\w+")
            if direction == "input":
                inputs.append(pin.argument)
            elif direction == "output":
                outputs[pin.argument] = _attribute(attributes, "function", '[^"]*') or ""
    cell = Cell(
        name=group.argument,
        area=float(area),
        flip_flop=any(inner.kind == "ff" for inner in group.groups),
        inputs=tuple(inputs),
        outputs=outputs,
    )
    return cell, _attribute(own, "dont_use", r"\w+") == "true"
