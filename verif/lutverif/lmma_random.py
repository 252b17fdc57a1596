"""Random LMMA programs: legal ones in which much happens, and such with a bit turned over.

Candidates are tried on the functional simulator as they are made, so that what depends on the state
of buffers and loops is legal without a second description of the rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.formats import ACTIVATIONS, SCALES
from lutcore.layout import lookup_codes
from lutcore.lmma.config import LEVELS, REGISTERS, EngineConfig
from lutcore.lmma.encoding import (
    INSTRUCTIONS,
    WORD_BITS,
    Cause,
    Choice,
    Field,
    Op,
    Refusal,
    decode,
    encode,
    new,
)
from lutcore.lmma.image import bits_packed
from lutcore.lmma.listing import costs
from lutcore.numbers import encode as codes_of
from lutcore.numbers import rounded

from .lmma import Machine
from .lmma_storm import storm

__all__ = ["LIMIT", "RandomProgram", "legal_op", "memory", "program", "spoilt"]

LIMIT = 2000
"""Most instructions that a program executes."""

HALT = encode(new("halt"))


@dataclass(frozen=True)
class RandomProgram:
    """A program and the memory that it starts with."""

    words: list[int]
    memory: NDArray[np.uint8]


def program(
    random: np.random.Generator, config: EngineConfig, size: int = 40, area: int = 4096
) -> RandomProgram:
    """A legal program of about `size` instructions; `area` bytes for each kind of operand."""
    start = memory(random, config, area)
    maker = _Maker(random, config, start, area)
    words = maker.block(size, 0)
    while sum(count for count, _ in costs(words, config)) > LIMIT:
        maker = _Maker(random, config, start, area)
        words = maker.block(size, 0)
    return RandomProgram([*words, HALT], start)


def spoilt(
    random: np.random.Generator, found: RandomProgram, config: EngineConfig
) -> RandomProgram:
    """The program with one bit turned over, or with one instruction that came from anywhere.

    It executes at most `LIMIT` instructions, and may still be legal.
    """
    while True:
        words = list(found.words)
        index = int(random.integers(len(words)))
        if random.integers(2):
            # Most bits of a word are reserved, and few are its opcode: each part is as likely.
            words[index] ^= 1 << int(random.integers(random.choice([8, 64, WORD_BITS])))
        else:
            name = str(random.choice([item.name for item in INSTRUCTIONS]))
            words.insert(index, encode(legal_op(random, name, config)))
        if sum(count for count, _ in costs(words, config)) <= LIMIT:
            return RandomProgram(words, found.memory)


def memory(random: np.random.Generator, config: EngineConfig, area: int) -> NDArray[np.uint8]:
    """Areas of `area` bytes: activations, weights, scales, and zeros for results."""
    core = config.core
    parts = [random.integers(0, 256, area), _weights(random, config), _scales(random, config)]
    parts = [np.resize(part.astype(np.uint8).reshape(-1), area) for part in parts]
    # Of 8-bit floats and the exponents of wider ones; all of E4M3 has few NaN, FP16 some.
    if core.activation_bits == 16 and random.integers(2):
        values = random.standard_normal(area // 2) * 2.0 ** random.integers(-6, 6, area // 2)
        parts[0] = values.astype(np.float16).view(np.uint8)
    return np.concatenate([*parts, np.zeros(area, np.uint8)])


def _weights(random: np.random.Generator, config: EngineConfig) -> NDArray[np.uint8]:
    """Beats of random digits."""
    core, beats = config.core, 256
    values = np.array([-1, 1] if core.table_digits == 2 else [-1, 0, 1], np.int8)
    digits = random.choice(values, (beats, core.n, core.k))
    codes = lookup_codes(digits, core).astype(np.int64)
    width = core.code_bits // codes.shape[-1]
    return bits_packed(codes.reshape(beats, -1, 1), [width])


def _scales(random: np.random.Generator, config: EngineConfig) -> NDArray[np.uint8]:
    """Beats of scales of the widest format and z', now and then any bits."""
    core, beats = config.core, 256
    fmt = max(core.scale_formats, key=lambda item: item.bits)
    assert fmt is not SCALES["e8m0"]
    shape = (beats, core.rescale_columns)
    values = random.standard_normal(shape) * 2.0 ** random.integers(-10, 10, shape)
    codes = codes_of(rounded(values, fmt), fmt).astype(np.int64)  # type: ignore[arg-type]
    codes = np.where(random.integers(0, 40, shape) == 0, random.integers(0, 1 << fmt.bits), codes)
    fits = core.zero_range
    pairs = np.stack([codes, random.integers(fits.start, fits.stop, shape)], axis=-1)
    return bits_packed(pairs, [config.scale_bits, core.zero_bits])


