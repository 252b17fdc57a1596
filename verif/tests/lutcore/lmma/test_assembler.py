"""Text to words and back, and where a fault is."""

from __future__ import annotations

import numpy as np
import pytest

from lutcore import PRESETS
from lutcore.errors import InputError
from lutcore.lmma import (
    INSTRUCTIONS,
    AssemblyError,
    EngineConfig,
    Op,
    assemble,
    disassemble,
    encode,
    from_bytes,
    text,
    to_bytes,
)
from lutcore.lmma.encoding import Choice
from lutcore.lmma.listing import listing, pass_cycles, total
from lutverif.lmma_random import legal_op, program, spoilt

PAPER = EngineConfig(core=PRESETS["paper"])
TINY = EngineConfig(core=PRESETS["tiny"])
LMMA = "lmma.m2n64k4.fp16.w4.fp32.fp32 a0, w0, s1, d0, steps=16"


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda item: item.name)
def test_every_value_of_every_field_has_a_text(instruction):
    lowest = {item.name: item.values[0] for item in instruction.fields}
    for item in instruction.fields:
        # Of a wide one its limits, powers of two, and what is beside these.
        codes = {(1 << bit) + change for bit in range(item.bits + 1) for change in (-1, 0, 1)}
        codes = range(1 << item.bits) if item.bits <= 12 else codes
        words = [
            encode(Op(instruction, lowest | {item.name: item.value(code)}))
            for code in codes
            if 0 <= code < 1 << item.bits
        ]
        lines = list(disassemble(words))
        assert assemble("\n".join(lines)) == words
        # `.word` is for choices that have no name.
        unnamed = sum(line.startswith(".word") for line in lines)
        assert unnamed == (len(words) - len(item.values) if isinstance(item.kind, Choice) else 0)


def test_random_words_come_back():
    """Programs, legal and not, any bits: `.word` is for those that are no instruction."""
    random = np.random.default_rng(2)
    words = [int.from_bytes(random.bytes(16), "little") for _ in range(200)]
    words += [word & 0xFF for word in words]
    for instruction in INSTRUCTIONS:
        words += [encode(legal_op(random, instruction.name, PAPER)) for _ in range(20)]
    found = program(random, TINY)
    words += found.words + spoilt(random, found, TINY).words
    assert assemble("\n".join(disassemble(words))) == words
    assert from_bytes(to_bytes(words)) == words


def test_a_line_may_be_written_in_many_ways():
    whole = f"{LMMA}, first, rewind_w, passes=3"
    words = assemble(whole)
    other = (
        "\n  lmma.m2n64k4.fp16.w4.fp32.fp32   a0,w0 ,s1,d0 , passes = 0x3,rewind_w,"
        "first, scale=fp32, steps= 0b10000   # comment, with = and ,\n\n"
    )
    assert assemble(other) == words
    assert list(disassemble(words)) == [f"{LMMA}, passes=3, first, rewind_w"]


