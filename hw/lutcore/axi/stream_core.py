"""`StreamCore`: the tensor core with AXI4-Stream at every border, and no access to memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In

from lutcore.config import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.streams import index_bits
from lutcore.unit import Unit

from .bus import AxiStreamSignature

__all__ = ["StreamCore"]


class StreamCore(Unit):
    """`TensorCore` with ports `s_axis_passes_*` and so on for i_passes, `m_axis_outputs_*`.

    A beat of a stream is one transfer, its payload in the low bits of TDATA, which is as many whole
    bytes as hold it. TLAST ends the columns of a tile on `m_axis_outputs`; of an input it is
    ignored, since a pass says how many beats it takes. Cycle contract: that of `TensorCore`.
    """

    suffix = ""

    def __init__(self, config: TensorCoreConfig, top: str = "lut_tensor_core_stream") -> None:
        self.core = TensorCore(config, f"{top}_core")
        super().__init__(config, top, self.core)

    def buses(self) -> dict[str, tuple[str, AxiStreamSignature]]:
        """The prefix and the signature of the bus for every stream of the core."""
        found: dict[str, tuple[str, AxiStreamSignature]] = {}
        for name, member in self.core.signature.members.items():
            bits = Value.cast(member.signature.create().payload).shape().width
            side = "s" if member.flow == In else "m"
            prefix = f"{side}_axis_{name.partition('_')[2]}"
            found[name] = prefix, AxiStreamSignature(data_bits=-(-bits // 8) * 8)
        return found

    def ports(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for prefix, signature in self.buses().values():
            members |= signature.ports(prefix, flipped=prefix[0] == "s")
        return members

    def elaborate(self, platform: object) -> Module:
        m = Module()
        streams = {
            name: member.signature.create(path=(name,))
            for name, member in self.core.signature.members.items()
        }
        m.submodules.core = self.core.place(**streams)
        for name, (prefix, _) in self.buses().items():
            payload = Value.cast(streams[name].payload)
            bus = {part: getattr(self, f"{prefix}_t{part}") for part in ("data", "valid", "ready")}
            if prefix[0] == "s":
                m.d.comb += [
                    payload.eq(bus["data"]),
                    streams[name].valid.eq(bus["valid"]),
                    bus["ready"].eq(streams[name].ready),
                ]
            else:
                m.d.comb += [
                    bus["data"].eq(payload),
                    bus["valid"].eq(streams[name].valid),
                    streams[name].ready.eq(bus["ready"]),
                ]
        column = Signal(index_bits(self.config.column_groups))
        last = self.m_axis_outputs_tlast
        m.d.comb += last.eq(column == self.config.column_groups - 1)
        with m.If(self.m_axis_outputs_tvalid & self.m_axis_outputs_tready):
            m.d.sync += column.eq(column + 1)
            with m.If(last):
                m.d.sync += column.eq(0)
        return m
