"""The program: fetched, checked, and issued in order to what executes it.

An instruction takes four cycles, fetch, latch, calculate and issue, and waits in the last one until
its slots are free or ready and the queues have room. What is issued can no longer be refused, so
that everything before a refused instruction completes, and nothing after it has begun.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from lutcore.formats import ACTIVATIONS, OUTPUTS, SCALES
from lutcore.lmma.config import LEVELS, REGISTERS, EngineConfig
from lutcore.lmma.encoding import INSTRUCTIONS, WORD_BITS, Cause

from .decoder import Decoder, code, value
from .slots import OperandSlots, ResultSlots
from .unit import COUNTERS, EngineUnit, queued

__all__ = ["Sequencer"]

NAMES = [item.name for item in INSTRUCTIONS]


class Sequencer(EngineUnit):
    """Runs a program from `i_start` to `o_status`; state other than counters and loops stays.

    begin: one bit each for loads of A, W, S and C that are issued, of slot begin_slot.
    read: one bit each for the readers of A, W, S and C that have read a run, of slot read_slot.
    busy: a program runs; loading: it is read, and no instruction has begun.
    loaded, stored, move_slot; filled, filled_slot; idle, error: as the mover and feeder give them.
    """

    suffix = "sequencer"

    def __init__(self, config: EngineConfig, top: str) -> None:
        self.decoder = Decoder(config, top)
        super().__init__(config, top, self.decoder)
        self.loads = self.layouts.loads
        self.load_of = {name: f"load_{name}" for name in self.loads}

    def ports(self) -> dict[str, Any]:
        lay = self.layouts
        return {
            "i_start": In(stream.Signature(lay.start)),
            "o_status": Out(stream.Signature(lay.status)),
            "fetch_enable": Out(1),
            "fetch_address": Out(lay.index_bits),
            "fetch_data": In(WORD_BITS),
            "o_moves": Out(stream.Signature(lay.move)),
            "o_runs": Out(stream.Signature(lay.run)),
            "o_tiles": Out(stream.Signature(1)),
            **{f"o_{name}": Out(stream.Signature(lay.reading[name])) for name in lay.loads},
            "begin": Out(len(lay.loads)),
            "begin_slot": Out(1),
            **dict.fromkeys(("read", "read_slot", "loaded"), In(len(lay.loads))),
            "stored": In(1),
            "move_slot": In(1),
            "filled": In(1),
            "filled_slot": In(1),
            "idle": In(1),
            "error": In(1),
            "error_at": In(lay.index_bits),
            "read_words": In(1),
            "written_words": In(1),
            "busy": Out(1),
            "loading": Out(1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, lay = self.config, self.layouts
        word = Signal(WORD_BITS, reset_less=True)
        is_, static = Signal(len(NAMES)), Signal(max(Cause).bit_length())
        m.submodules.decoder = self.decoder.place(word=word, is_=is_, cause=static)
        self._word, self._is = word, {name: is_[i] for i, name in enumerate(NAMES)}
        start = Signal(lay.start, reset_less=True)
        status = Signal(lay.status, reset_less=True)
        self._at = pc = Signal(lay.index_bits + 1)
        slots = {name: OperandSlots(name, lay.depths[name]) for name in lay.loads}
        results = ResultSlots()
        registers = [Signal(c.address_bits, name=f"r{i}") for i in range(REGISTERS)]
        loops = [Signal(lay.index_bits + 1 + 32, name=f"loop_{i}") for i in range(LEVELS)]
        level = Signal(range(LEVELS + 1))
        access = self._access(m, registers, start)
        lmma = self._lmma(m, slots)
        cause = self._cause(m, static, slots, results, access, lmma, level)

        # Queues to what executes; all of an lmma's have room, or it waits.
        queues = {
            "moves": (lay.move, self.o_moves),
            "runs": (lay.run, self.o_runs),
            "tiles": (1, self.o_tiles),
            **{name: (lay.reading[name], getattr(self, f"o_{name}")) for name in lay.loads},
        }
        source = {}
        for name, (layout, port) in queues.items():
            source[name] = stream.Signature(layout).create(path=(f"issue_{name}",))
            sink = queued(m, f"queue_{name}", source[name])
            m.d.comb += [
                port.valid.eq(sink.valid),
                port.payload.eq(sink.payload),
                sink.ready.eq(port.ready),
            ]
        quiet = Signal()
        pending = Cat(getattr(self, f"o_{name}").valid for name in queues).any()
        m.d.comb += quiet.eq(
            self.idle & ~pending & results.idle & Cat(slots[name].idle for name in lay.loads).all()
        )
        go = self._go(slots, results, source, lmma, quiet)
        issue, program = Signal(), Signal()
        self._issue(m, issue, program, source, access, lmma, slots, results, start)

        running = Signal()
        self._count(m, issue, running, status, lmma)
        m.d.comb += self.busy.eq(running | self.loading)
        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += self.i_start.ready.eq(1)
                with m.If(self.i_start.valid):
                    m.d.sync += [start.eq(self.i_start.payload), pc.eq(0), level.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += [program.eq(1), self.loading.eq(1)]
                with m.If(source["moves"].ready):
                    m.next = "LOADING"
            with m.State("LOADING"):
                m.d.comb += self.loading.eq(1)
                m.d.sync += [status[name].eq(0) for name in COUNTERS]
                with m.If(quiet):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += running.eq(1)
                m.d.comb += [self.fetch_enable.eq(1), self.fetch_address.eq(pc)]
                m.d.sync += [status["at"].eq(pc), status.cause.eq(Cause.FETCH)]
                m.next = "LATCH"
                with m.If(self.error | (pc == start.count)):
                    m.next = "DRAIN"
            with m.State("LATCH"):
                m.d.comb += running.eq(1)
                m.d.sync += word.eq(self.fetch_data)
                m.next = "CALCULATE"
            with m.State("CALCULATE"):
                m.d.comb += running.eq(1)
                m.next = "ISSUE"
            with m.State("ISSUE"):
                m.d.comb += running.eq(1)
                with m.If(cause != 0):
                    m.d.sync += status.cause.eq(cause)
                    m.next = "DRAIN"
                with m.Elif(go):
                    m.d.comb += issue.eq(1)
                    m.d.sync += pc.eq(pc + 1)
                    m.d.sync += status.instructions.eq(status.instructions + 1)
                    m.next = "FETCH"
                    with m.If(self._is["halt"]):
                        m.d.sync += status.cause.eq(Cause.HALT)
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += running.eq(1)
                with m.If(quiet):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.o_status.valid.eq(1), self.o_status.payload.eq(status)]
                with m.If(self.error):
                    m.d.comb += [
                        self.o_status.payload.cause.eq(Cause.BUS),
                        self.o_status.payload["at"].eq(self.error_at),
                    ]
                with m.If(self.o_status.ready):
                    m.next = "IDLE"

        m.d.comb += [
            self.begin.eq(Cat(issue & self._is[name] for name in self.load_of.values())),
            self.begin_slot.eq(self._word[8]),
        ]
        self._loops(m, issue, pc, loops, level)
        self._registers(m, issue, registers, access)
        return m

    def _field(self, name: str, field: str) -> Value:
        return value(self._word, name, field)

    def _by_name(self, choices: dict[str, Value]) -> Value:
        """The value for the instruction that it is; 0 for others."""
        found: Value = Const(0, 1)
        for name, each in choices.items():
            found = Mux(self._is[name], each, found)
        return found

    def _access(self, m: Module, registers: list[Signal], start: Any) -> dict[str, Value]:
        """What a load or store does, calculated in the cycle before it is issued."""
        c, core = self.config, self.config.core
        register = code(self._word, "set", "address")
        for name, bit in (
            ("set", 8),
            ("add", 8),
            *((n, 9) for n in (*self.load_of.values(), "store_d")),
        ):
            assert INSTRUCTIONS[NAMES.index(name)].places["address"] == bit
        is_access = Cat(self._is[n] for n in (*self.load_of.values(), "store_d")).any()
        which = Mux(is_access, self._word[9:12], register)
        address = Signal(c.address_bits, reset_less=True, name="access_address")
        m.d.sync += address.eq(Array(registers)[which])

        item = core.k * 4
        width = self._by_name(
            {
                name: code(self._word, name, field)
                for name, field in (("store_d", "bits"), ("load_a", "bits"), ("load_w", "part"))
            }
        )
        size = Signal(32, name="row_bytes")
        with m.If(self._is["load_a"]):
            steps = self._field("load_a", "steps")
            m.d.comb += size.eq((((steps * item) << width) + 7) >> 3)
        with m.If(self._is["load_w"]):
            m.d.comb += size.eq((self._field("load_w", "beats") * core.weight_beat_bytes) >> width)
        with m.If(self._is["load_s"]):
            m.d.comb += size.eq(self._field("load_s", "beats") * c.scale_beat_bytes)
        with m.If(self._is["store_d"]):
            m.d.comb += size.eq(self._field("store_d", "columns") << (width + 1))
        tiles = ("load_a", "store_d")
        if core.addends:
            tiles = (*tiles, "load_c")
            with m.If(self._is["load_c"]):
                m.d.comb += size.eq(self._field("load_c", "columns") << 2)
        shift = c.word_bytes.bit_length() - 1
        row_words = Signal(32, reset_less=True)
        rows = self._by_name({name: code(self._word, name, "rows") for name in tiles})
        stride = self._by_name({name: code(self._word, name, "stride") for name in tiles})
        # Rows beyond the core are refused in any case: the product needs their low bits only.
        few = rows[: max(1, (core.m - 1).bit_length())]
        span = Signal(len(few) + 32, reset_less=True)
        m.d.sync += [row_words.eq((size + c.word_bytes - 1) >> shift), span.eq(few * stride)]
        end = address + span + (row_words << shift)
        return {
            "which": which,
            "is": is_access,
            "address": address,
            "outside": end > start.limit,
            "misaligned": (address & (c.word_bytes - 1)) != 0,
            "words": row_words,
            "rows": few,
            "stride": stride,
            "width": width,
        }

    def _lmma(self, m: Module, slots: dict[str, OperandSlots]) -> dict[str, Any]:
        """What an lmma needs of its slots, calculated in the cycle before it is issued."""
        core = self.config.core

        def field(name: str) -> Value:
            return self._field("lmma", name)

        # More steps than the core does are refused in any case.
        steps = code(self._word, "lmma", "steps")[: max(1, (core.max_steps - 1).bit_length())] + 1
        passes = field("passes")
        planes = field("w_type")[:3] + 1
        keep, rounds = field("keep"), Mux(field("offset"), 2, 1)
        need = {name: Signal(32, reset_less=True, name=f"need_{name}") for name in self.loads}
        m.d.sync += [
            need["a"].eq(Mux(keep, 0, steps * passes)),
            need["w"].eq(steps * planes * passes),
            need["s"].eq(passes * rounds * core.column_groups),
        ]
        # A tile of C is taken as a whole, and stays.
        addend = field("addend")
        if core.addends:
            m.d.sync += need["c"].eq(Mux(addend.any(), core.column_groups, 0))
        found: dict[str, Any] = {"need": need, "start": {}, "after": {}, "slot": {}}
        held: list[Value] = []
        for name in self.loads:
            whole = name == "c"
            slot = addend[1] if whole else field(name)
            rewind = Const(1, 1) if whole else field(f"rewind_{name}")
            start, loaded = slots[name].left_from(slot, rewind)
            after = start + need[name]
            held.append(after <= loaded)
            found["slot"][name], found["start"][name], found["after"][name] = slot, start, after
        found["held"] = Cat(held).all()
        # What earlier ones left: an open accumulation, and a block.
        is_open, open_type = Signal(), Signal(4)
        block, key = Signal(), Signal(4 + 12)
        now = Cat(field("a_type"), code(self._word, "lmma", "steps"))
        continues = is_open & (open_type == field("o_type"))
        kept = block & (key == now)
        found["chained"] = (field("first") | continues) & (~keep | kept)
        found["state"] = (is_open, open_type, block, key, now)
        return found

    def _cause(
        self,
        m: Module,
        static: Value,
        slots: dict[str, OperandSlots],
        results: ResultSlots,
        access: dict[str, Value],
        lmma: dict[str, Any],
        level: Value,
    ) -> Value:
        store_slot = self._field("store_d", "d")
        full = Mux(store_slot, results.full[1], results.full[0])
        causes = {
            Cause.NESTING: (self._is["loop"] & (level == LEVELS))
            | (self._is["end"] & (level == 0)),
            Cause.CHAIN: self._is["lmma"] & ~lmma["chained"],
            Cause.OPERAND: (self._is["lmma"] & ~lmma["held"]) | (self._is["store_d"] & ~full),
            Cause.MISALIGNED: access["is"] & access["misaligned"],
            Cause.ADDRESS: access["is"] & access["outside"],
        }
        dynamic: Value = Const(0, len(static))
        for each in sorted(causes, reverse=True):
            dynamic = Mux(causes[each], int(each), dynamic)
        cause = Signal(len(static), name="cause")
        first = (static != 0) & ((static < dynamic) | (dynamic == 0))
        m.d.comb += cause.eq(Mux(first, static, dynamic))
        return cause

    def _go(
        self,
        slots: dict[str, OperandSlots],
        results: ResultSlots,
        source: dict[str, Any],
        lmma: dict[str, Any],
        quiet: Value,
    ) -> Value:
        """Whether a legal instruction may be issued now."""
        room = source["moves"].ready
        conditions = {
            name: room & slots[buffer].free(self._field(name, buffer))
            for buffer, name in self.load_of.items()
        }
        conditions["store_d"] = room & results.ready(self._field("store_d", "d"))
        ready = [source[name].ready for name in self.loads]
        last = self._field("lmma", "last")
        free = source["tiles"].ready & results.free(self._field("lmma", "d"))
        conditions["lmma"] = Cat(*ready, source["runs"].ready, ~last | free).all()
        conditions["fence"] = conditions["halt"] = quiet
        blocked = [self._is[name] & ~condition for name, condition in conditions.items()]
        return ~Cat(blocked).any()

    def _issue(
        self,
        m: Module,
        issue: Value,
        program: Value,
        source: dict[str, Any],
        access: dict[str, Value],
        lmma: dict[str, Any],
        slots: dict[str, OperandSlots],
        results: ResultSlots,
        start: Any,
    ) -> None:
        """What goes to the queues, and what that changes in the slots."""
        c = self.config
        moves, is_ = source["moves"].payload, self._is
        m.d.comb += source["moves"].valid.eq((issue & access["is"]) | program)
        with m.If(program):
            # Instructions are as long as some whole number of words, or the other way round.
            m.d.comb += [
                moves.program.eq(1),
                moves.address.eq(start.program),
                moves.words.eq(
                    (start.count * (WORD_BITS // 8) + c.word_bytes - 1)
                    >> (c.word_bytes.bit_length() - 1)
                ),
                moves["items"].eq(start.count),
            ]
        with m.Else():
            m.d.comb += [
                *(moves[name].eq(is_[load]) for name, load in self.load_of.items()),
                moves.store.eq(is_["store_d"]),
                moves.slot.eq(self._word[8]),
                moves.width.eq(access["width"]),
                moves.address.eq(access["address"]),
                moves.stride.eq(access["stride"]),
                moves.rows.eq(access["rows"]),
                moves.words.eq(access["words"]),
                moves["items"].eq(
                    self._by_name(
                        {
                            "load_a": self._field("load_a", "steps"),
                            "load_w": self._field("load_w", "beats"),
                            "load_s": self._field("load_s", "beats"),
                            "store_d": self._field("store_d", "columns"),
                            **(
                                {"load_c": self._field("load_c", "columns")}
                                if c.core.addends
                                else {}
                            ),
                        }
                    )
                ),
                moves["at"].eq(self._at),
            ]
        doing = issue & is_["lmma"]
        last = self._field("lmma", "last")
        m.d.comb += [
            source["runs"].valid.eq(doing),
            source["runs"].payload.passes.eq(code(self._word, "lmma", "passes")),
            source["tiles"].valid.eq(doing & last),
            source["tiles"].payload.eq(self._field("lmma", "d")),
        ]
        self._descriptor(m, source["runs"].payload.descriptor)
        for place, name in enumerate(self.loads):
            slot, need = lmma["slot"][name], lmma["need"][name]
            reads = doing & (need != 0)
            m.d.comb += [
                source[name].valid.eq(reads),
                source[name].payload.slot.eq(slot),
                source[name].payload.start.eq(lmma["start"][name]),
                source[name].payload.count.eq(need),
            ]
            slots[name].track(m, reads, slot, self.read[place], self.read_slot[place])
            slots[name].complete(m, self.loaded[place], self.move_slot)
            with m.If(doing):
                slots[name].advance(m, slot, lmma["after"][name])
            load = self.load_of[name]
            with m.If(issue & is_[load]):
                count: Value = Const(c.core.column_groups)
                if name != "c":
                    count = self._field(load, "steps" if name == "a" else "beats")
                slots[name].load(m, self._field(load, name), count)
        results.track(
            m,
            (doing & last, self._field("lmma", "d")),
            (self.filled, self.filled_slot),
            (issue & is_["store_d"], self._field("store_d", "d")),
            (self.stored, self.move_slot),
        )
        is_open, open_type, block, key, now = lmma["state"]
        with m.If(doing):
            m.d.sync += [
                is_open.eq(~last),
                open_type.eq(self._field("lmma", "o_type")),
                block.eq(1),
                key.eq(now),
            ]

    def _descriptor(self, m: Module, descriptor: Any) -> None:
        core = self.config.core

        def place(field: str, known: Any, built_in: tuple[str, ...]) -> Value:
            """The place of a format among those built in."""
            found: Value = Const(0, 1)
            for index, name in enumerate(built_in):
                match = self._field("lmma", field) == list(known).index(name)
                found = Mux(match, index, found)
            return found

        rescaling = descriptor.rescaling
        m.d.comb += [
            descriptor.format.eq(place("a_type", ACTIVATIONS, core.activations)),
            descriptor.planes.eq(self._field("lmma", "w_type")[:3]),
            descriptor.steps.eq(code(self._word, "lmma", "steps")),
            descriptor.equal.eq(self._field("lmma", "w_type")[3]),
            descriptor.keep.eq(self._field("lmma", "keep")),
            rescaling.offset.eq(self._field("lmma", "offset")),
            rescaling.scale.eq(place("scale", SCALES, core.scales)),
            rescaling.kind.first.eq(self._field("lmma", "first")),
            rescaling.kind.last.eq(self._field("lmma", "last")),
            rescaling.kind.output.eq(place("o_type", OUTPUTS, core.outputs)),
        ]
        if core.addends:
            m.d.comb += rescaling.kind.addend.eq(self._field("lmma", "addend").any())

    def _loops(
        self, m: Module, issue: Value, pc: Signal, loops: list[Signal], level: Signal
    ) -> None:
        bits = self.layouts.index_bits + 1
        top = Signal.like(loops[0], name="top")
        for i, loop in enumerate(loops):
            with m.If(level == i + 1):
                m.d.comb += top.eq(loop)
        again = top[bits:] != 0
        with m.If(issue & self._is["loop"]):
            m.d.sync += level.eq(level + 1)
            for i, loop in enumerate(loops):
                with m.If(level == i):
                    m.d.sync += loop.eq(Cat((pc + 1)[:bits], code(self._word, "loop", "count")))
        with m.If(issue & self._is["end"]):
            with m.If(again):
                m.d.sync += pc.eq(top[:bits])
                for i, loop in enumerate(loops):
                    with m.If(level == i + 1):
                        m.d.sync += loop[bits:].eq(loop[bits:] - 1)
            with m.Else():
                m.d.sync += level.eq(level - 1)

    def _registers(
        self, m: Module, issue: Value, registers: list[Signal], access: dict[str, Value]
    ) -> None:
        steps = self._by_name(
            {
                **{
                    name: code(self._word, name, "next")
                    for name in (*self.load_of.values(), "store_d")
                },
                "add": code(self._word, "add", "value"),
            }
        )
        changed = access["address"] + steps
        for i, register in enumerate(registers):
            with m.If(issue & (access["which"] == i)):
                with m.If(self._is["set"]):
                    m.d.sync += register.eq(code(self._word, "set", "value"))
                with m.Elif(access["is"] | self._is["add"]):
                    m.d.sync += register.eq(changed)

    def _count(
        self, m: Module, issue: Value, running: Value, status: Any, lmma: dict[str, Any]
    ) -> None:
        with m.If(issue & self._is["lmma"]):
            m.d.sync += [
                status.tiles.eq(status.tiles + self._field("lmma", "last")),
                status.passes.eq(status.passes + self._field("lmma", "passes")),
                status.steps.eq(status.steps + lmma["need"]["w"]),
            ]
        m.d.sync += status.cycles.eq(status.cycles + running)
        with m.If(self.read_words):
            m.d.sync += status.words_read.eq(status.words_read + 1)
        with m.If(self.written_words):
            m.d.sync += status.words_written.eq(status.words_written + 1)
