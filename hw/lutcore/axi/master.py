"""`AxiMaster`: a memory port on AXI4, `AxiReader` and `AxiWriter` side by side."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal

from lutcore.unit import BaseUnit

from .parameters import AxiParameters
from .reader import AxiReader
from .writer import AxiWriter

__all__ = ["AxiMaster"]


class AxiMaster(BaseUnit):
    """All streams of a memory port, and the bus `m_axi`; contracts are those of its two halves.

    Reads and writes do not wait for each other. `i_flush` goes to both, `o_idle` is both's.
    """

    suffix = ""

    def __init__(self, parameters: AxiParameters, top: str = "axi_master") -> None:
        self.parameters = parameters
        self.reader = AxiReader(parameters, top)
        self.writer = AxiWriter(parameters, top)
        super().__init__(top, self.reader, self.writer)

    def ports(self) -> dict[str, Any]:
        members = dict(self.reader.signature.members.items())
        return {**members, **dict(self.writer.signature.members.items())}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        idle: list[Signal] = []
        for name, unit in (("reader", self.reader), ("writer", self.writer)):
            idle.append(Signal(name=f"{name}_idle"))
            connections = {port: getattr(self, port) for port in unit.signature.members}
            m.submodules[name] = unit.place(**{**connections, "o_idle": idle[-1]})
        m.d.comb += self.o_idle.eq(idle[0] & idle[1])
        return m
