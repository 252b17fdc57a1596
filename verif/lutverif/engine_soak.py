"""Random LMMA programs, engine against simulator: `python -m lutverif.engine_soak 2000`.

Every other program is spoilt. After each one, status, counters and every byte of memory are equal.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import LutCoreError
from lutcore.lmma.assembler import disassemble
from lutcore.lmma.config import EngineConfig

from . import lmma
from .engine import EngineModel
from .lmma_random import RandomProgram, program, spoilt
from .native import HarnessError

__all__ = ["CONFIGURATIONS", "SMALL", "EngineFault", "compared", "difference", "main", "programs"]

SMALL = EngineConfig(
    core=TensorCoreConfig(
        name="small",
        m=2,
        n=4,
        lookup_group=2,
        block=8,
        weight_bits=2,
        zero_bits=4,
        activations=("int8",),
        outputs=("fp32", "int32"),
        rescale_columns=2,
        addends=True,
    ),
    word_bytes=8,
    address_bits=20,
    a_steps=16,
    w_beats=32,
    s_beats=16,
    program_words=128,
)
"""Small enough to be compiled in any test run."""


def _of(preset: str, word_bytes: int) -> EngineConfig:
    core = PRESETS[preset]
    return EngineConfig(
        core=core,
        word_bytes=word_bytes,
        address_bits=32,
        a_steps=max(32, core.max_steps),
        w_beats=max(64, core.weight_bits * core.max_steps),
        s_beats=max(16, 2 * core.column_groups),
        program_words=256,
    )


CONFIGURATIONS = {
    "small": SMALL,
    # A row of results is longer than what the mover holds of it.
    "narrow": replace(
        SMALL, core=replace(SMALL.core, name="narrow", rescale_columns=1), word_bytes=4
    ),
    "tiny": _of("tiny", 16),
    "ternary": _of("ternary", 4),
    "dense8": _of("dense8", 32),
    "wide": _of("wide", 8),
}
"""Engines that programs run on: all kinds of tables, words shorter and longer than beats."""


class EngineFault(LutCoreError):
    """Engine and simulator differ, or the engine breaks a rule of its port."""


def programs(seed: int, count: int, config: EngineConfig) -> Iterator[RandomProgram]:
    """Legal ones and such that are spoilt in turn; for ternary digits, of which not every code
    means something, only legal ones."""
    random = np.random.default_rng(seed)
    for index in range(0, count, 1 if config.core.table_digits == 3 else 2):
        found = program(random, config, size=int(random.integers(10, 60)))
        while len(found.words) >= config.program_words:
            found = program(random, config, size=10)
        yield found
        if index + 1 < count and config.core.table_digits == 2:
            yield spoilt(random, found, config)


def difference(
    model: EngineModel, found: RandomProgram, stall: int, latency: int, seed: int
) -> tuple[str | None, lmma.Status]:
    """What differs between simulator and engine after a program, and how the former stopped."""
    expected, memory = found.memory.copy(), found.memory.copy()
    status, counters = lmma.run(found.words, expected, model.config)
    model.reset()
    try:
        result = model.execute(found.words, memory, stall=stall, latency=latency, seed=seed)
    except HarnessError as error:
        return str(error), status
    if result.status != status:
        return f"simulator {status}, engine {result.status}", status
    for name, value in dataclasses.asdict(counters).items():
        if result.counters[name] != value:
            return f"{name}: simulator {value}, engine {result.counters[name]}", status
    wrong = np.flatnonzero(expected != memory)
    return (f"{len(wrong)} bytes from {wrong[0]:#x} on" if len(wrong) else None), status


def compared(model: EngineModel, seed: int, count: int) -> Counter[str]:
    """Run programs with all kinds of memory; how many stopped for what. EngineFault with the
    program where something differs."""
    stopped: Counter[str] = Counter()
    random = np.random.default_rng([seed, 1])
    for index, found in enumerate(programs(seed, count, model.config)):
        stall, latency = (int(random.choice(values)) for values in ((0, 40, 160), (0, 4, 80)))
        what, status = difference(model, found, stall, latency, index)
        if what is not None:
            text = "\n".join(f"{i:4} {line}" for i, line in enumerate(disassemble(found.words)))
            raise EngineFault(f"seed {seed}, program {index}: {what}\n{text}")
        stopped[status.cause.name.lower()] += 1
    return stopped


def main() -> int:
    """The command; status 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.engine_soak", description=__doc__)
    parser.add_argument("programs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=CONFIGURATIONS, action="append")
    options = parser.parse_args()
    engines = options.engine or list(CONFIGURATIONS)
    for name in engines:
        count = -(-options.programs // len(engines))
        with EngineModel(CONFIGURATIONS[name]) as model:
            begin = time.perf_counter()
            try:
                stopped = compared(model, options.seed, count)
            except EngineFault as error:
                print(error)
                return 1
        causes = ", ".join(f"{cause} {number:,}" for cause, number in stopped.most_common())
        seconds = time.perf_counter() - begin
        print(f"{name}: {count:,} programs equal in {seconds:.0f} s; {causes}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
