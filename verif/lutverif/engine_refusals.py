"""What an engine refuses, in RTL as in the simulator: the same cause, at the same instruction, and
nothing has changed. `walk` goes over every illegal code of every field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from lutcore.lmma import INSTRUCTIONS, Cause, Op, Refusal, assemble, decode, encode, illegal
from lutcore.lmma.encoding import WORD_BITS, Field

from . import lmma
from .engine import EngineModel
from .engine_soak import SMALL, EngineFault

__all__ = ["LEGAL", "Pair", "codes", "field_words", "mixed_words", "other_words", "walk"]

LMMA = "lmma.m2n4k2.int8.w2.fp32.fp32"
RAW = "lmma.m2n4k2.int8.w2.int32.int32"

BEFORE = f"""
    set r0, 64
    load.a.8 a0, r0, rows=2, steps=16, stride=32
    load.w w0, r0, beats=32
    load.s s0, r0, beats=8
    set r1, 128
    {LMMA} a0, w0, s0, d0, steps=4, first, last
    {LMMA} a0, w0, s0, d1, steps=4, first
    loop 2
    halt"""
"""Operands, results in d0 and accumulators: each instruction of `LEGAL` may follow."""

LEGAL = [
    *assemble(f"""
        {LMMA} a0, w0, s0, d0, steps=2
        load.a.4 a0, r0, rows=1, steps=1
        load.w w0, r0, beats=1
        load.s s0, r0, beats=1
        load.c c0, r0, rows=1, columns=1
        store.d.16 d0, r1, rows=1, columns=1
        set r2, 64
        add r2, 0
        loop 1
        fence
        halt"""),
    *assemble("end"),
]
"""One of each instruction."""

AFTER = f"""
    {LMMA} a0, w0, s0, d0, steps=4, last
    store.d.32 d0, r0, rows=2, columns=4, stride=16
    load.a.8 a1, r0, rows=2, steps=4, stride=8
    {LMMA} a1, w0, s0, d1, steps=4, first, last
    store.d.32 d1, r1, rows=2, columns=4, stride=16
    halt"""
"""Shows slots, positions, registers and accumulators in memory."""

STATES = (
    ("loop 1\n" * 5, Cause.NESTING, 4),
    ("loop 2\n fence\n end\n end", Cause.NESTING, 3),
    (f"{RAW} a0, w0, s0, d0, steps=1", Cause.CHAIN, 0),
    (f"{LMMA} a0, w0, s0, d0, steps=3, keep", Cause.CHAIN, 0),
    (f"{LMMA} a0, w0, s0, d0, steps=4, passes=3", Cause.OPERAND, 0),
    (f"{LMMA} a0, w0, s0, d0, steps=4, passes=4, rewind_w, rewind_a", Cause.OPERAND, 0),
    (f"{LMMA} a1, w0, s0, d0, steps=1", Cause.OPERAND, 0),
    ("store.d.32 d1, r1, rows=1, columns=1", Cause.OPERAND, 0),
    (
        f"{LMMA} a0, w0, s0, d0, steps=4, first, rewind_a, rewind_w, rewind_s, addend=c1",
        Cause.OPERAND,
        0,
    ),
    (f"{LMMA} a0, w0, s0, d0, steps=4, addend=c1", Cause.FORMAT, 0),
    ("set r7, 496\n load.c c0, r7, rows=2, columns=1, stride=16", Cause.ADDRESS, 1),
    ("set r7, 508\n load.w w1, r7, beats=1", Cause.MISALIGNED, 1),
    ("set r7, 504\n load.s s1, r7, beats=9", Cause.ADDRESS, 1),
    ("set r7, 496\n store.d.32 d0, r7, rows=2, columns=1, stride=16", Cause.ADDRESS, 1),
)
"""Programs after `BEFORE`, each of which is refused for a state that it is in."""

EDGES = """
    set r7, 504
    load.w w1, r7, beats=1
    store.d.32 d0, r7, rows=1, columns=2
    halt"""
"""Up to the last byte of memory, which none may refuse."""

EXHAUSTIVE = 12
"""Bits of a field of which every code is tried; of wider ones the limits and powers of two."""


class Pair:
    """Engine and simulator of `SMALL`, with the same memory and the same history."""

    def __init__(self, model: EngineModel) -> None:
        self.model = model
        self.memory = np.arange(512).astype(np.uint8)
        self.machine = lmma.Machine(SMALL, self.memory.copy())
        model.reset()
        self.done(BEFORE)

    def run(self, program: list[int]) -> lmma.Status:
        """The status of a program in both; EngineFault unless it, counters and memory are equal."""
        self.machine.counters = lmma.Counters()
        expected = self.machine.run(program)
        status, counters = self.model.execute(program, self.memory)
        counted = dataclasses.asdict(self.machine.counters)
        same = status == expected and (self.memory == self.machine.memory).all()
        if not same or any(counters[name] != value for name, value in counted.items()):
            raise EngineFault(
                f"simulator {expected}, {counted}; engine {status}, {counters}; after words "
                + ", ".join(f"0x{word:032x}" for word in program)
            )
        return status

    def done(self, source: str) -> None:
        """Run text in both up to its halt."""
        program = assemble(source)
        if self.run(program) != (Cause.HALT, len(program) - 1):
            raise EngineFault(f"refused: {source}")

    def refused(self, words: Iterable[int]) -> set[Cause]:
        """Run each word after an instruction that is legal; the causes that there were."""
        before = assemble("fence")
        found = {self.run([*before, word]) for word in words}
        if any(at != 1 or cause in (Cause.HALT, Cause.FETCH) for cause, at in found):
            raise EngineFault(f"some were not refused: {found}")
        return {status.cause for status in found}

    def unchanged(self) -> None:
        """What `BEFORE` has left is still there: run `AFTER`, for which it has to be."""
        start = self.memory.copy()
        self.done(AFTER)
        assert (self.memory != start).any()


def codes(item: Field) -> Iterable[int]:
    """All codes of a field, or of a wide one those around its limit and powers of two."""
    if item.bits <= EXHAUSTIVE:
        return range(1 << item.bits)
    edges = {1 << bit for bit in range(item.bits)}
    allowed = item.allowed(SMALL) if item.allowed else item.values
    assert isinstance(allowed, range)
    edges.add(item.code(allowed[-1]))
    near = {edge + change for edge in edges for change in (-1, 0, 1)}
    return sorted(code for code in near if 0 <= code < 1 << item.bits)


def _changed(op: Op, item: Field, code: int) -> Op:
    return Op(op.instruction, {**op.values, item.name: item.value(code)})


def field_words(word: int) -> Iterator[tuple[Field, list[int]]]:
    """The words that are `word` but for one field of it, and illegal for that."""
    op = decode(word)
    for item in op.instruction.fields:
        ops = [_changed(op, item, code) for code in codes(item)]
        yield item, [encode(each) for each in ops if illegal(each, SMALL) is not None]


def other_words() -> tuple[list[int], list[int]]:
    """Words with an opcode that none has, with and without further bits; words with one reserved
    bit."""
    random = np.random.default_rng(1)
    others = sorted(set(range(256)) - {item.opcode for item in INSTRUCTIONS})
    rest = int.from_bytes(random.bytes(15), "little") << 8
    reserved = [
        word | 1 << bit
        for word in LEGAL
        for bit in range(decode(word).instruction.used_bits, WORD_BITS)
    ]
    return [*others, *(rest | opcode for opcode in others)], reserved


def mixed_words(machine: lmma.Machine, count: int) -> Iterator[tuple[int, Cause]]:
    """Words with anything in some of their fields that the machine refuses, and for what."""
    random = np.random.default_rng(2)
    while count:
        op = decode(LEGAL[random.integers(len(LEGAL))])
        for item in op.instruction.fields:
            if random.integers(3) == 0:
                code = int.from_bytes(random.bytes(8), "little") & ((1 << item.bits) - 1)
                op = _changed(op, item, code >> int(random.integers(item.bits)))
        try:
            machine.check(op)
        except Refusal as refusal:
            yield encode(op), refusal.cause
            count -= 1


def walk(model: EngineModel) -> int:
    """Try all of it; the number of words that were refused. EngineFault where the two differ."""
    pair, count = Pair(model), 0
    groups = [words for word in LEGAL for _, words in field_words(word)]
    groups += [*other_words(), [word for word, _ in mixed_words(pair.machine, 1500)]]
    for words in groups:
        pair.refused(words)
        count += len(words)
    pair.unchanged()
    for source, *expected in STATES:
        pair = Pair(model)
        if pair.run(assemble(source)) != tuple(expected):
            raise EngineFault(f"not refused for {expected}: {source}")
        pair.unchanged()
    Pair(model).done(EDGES)
    return count
