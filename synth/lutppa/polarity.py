"""Which full adders take inverted operands, so that inverting cells need fewest inverters.

A full adder is its own dual: of inverted operands it makes the inverted carry and sum. Where the
cell's outputs are inverted, an adder fed by another wants the other's opposite: with true operands
in one and inverted ones in the next no inverter is left between them. That is a colouring of the
graph of adders in two colours; chains and trees of adders have one without a conflict.
"""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["INVERTED", "assign"]

INVERTED = "fa_inverted"
"""Type of the cells that `assign` chooses to take inverted operands."""


def assign(design: dict[str, Any]) -> None:
    """Change the type of some `$fa` cells of one bit to INVERTED, in a netlist as Yosys' JSON."""
    for module in design["modules"].values():
        _colour(module["cells"])


def _colour(cells: dict[str, Any]) -> None:
    adders = {name: cell for name, cell in cells.items() if _whole(cell)}
    drivers = {
        cell["connections"][port][0]: name for name, cell in adders.items() for port in ("X", "Y")
    }
    neighbours: dict[str, list[str]] = {name: [] for name in adders}
    for name, cell in adders.items():
        for port in "ABC":
            source = drivers.get(cell["connections"][port][0])
            if source is not None and source != name:
                neighbours[name].append(source)
                neighbours[source].append(name)
    colours: dict[str, bool] = {}
    for start in adders:
        if start in colours:
            continue
        # Breadth first: each takes the colour that most of its coloured neighbours have not.
        colours[start] = False
        queue = deque([start])
        while queue:
            for name in neighbours[queue.popleft()]:
                if name not in colours:
                    seen = [colours[other] for other in neighbours[name] if other in colours]
                    colours[name] = 2 * sum(seen) < len(seen)
                    queue.append(name)
    for name, inverted in colours.items():
        if inverted:
            adders[name]["type"] = INVERTED


def _whole(cell: dict[str, Any]) -> bool:
    """Whether a cell is a full adder of one bit without a constant operand."""
    return cell["type"] == "$fa" and not any(
        isinstance(cell["connections"][port][0], str) for port in "ABC"
    )
