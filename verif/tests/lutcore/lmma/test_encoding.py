"""Encodings: every field comes back, nothing overlaps, and what is illegal is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lutcore import PRESETS
from lutcore.errors import ConfigError
from lutcore.lmma import (
    INSTRUCTIONS,
    Cause,
    EngineConfig,
    Op,
    Refusal,
    decode,
    encode,
    illegal,
    new,
)
from lutcore.lmma.encoding import WORD_BITS, Choice
from lutverif.lmma_random import legal_op

PAPER = EngineConfig(core=PRESETS["paper"])
TINY = EngineConfig(core=replace(PRESETS["tiny"], addends=True))


def extremes(item):
    """The first, the last and a middle value of a field."""
    values = item.values
    return {values[0], values[-1], values[len(values) // 2]}


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda item: item.name)
def test_every_field_comes_back_by_itself(instruction):
    lowest = {item.name: item.values[0] for item in instruction.fields}
    for item in instruction.fields:
        for value in extremes(item):
            op = Op(instruction, lowest | {item.name: value})
            assert decode(encode(op)) == op


def test_words_of_opcode_one_bit_apart_differ_in_one_field():
    """Every bit of a word is of the opcode, of exactly one field, or reserved."""
    for instruction in INSTRUCTIONS:
        word = encode(Op(instruction, {i.name: i.values[0] for i in instruction.fields}))
        before = decode(word).values
        for bit in range(8, WORD_BITS):
            turned = word ^ 1 << bit
            if bit >= instruction.used_bits:
                with pytest.raises(Refusal) as refused:
                    decode(turned)
                assert refused.value.cause is Cause.RESERVED
            else:
                after = decode(turned).values
                assert sum(before[name] != after[name] for name in before) == 1


def test_all_other_opcodes_are_refused():
    known = {item.opcode for item in INSTRUCTIONS}
    assert 0 not in known
    for opcode in set(range(256)) - known:
        with pytest.raises(Refusal) as refused:
            decode(opcode | 1 << 127)
        assert refused.value.cause is Cause.OPCODE


@pytest.mark.parametrize("preset", PRESETS)
def test_random_legal_ops_are_legal_and_come_back(preset):
    core = replace(PRESETS[preset], addends=True)
    random, config = np.random.default_rng(1), EngineConfig(core=core)
    for instruction in INSTRUCTIONS:
        for _ in range(30):
            op = legal_op(random, instruction.name, config)
            assert decode(encode(op)) == op
            found = illegal(op, config)
            # What no field alone can tell: INT32 with what it does not go with, addends without
            # `first`.
            assert found is None or (instruction.name == "lmma" and found == (Cause.FORMAT, None))


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda item: item.name)
def test_every_limit_of_every_field(instruction):
    """One beyond what the engine takes is refused for the field's cause, and what it takes not."""
    good = {item.name: sorted(allowed(item, TINY))[0] for item in instruction.fields}
    assert illegal(Op(instruction, good), TINY) is None
    for item in instruction.fields:
        if item.allowed is None:
            continue
        inside = allowed(item, TINY)
        top = 1 << item.bits if isinstance(item.kind, Choice) else item.values[-1] + 1
        outside = [v for v in (max(inside) + 1, min(inside) - 1) if 0 <= v < top]
        for value in outside:
            found = illegal(Op(instruction, good | {item.name: value}), TINY)
            assert found == (item.cause, item), item.name


def allowed(item, config):
    """Values of a field that are legal, of the very many a few."""
    values = item.values if item.allowed is None else item.allowed(config)
    if isinstance(values, range) and len(values) > 1000:
        return [values[0], values[-1]]
    return list(values)


def lmma(**changed):
    fields = {
        **{"m": 2, "n": 64, "k": 4, "a_type": "int8", "w_type": "w4", "acc_type": "fp32"},
        **{"o_type": "fp32", "a": 0, "w": 0, "s": 0, "d": 0, "steps": 16},
    }
    return new("lmma", **fields | changed)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({}, None),
        ({"m": 3}, Cause.SHAPE),
        ({"k": 5, "w_type": 15, "steps": 17}, Cause.SHAPE),
        ({"o_type": 9, "steps": 17}, Cause.FORMAT),
        ({"steps": 17}, Cause.RANGE),
        ({"acc_type": "int32"}, Cause.FORMAT),
        ({"o_type": "int32"}, Cause.FORMAT),
        ({"acc_type": "int32", "o_type": "int32"}, None),
        ({"acc_type": "int32", "o_type": "int32", "steps": 17}, Cause.RANGE),
        ({"acc_type": "int32", "o_type": "int32", "offset": 1}, Cause.FORMAT),
        ({"acc_type": "int32", "o_type": "int32", "offset": 1, "steps": 17}, Cause.FORMAT),
        ({"acc_type": "int32", "o_type": "int32", "a_type": "fp16"}, Cause.FORMAT),
        ({"scale": "bf16"}, Cause.FORMAT),
        ({"addend": "c1", "first": 1}, None),
        ({"addend": "c0"}, Cause.FORMAT),
        ({"addend": 3, "first": 1, "steps": 17}, Cause.FORMAT),
    ],
)
def test_causes_of_lmma_in_their_order(changed, cause):
    config = EngineConfig(core=replace(PRESETS["paper"], table_bits=10, addends=True))
    found = illegal(lmma(**changed), config)
    assert (found and found[0]) == cause


def test_a_core_without_addends_has_no_tiles_of_them():
    load = new("load_c", c=1, address=0, rows=3, columns=65, stride=8)
    for op in (load, lmma(addend="c0", first=1, steps=17), lmma(addend="c0", m=2)):
        found = illegal(op, PAPER)
        assert found is not None and found[0] is Cause.FORMAT
    assert illegal(lmma(first=1), PAPER) is None
    found = illegal(load, EngineConfig(core=replace(PRESETS["paper"], addends=True)))
    assert found is not None and found[0] is Cause.RANGE


def test_new_needs_fields_without_a_default_and_knows_its_fields():
    with pytest.raises(TypeError, match=r"^load_w needs w$"):
        new("load_w")
    with pytest.raises(TypeError, match=r"^halt has no colour$"):
        new("halt", colour=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"word_bytes": 24}, "word_bytes must be a power of two from 4 to 128, not 24"),
        ({"a_steps": 3}, "a_steps must be 16..65536, not 3"),
        ({"w_beats": 127}, "w_beats must be 128..65536, not 127"),
        ({"address_bits": 65}, "address_bits must be 16..48, not 65"),
        ({"s_beats": 1.5}, "s_beats must be an integer, not 1.5"),
    ],
)
def test_engine_config_says_what_would_do(changed, message):
    with pytest.raises(ConfigError) as error:
        EngineConfig(core=PRESETS["paper"], **changed)
    assert str(error.value) == message


def test_the_paper_engine_is_one():
    assert PAPER.scale_beat_bytes == 21
    assert PAPER.words(33) == 3


def test_parts_of_beats_are_whole_columns_and_bytes():
    """64 columns of 4 bits halve three times; of 4 columns of 3 bits a half is no whole bytes."""
    assert (PAPER.weight_halvings, TINY.weight_halvings) == (3, 0)
    op = new("load_w", w="w0", address="r0", beats=1, part="2")
    assert illegal(op, PAPER) is None
    assert illegal(op, TINY) == (Cause.FORMAT, op.instruction.field("part"))
