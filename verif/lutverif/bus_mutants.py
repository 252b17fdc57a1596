"""Deliberate bugs in the units of the buses, for `lutverif.mutants`."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ["BUS_MUTANTS"]


def _bursts(name: str, kind: str, old: str, new: str, preset: str = "default") -> Mutant:
    return Mutant(name, kind, "axi", "axi/bursts.py", old, new, preset)


def _reader(name: str, kind: str, old: str, new: str) -> Mutant:
    return Mutant(name, kind, "axi", "axi/reader.py", old, new, "default")


def _writer(name: str, kind: str, old: str, new: str) -> Mutant:
    return Mutant(name, kind, "axi", "axi/writer.py", old, new, "default")


def _control(name: str, kind: str, old: str, new: str) -> Mutant:
    return Mutant(name, kind, "axi_registers", "axi/control.py", old, new, "default")


def _engine(name: str, kind: str, old: str, new: str) -> Mutant:
    return Mutant(name, kind, "axi_engine", "engine/axi.py", old, new, "small")


BUS_MUTANTS = [
    Mutant("block-beyond-4-kib", "protocol", "axi", "axi/parameters.py",
           "min(self.max_beats, PAGE_BYTES // self.port.beat_bytes)", "self.max_beats", "wide"),
    _bursts("burst-ignores-its-place", "protocol", "(~address & last_place)",
            "(address & 0 | last_place)"),
    _bursts("burst-too-long", "index", "Mux(last, beats, room)", "Mux(last, beats, room + 1)"),
    _bursts("address-stays", "index", "(address | last_place) + 1", "address | last_place"),
    _bursts("request-one-beat-early", "index", "last.eq(beats <= room)", "last.eq(beats < room)"),
    _bursts("request-overwritten", "lost back-pressure", "(~busy | (moves & last))",
            "(~busy | moves)"),
    _bursts("offered-burst-dropped", "reset", "self.i_flush & ~self.i_offered", "self.i_flush"),
    Mutant("queue-overwritten", "lost back-pressure", "axi", "axi/queue.py",
           "self.i.ready.eq(level != self.depth)", "self.i.ready.eq(1)", "default"),
    Mutant("queue-never-wraps", "index", "axi", "axi/queue.py",
           "Mux(index == self.depth - 1, 0, index + 1)", "index + 1", "single"),
    _reader("more-in-flight-than-allowed", "lost back-pressure",
            "self.m_axi_arvalid.eq(bursts.valid & ends_in.ready)",
            "self.m_axi_arvalid.eq(bursts.valid)"),
    _reader("every-burst-ends-its-read", "index", "self.m_axi_rlast & ends.payload",
            "self.m_axi_rlast"),
    _reader("slverr-is-no-error", "special value", "self.m_axi_rresp[1]",
            "self.m_axi_rresp.all()"),
    _reader("beats-of-a-reset-shown", "reset", "beats.valid & ~self.i_flush", "beats.valid"),
    _reader("idle-with-bursts-in-flight", "reset", "~bursts.valid & ~ends.valid & ~beats.valid",
            "~bursts.valid"),
    _reader("ready-of-the-port-on-the-bus", "protocol", "self.m_axi_rready.eq(beats_in.ready)",
            "self.m_axi_rready.eq(beats_in.ready & self.o_read_data.ready)"),
    _writer("wlast-of-the-first-burst-only", "protocol", "Mux(last, 0, beat + 1)", "beat + 1"),
    _writer("beat-overwritten", "lost back-pressure",
            "lengths.valid & (~self.m_axi_wvalid | self.m_axi_wready)", "lengths.valid"),
    _writer("wvalid-falls", "protocol", "m.Elif(self.m_axi_wready)", "m.Else()"),
    _writer("data-waits-for-awready", "hazard", "lengths_in.valid.eq(show)",
            "lengths_in.valid.eq(bursts.ready)"),
    _writer("awvalid-follows-awready", "protocol", "self.m_axi_awvalid.eq(shown | show)",
            "self.m_axi_awvalid.eq((shown | show) & self.m_axi_awready)"),
    _writer("error-of-the-last-burst-only", "special value", "failed | self.m_axi_bresp[1]",
            "self.m_axi_bresp[1]"),
    _writer("error-of-the-write-before", "special value",
            "failed.eq(~ends.payload & results_in.payload.error)",
            "failed.eq(results_in.payload.error)"),
    _writer("error-survives-a-reset", "reset", "m.d.sync += failed.eq(0)",
            "m.d.sync += failed.eq(failed)"),
    _writer("reset-writes-noise", "reset",
            "Mux(self.i_flush, 0, self.i_write_data.payload.strobe)",
            "self.i_write_data.payload.strobe"),
    _control("strobes-ignored", "index", "Cat(strobe.replicate(8) for strobe in strobes)",
             "Cat(Const(255, 8) for strobe in strobes)"),
    _control("event-lost-while-cleared", "hazard", "(event & ~ones) | getattr(self, name)",
             "(event | getattr(self, name)) & ~ones"),
    _control("unknown-address-is-okay", "special value",
             "Mux(Cat(here.values()).any(), RESP_OKAY, RESP_SLVERR)", "RESP_OKAY"),
    _control("read-only-is-written", "special value", "Mux(known, RESP_OKAY, RESP_SLVERR)",
             "RESP_OKAY"),
    _control("high-word-not-kept", "hazard", "m.d.sync += kept.eq(counter[32:])",
             "m.d.comb += kept.eq(counter[32:])"),
    _control("interrupt-not-enabled", "index", "pending.append(event & enabled[field.name])",
             "pending.append(event)"),
    _control("answer-not-held", "protocol", "m.If(self.s_axi_rready)", "m.If(1)"),
    _engine("soft-reset-spares-the-engine", "reset", "ResetSignal() | resetting", "ResetSignal()"),
    _engine("soft-reset-ends-at-once", "reset", "with m.If(idle):", "with m.If(1):"),
    _engine("reset-engine-still-busy", "reset", "busy | resetting | begins | resets", "busy"),
    _engine("no-limit-is-no-memory", "special value", "            limit == 0,", "            0,"),
    _engine("long-programs-wrap", "width", "count > self.config.program_words",
            "count[: self.layouts.index_bits + 1] > self.config.program_words"),
    _engine("error-of-an-old-start", "hazard", "Mux(checked, status.payload.cause, refusal)",
            "status.payload.cause"),
    Mutant("weights-for-activations", "index", "axi_engine", "engine/engine.py",
           '"a": "activations", "w": "weights"', '"w": "activations", "a": "weights"', "small"),
    Mutant("stalls-of-busy-lanes", "hazard", "axi_engine", "engine/engine.py",
           '& (~beats["w"].valid | waiting)', "", "small"),
    Mutant("no-stall-of-weights-that-wait", "hazard", "axi_engine", "engine/engine.py",
           '(~beats["w"].valid | waiting)', '~beats["w"].valid', "small"),
]  # fmt: skip
