"""Mapped modules as lists of cells, read from Yosys' JSON and written as Verilog.

A net is a number, unique within its module; constants are `ZERO` and `ONE`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ONE", "ZERO", "Cell", "Netlist", "read"]

ZERO, ONE = 0, 1
_CONSTANTS = {"0": ZERO, "1": ONE, "x": ZERO, "z": ZERO}
_KEYWORDS = frozenset({"input", "output", "inout", "wire", "reg", "module", "table", "cell"})


def _identifier(name: str) -> str:
    """A name as Verilog has it: escaped, with the space that ends it, if it is a keyword."""
    return f"\\{name} " if name in _KEYWORDS else name


@dataclass
class Cell:
    """An instance of a library cell or of a module: `pins` are the nets of each pin, LSB first."""

    name: str
    kind: str
    pins: dict[str, list[int]]


@dataclass
class Netlist:
    """A module.

    inputs, outputs  nets by port, LSB first; in the order of the ports
    cells            instances of library cells and of modules
    nets             the next number that no net has
    arrays           what `graph` keeps here; None after a change
    """

    name: str
    inputs: dict[str, list[int]] = field(default_factory=dict)
    outputs: dict[str, list[int]] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    nets: int = 2
    arrays: Any = field(default=None, repr=False, compare=False)

    def new_net(self) -> int:
        """A net that nothing is connected to yet."""
        self.nets += 1
        return self.nets - 1

    def verilog(self) -> str:
        """The module as structural Verilog."""
        names = {ZERO: "1'h0", ONE: "1'h1"}
        assigned: list[str] = []
        ports: list[str] = []
        for direction, members in (("input", self.inputs), ("output", self.outputs)):
            for port_name, nets in members.items():
                port = _identifier(port_name)
                width = f" [{len(nets) - 1}:0]" if len(nets) > 1 else ""
                ports.append(f"{direction}{width} {port}")
                for index, net in enumerate(nets):
                    bit = f"{port}[{index}]" if len(nets) > 1 else port
                    if net in names:  # an output that is an input, constant or other output
                        assigned.append(f"  assign {bit} = {names[net]};")
                    else:
                        names[net] = bit
        wires: list[str] = []
        lines: list[str] = []
        for cell in self.cells:
            pins: list[str] = []
            for pin, nets in cell.pins.items():
                for net in nets:
                    if net not in names:
                        names[net] = f"n{net}"
                        wires.append(names[net])
                bits = ", ".join(names[net] for net in reversed(nets))
                pins.append(f".{_identifier(pin)}({f'{{{bits}}}' if len(nets) > 1 else bits})")
            lines.append(f"  {cell.kind} {cell.name} ({', '.join(pins)});")
        head = [f"module {self.name} (", ",\n".join(f"  {port}" for port in ports), ");"]
        declared = [f"  wire {name};" for name in wires]
        return "\n".join([*head, *declared, *lines, *assigned, "endmodule", ""])


def read(path: Path) -> dict[str, Netlist]:
    """The modules of a file that Yosys' `write_json` wrote, without black boxes."""
    found: dict[str, Netlist] = {}
    modules: dict[str, dict[str, Any]] = json.loads(path.read_text())["modules"]
    for name, source in modules.items():
        if source["attributes"].get("blackbox"):
            continue
        module = found[name] = Netlist(name)
        highest = ONE

        def nets(bits: list[int | str]) -> list[int]:
            nonlocal highest
            held = [_CONSTANTS[bit] if isinstance(bit, str) else bit for bit in bits]
            highest = max(highest, *held)
            return held

        for port, values in source["ports"].items():
            members = module.inputs if values["direction"] == "input" else module.outputs
            members[port] = nets(values["bits"])
        for index, cell in enumerate(source["cells"].values()):
            pins = {pin: nets(bits) for pin, bits in cell["connections"].items()}
            module.cells.append(Cell(f"u{index}", cell["type"], pins))
        module.nets = highest + 1
    return found
