"""The functional simulator of LMMA programs: docs/lmma.md on a memory of bytes, in sequence.

Arithmetic is that of the golden model. Bit layouts in memory are read here once more from the
document, on purpose: a wrong layout in what writes memory images, or in the RTL, would not be seen
if they shared them. Nothing here knows of queues, words in flight or cycles.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TRIT_CODE_BITS, TRITS, TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, SCALES
from lutcore.layout import OFFSET_ZERO, fold_ternary, unfold
from lutcore.lmma.config import LEVELS, REGISTERS, EngineConfig
from lutcore.lmma.encoding import Cause, Op, Refusal, decode, illegal
from lutcore.numbers import decode as values_of

from . import golden

__all__ = ["Counters", "Machine", "Status", "run"]


@dataclass
class Counters:
    """What a program has done until it stopped; an instruction that was refused counts nowhere."""

    instructions: int = 0
    tiles: int = 0
    passes: int = 0
    steps: int = 0
    words_read: int = 0
    words_written: int = 0


class Status(NamedTuple):
    """Why a program stopped, and the index of the instruction at which it did."""

    cause: Cause
    at: int


@dataclass
class _Slot:
    """A slot of buffer A, W or S: what was loaded, and how far it has been read, in beats."""

    beats: NDArray[Any]
    position: int = 0

    def take(self, count: int) -> NDArray[Any]:
        self.position += count
        return self.beats[self.position - count : self.position]


class _Block(NamedTuple):
    """What the core keeps of the activations of a pass."""

    key: tuple[int, int]  # format and steps
    aligned: golden.Precomputed
    tables: golden.Tables
    sum: NDArray[np.int64]


def _bits(data: NDArray[np.uint8], count: int, width: int) -> NDArray[np.int64]:
    """The first `count` unsigned fields of `width` bits in each row of bytes, lowest first."""
    bits = np.unpackbits(data, axis=-1, count=count * width, bitorder="little")
    return bits.reshape(*data.shape[:-1], count, width) @ (1 << np.arange(width, dtype=np.int64))


def _trits() -> NDArray[np.int8]:
    """[32, 3]: a pair of digits and a single one by code; zeros for a code that stands for none."""
    digits = np.zeros((1 << TRIT_CODE_BITS, TRITS), np.int8)
    for a, b, x in itertools.product((-1, 0, 1), repeat=3):
        code = fold_ternary(np.array([a, b, 0, 0, x, 0], np.int8))[0]
        digits[code] = a, b, x
    return digits


_TRITS = _trits()


def _digits(beats: NDArray[np.uint8], config: TensorCoreConfig) -> NDArray[np.int8]:
    """[beats, n, k] of weight beats [beats, bytes]."""
    width = config.lookup_group if config.table_digits == 2 else TRIT_CODE_BITS
    codes = _bits(beats, config.n * config.code_bits // width, width)
    if config.table_digits == 2:
        digits = unfold(codes.astype(np.uint8), config.lookup_group)
        return digits.reshape(len(beats), config.n, config.k)
    # Two codes hold two pairs, then their two single digits.
    parts = _TRITS[codes].reshape(len(beats), config.n, -1, 2, TRITS)
    pairs, singles = parts[..., :2].reshape(*parts.shape[:3], 4), parts[..., 2]
    return np.concatenate([pairs, singles], axis=-1).reshape(len(beats), config.n, config.k)


@dataclass
class Machine:
    """The state of an engine of `config` over `memory`, which it changes in place.

    memory  bytes, a multiple of config.word_bytes
    """

    config: EngineConfig
    memory: NDArray[np.uint8]
    registers: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        if self.memory.size % self.config.word_bytes:
            raise InputError(
                f"memory must be a multiple of {self.config.word_bytes} bytes, not "
                f"{self.memory.size} bytes long"
            )
        self._a, self._w, self._s = (
            [_Slot(np.zeros(0, np.uint8)) for _ in range(2)] for _ in range(3)
        )
        self._c: list[NDArray[np.uint32] | None] = [None, None]
        self._d: list[NDArray[np.uint32] | None] = [None, None]
        self._accumulator: tuple[int, NDArray[Any]] | None = None  # format of results, values
        self._block: _Block | None = None
        self._loops: list[tuple[int, int]] = []  # index of the first instruction, times left

    def fork(self) -> Machine:
        """Another machine in this state, with a memory of its own."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list):  # of slots, which change in place, or of what does not
                setattr(other, name, [copy.copy(item) for item in value])
            elif isinstance(value, (np.ndarray, Counters)):
                setattr(other, name, copy.copy(value))
        return other

    def run(self, program: Sequence[int]) -> Status:
        """Execute words until halt, or until one is refused. Loops of an earlier run are over."""
        self._loops.clear()
        index = 0
        while index < len(program):
            try:
                op = decode(program[index])
                self.check(op)
            except Refusal as refusal:
                return Status(refusal.cause, index)
            self.counters.instructions += 1
            if op.instruction.name == "halt":
                return Status(Cause.HALT, index)
            index = self._execute(op, index)
        return Status(Cause.FETCH, index)

    # What is refused.

    def check(self, op: Op) -> None:
        """Refusal with the first cause in the order of precedence."""
        causes: list[Cause] = []
        found = illegal(op, self.config)
        if found is not None:
            causes.append(found[0])
        match op.instruction.name:
            case "loop":
                causes += [Cause.NESTING] * (len(self._loops) == LEVELS)
            case "end":
                causes += [Cause.NESTING] * (not self._loops)
            case "lmma":
                causes += [Cause.CHAIN] * (not self._chained(op))
                causes += [Cause.OPERAND] * (not self._held(op))
            case "store_d":
                causes += [Cause.OPERAND] * (self._d[op["d"]] is None)
                causes += self._outside(op)
            case "load_a" | "load_w" | "load_s" | "load_c":
                causes += self._outside(op)
        if causes:
            raise Refusal(min(causes))

    def _chained(self, op: Op) -> bool:
        if op["keep"]:
            key = (op["a_type"], op["steps"])
            if self._block is None or self._block.key != key:
                return False
        if op["first"]:
            return True
        return self._accumulator is not None and self._accumulator[0] == op["o_type"]

    def left(self, buffer: str, slot: int, rewind: bool) -> int:
        """Beats that a slot of buffer a, w or s holds from where it will be read next."""
        held = {"a": self._a, "w": self._w, "s": self._s}[buffer][slot]
        return len(held.beats) - (0 if rewind else held.position)

    def _held(self, op: Op) -> bool:
        # A slot beyond the names is refused for its format in any case.
        if op["addend"] in (1, 2) and self._c[op["addend"] - 1] is None:
            return False
        return all(
            count * op["passes"] <= self.left(name, op[name], bool(op[f"rewind_{name}"]))
            for name, _, count in self._needs(op)
        )

    def _needs(self, op: Op) -> list[tuple[str, _Slot, int]]:
        """The slots that an lmma reads, and the beats of each that a pass takes."""
        return [
            ("a", self._a[op["a"]], 0 if op["keep"] else op["steps"]),
            ("w", self._w[op["w"]], self._planes(op) * op["steps"]),
            ("s", self._s[op["s"]], (1 + op["offset"]) * self.config.core.column_groups),
        ]

    @staticmethod
    def _planes(op: Op) -> int:
        return op["w_type"] % 8 + 1

    def _outside(self, op: Op) -> list[Cause]:
        address, word = self.registers[op["address"]], self.config.word_bytes
        end = address + (self._rows(op) - 1) * self._stride(op) + self._row_words(op) * word
        causes = [Cause.MISALIGNED] * (address % word != 0)
        return causes + [Cause.ADDRESS] * (end > self.memory.size)

    @staticmethod
    def _rows(op: Op) -> int:
        return op.values.get("rows", 1)

    @staticmethod
    def _stride(op: Op) -> int:
        return op.values.get("stride", 0)

    def _row_bytes(self, op: Op) -> int:
        core = self.config.core
        match op.instruction.name:
            case "load_a":
                return -(-op["steps"] * core.k * self._width(op) // 8)
            case "load_w":
                # A part that is not whole bytes is refused for its format, whatever its address.
                return op["beats"] * core.weight_beat_bytes >> op["part"]
            case "load_s":
                return op["beats"] * self.config.scale_beat_bytes
            case "load_c":
                return op["columns"] * 4
        return op["columns"] * self._width(op) // 8

    @staticmethod
    def _width(op: Op) -> int:
        # A width beyond the names is refused for its format, whatever its address.
        return int(op.choice("bits")) if op["bits"] in op.instruction.field("bits").values else 8

    def _row_words(self, op: Op) -> int:
        return -(-self._row_bytes(op) // self.config.word_bytes)

    # What is done.

    def _execute(self, op: Op, index: int) -> int:
        """The index of the next instruction."""
        match op.instruction.name:
            case "set":
                self.registers[op["address"]] = op["value"]
            case "add":
                self._advance(op["address"], op["value"])
            case "loop":
                self._loops.append((index + 1, op["count"]))
            case "end":
                start, left = self._loops.pop()
                if left > 1:
                    self._loops.append((start, left - 1))
                    return start
            case "load_a" | "load_w" | "load_s" | "load_c":
                self._load(op)
            case "store_d":
                self._store(op)
            case "lmma":
                self._lmma(op)
        return index + 1

    def _advance(self, register: int, change: int) -> None:
        mask = (1 << self.config.address_bits) - 1
        self.registers[register] = self.registers[register] + change & mask

    def _load(self, op: Op) -> None:
        address, size, core = self.registers[op["address"]], self._row_bytes(op), self.config.core
        starts = [address + row * self._stride(op) for row in range(self._rows(op))]
        rows = np.stack([self.memory[start : start + size] for start in starts])
        if op.instruction.name == "load_a":
            codes = _bits(rows, op["steps"] * core.k, self._width(op))
            beats = np.zeros((op["steps"], core.m, core.k), np.int64)
            beats[:, : len(rows)] = codes.reshape(-1, op["steps"], core.k).transpose(1, 0, 2)
            self._a[op["a"]] = _Slot(beats)
        elif op.instruction.name == "load_c":
            tile = np.zeros((core.m, core.n), np.uint32)
            tile[: len(rows), : op["columns"]] = rows.view("<u4")
            self._c[op["c"]] = tile
        else:
            beats = rows.reshape(op["beats"], -1)
            if op.instruction.name == "load_w":
                beats = np.pad(beats, ((0, 0), (0, core.weight_beat_bytes - beats.shape[1])))
                self._w[op["w"]] = _Slot(beats)
            else:
                self._s[op["s"]] = _Slot(beats)
        self.counters.words_read += len(rows) * self._row_words(op)
        self._advance(op["address"], op["next"])

    def _store(self, op: Op) -> None:
        codes = self._d[op["d"]]
        assert codes is not None
        address, width = self.registers[op["address"]], self._width(op)
        for row in range(op["rows"]):
            start = address + row * op["stride"]
            values = codes[row, : op["columns"]].astype(f"<u{width // 8}")
            self.memory[start : start + self._row_bytes(op)] = values.view(np.uint8)
        self.counters.words_written += op["rows"] * self._row_words(op)
        self._advance(op["address"], op["next"])

    def _lmma(self, op: Op) -> None:
        core, output = self.config.core, op.choice("o_type")
        for name, slot, _ in self._needs(op):
            if op[f"rewind_{name}"]:
                slot.position = 0
        if op["first"]:
            kind = np.int32 if output == "int32" else np.float32
            acc: NDArray[Any] = np.zeros((core.m, core.n), kind)
            if op["addend"]:
                tile = self._c[op["addend"] - 1]
                assert tile is not None
                acc = tile.view(kind)
        else:
            assert self._accumulator is not None
            acc = self._accumulator[1]
        for index in range(op["passes"]):
            last = bool(op["last"]) and index == op["passes"] - 1
            acc = self._pass(op, acc, output if last or output == "int32" else None)
        if op["last"]:
            self._d[op["d"]] = _codes(acc, output)
            self._accumulator = None
        else:
            self._accumulator = op["o_type"], acc
        self.counters.passes += op["passes"]
        self.counters.steps += op["passes"] * op["steps"] * self._planes(op)
        self.counters.tiles += op["last"]

    def _pass(self, op: Op, acc: NDArray[Any], output: str | None) -> NDArray[Any]:
        core = self.config.core
        if not op["keep"]:
            self._block = self._precompute(op)
        block = self._block
        assert block is not None
        planes = self._planes(op)
        digits = _digits(self._w[op["w"]].take(planes * op["steps"]), core)
        digits = digits.reshape(planes, op["steps"], core.n, core.k).transpose(0, 2, 1, 3)
        equal = op.choice("w_type").endswith("e")
        whole = digits.reshape(planes, core.n, -1)
        total = golden.lookup(block.tables, whole, equal, core).total
        for round in range(1 + op["offset"]):
            scale, zero = self._scales(op)
            if round and not core.zero_bits:
                zero = np.full_like(zero, OFFSET_ZERO)
            final = output if round == op["offset"] or output == "int32" else None
            shown = total if round == 0 else None
            _, exponent, nonfinite = block.aligned
            acc = golden.rescale(
                acc, shown, block.sum, exponent, nonfinite, scale, zero, final, core
            )
        return acc

    def _precompute(self, op: Op) -> _Block:
        core, fmt = self.config.core, ACTIVATIONS[op.choice("a_type")]
        codes = self._a[op["a"]].take(op["steps"]).transpose(1, 0, 2).reshape(core.m, -1)
        values = values_of(codes & ((1 << fmt.bits) - 1), fmt)
        aligned = golden.precompute(values, fmt, core)
        tables = golden.table(aligned.aligned, core)
        sum = golden.activation_sum(tables, core)
        return _Block((op["a_type"], op["steps"]), aligned, tables, sum)

    def _scales(self, op: Op) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scale and z' of every column."""
        core, fmt = self.config.core, SCALES[op.choice("scale")]
        beats = self._s[op["s"]].take(core.column_groups)
        both = self.config.scale_bits + core.zero_bits
        pairs = _bits(beats, core.rescale_columns, both).reshape(-1)
        codes = pairs & ((1 << fmt.bits) - 1)
        sign = 1 << core.zero_bits >> 1
        zeros = ((pairs >> self.config.scale_bits) ^ sign) - sign
        return values_of(codes, fmt).astype(np.float32), zeros


def _codes(values: NDArray[Any], output: str) -> NDArray[np.uint32]:
    """The codes of results as `golden.rescale` gives them."""
    if output == "fp16":
        return values.astype(np.float16).view(np.uint16).astype(np.uint32)
    codes = values.view(np.uint32)
    return codes >> np.uint32(16) if output == "bf16" else codes


def run(
    program: Sequence[int], memory: NDArray[np.uint8], config: EngineConfig
) -> tuple[Status, Counters]:
    """Execute a program on a memory, which is changed in place, from the state after reset."""
    machine = Machine(config, memory)
    return machine.run(program), machine.counters
