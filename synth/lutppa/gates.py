"""Areas of the elements that first-principles counts are made of, found by truth table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

from .liberty import Library

__all__ = ["gates"]


def gates(library: Library) -> dict[str, float]:
    """Area of the smallest nand, and, xor, 2-way multiplexer, full adder and flip-flop.

    A multiplexer is a cell, an AND-OR of two pairs, its inverse and an inverter, or three NAND2;
    an and is a cell or NAND2 and inverter; a full adder is a cell, or two exclusive-ors and three
    NAND2. What is smallest counts.
    """
    nand = library.nand2.area
    inverter = _smallest(library, 1, lambda a: not a) or nand
    xor = _smallest(library, 2, lambda a, b: a != b) or 4 * nand
    pairs = _smallest(library, 4, lambda a, b, c, d: a and b or c and d)
    inverse = _smallest(library, 4, lambda a, b, c, d: not (a and b or c and d))
    cell = _smallest(library, 3, lambda a, b, s: b if s else a)
    choices = [cell, pairs, inverse + inverter if inverse else None, 3 * nand]
    adder = library.full_adder
    return {
        "nand": nand,
        "and": _smallest(library, 2, lambda a, b: a and b) or nand + inverter,
        "xor": xor,
        "mux": min(area for area in choices if area),
        "full_adder": adder.cell.area if adder else 2 * xor + 3 * nand,
        "flip_flop": min(cell.area for cell in library.cells.values() if cell.flip_flop),
    }


def _smallest(library: Library, inputs: int, function: Callable[..., bool]) -> float | None:
    """Area of the smallest cell that computes a function of its inputs in some order."""
    wanted = {
        tuple(bool(function(*(values[i] for i in order))) for values in _values(inputs))
        for order in permutations(range(inputs))
    }
    areas = [
        cell.area
        for cell in library.cells.values()
        if not cell.flip_flop
        and len(cell.inputs) == inputs
        and len(cell.outputs) == 1
        and cell.table(next(iter(cell.outputs))) in wanted
    ]
    return min(areas, default=None)


def _values(inputs: int) -> list[tuple[bool, ...]]:
    return list(product((False, True), repeat=inputs))
