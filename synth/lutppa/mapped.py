"""Mapped units, kept by content: a unit that two designs share is mapped once.

The flow keeps the hierarchy and never optimises across a module's border, so a unit may be mapped
by itself, with empty modules in the place of its children, and the parts put together afterwards.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from lutcore.export import ports, unit_design
from lutcore.unit import BaseUnit
from lutverif import native

from . import area, liberty, polarity, recipes, yosys
from .area import Amount, Module, Synthesis, synthesise
from .liberty import Library

__all__ = ["digest", "empty", "flow", "mapped", "module_text", "sources", "texts"]


def digest(*parts: str) -> str:
    """A name for content."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@functools.cache
def sources(*files: str) -> str:
    """Hash of the text of files and of every Python file of folders."""
    found = [
        path
        for file in map(Path, files)
        for path in (sorted(file.rglob("*.py")) if file.is_dir() else [file])
    ]
    return digest(*(path.read_text() for path in found))


def texts(unit: BaseUnit) -> dict[str, str]:
    """Verilog by module, of a unit and all below it; joined, they are `export.unit_design`."""
    return {d.module_name: unit_design(_Alone(d)) for d in unit.definitions()}


class _Alone(BaseUnit):
    """A unit as if its children were defined elsewhere."""

    def __init__(self, unit: BaseUnit) -> None:
        self.unit = unit
        self._MustUse__silence = True

    def definitions(self) -> Iterator[BaseUnit]:
        yield self.unit


def empty(unit: BaseUnit) -> str:
    """The module of a unit without anything in it."""
    declared = ", ".join(
        f"{port['direction']} [{port['bits'] - 1}:0] \\{port['name']} " for port in ports(unit)
    )
    # The wire keeps Yosys from taking it for a cell of some library.
    return f"module {unit.module_name} ({declared}); wire no_contents; endmodule\n"


def mapped(unit: BaseUnit, modules: Mapping[str, str], library: Library) -> Synthesis:
    """What `area.synthesise` gives for a unit whose modules have these texts."""
    parts: dict[str, Synthesis] = {}
    for definition in unit.definitions():
        name = definition.module_name
        below = "".join(empty(child) for child in definition.children)
        parts[name] = _one(below + modules[name], name, library)
    return Synthesis(
        top=unit.module_name,
        modules={name: part.modules[name] for name, part in parts.items()},
        netlist="\n".join(part.netlist for part in parts.values()),
        script=parts[unit.module_name].script,
        log="",
        seconds=sum(part.seconds for part in parts.values()),
    )


def flow() -> str:
    """Hash of the mapping flow: its source and its tool."""
    files = [str(module.__file__) for module in (area, liberty, polarity, recipes, yosys)]
    return digest(sources(*files), metadata.version("pyosys"))


def _one(text: str, name: str, library: Library) -> Synthesis:
    def build(work: Path) -> None:
        synthesis = synthesise(text, name, library)
        module = synthesis.modules[name]
        content = {
            **asdict(module),
            "netlist": module_text(synthesis.netlist, name),
            "script": synthesis.script,
            "seconds": synthesis.seconds,
        }
        (work / "module.json").write_text(json.dumps(content))

    key = digest(text, name, library.sha256, flow())
    with native.cached(f"mapped-{key}", build) as entry:
        content = json.loads((entry / "module.json").read_text())
    module = Module(
        Amount(**content["own"]),
        content["children"],
        content["memory"],
        content["full_adders"],
    )
    return Synthesis(
        name, {name: module}, content["netlist"], content["script"], "", content["seconds"]
    )


def module_text(netlist: str, name: str) -> str:
    """The module `name` of a netlist, without the empty ones."""
    begin = netlist.index(f"module {name}(")
    return netlist[begin : netlist.index("endmodule", begin)] + "endmodule\n"
