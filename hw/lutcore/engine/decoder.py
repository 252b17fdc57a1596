"""What an instruction is, and whether the engine ever takes it, from the table of encodings."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from lutcore.formats import ACTIVATIONS
from lutcore.lmma.encoding import (
    INSTRUCTIONS,
    WORD_BITS,
    Cause,
    Field,
    Instruction,
    Number,
    Signed,
)

from .unit import EngineUnit

__all__ = ["Decoder", "code", "one_of", "value"]


def _instruction(name: str) -> Instruction:
    return next(item for item in INSTRUCTIONS if item.name == name)


def code(word: Value, name: str, field: str) -> Value:
    """The code of a field in the word of an instruction."""
    instruction = _instruction(name)
    low = instruction.places[field]
    bits = word[low : low + instruction.field(field).bits]
    return bits.as_signed() if isinstance(instruction.field(field).kind, Signed) else bits


def value(word: Value, name: str, field: str) -> Value:
    """The value of a field in the word of an instruction."""
    kind = _instruction(name).field(field).kind
    found = code(word, name, field)
    return found + kind.least if isinstance(kind, Number) and kind.least else found


def one_of(found: Value, values: Collection[int]) -> Value:
    """Whether `found` is one of `values`."""
    return Cat(found == item for item in sorted(values)).any()


class Decoder(EngineUnit):
    """Combinational. word: an instruction; is: one bit for each of INSTRUCTIONS; cause: what is
    illegal in it in any state (`lutcore.lmma.illegal`), or 0."""

    suffix = "decoder"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {
            "word": In(WORD_BITS),
            "is_": Out(len(INSTRUCTIONS)),
            "cause": Out(max(Cause).bit_length()),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found: dict[Cause, list[Value]] = {Cause.OPCODE: [~self.is_.any()]}
        for place, item in enumerate(INSTRUCTIONS):
            match = self.is_[place]
            m.d.comb += match.eq(self.word[:8] == item.opcode)
            if item.used_bits < WORD_BITS:
                reserved = self.word[item.used_bits :].any()
                found.setdefault(Cause.RESERVED, []).append(match & reserved)
            for field in item.fields:
                illegal = self._illegal(item, field)
                if illegal is not None:
                    found.setdefault(field.cause, []).append(match & illegal)
            if item.name == "lmma":
                found[Cause.FORMAT].append(match & ~self._goes_together())
        cause: Value = self.cause
        result: Value = Cat()
        for each in sorted(found, reverse=True):
            hit = Cat(found[each]).any()
            result = Mux(hit, int(each), result) if len(result) else Mux(hit, int(each), 0)
        m.d.comb += cause.eq(result)
        return m

    def _illegal(self, item: Instruction, field: Field) -> Value | None:
        """Whether the field's value is one that the engine does not take; None if it takes all."""
        if field.allowed is None:
            return None
        found = code(self.word, item.name, field.name)
        allowed: Any = field.allowed(self.config)
        if not isinstance(allowed, range):
            return ~one_of(found, [field.code(each) for each in allowed])
        if not allowed:
            return Const(1, 1)
        if allowed.step > 1:
            assert allowed.start == 0 and allowed.stop == 1 << field.bits
            return (found & (allowed.step - 1)).any()
        least, most = field.code(allowed[0]), field.code(allowed[-1])
        assert least == 0
        return None if most == (1 << field.bits) - 1 else found > most

    def _goes_together(self) -> Value:
        raw = _index("o_type", "int32")
        exact = [
            _index("a_type", name)
            for name in self.config.core.activations
            if self.config.raw(ACTIVATIONS[name])
        ]
        is_raw = code(self.word, "lmma", "o_type") == raw
        takes = one_of(code(self.word, "lmma", "a_type"), exact) if exact else Const(0)
        begins = code(self.word, "lmma", "first") | ~code(self.word, "lmma", "addend").any()
        return (
            begins
            & (is_raw == code(self.word, "lmma", "acc_type"))
            & (~is_raw | (takes & ~code(self.word, "lmma", "offset")))
        )


def _index(field: str, name: str) -> int:
    kind: Any = _instruction("lmma").field(field).kind
    return kind.names.index(name)
