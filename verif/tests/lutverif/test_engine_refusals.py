"""Every illegal encoding is refused by engine and simulator in the same way."""

from __future__ import annotations

import pytest

from lutcore.lmma import INSTRUCTIONS, Cause, assemble, decode, illegal
from lutverif.engine import EngineModel
from lutverif.engine_refusals import LEGAL, Pair, field_words, mixed_words, other_words, walk
from lutverif.engine_soak import SMALL


@pytest.fixture(scope="module")
def compiled():
    with EngineModel(SMALL) as model:
        yield model


def test_every_illegal_encoding_is_refused_alike(compiled):
    assert walk(compiled) > 10_000


def test_every_field_that_can_be_illegal_is_for_its_own_cause():
    for word in LEGAL:
        for item, words in field_words(word):
            # A slot of C is illegal only on a core without addends.
            bound = item.allowed is not None and item.name != "c"
            assert bool(words) == (bound or item.name == "acc_type"), item.name
            refusals = [illegal(decode(each), SMALL) for each in words]
            # INT32 goes with no other accumulator: the format of two fields together.
            causes = {item.cause, Cause.FORMAT}
            assert all(found and found[0] in causes for found in refusals), item.name


def test_opcodes_and_reserved_bits(compiled):
    pair = Pair(compiled)
    opcodes, reserved = other_words()
    assert len(opcodes) == 2 * (256 - len(INSTRUCTIONS))
    assert pair.refused(opcodes[::7]) == {Cause.OPCODE}
    assert pair.refused(reserved[::7]) == {Cause.RESERVED}


def test_mixed_words_have_all_causes(compiled):
    seen = {cause for _, cause in mixed_words(Pair(compiled).machine, 1500)}
    assert seen >= {Cause.SHAPE, Cause.FORMAT, Cause.RANGE, Cause.CHAIN, Cause.OPERAND}
    assert Cause.MISALIGNED in seen


def test_legal_words_are_one_of_each_and_none_is_refused(compiled):
    found = sorted(decode(word).instruction.opcode for word in LEGAL)
    assert found == [item.opcode for item in INSTRUCTIONS]
    for word in LEGAL:
        opening = assemble("loop 1") if decode(word).instruction.name == "end" else []
        program = [*opening, word, *assemble("halt")]
        assert Pair(compiled).run(program).cause is Cause.HALT
