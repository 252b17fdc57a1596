"""A program with what each instruction costs: lane cycles and words of memory, and their sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lutcore.config import TensorCoreConfig

from .assembler import disassemble
from .config import EngineConfig
from .encoding import Op, Refusal, decode

__all__ = ["Cost", "cost", "costs", "listing", "pass_cycles", "planes", "total"]


class Cost(NamedTuple):
    """What an instruction takes of the lanes and of the memory port, in cycles."""

    lanes: int
    words: int

    def times(self, count: int) -> Cost:
        """The cost of `count` of them."""
        return Cost(self.lanes * count, self.words * count)


def planes(op: Op) -> int:
    """Planes of a pass of an lmma."""
    return op["w_type"] % 8 + 1


def pass_cycles(planes: int, steps: int, rounds: int, config: TensorCoreConfig) -> int:
    """Cycles of a pass where no stream stalls: the cycle contract of `TensorCore`."""
    return max(planes * steps, rounds * config.round_cycles)


def cost(op: Op, config: EngineConfig) -> Cost:
    """The cost of one instruction, executed once; of one without a text, nothing."""
    if not op.named:
        return Cost(0, 0)
    match op.instruction.name:
        case "lmma":
            cycles = pass_cycles(planes(op), op["steps"], 1 + op["offset"], config.core)
            return Cost(op["passes"] * cycles, 0)
        case "load_a":
            size = config.row_bytes(op["steps"], int(op.choice("bits")))
            return Cost(0, op["rows"] * config.words(size))
        case "load_c":
            return Cost(0, op["rows"] * config.words(4 * op["columns"]))
        case "load_w":
            size = op["beats"] * config.core.weight_beat_bytes >> op["part"]
            return Cost(0, config.words(size))
        case "load_s":
            return Cost(0, config.words(op["beats"] * config.scale_beat_bytes))
        case "store_d":
            size = op["columns"] * int(op.choice("bits")) // 8
            return Cost(0, op["rows"] * config.words(size))
    return Cost(0, 0)


def costs(words: Sequence[int], config: EngineConfig) -> Iterator[tuple[int, Cost]]:
    """For every word how often it is executed, and its cost each time; zero for an illegal one."""
    counts = [1]
    for word in words:
        try:
            op = decode(word)
        except Refusal:
            yield counts[-1], Cost(0, 0)
            continue
        if op.instruction.name == "end" and len(counts) > 1:
            yield counts.pop(), Cost(0, 0)
            continue
        yield counts[-1], cost(op, config)
        if op.instruction.name == "loop":
            counts.append(counts[-1] * op["count"])


def total(words: Sequence[int], config: EngineConfig) -> Cost:
    """The cost of a program."""
    found = [each.times(count) for count, each in costs(words, config)]
    return Cost(sum(each.lanes for each in found), sum(each.words for each in found))


def listing(words: Sequence[int], config: EngineConfig) -> Iterator[str]:
    """Lines: index, times, lane cycles and memory words of one execution, text; then the sums.

    Lanes and memory work at the same time, so the larger sum is what the program cannot beat.
    """
    yield f"{'index':>5} {'times':>9} {'lanes':>9} {'words':>9}  program"
    lines = zip(costs(words, config), disassemble(words), strict=True)
    for index, ((count, each), line) in enumerate(lines):
        yield f"{index:5} {count:9} {each.lanes or '':>9} {each.words or '':>9}  {line}"
    whole = total(words, config)
    yield (
        f"{len(words)} instructions; {whole.lanes} lane cycles, {whole.words} memory words: "
        f"{max(whole)} cycles or more"
    )
