"""`Monitored`: a unit with an AXI bus, and the protocol monitor of axi_monitor.v on that bus."""

from __future__ import annotations

from importlib import resources
from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import In, Out

from lutcore.axi import AxiMaster, AxiParameters
from lutcore.export import unit_design
from lutcore.unit import BaseUnit

__all__ = ["FAULTS", "Monitored", "Trace", "master", "monitored", "verilog"]

_HANDSHAKE = {1: "VALID fell before READY", 2: "the payload changed before READY",
              3: "VALID in reset"}  # fmt: skip
_BURST = {
    1: "a burst that is not INCR of the width of the bus", 2: "an address that is not aligned",
    3: "a burst longer than max_beats", 4: "a burst across 4 KiB", 5: "an ID other than 0",
}  # fmt: skip
FAULTS: dict[int, str] = {
    **{
        10 * number + code: f"{channel}: {text}"
        for number, channel in enumerate(("AW", "W", "B", "AR", "R"), 1)
        for code, text in _HANDSHAKE.items()
    },
    **{60 + code: f"AW: {text}" for code, text in _BURST.items()},
    **{70 + code: f"AR: {text}" for code, text in _BURST.items()},
    81: "W: WLAST where the burst does not end",
    82: "B: a response without a burst",
    83: "B: another ID",
    84: "AW: more bursts in flight than outstanding",
    91: "R: data without a burst",
    92: "R: RLAST where the burst does not end",
    93: "R: another ID",
    94: "AR: more bursts in flight than outstanding",
}
"""What a number of the monitor's `fault` means."""


class Monitored(BaseUnit):
    """A unit with the bus `prefix`, and the monitor on it: all ports of the unit, and `fault`.

    bus  the constants and parameters (`p_` before their names) of the monitor that the unit's bus
         does not have
    """

    suffix = "monitored"

    def __init__(self, unit: BaseUnit, prefix: str, **bus: int) -> None:
        self.unit, self.prefix, self.bus = unit, prefix, bus
        super().__init__(unit.top, unit)

    def ports(self) -> dict[str, Any]:
        """The members of the signature."""
        return {**dict(self.unit.signature.members.items()), "fault": Out(8)}

    def elaborate(self, platform: object) -> Module:
        """The module."""
        m = Module()
        connections = {name: getattr(self, name) for name in self.unit.signature.members}
        m.submodules.unit = self.unit.place(**connections)
        ports: dict[str, Any] = {
            name.removeprefix(f"{self.prefix}_"): Value.cast(signal)
            for name, signal in connections.items()
            if name.startswith(f"{self.prefix}_")
        }
        for channel in ("aw", "ar"):
            other = [ports.pop(f"{channel}{name}", Const(0, 4)) for name in ("cache", "prot")]
            ports[f"{channel}other"] = Signal(7, name=f"{channel}other")
            m.d.comb += ports[f"{channel}other"].eq(other[0] << 3 | other[1])
        constants = {name: value for name, value in self.bus.items() if not name.startswith("p_")}
        m.submodules.monitor = Instance(
            "axi_monitor",
            *[("p", name[2:], value) for name, value in self.bus.items() if name[:2] == "p_"],
            *[("i", name, value) for name, value in (constants | ports).items()],
            ("i", "clk", ClockSignal()),
            ("i", "rst", ResetSignal()),
            ("o", "fault", self.fault),
        )
        return m


def verilog(unit: Monitored) -> str:
    """Verilog of a watched unit, with the monitor."""
    monitor = resources.files("lutverif").joinpath("axi_monitor.v").read_text()
    return unit_design(unit) + "\n" + monitor


class Trace(BaseUnit):
    """No unit at all: a bus `bus` whose signals are driven from outside."""

    suffix = "trace"
    clocked = False

    def __init__(self, parameters: AxiParameters) -> None:
        self.parameters = parameters
        super().__init__("axi")

    def ports(self) -> dict[str, Any]:
        """The members of the signature."""
        members = self.parameters.bus.ports("bus").items()
        return {name: In(member.shape) for name, member in members}

    def elaborate(self, platform: object) -> Module:
        """The module."""
        return Module()


def monitored(unit: BaseUnit, parameters: AxiParameters, prefix: str = "m_axi") -> Monitored:
    """A unit with the bus of a master of `parameters`, watched."""
    return Monitored(
        unit,
        prefix,
        p_DATA_BITS=parameters.port.data_bits,
        p_ADDRESS_BITS=parameters.port.address_bits,
        p_ID_BITS=parameters.id_bits,
        p_MAX_BEATS=parameters.max_beats,
        p_OUTSTANDING=parameters.outstanding,
    )


def master(parameters: AxiParameters) -> Monitored:
    """The master of `parameters`, watched."""
    return monitored(AxiMaster(parameters), parameters)
