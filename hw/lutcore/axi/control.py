"""`ControlRegisters`: a register map behind AXI4-Lite."""

from __future__ import annotations

from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit, balanced

from .bus import RESP_OKAY, RESP_SLVERR, AxiLiteSignature
from .registers import PAGE_BITS, Access, Field, Register, RegisterMap

__all__ = ["ControlRegisters"]

_OFFSET_BITS = 2


def _port(register: Register, field: Field) -> str:
    if field.access is Access.COUNT:
        return f"count_{register.name.removesuffix('_low')}"
    return f"{register.name}_{field.name}"


class ControlRegisters(BaseUnit):
    """The registers of a map. The engine's side has a port for a field, REGISTER_FIELD:

    STATUS       in, what it reads as
    EVENT        in, high for a cycle sets it
    COUNT        in, count_NAME for the register NAME_low, counts the cycles in which it is high
    VALUE        out, what was written
    PULSE        out, high for one cycle
    o_interrupt  high while an event is pending and enabled

    The two low bits of an address are ignored: strobes say what is written. An address without a
    register, and a write to a register that has nothing to write, are answered SLVERR and change
    nothing.

    Cycle contract: the answer to a write, its PULSE and its VALUE show two cycles after the later
    of its address and data was taken; that to a read shows in the next cycle. One write and one
    read are in work at a time. All outputs to the bus are registers or their inverse.
    """

    suffix = "control"

    def __init__(self, registers: RegisterMap, top: str = "axi") -> None:
        self.registers = registers
        self.bus = AxiLiteSignature(data_bits=32, address_bits=PAGE_BITS)
        super().__init__(top)

    def ports(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for register, field in self.registers.fields(Access.STATUS):
            members[_port(register, field)] = In(field.bits)
        for register, field in self.registers.fields(Access.EVENT, Access.COUNT):
            members[_port(register, field)] = In(field.bits if field.access is Access.EVENT else 1)
        for register, field in self.registers.fields(Access.VALUE, Access.PULSE):
            members[_port(register, field)] = Out(field.bits)
        return {**members, "o_interrupt": Out(1), **self.bus.ports("s_axi", flipped=True)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A write: address and data come in any order and wait for each other.
        address = Signal(PAGE_BITS - _OFFSET_BITS, reset_less=True)
        data, strobes = Signal(32, reset_less=True), Signal(4, reset_less=True)
        addressed, written, write = Signal(), Signal(), Signal()
        m.d.comb += [
            self.s_axi_awready.eq(~addressed),
            self.s_axi_wready.eq(~written),
            write.eq(addressed & written & ~self.s_axi_bvalid),
        ]
        with m.If(self.s_axi_awvalid & self.s_axi_awready):
            m.d.sync += [addressed.eq(1), address.eq(self.s_axi_awaddr[_OFFSET_BITS:])]
        with m.If(self.s_axi_wvalid & self.s_axi_wready):
            m.d.sync += [written.eq(1), data.eq(self.s_axi_wdata), strobes.eq(self.s_axi_wstrb)]
        with m.If(self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        with m.If(write):
            writable = [
                register
                for register in self.registers.registers
                if any(field.access.writable for field in register.fields)
            ]
            known = Cat(self._is(address, register) for register in writable).any()
            m.d.sync += [
                addressed.eq(0),
                written.eq(0),
                self.s_axi_bvalid.eq(1),
                self.s_axi_bresp.eq(Mux(known, RESP_OKAY, RESP_SLVERR)),
            ]
        mask = Cat(strobe.replicate(8) for strobe in strobes)
        pending: list[Value] = []
        enabled: dict[str, Value] = {}
        words: dict[str, Value] = {}
        counters: list[Signal] = []
        kept = Signal(32, reset_less=True)
        clear = Signal()
        for register in self.registers.registers:
            here = Signal(name=f"{register.name}_written")
            m.d.comb += here.eq(write & self._is(address, register))
            word: list[Value] = []
            for field in register.fields:
                name = _port(register, field)
                part = slice(field.low, field.low + field.bits)
                ones = (data & mask & here.replicate(32))[part]
                reads: Value = Const(0, field.bits)
                match field.access:
                    case Access.CONSTANT:
                        reads = Const(field.value, field.bits)
                    case Access.STATUS:
                        reads = getattr(self, name)
                    case Access.VALUE | Access.ENABLE:
                        reads = value = Signal(field.bits, init=field.value, name=f"{name}_value")
                        m.d.sync += value.eq((value & ~(mask & here.replicate(32))[part]) | ones)
                        if field.access is Access.VALUE:
                            m.d.comb += getattr(self, name).eq(value)
                        else:
                            enabled[field.name] = value
                    case Access.PULSE:
                        m.d.sync += getattr(self, name).eq(ones)
                    case Access.CLEAR:
                        m.d.comb += clear.eq(ones)
                    case Access.EVENT:
                        reads = event = Signal(field.bits, init=field.value, name=f"{name}_value")
                        m.d.sync += event.eq((event & ~ones) | getattr(self, name))
                        pending.append(event & enabled[field.name])
                    case Access.COUNT:
                        counter = Signal(64, name=f"{register.name}_count")
                        m.d.sync += counter.eq(counter + getattr(self, name))
                        with m.If(clear):
                            m.d.sync += counter.eq(0)
                        counters.append(counter)
                        reads = counter[:32]
                    case Access.KEPT:
                        reads = kept
                word += [Const(0, field.low - sum(map(len, word))), reads]
            words[register.name] = Cat(*word, Const(0, 32 - sum(map(len, word))))
        m.d.comb += self.o_interrupt.eq(Cat(pending).any())
        self._read(m, words, kept, counters)
        return m

    def _read(
        self, m: Module, words: dict[str, Value], kept: Signal, counters: list[Signal]
    ) -> None:
        read = Signal()
        address = self.s_axi_araddr[_OFFSET_BITS:]
        m.d.comb += [
            self.s_axi_arready.eq(~self.s_axi_rvalid),
            read.eq(self.s_axi_arvalid & self.s_axi_arready),
        ]
        with m.If(self.s_axi_rready):
            m.d.sync += self.s_axi_rvalid.eq(0)
        with m.If(read):
            # AND-OR: an address without a register reads 0.
            here: dict[str, Signal] = {}
            for register in self.registers.registers:
                here[register.name] = Signal(name=f"{register.name}_read")
                m.d.comb += here[register.name].eq(self._is(address, register))
            chosen = [words[name] & line.replicate(32) for name, line in here.items()]
            m.d.sync += [
                self.s_axi_rvalid.eq(1),
                self.s_axi_rdata.eq(balanced(chosen, or_)),
                self.s_axi_rresp.eq(Mux(Cat(here.values()).any(), RESP_OKAY, RESP_SLVERR)),
            ]
            counts = [register for register, _ in self.registers.fields(Access.COUNT)]
            for register, counter in zip(counts, counters, strict=True):
                with m.If(here[register.name]):
                    m.d.sync += kept.eq(counter[32:])

    def _is(self, address: Value, register: Register) -> Value:
        number = register.offset >> _OFFSET_BITS
        return address == number if number else ~address.any()
