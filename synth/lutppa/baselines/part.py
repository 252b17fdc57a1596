"""`Part`: a unit of a dot product that without a clock dissolves in the module around it.

The flow optimises within modules only. With registers each step is a module, mapped as its path
needs it; without, a border costs up to a percent of the dot product.
"""

from __future__ import annotations

from typing import Any, ClassVar

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import Flow

from .mac_config import MacUnit

__all__ = ["Part"]


class Part(MacUnit):
    """Base of combinational units that are modules with stages, and logic of others without."""

    clocked: ClassVar[bool] = False

    def build(self, m: Module) -> None:
        """Add to `m` what is between the ports."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """A module with nothing else in it."""
        m = Module()
        self.build(m)
        return m

    def join(self, m: Module, name: str, **connections: Any) -> None:
        """Connect it in `m`, as the submodule `name` or, without stages, as a copy of its logic."""
        if self.config.stages:
            m.submodules[name] = self.place(**connections)
            return
        part = type(self)(self.config, self.top)
        part.build(m)
        for port, member in part.signature.members.items():
            inner, outer = Value.cast(getattr(part, port)), Value.cast(connections[port])
            m.d.comb += inner.eq(outer) if member.flow == Flow.In else outer.eq(inner)
