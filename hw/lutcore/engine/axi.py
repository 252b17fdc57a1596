"""`EngineAxi`: the engine with AXI4 to memory, AXI4-Lite to software, and an interrupt.

s_axi -> control registers -> start -> engine -> status -> control registers -> interrupt
                                         | memory port
                                       master -> m_axi
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.axi.control import ControlRegisters
from lutcore.axi.master import AxiMaster
from lutcore.axi.parameters import AxiParameters
from lutcore.axi.registers import COUNTERS, RegisterMap, configuration_hash, engine_registers
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import WORD_BITS, Cause
from lutcore.unit import BaseUnit

from .engine import Engine

__all__ = ["EngineAxi", "register_map"]


def register_map(config: EngineConfig) -> RegisterMap:
    """The control registers of `EngineAxi`."""
    return engine_registers(
        version=metadata.version("lut-tensor-core"),
        configuration=configuration_hash(config.to_toml()),
        address_bits=config.address_bits,
    )


class EngineAxi(BaseUnit):
    """Runs the programs that software starts through `s_axi`, on the memory behind `m_axi`.

    m_axi_*    AXI4 as wide as a word of memory, `lutcore.axi.AxiMaster`
    s_axi_*    AXI4-Lite of 32 bits, the registers of `register_map`
    irq        interrupt, level; an event is pending and enabled

    A start is refused as an instruction at index 0 would be: `fetch` for no instructions, `range`
    for more than program_words, `misaligned` for a program that does not begin at a word,
    `address` where it would end beyond the address space. The program is not bound by the limit of
    memory. Every end of a program is the event done, and also error where it is not `halt`.

    Soft reset, at any time: the engine is as after a reset, bursts on the bus are finished with
    beats that change nothing, and busy falls when the last is answered. What was written before
    stays written. Registers of software, pending events and counters stay too.

    Cycle contract: the engine takes a start four cycles after the last of its address and data on
    the bus; status shows the end one cycle after the engine gives it.
    """

    suffix = ""

    def __init__(
        self,
        config: EngineConfig,
        top: str = "lut_engine_axi",
        *,
        max_beats: int = 16,
        outstanding: int = 4,
    ) -> None:
        self.config = config
        self.engine = Engine(config, f"{top}_engine")
        self.layouts = self.engine.layouts
        self.parameters = AxiParameters(
            port=self.layouts.port, max_beats=max_beats, outstanding=outstanding
        )
        self.master = AxiMaster(self.parameters, f"{top}_master")
        self.control = ControlRegisters(register_map(config), top)
        super().__init__(top, self.engine, self.master, self.control)

    def ports(self) -> dict[str, Any]:
        return {
            **self.parameters.bus.ports("m_axi"),
            **self.control.bus.ports("s_axi", flipped=True),
            "irq": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lay = self.layouts
        memory = {
            name: member.signature.create(path=(name,))
            for name, member in lay.memory_streams().items()
        }
        start = stream.Signature(lay.start).create(path=("start",))
        status = stream.Signature(lay.status).create(path=("status",))
        counts = {name: Signal(name=name) for name in (f"count_{name}" for name in COUNTERS)}
        resetting, idle = Signal(), Signal()
        m.submodules.engine = self.engine.place(
            reset=ResetSignal() | resetting, i_start=start, o_status=status, **memory, **counts
        )
        # A stream out of the engine is one into the master.
        sides = {In: "i", Out: "o"}
        m.submodules.master = self.master.place(
            i_flush=resetting,
            o_idle=idle,
            **{
                f"{sides[member.flip().flow]}_{name.partition('_')[2]}": memory[name]
                for name, member in lay.memory_streams().items()
            },
            **self.parameters.bus.signals(self, "m_axi"),
        )
        registers = {
            name: Signal(member.shape, name=name)
            for name, member in self.control.signature.members.items()
            if not name.startswith("s_axi") and name not in counts
        }
        m.submodules.control = self.control.place(
            **counts, **registers, **self.control.bus.signals(self, "s_axi")
        )
        m.d.comb += [
            self.irq.eq(registers["o_interrupt"]),
            start.payload.eq(self._start(registers)),
            status.ready.eq(1),
        ]
        self._run(m, registers, start, status, resetting, idle)
        return m

    def _start(self, registers: dict[str, Any]) -> Value:
        """The payload of a start, as software has written it."""
        limit = self._wide(registers, "memory_limit", "bytes")
        return Cat(
            self._wide(registers, "program_base", "address"),
            registers["program_length_instructions"][: self.layouts.index_bits + 1],
            limit,
            limit == 0,
        )

    def _wide(self, registers: dict[str, Any], register: str, field: str) -> Value:
        """A field of two registers, where an address is longer than one."""
        names = [f"{register}_{word}_{field}" for word in ("low", "high")]
        return Cat(registers[name] for name in names if name in registers)

    def _refusal(self, registers: dict[str, Any]) -> Value:
        """The cause for which a start is refused, or 0."""
        base = self._wide(registers, "program_base", "address")
        count = registers["program_length_instructions"]
        end = base + (count[: self.layouts.index_bits + 1] * (WORD_BITS // 8))
        causes = {
            Cause.FETCH: count == 0,
            Cause.RANGE: count > self.config.program_words,
            Cause.MISALIGNED: (base & (self.config.word_bytes - 1)).any(),
            Cause.ADDRESS: end > 1 << self.config.address_bits,
        }
        found: Value = Const(0, 1)
        for cause in sorted(causes, reverse=True):
            found = Mux(causes[cause], int(cause), found)
        return found

    def _run(
        self,
        m: Module,
        registers: dict[str, Any],
        start: Any,
        status: Any,
        resetting: Signal,
        idle: Signal,
    ) -> None:
        """From a start to its end, or to a soft reset."""
        busy, checked, halted = Signal(), Signal(init=1), Signal()
        cause = Signal(len(registers["status_cause"]))
        refusal = Signal.like(status.payload.cause)
        ended, failed = Signal(), Signal.like(status.payload.cause)
        begins, resets = registers["control_start"], registers["control_soft_reset"]
        m.d.comb += [
            refusal.eq(Mux(checked, 0, self._refusal(registers))),
            failed.eq(Mux(checked, status.payload.cause, refusal)),
            ended.eq((status.valid | (refusal != 0)) & ~resets),
            registers["interrupt_pending_done"].eq(ended),
            registers["interrupt_pending_error"].eq(ended & (failed != 0)),
            # A read that follows the write of a command at once sees what it brings about.
            registers["status_busy"].eq(busy | resetting | begins | resets),
            registers["status_halted"].eq(halted & ~begins & ~resets),
            registers["status_cause"].eq(cause),
        ]
        index = registers["fault_index"]
        kept = Signal.like(status.payload["at"])
        m.d.comb += index.eq(kept)
        with m.If(begins & ~busy & ~resetting):
            m.d.sync += [busy.eq(1), checked.eq(0), halted.eq(0), cause.eq(0), kept.eq(0)]
        with m.If(~checked):
            m.d.sync += [checked.eq(1), start.valid.eq(refusal == 0)]
        with m.If(start.valid & start.ready):
            m.d.sync += start.valid.eq(0)
        with m.If(ended):
            m.d.sync += [
                busy.eq(0),
                halted.eq(1),
                cause.eq(failed),
                kept.eq(Mux(checked, status.payload["at"], 0)),
            ]
        with m.If(idle):
            m.d.sync += resetting.eq(0)
        with m.If(resets):
            m.d.sync += [
                resetting.eq(1),
                busy.eq(0),
                checked.eq(1),
                start.valid.eq(0),
                halted.eq(0),
                cause.eq(0),
                kept.eq(0),
            ]
