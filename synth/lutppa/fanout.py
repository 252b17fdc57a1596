"""Broadcast: how many gate inputs a shared wire drives, and the buffers that this needs.

Wires that all lanes of a row or a column read are counted in the mapped netlist of one lane and
multiplied by the lanes on the wire. A tree of buffers serves `loads` inputs with at most `limit`
on a driver; area reports leave these buffers out.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from . import mapped, yosys
from .designs import Built
from .liberty import Library

__all__ = ["buffer", "buffers", "count"]


def buffers(loads: int, limit: int) -> int:
    """Buffers of a tree for `loads` inputs, no driver with more than `limit`, the root included."""
    total = 0
    while loads > limit:
        loads = -(-loads // limit)
        total += loads
    return total


def buffer(library: Library) -> tuple[str, float]:
    """Name and area of the smallest buffer; of two inverters where there is none."""
    same, inverse = (False, True), (True, False)
    found: dict[tuple[bool, ...], list[tuple[float, str]]] = {same: [], inverse: []}
    for cell in library.cells.values():
        if len(cell.inputs) == 1 and len(cell.outputs) == 1 and not cell.flip_flop:
            table = cell.table(next(iter(cell.outputs)))
            if table in found:
                found[table].append((cell.area, cell.name))
    if found[same]:
        area, name = min(found[same])
        return name, area
    area, name = min(found[inverse])
    return f"2 {name}", 2 * area


def loads(netlist: str, module: str) -> dict[str, list[int]]:
    """Gate inputs on each bit of each input port of a mapped module, by port."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "netlist.v").write_text(netlist)
        yosys.run(directory, "read_verilog netlist.v\nwrite_json netlist.json\n")
        found = json.loads((directory / "netlist.json").read_text())["modules"][module]
    # A bit of an input port is driven from outside, so every pin on it is an input.
    pins: Counter[int] = Counter()
    for cell in found["cells"].values():
        for bits in cell["connections"].values():
            pins.update(bit for bit in bits if isinstance(bit, int))
    return {
        name: [pins[bit] for bit in port["bits"]]
        for name, port in found["ports"].items()
        if port["direction"] == "input"
    }


def count(built: Built, modules: Mapping[str, str], library: Library) -> dict[str, Any]:
    """Per broadcast: bundles of wires, and of each wire the gate inputs in one instance.

    A bundle is repeated for every row, every column, or stands once, as `instances` of the
    broadcast says the other way round.
    """
    name, area = buffer(library)
    figures: dict[str, Any] = {"buffer": name, "buffer_area": area, "m": built.m, "n": built.n}
    bundles = {"n": built.m, "m": built.n, "m n": 1}
    figures["broadcasts"] = {}
    for broadcast in built.broadcasts:
        unit = next(u for u in built.unit.definitions() if u.suffix == broadcast.unit)
        module = unit.module_name
        synthesis = mapped.mapped(unit, modules, library)
        ports = loads(synthesis.netlist, module)
        pins = [
            pin
            for start, port in product(broadcast.ports, ports)
            if port.startswith(start)
            for pin in ports[port]
        ]
        figures["broadcasts"][broadcast.name] = {
            "instances": broadcast.instances,
            "bundles": bundles[broadcast.instances],
            "pins": pins,
        }
        figures["lane_area"] = synthesis.totals[module].area
    return figures
