"""Deliberate bugs in the units of the engine, for `lutverif.mutants`."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ["ENGINE_MUTANTS"]


def _engine(name: str, kind: str, file: str, old: str, new: str, preset: str = "small") -> Mutant:
    return Mutant(name, kind, "engine", f"engine/{file}.py", old, new, preset)


ENGINE_MUTANTS = [
    _engine("load-over-a-slot-being-read", "hazard", "slots",
            "~a & (b == 0) for a, b in zip(self.loading", "~a for a, b in zip(self.loading"),
    _engine("load-over-a-slot-being-loaded", "hazard", "slots",
            "~a & (b == 0) for a, b in zip(self.loading", "b == 0 for a, b in zip(self.loading"),
    _engine("beats-read-before-they-are-loaded", "hazard", "buffer",
            "(run.start < Mux(run.slot, there[1], there[0]))", "1"),
    _engine("beats-of-the-load-before", "hazard", "buffer",
            "self.begin & (self.begin_slot == i)", "self.begin & 0"),
    _engine("beats-of-the-first-row", "hazard", "mover",
            "last_row = valid & ready, at.row == move.rows",
            "last_row = valid & ready, at.row == 0"),
    _engine("addends-of-the-first-row", "hazard", "mover",
            "more & (at.row == move.rows)", "more & (at.row == 0)"),
    _engine("results-over-a-slot-being-stored", "hazard", "slots",
            "~a & (b == 0) for a, b in zip(self.filling", "~a for a, b in zip(self.filling"),
    _engine("results-stored-before-they-are-there", "hazard", "slots",
            "~Mux(slot, self.filling[1], self.filling[0])", "1"),
    _engine("position-survives-a-load", "index", "slots",
            "self.position[i].eq(0),", "self.position[i].eq(self.position[i]),"),
    _engine("read-before-writes-are-answered", "hazard", "mover",
            "(unanswered == 0) & room", "room"),
    _engine("write-before-reads-are-there", "hazard", "mover",
            "Mux(move.store, reads_left == 0,", "Mux(move.store, 1,"),
    _engine("rows-beyond-the-tile-stay", "padding", "mover",
            "put & move.a & (here | beyond)", "put & move.a & here"),
    _engine("strobe-a-byte-more", "index", "mover", "left > i for i", "left >= i for i"),
    _engine("column-groups-overwritten", "lost back-pressure", "mover",
            "(at.items != 0) & (~fetched | room)", "(at.items != 0)", "narrow"),
    _engine("gearbox-takes-without-room", "lost back-pressure", "gearbox",
            "left <= units - size_in", "left < units"),
    _engine("rest-of-the-row-before", "padding", "gearbox",
            "[count.eq(0), held.eq(0)]", "[count.eq(0)]"),
    _engine("beat-dropped-under-stall", "lost back-pressure", "buffer",
            "moves.eq(~fetched | beats.ready)", "moves.eq(1)"),
    _engine("run-starts-at-the-slot", "index", "buffer",
            "run.start.eq(run.start + 1)", "run.start.eq(1)"),
    _engine("every-pass-is-the-first", "accumulate clear", "feeder",
            "kind.first & ~begun", "kind.first"),
    _engine("every-pass-is-the-last", "accumulate clear", "feeder",
            "kind.last & last", "kind.last"),
    _engine("limit-is-outside", "index", "sequencer", "end > start.limit", "end >= start.limit"),
    _engine("open-in-another-format", "accumulate clear", "sequencer",
            "is_open & (open_type == field(\"o_type\"))", "is_open"),
    _engine("kept-block-of-other-steps", "stale table", "sequencer",
            "block & (key == now)", "block & (key[:4] == now[:4])"),
    _engine("loop-once-more", "index", "sequencer", "again = top[bits:] != 0",
            "again = top[bits:] + 1 != 0"),
    _engine("reserved-bits-are-ignored", "special value", "decoder",
            "match & reserved", "match & reserved & 0"),
    Mutant("addends-left-behind", "hazard", "engine", "rescale.py",
           "Cat(held & of.first & of.addend for held, of in before).any()", "0", "small"),
    _engine("addends-loaded-over-while-read", "hazard", "sequencer",
            "            slots[name].track(m, reads",
            '            if name != "c":\n                slots[name].track(m, reads'),
    _engine("columns-beyond-a-part", "padding", "mover",
            "Mux(part <= code, item[widths[code + 1] : widths[code]], 0)",
            "item[widths[code + 1] : widths[code]]", "wide"),
    _engine("bank-of-the-beat-after", "index", "buffer",
            "with m.If(odd):", "with m.If(self.read_address[0]):"),
    _engine("pair-in-one-bank", "index", "mover", "at.index[0] | self.two)", "at.index[0])"),
    _engine("last-of-a-pair-of-rows", "padding", "mover",
            "flush=(pair | (move.c if addends else 0))", "flush=(move.c if addends else Const(0, 1))"),
    _engine("later-cause-counts", "special value", "decoder",
            "sorted(found, reverse=True)", "sorted(found)"),
]  # fmt: skip