def test_bodies_are_indented():
    source = "loop 2\n  loop 3\n    fence\n  end\nend\nhalt"
    assert "\n".join(disassemble(assemble(source, PAPER))) == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fence\n  foo", "2:3: expected add or end or fence or halt or lmma or load or loop or "
         "set or store, not 'foo'"),
        ("load.q a0", "1:1: expected load.a.{bits} or load.w or load.s or load.c, not 'load.q'"),
        ("load.w w0,, beats=1", "1:11: expected an operand between commas"),
        ("load.w w0, r1, beats=1,", "1:24: expected an operand between commas"),
        ("load.w w2, r1, beats=1", "1:8: expected w (w0, w1), not 'w2'"),
        ("load.w w0", "1:1: expected address (r0, r1, r2, r3, r4, r5, r6, r7) as operand 2"),
        ("load.w w0, r1", "1:1: expected beats= (beats)"),
        ("load.w w0, r1, beats=0", "1:22: expected beats of 1..65536, not 0"),
        ("load.w w0, r1, beats= x", "1:23: expected beats of 1..65536, not 'x'"),
        ("load.w w0, r1, beats=1, beats=1", "1:25: expected beats once"),
        ("load.w w0, r1, beats", "1:16: expected beats=..., not 'beats'"),
        ("load.w w0, r1, size=1", "1:16: expected beats, next, part, not 'size'"),
        ("halt 1", "1:6: expected no more operands, not '1'"),
        ("set r0, -1", "1:9: expected value of 0..281474976710655, not -1"),
        (LMMA.replace("w4", "w9"), "1:19: expected w_type (w1, w2, w3, w4, w5, w6, w7, w8, w1e, "
         "w2e, w3e, w4e, w5e, w6e, w7e, w8e), not 'w9'"),
        (f"{LMMA}, first=1", "1:58: expected first, not 'first=1'"),
        (".word", "1:1: expected one number after .word"),
        (f".word {1 << 128}", "1:7: expected a number of 128 bits"),
        (LMMA.replace("m2", "m3"), "1:7: shape: m 3: m, n or k are not those of the core"),
        (LMMA.replace("16,", "x"), None),
        (LMMA.replace("steps=16", "steps=17"), "1:54: range: steps 17: a count is larger than the "
         "core or the buffers"),
        (LMMA.replace("fp32.fp32", "fp32.int32"), "1:1: format: the core lacks the format, planes, "
         "addends or part, or they do not go together"),
        (f"{LMMA}, first, addend=1", "1:72: expected addend (none, c0, c1), not '1'"),
        (f"{LMMA}, first, addend=c1", "1:72: format: addend c1: the core lacks the format, planes, "
         "addends or part, or they do not go together"),
        ("load.c c1, r0, rows=1, columns=1", "1:8: format: c c1: the core lacks the format, "
         "planes, addends or part, or they do not go together"),
        ("load.a.8 a0, r0, rows=1, steps=1, stride=8", "1:42: misaligned: stride 8: an address or "
         "stride is no multiple of a memory word"),
        ("halt\nend", "2:1: expected a loop before its end"),
        ("loop 2\n loop 3\nend", "1:1: expected an end for this loop"),
    ],
)  # fmt: skip
def test_faults_have_a_place(source, message):
    if message is None:
        return
    with pytest.raises(AssemblyError) as error:
        assemble(source, PAPER)
    assert str(error.value) == message
    assert message.startswith(f"{error.value.line}:{error.value.column}:")


def test_a_program_is_whole_words():
    with pytest.raises(InputError, match=r"^a program is a multiple of 16 bytes, not 17 bytes"):
        from_bytes(bytes(17))


def test_listing_multiplies_loops():
    source = f"""
        load.a.16 a0, r0, rows=2, steps=16, stride=128
        loop 3
            load.w w0, r1, beats=64
            loop 5
                {LMMA}, passes=2
                {LMMA}, offset
            end
        end
        store.d.32 d0, r3, rows=2, columns=64, stride=256
        halt
    """
    words = assemble(source, PAPER)
    # 16 steps of 4 planes, and twice 16 beats of scales are less.
    assert pass_cycles(4, 16, 1, PAPER.core) == 64 and pass_cycles(1, 16, 2, PAPER.core) == 32
    assert total(words, PAPER) == (3 * 5 * (2 * 64 + 64), 2 * 8 + 3 * 128 + 2 * 16)
    *lines, last = listing(words, PAPER)
    assert lines[5] == "    4        15       128                " + text_of(words[4])
    assert last == ("10 instructions; 2880 lane cycles, 432 memory words: 2880 cycles or more")


def text_of(word):
    (line,) = disassemble([word])
    return line


def test_text_leaves_defaults_out():
    random = np.random.default_rng(3)
    op = legal_op(random, "load_w", PAPER)
    assert "next" not in text(Op(op.instruction, {**op.values, "next": 0}))
