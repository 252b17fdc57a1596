"""Between memory and buffers: loads, stores, and the program itself, in the order of the program.

i_moves -> requester -> o_reads, o_writes
    \\-> i_read_data -> gearbox -> buffers of A, W, S, C, program
        buffer of D -> gearbox -> o_write_data
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.encoding import WORD_BITS
from lutcore.streams import index_bits

from .gearbox import Gearbox
from .unit import EngineLayouts, EngineUnit, queued

__all__ = ["Mover"]


@dataclass(frozen=True)
class _Row:
    """Where a move is.

    begin         the first cycle of a row
    row, index    of rows, and of items in the row
    items, words  of the row that are left
    """

    begin: Signal
    row: Signal
    items: Signal
    words: Signal
    index: Signal


class Mover(EngineUnit):
    """Executes moves one after the other, requests ahead of data.

    Memory needs no order between reads and writes: a request to read waits until all that was
    written is acknowledged, one to write until all that was to be read is there.
    Cycle contract: a word a cycle inside a row, two cycles from a row to the next; every `done` is
    up for a cycle: loaded when the last item is in its slot, stored when the last is read from it.
    idle: nothing is under way, in memory either. moving: what memory is at, of loads of A, W, S, C
    and last a store, which ends with its answer. error: memory reported one for the move of `at`.
    """

    suffix = "mover"

    def __init__(self, config: EngineConfig, top: str) -> None:
        c = config.core
        layouts = EngineLayouts(config)
        # What comes out at a time, two items of a pair.
        self.widths = {
            name: [
                bits * (2 if code in layouts.pairs.get(name, ()) else 1)
                for code, bits in enumerate(layouts.widths[name])
            ]
            for name in (*layouts.loads, "program")
        }
        # One place in the gearbox for all that are as wide.
        self.sinks = sorted({width for widths in self.widths.values() for width in widths})
        self.load = Gearbox(config, top, "load", [config.word_bits], self.sinks)
        narrow = [bits for bits in (16, 32) if bits <= config.output_bits]
        columns = [c.rescale_columns * bits for bits in narrow]
        self.store = Gearbox(config, top, "store", columns, [config.word_bits])
        super().__init__(config, top, self.load, self.store)

    def ports(self) -> dict[str, Any]:
        c, lay = self.config, self.layouts
        by_row = {"a", "c"}
        return {
            "i_moves": In(stream.Signature(lay.move)),
            **lay.memory_streams(),
            "written": Out(len(lay.loads)),
            "two": Out(1),
            **{
                f"write_{name}": Out(lay.banks(name) * (c.core.m if name in by_row else 1))
                for name in lay.loads
            },
            "write_program": Out(1),
            "item_slot": Out(1),
            "item_index": Out(lay.items_bits),
            **{f"data_{name}": Out(lay.banks(name) * lay.beats[name].size) for name in lay.loads},
            "data_program": Out(WORD_BITS),
            "read_enable": Out(1),
            "read_address": Out(1 + index_bits(c.core.column_groups)),
            "read_data": In(lay.core.outputs.size),
            "loaded": Out(len(lay.loads)),
            "stored": Out(1),
            "done_slot": Out(1),
            "idle": Out(1),
            "error": Out(1),
            "error_at": Out(lay.index_bits),
            "read_words": Out(1),
            "written_words": Out(1),
            "moving": Out(len(lay.loads) + 1),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reads_left, unanswered = self._request(m)
        moves, loads = self._moves, self.layouts.loads
        move = Signal(self.layouts.move, reset_less=True)
        active, begin = Signal(), Signal()  # begin: the first cycle of a row
        items, words = Signal(self.layouts.items_bits), Signal(self.layouts.words_bits)
        index = Signal(self.layouts.items_bits)
        row, row_done, done = Signal(index_bits(self.config.core.m)), Signal(), Signal()
        m.d.comb += [
            done.eq(row_done & (row == move.rows)),
            moves.ready.eq(~active),
            self.item_slot.eq(move.slot),
            self.item_index.eq(index),
            self.done_slot.eq(move.slot),
            self.loaded.eq(Mux(done, Cat(move[name] for name in loads), 0)),
            self.stored.eq(done & move.store),
            self.moving.eq(
                Mux(
                    unanswered != 0,
                    1 << len(loads),
                    Mux(active, Cat(*(move[name] for name in loads), move.store), 0),
                )
            ),
            self.idle.eq(
                ~active & ~moves.valid & ~self._requesting & (reads_left == 0) & (unanswered == 0)
            ),
        ]
        with m.If(~active):
            m.d.sync += [active.eq(moves.valid), move.eq(moves.payload), row.eq(0), begin.eq(1)]
        with m.If(begin & active):
            m.d.sync += [
                begin.eq(0),
                items.eq(move["items"]),
                words.eq(move.words),
                index.eq(0),
            ]
        with m.If(row_done):
            m.d.sync += [row.eq(row + 1), begin.eq(1)]
        with m.If(done):
            m.d.sync += active.eq(0)
        working = Signal()
        m.d.comb += working.eq(active & ~begin)
        load_done, store_done = Signal(), Signal()
        m.d.comb += row_done.eq(working & Mux(move.store, store_done, load_done))
        at = _Row(begin, row, items, words, index)
        self._load(m, move, at, working & ~move.store, load_done)
        self._store(m, move, at, working & move.store, store_done)

        # Errors: the first one, with the instruction whose data it is.
        bad_read = self.read_words & self.i_read_data.payload.error
        bad_write = self.i_write_done.valid & self.i_write_done.payload.error
        with m.If(~self.error & (bad_read | bad_write)):
            m.d.sync += [
                self.error.eq(1),
                self.error_at.eq(Mux(bad_read, move["at"], self._written_at)),
            ]
        return m

    def _request(self, m: Module) -> tuple[Value, Value]:
        """Requests of every row, then the move goes to what handles its data."""
        lay = self.layouts
        move = Signal(lay.move, reset_less=True, name="requested")
        active, row = Signal(name="requesting"), Signal(index_bits(self.config.core.m), name="next")
        reads, writes, done = self.o_reads, self.o_writes, self.i_write_done
        forward = stream.Signature(lay.move).create(path=("forward",))
        self._moves = queued(m, "moves", forward)
        self._requesting = active
        first = Signal(name="first_request", init=1)
        reads_left = Signal(lay.words_bits + 2)  # a request when there is `room`, at most
        unanswered = Signal(index_bits(self.config.core.m) + 3)
        self._written_at = Signal(lay.index_bits)
        room = (reads_left >> lay.words_bits) == 0
        clear = Mux(move.store, reads_left == 0, (unanswered == 0) & room)
        moved = Signal(name="request_moved")
        # The data's side has to know of a move before its data come.
        m.d.comb += [
            reads.valid.eq(active & clear & ~first & ~move.store),
            writes.valid.eq(active & clear & ~first & move.store),
            moved.eq((reads.valid & reads.ready) | (writes.valid & writes.ready)),
            forward.valid.eq(active & first),
            forward.payload.eq(move),
            done.ready.eq(1),
            self.i_moves.ready.eq(~active),
        ]
        for requests in (reads, writes):
            m.d.comb += [
                requests.payload.address.eq(move.address),
                requests.payload.beats.eq(move.words - 1),
            ]
        with m.If(~active):
            m.d.sync += [
                active.eq(self.i_moves.valid),
                move.eq(self.i_moves.payload),
                row.eq(0),
                first.eq(1),
            ]
        with m.If(forward.valid & forward.ready):
            m.d.sync += first.eq(0)
        with m.If(moved):
            m.d.sync += [move.address.eq(move.address + move.stride), row.eq(row + 1)]
            with m.If(row == move.rows):
                m.d.sync += active.eq(0)
        m.d.sync += [
            reads_left.eq(reads_left + Mux(moved & ~move.store, move.words, 0) - self.read_words),
            unanswered.eq(unanswered + (moved & move.store) - done.valid),
        ]
        with m.If(moved & move.store):
            m.d.sync += self._written_at.eq(move["at"])
        return reads_left, unanswered

    def _load(self, m: Module, move: Any, at: _Row, working: Value, done: Value) -> None:
        """Words into items of the move's width, items into their buffer."""
        lay, pair = self.layouts, Signal(name="item_pair")
        reads, sink = self.i_read_data, Signal(range(len(self.sinks)), name="item_width")
        item = Signal(max(self.sinks))
        valid, ready, room = Signal(name="item_valid"), Signal(name="item_ready"), Signal()
        addends = self.config.core.addends
        for name, widths in self.widths.items():
            for code, width in enumerate(widths):
                with m.If(move[name] & (move.width == code if len(widths) > 1 else 1)):
                    m.d.comb += sink.eq(self.sinks.index(width))
        m.submodules.load = self.load.place(
            clear=at.begin,
            flush=(pair | (move.c if addends else 0)) & working & (at.words == 0),
            source=Const(0, 1),
            sink=sink,
            i_piece=reads.payload.data,
            i_valid=reads.valid & working & (at.words != 0),
            i_ready=room,
            o_piece=item,
            o_valid=valid,
            o_ready=ready,
        )
        put, last_row = valid & ready, at.row == move.rows
        m.d.comb += [
            pair.eq(
                Cat(
                    move[name] & (move.width == code)
                    for name, codes in lay.pairs.items()
                    for code in codes
                ).any()
            ),
            self.two.eq(pair & (at.items != 1)),
            reads.ready.eq(working & (at.words != 0) & room),
            ready.eq(working & (at.items != 0)),
            done.eq(put & (at.items == 1 + self.two)),
            self.read_words.eq(reads.valid & reads.ready),
            # A beat of A is there when its last row is.
            self.written[:3].eq(Mux(put, Cat(move.a & last_row, move.w, move.s), 0)),
            self.write_w.eq(Mux(put & move.w, self._banks("w", at), 0)),
            self.write_s.eq(put & move.s),
            self.write_program.eq(put & move.program),
            self.data_w.eq(
                Cat(self._columns(each, move.width) for each in self._items("w", item, move.width))
            ),
            self.data_s.eq(item),
            self.data_program.eq(item),
        ]
        with m.If(self.read_words):
            m.d.sync += at.words.eq(at.words - 1)
        with m.If(put):
            m.d.sync += [
                at.items.eq(at.items - 1 - self.two),
                at.index.eq(at.index + 1 + self.two),
            ]
        if addends:
            self._addends(m, move, at, working, put, item, done)
        # A row of the core gets its codes, each as wide as the widest; with the first row come the
        # zeros of the rows that the tile does not have.
        core = self.config.core
        for bank, each in enumerate(self._items("a", item, move.width)):
            codes = Signal(core.k * core.activation_bits, name=f"codes_{bank}")
            for place, width in enumerate(lay.widths["a"]):
                bits = width // core.k
                with m.If(move.width == place):
                    wide = data.ArrayLayout(core.activation_bits, core.k)
                    view = data.View(wide, codes)
                    for i in range(core.k):
                        m.d.comb += view[i].eq(each[i * bits : (i + 1) * bits])
            written = self._banks("a", at)[bank]
            for i in range(core.m):
                here = at.row == i
                beyond = (at.row == 0) & (move.rows < i) if i else Const(0)
                place = bank * core.m + i
                part = self.data_a[place * len(codes) : (place + 1) * len(codes)]
                m.d.comb += [
                    self.write_a[place].eq(put & move.a & (here | beyond) & written),
                    part.eq(Mux(here, codes, 0)),
                ]

    def _items(self, name: str, item: Signal, width: Value) -> list[Value]:
        """What each bank of a buffer is given: both the same, or the items of a pair."""
        lay = self.layouts
        if lay.banks(name) == 1:
            return [item]
        second: Value = item
        for code in lay.pairs[name]:
            bits = lay.widths[name][code]
            second = Mux(width == code, item[bits : 2 * bits], second)
        return [item, second]

    def _banks(self, name: str, at: _Row) -> Value:
        """Which banks of a buffer an item is for."""
        if self.layouts.banks(name) == 1:
            return Const(1, 1)
        return Cat(~at.index[0], at.index[0] | self.two)

    def _columns(self, item: Value, part: Value) -> Value:
        """A beat of weights, zeros where the part that memory has of it ends."""
        widths = self.layouts.widths["w"]
        found = [item[: widths[-1]]]
        for code in reversed(range(len(widths) - 1)):
            found.append(Mux(part <= code, item[widths[code + 1] : widths[code]], 0))
        return Cat(found)[: self.layouts.beats["w"].size]  # in memory it is whole bytes

    def _addends(
        self, m: Module, move: Any, at: _Row, working: Value, put: Value, item: Value, done: Value
    ) -> None:
        """Columns of the row of a tile into C, then zeros for those that the tile does not have."""
        core = self.config.core
        columns, last = core.rescale_columns, at.index == core.column_groups - 1
        more = working & (put | (at.items == 0))
        with m.If(move.c):
            m.d.comb += [done.eq(more & last), self.written[3].eq(more & (at.row == move.rows))]
            with m.If(more):
                m.d.sync += [
                    at.items.eq(Mux(at.items > columns, at.items - columns, 0)),
                    at.index.eq(at.index + 1),
                ]
        codes = Cat(Mux(at.items > i, item.word_select(i, FP32.bits), 0) for i in range(columns))
        for i in range(core.m):
            here = at.row == i
            beyond = (at.row == 0) & (move.rows < i)
            m.d.comb += [
                self.write_c[i].eq(more & move.c & (here | beyond)),
                self.data_c.word_select(i, len(codes)).eq(Mux(here, codes, 0)),
            ]

    def _store(self, m: Module, move: Any, at: _Row, working: Value, done: Value) -> None:
        """Columns of the row into words, and which bytes of the last one count."""
        core, c, writes = self.config.core, self.config, self.o_write_data
        bits = c.output_bits
        fetched, fetch = Signal(name="columns_fetched"), Signal(name="columns_fetch")
        room, valid = Signal(name="columns_room"), Signal(name="word_valid")
        word = Signal(c.word_bits)
        # Results lie by column, rows inside; only this row's go on.
        column_bits = core.m * bits
        row_codes = [
            Array(
                self.read_data[low : low + bits]
                for low in range(column * column_bits, (column + 1) * column_bits, bits)
            )[at.row]
            for column in range(core.rescale_columns)
        ]
        piece = Signal(max(self.store.sources))
        m.d.comb += piece.eq(Cat(row_codes))
        if len(self.store.sources) > 1:
            with m.If(move.width == 0):
                m.d.comb += piece.eq(Cat(Value.cast(code)[:16] for code in row_codes))
        columns = core.rescale_columns
        taken = fetched & room
        m.d.comb += [
            fetch.eq(working & (at.items != 0) & (~fetched | room)),
            self.read_enable.eq(fetch),
            self.read_address.eq(Cat(at.index[: index_bits(core.column_groups)], move.slot)),
        ]
        with m.If(fetch):
            m.d.sync += [
                at.items.eq(Mux(at.items > columns, at.items - columns, 0)),
                at.index.eq(at.index + 1),
                fetched.eq(1),
            ]
        with m.Elif(taken | at.begin):
            m.d.sync += fetched.eq(0)
        m.submodules.store = self.store.place(
            clear=at.begin,
            flush=working & (at.items == 0) & ~fetched,
            source=move.width[0] if len(self.store.sources) > 1 else Const(0, 1),
            sink=Const(0, 1),
            i_piece=piece,
            i_valid=fetched,
            i_ready=room,
            o_piece=word,
            o_valid=valid,
            o_ready=writes.ready & working,
        )
        # Bytes of the row that are left, for the strobes.
        left = Signal(range(core.n * bits // 8 + 1), name="bytes_left")
        size = Signal.like(left, name="row_size")
        m.d.comb += size.eq(move["items"] << (1 + move.width))
        with m.If(at.begin):
            m.d.sync += left.eq(size)
        moved = writes.valid & writes.ready
        m.d.comb += [
            writes.valid.eq(valid & working),
            writes.payload.data.eq(word),
            writes.payload.strobe.eq(Cat(left > i for i in range(c.word_bytes))),
            done.eq(moved & (at.words == 1)),
            self.written_words.eq(moved),
        ]
        with m.If(moved):
            m.d.sync += [
                at.words.eq(at.words - 1),
                left.eq(Mux(left > c.word_bytes, left - c.word_bytes, 0)),
            ]
