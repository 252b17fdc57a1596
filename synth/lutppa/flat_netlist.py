"""A mapped netlist, flat: cells of a library by kind, joined by numbered nets."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from . import yosys
from .cells import PowerCell, PowerLibrary, read_power
from .liberty import Library

__all__ = ["HIGH", "LOW", "Flat", "Instances", "Netlist", "Port", "flatten", "read_netlist"]

LOW, HIGH = 0, 1
"""The nets of the constants; undriven and unconnected inputs are low, as in simulation."""


@dataclass(frozen=True)
class Port:
    """A port of the top module: direction, and the net of every bit."""

    input: bool
    nets: NDArray[np.int32]


@dataclass(frozen=True)
class Instances:
    """All cells of one kind.

    pins     [cells, pins] net of every pin, in the order of `cell.pins`
    modules  [cells] index of the module that holds the cell in `Netlist.modules`
    names    path of every cell
    """

    cell: PowerCell
    pins: NDArray[np.int32]
    modules: NDArray[np.int32]
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Netlist:
    """A flat netlist: `nets` nets, cells by kind, ports by name, and the names of the modules.

    net_names   path of every net, for reports and for other tools
    """

    top: str
    nets: int
    ports: dict[str, Port]
    kinds: list[Instances]
    modules: list[str]
    net_names: list[str]
    power: PowerLibrary

    @property
    def cells(self) -> int:
        """Number of cells."""
        return sum(map(len, self.kinds))


@dataclass(frozen=True)
class Flat:
    """What is below a module, as it was read.

    ports    name, whether it is an input, label of every bit
    cells    by kind: path, index of the module in `modules`, label of every connected pin
    number   [labels] net of a label
    names    path of every net
    modules  names, that of the top first
    """

    ports: list[tuple[str, bool, list[int]]]
    cells: dict[str, list[tuple[str, int, dict[str, int]]]]
    number: NDArray[np.int32]
    names: list[str]
    modules: list[str]


def flatten(text: str, top: str, library: Library) -> Flat:
    """Flatten Verilog of modules and cells of `library` below `top`.

    InputError where there is no such module, or a cell that the library has not.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "netlist.v").write_text(text)
        yosys.run(directory, "read_verilog netlist.v\nwrite_json netlist.json\n")
        design: dict[str, Any] = json.loads((directory / "netlist.json").read_text())["modules"]
    if top not in design:
        raise InputError(f"the netlist has no module {top}; it has {', '.join(design)}")
    walk = _Flattener(design, library)
    ports = walk.top(top)
    number, names = walk.numbers()
    return Flat(ports, walk.cells, number, names, list(walk.modules))


def read_netlist(text: str, top: str, library: Library) -> Netlist:
    """Flatten a netlist and read the power of its cells; errors are those of `flatten`."""
    flat = flatten(text, top, library)
    number, names = flat.number, flat.names
    power = read_power(library, flat.cells)
    kinds: list[Instances] = []
    for kind, found in flat.cells.items():
        cell = power.cells[kind]
        pins = np.full((len(found), len(cell.pins)), LOW, np.int32)
        place = {pin: i for i, pin in enumerate(cell.pins)}
        for row, (path, _, connections) in zip(pins, found, strict=True):
            for pin, net in connections.items():
                row[place[pin]] = number[net]
            for pin in set(cell.outputs) - set(connections):
                row[place[pin]] = len(names)
                names.append(f"{path}.{pin}")
        modules = np.array([module for _, module, _ in found], np.int32)
        kinds.append(Instances(cell, pins, modules, [path for path, _, _ in found]))
    return Netlist(
        top=top,
        nets=len(names),
        ports={port: Port(is_input, number[nets]) for port, is_input, nets in flat.ports},
        kinds=kinds,
        modules=flat.modules,
        net_names=names,
        power=power,
    )


class _Flattener:
    """Walks the hierarchy and gives every net a label; nets found to be one are united.

    cells    by kind: path, index of the module, label of every connected pin
    modules  index by name, in order of appearance
    """

    def __init__(self, design: dict[str, Any], library: Library) -> None:
        self.design = design
        self.library = library
        self.modules: dict[str, int] = {}
        self.cells: dict[str, list[tuple[str, int, dict[str, int]]]] = {}
        self._names = ["0", "1"]
        self._same = [LOW, HIGH]

    def top(self, name: str) -> list[tuple[str, bool, list[int]]]:
        """Flatten; of every port its name, whether it is an input, and the labels of its bits."""
        ports = self.design[name]["ports"]
        nets: dict[int | str, int] = {}
        found = [
            (
                port,
                value["direction"] == "input",
                [self._net(nets, bit, f"{port}[{i}]") for i, bit in enumerate(value["bits"])],
            )
            for port, value in ports.items()
        ]
        self._module(name, "", nets)
        return found

    def numbers(self) -> tuple[NDArray[np.int32], list[str]]:
        """The number of the net of every label, and the name of every net."""
        roots = [self._root(label) for label in range(len(self._same))]
        dense: dict[int, int] = {}
        for root in roots:
            dense.setdefault(root, len(dense))
        names = [self._names[root] for root in dense]
        return np.array([dense[root] for root in roots], np.int32), names

    def _root(self, label: int) -> int:
        while self._same[label] != label:
            self._same[label] = self._same[self._same[label]]
            label = self._same[label]
        return label

    def _unite(self, a: int, b: int) -> None:
        a, b = sorted((self._root(a), self._root(b)))
        self._same[b] = a

    def _net(self, nets: dict[int | str, int], bit: int | str, name: str) -> int:
        if isinstance(bit, str):
            return HIGH if bit == "1" else LOW
        if bit not in nets:
            nets[bit] = len(self._names)
            self._names.append(name)
            self._same.append(nets[bit])
        return nets[bit]

    def _module(self, name: str, path: str, nets: dict[int | str, int]) -> None:
        index = self.modules.setdefault(name, len(self.modules))
        for cell, value in self.design[name]["cells"].items():
            kind, connections = value["type"], value["connections"]
            labels = {
                port: [self._net(nets, bit, f"{path}{cell}.{port}") for bit in bits]
                for port, bits in connections.items()
            }
            if kind in self.library.cells:
                pins = {pin: bits[0] for pin, bits in labels.items() if bits}
                self.cells.setdefault(kind, []).append((path + cell, index, pins))
            elif kind in self.design:
                inner: dict[int | str, int] = {}
                for port, outside in labels.items():
                    for bit, label in zip(
                        self.design[kind]["ports"][port]["bits"], outside, strict=True
                    ):
                        if bit in inner or isinstance(bit, str):
                            self._unite(label, self._net(inner, bit, ""))
                        else:
                            inner[bit] = label
                self._module(kind, f"{path}{cell}/", inner)
            else:
                raise InputError(
                    f"cell {path}{cell} is a {kind}, which is neither a module of the netlist nor "
                    f"a cell of {self.library.file}"
                )