def legal_op(random: np.random.Generator, name: str, config: EngineConfig) -> Op:
    """An instruction all of whose fields an engine of `config` takes, each by itself."""
    instruction = next(item for item in INSTRUCTIONS if item.name == name)
    return Op(instruction, {item.name: _legal(random, item, config) for item in instruction.fields})


def _legal(random: np.random.Generator, item: Field, config: EngineConfig) -> int:
    allowed: Any = item.values if item.allowed is None else item.allowed(config)
    allowed = allowed or item.values  # of what the engine has not
    if isinstance(item.kind, Choice) or not isinstance(allowed, range):
        return int(random.choice(sorted(allowed)))
    if len(allowed) > 8 and random.integers(2):
        allowed = allowed[: int(2 ** random.uniform(1, np.log2(float(len(allowed)))))]
    return allowed[int.from_bytes(random.bytes(9)) % len(allowed)]


class _Maker:
    """Makes instructions that the simulator takes, and keeps it at the state after them."""

    def __init__(
        self,
        random: np.random.Generator,
        config: EngineConfig,
        start: NDArray[np.uint8],
        area: int,
    ) -> None:
        self.random, self.config, self.area = random, config, area
        self.machine = Machine(config, start.copy())

    def _int(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def block(self, size: int, depth: int) -> list[int]:
        """About `size` words, each legal after those before."""
        words: list[int] = []
        while len(words) < size:
            if depth < LEVELS and size > 6 and self._int(0, 9) == 0:
                words += self._loop(self._int(3, size // 2), depth)
                continue
            if self._int(0, 2) == 0:
                words += self._tile()
                continue
            if self._int(0, 11) == 0:
                words += self._tried(storm(self.random, self.config, self.area, depth < LEVELS))
                continue
            kinds = ["load_a", "load_w", "load_s", "lmma", "store_d", "add", "fence"]
            kinds += ["load_c", "again"] * self.config.core.addends
            words += self._tried(getattr(self, f"_{self.random.choice(kinds)}")())
        return words

    def _tried(self, words: list[int]) -> list[int]:
        """The words, executed, if all of them are legal; none, and nothing done, if not."""
        trial = self.machine.fork()
        if trial.run([*words, HALT]).cause is not Cause.HALT:
            return []
        self.machine = trial
        return words

    def _loop(self, size: int, depth: int) -> list[int]:
        body = self.block(size, depth + 1)
        count = self._int(1, 3)
        if count > 1 and not self._tried(
            body * (count - 1)
            if depth == LEVELS - 1
            else [encode(new("loop", count=count - 1)), *body, encode(new("end"))]
        ):
            return body
        return [encode(new("loop", count=count)), *body, encode(new("end"))]

    def _tile(self) -> list[int]:
        """Operands, some lmma on them as far as they go, and a store."""
        makers = [self._load_a, self._load_w, self._load_s]
        makers += [self._load_c] * self.config.core.addends
        self.random.shuffle(makers)  # type: ignore[arg-type]
        makers += [self._lmma] * self._int(1, 6) + [self._store_d] * self._int(0, 3)
        return [word for maker in makers for word in self._tried(maker())]

    # Each of these makes a candidate.

    def _set(self, area: int) -> tuple[int, list[int]]:
        """A register and what points it at some word of an area."""
        register = self._int(0, REGISTERS - 1)
        whole = self.config.word_bytes
        # Some codes of ternary digits stand for none: weights are read as they were written.
        ternary = self.config.core.table_digits == 3
        most = self.area // 2
        if ternary and area == 1:
            beat = self.config.core.weight_beat_bytes
            whole, most = math.lcm(whole, beat), max(0, self.area - self.config.w_beats * beat)
        place = self._int(0, most) // whole * whole
        if not ternary and self._int(0, 7) == 0:
            return register, []  # wherever it points
        if not ternary and self._int(0, 9) == 0:
            area = self._int(0, 3)
        place += area * self.area
        if not ternary and self._int(0, 9) == 0:
            place = self.machine.memory.size - whole * self._int(1, 8)  # up to the very end
        return register, [encode(new("set", address=register, value=place))]

    def _next(self) -> int:
        return self._int(-4, 8) * self.config.word_bytes

    def _load_a(self) -> list[int]:
        core = self.config.core
        register, words = self._set(0)
        widths = [bits for bits in ("4", "8", "16") if int(bits) <= core.activation_bits]
        op = new(
            "load_a",
            a=self._int(0, 1),
            address=register,
            bits=str(self.random.choice(widths)),
            rows=core.m if self._int(0, 2) else self._int(1, core.m),
            steps=self._int(1, min(4 * core.max_steps, self.config.a_steps)),
            stride=self._int(0, 16) * self.config.word_bytes,
            next=self._next(),
        )
        return [*words, encode(op)]

    def _beats(self, name: str, area: int, most: int) -> list[int]:
        register, words = self._set(area)
        op = new(
            f"load_{name}",
            **{name: self._int(0, 1)},
            address=register,
            beats=self._int(1, most),
            next=self._next(),
            **({"part": self._part()} if name == "w" else {}),
        )
        return [*words, encode(op)]

    def _part(self) -> int:
        return max(0, self._int(-3, self.config.weight_halvings))

    def _load_w(self) -> list[int]:
        core = self.config.core
        most = 2 * core.weight_bits * core.max_steps
        return self._beats("w", 1, min(most, self.config.w_beats))

    def _load_s(self) -> list[int]:
        most = 8 * self.config.core.column_groups
        return self._beats("s", 2, min(most, self.config.s_beats))

    def _load_c(self) -> list[int]:
        """From results, or from whatever bits activations are."""
        core = self.config.core
        register, words = self._set(3 * self._int(0, 1))
        op = new(
            "load_c",
            c=self._int(0, 1),
            address=register,
            rows=core.m if self._int(0, 2) else self._int(1, core.m),
            columns=core.n if self._int(0, 2) else self._int(1, core.n),
            stride=self._int(0, 16) * self.config.word_bytes,
            next=self._next(),
        )
        return [*words, encode(op)]

    def _again(self) -> list[int]:
        """Loads of a slot of C and lmmas that start from it, so soon one after the other that what
        is in the slot is still to be read."""
        op, slot = self._any_lmma(), self._int(0, 1)
        whole = dict.fromkeys((f"rewind_{name}" for name in "aws"), 1)
        op = Op(op.instruction, {**op.values, **whole, "first": 1, "addend": slot + 1, "keep": 0})
        # Without `last` it does not wait for the slot of D.
        early = Op(op.instruction, {**op.values, "last": 0})
        words: list[int] = []
        for _ in range(self._int(2, 4)):
            *point, load = self._load_c()
            load = decode(load)
            words += [*point, encode(Op(load.instruction, {**load.values, "c": slot}))]
            words += [encode(early)] * self._int(0, 2) + [encode(op)]
        return [*words, *self._store_d()]

    def _store_d(self) -> list[int]:
        core = self.config.core
        register, words = self._set(3)
        op = new(
            "store_d",
            d=self._int(0, 1),
            address=register,
            bits="16" if self._int(0, 2) == 0 or self.config.output_bits < 32 else "32",
            rows=core.m if self._int(0, 2) else self._int(1, core.m),
            columns=core.n if self._int(0, 2) else self._int(1, core.n),
            stride=self._int(0, 16) * self.config.word_bytes,
            next=self._next(),
        )
        return [*words, encode(op)]

    def _lmma(self) -> list[int]:
        """One of some that fits what the buffers hold, or else the last."""
        op = self._any_lmma()
        for _ in range(8):
            try:
                self.machine.check(op)
                break
            except Refusal:
                op = self._any_lmma()
        return [encode(op)]

    def _any_lmma(self) -> Op:
        """An lmma whose counts are such that the slots it reads may hold what it needs."""
        core = self.config.core
        a_type = str(self.random.choice(core.activations))
        raw = self.config.raw(ACTIVATIONS[a_type]) and self._int(0, 3) == 0
        floats = [name for name in core.outputs if name != "int32"]
        slots = {name: self._int(0, 1) for name in "awsd"}
        rewind = {name: self._int(0, 1) for name in "aws"}
        left = {name: self.machine.left(name, slots[name], bool(rewind[name])) for name in "aws"}
        keep = self._int(0, 3) == 0
        steps = self._int(1, core.max_steps if keep else max(1, min(core.max_steps, left["a"])))
        planes = self._int(1, max(1, min(core.weight_bits, left["w"] // steps)))
        rounds = left["s"] // core.column_groups
        first = self._int(0, 3) != 0
        addend = self._int(0, 2) if first and core.addends else 0
        return new(
            "lmma",
            m=core.m,
            n=core.n,
            k=core.k,
            a_type=a_type,
            w_type=f"w{planes}" + "e" * self._int(0, 1),
            acc_type="int32" if raw else "fp32",
            o_type="int32" if raw else str(self.random.choice(floats)),
            **slots,
            steps=steps,
            passes=self._int(1, max(1, min(rounds, left["w"] // (steps * planes)))),
            # Read as a narrower format than it was written in, a scale is as good as random.
            scale=core.scales[0] if self._int(0, 2) else str(self.random.choice(core.scales)),
            offset=0 if raw or rounds < 2 else self._int(0, 1),
            first=first,
            addend=addend,
            last=self._int(0, 3) != 0,
            keep=keep,
            **{f"rewind_{name}": value for name, value in rewind.items()},
        )

    def _add(self) -> list[int]:
        value = self._int(-8, 8) * self.config.word_bytes
        return [encode(new("add", address=self._int(0, REGISTERS - 1), value=value))]

    def _fence(self) -> list[int]:
        return [encode(new("fence"))]
