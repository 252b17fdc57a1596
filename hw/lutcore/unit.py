"""`Unit`: a component that becomes exactly one Verilog module, however often it is placed.

Amaranth writes a module for every instance of a submodule. A unit is placed as an instance of a
module by name instead, and `export` converts every unit once: 128 lanes are one definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring

from .config import TensorCoreConfig
from .streams import StreamLayouts

__all__ = ["BaseUnit", "Unit", "balanced", "leading_zeros"]


class BaseUnit(wiring.Component):
    """Base of whatever becomes a Verilog module; a subclass has its configuration by then.

    suffix     what the module's name adds to the name of the top module
    clocked    whether the module has `clk` and `rst`
    children   units of the modules that this one places
    """

    suffix: ClassVar[str]
    clocked: ClassVar[bool] = True

    def __init__(self, top: str, *children: BaseUnit) -> None:
        self.top = top
        self.children = children
        super().__init__(self.ports())
        # A unit made for its names or widths alone is not a mistake.
        self._MustUse__silence = True

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The members of `ports` are attributes, which a type checker cannot know."""

    def ports(self) -> dict[str, Any]:
        """The members of the unit's signature, from its configuration and layouts."""
        raise NotImplementedError

    @property
    def module_name(self) -> str:
        """Name of the Verilog module."""
        return f"{self.top}_{self.suffix}" if self.suffix else self.top

    def definitions(self) -> Iterator[BaseUnit]:
        """Every unit whose module this one needs, leaves first, itself last, each name once."""
        seen: set[str] = set()
        for child in self.children:
            for unit in child.definitions():
                if unit.module_name not in seen:
                    seen.add(unit.module_name)
                    yield unit
        yield self

    def place(self, reset: Any = None, **connections: Any) -> Instance:
        """An instance of this unit's module; every port is connected by name.

        A connection is a value, or for a stream an interface with the same members. `reset` takes
        the place of the reset of the module around it.
        """
        ports: list[tuple[str, str, Any]] = []
        missing = set(self.signature.members) ^ set(connections)
        if missing:
            raise TypeError(f"{self.module_name}: ports {sorted(missing)} do not match")
        for path, member, port in self.signature.flatten(self):
            value = connections[str(path[0])]
            for part in path[1:]:
                value = getattr(value, str(part))
            value = Value.cast(value)
            if len(value) != len(Value.cast(port)):
                raise TypeError(f"{self.module_name}.{path}: {len(value)} bits do not fit")
            kind = "i" if member.flow == wiring.In else "o"
            ports.append((kind, "__".join(str(part) for part in path), value))
        if self.clocked:
            ports += [
                ("i", "clk", ClockSignal()),
                ("i", "rst", ResetSignal() if reset is None else reset),
            ]
        return Instance(self.module_name, *ports)


class Unit(BaseUnit):
    """Base of every unit of the core."""

    def __init__(self, config: TensorCoreConfig, top: str, *children: BaseUnit) -> None:
        self.config = config
        self.layouts = StreamLayouts(config)
        super().__init__(top, *children)

    def held(self, m: Module, name: str, source: stream.Interface) -> stream.Interface:
        """`source`, of the layout called `name`, behind a register that only ready passes by."""
        target = self.layouts.signature(name).create(path=(f"held_{name}",))
        payload = Signal.like(Value.cast(source.payload), reset_less=True, name=f"{name}_register")
        m.d.comb += [
            source.ready.eq(~target.valid | target.ready),
            Value.cast(target.payload).eq(payload),
        ]
        with m.If(source.ready):
            m.d.sync += target.valid.eq(source.valid)
        with m.If(source.ready & source.valid):
            m.d.sync += payload.eq(source.payload)
        return target


def balanced(terms: list[Value], join: Callable[[Value, Value], Value]) -> Value:
    """All `terms` joined in a balanced tree; a sum becomes as wide as its values need."""
    while len(terms) > 1:
        pairs = [join(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return terms[0]


def leading_zeros(value: Value) -> Value:
    """Zeros above the highest one of `value`; its width where there is none. A tree of halves."""
    width = len(value)
    if width == 1:
        return ~value
    low = 1 << ((width - 1).bit_length() - 1)
    low_half, high_half = value[:low], value[low:]
    return Mux(high_half.any(), leading_zeros(high_half), leading_zeros(low_half) + (width - low))
