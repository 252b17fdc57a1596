"""How busy an engine's lanes are in a GEMM: `python -m lutverif.engine_gemm 2048 128 1024`.

FP16 by 4-bit weights on the `paper` tile, compiled, run on the RTL, and compared with the golden
model in every bit. The bound is the larger of lane cycles and memory words of the program. Tile by
tile nothing reaches it: all operands of the first tile come before its last pass, and the results
of the last tile after it. What lanes cannot do in that time is given apart.

`--precompute` shows passes in a row with tables of their own, and the same with tables kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lutcore.config import PRESETS
from lutcore.layout import PackedWeights, pack
from lutcore.lmma import assemble
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.gemm import compile_gemm
from lutcore.lmma.listing import Cost, pass_cycles, total
from lutcore.weights import AffineWeights

from . import golden
from .engine import EngineModel

__all__ = ["CONFIG", "ends", "main", "pass_times"]

CONFIG = EngineConfig(
    core=replace(PRESETS["paper"], activations=("int8", "fp16"), outputs=("fp32", "int32", "fp16"))
)

COLUMNS = 256
"""Columns that the golden model has in memory at a time."""


def tile_cost(rows: int, columns: int, packed: PackedWeights, config: EngineConfig) -> Cost:
    """Lane cycles of a tile of FP16 activations of so many rows and columns, and the words of its
    operands."""
    core, passes = config.core, packed.passes
    steps = [item.segment.steps(core) for item in passes]
    taken = list(zip(passes, steps, strict=True))
    beats = sum(item.planes * count for item, count in taken)
    groups = sum(item.rounds for item in passes) * core.column_groups
    row = sum(count for item, count in taken if not item.keep)
    return Cost(
        sum(pass_cycles(item.planes, count, item.rounds, core) for item, count in taken),
        rows * config.words(config.row_bytes(row, 16))
        + config.words(beats * core.weight_beat_bytes >> config.halvings(columns))
        + config.words(groups * config.scale_beat_bytes),
    )


def ends(rows: int, columns: int, packed: PackedWeights, config: EngineConfig) -> tuple[int, int]:
    """Cycles without work for the lanes, whatever the order of loads and of whole tiles: at the
    start, the words of the smallest tile's operands less its lane cycles; at the end, those of its
    results."""
    core = config.core
    rest = rows % core.m or core.m, columns % core.n or core.n
    tile = tile_cost(rest[0], rest[1], packed, config)
    return max(0, tile.words - tile.lanes), rest[0] * config.words(4 * rest[1])


def pass_times(model: EngineModel, planes: int, steps: Sequence[int]) -> tuple[float, float]:
    """Cycles of passes of so many steps in turn, each with its own tables, and where all have the
    same steps also with those of the pass before (else 0)."""
    core, rounds = model.config.core, (2, 6)
    lmma = f"lmma.m{core.m}n{core.n}k{core.k}.fp16.w{planes}.fp32.fp32 a0, w0, s0, d0"
    loads = f"""
        load.a.16 a0, r0, rows={core.m}, steps={8 * sum(steps)}, stride=16
        load.w w0, r0, beats={8 * sum(steps) * planes}
        load.s s0, r0, beats={8 * len(steps) * core.column_groups}
        {lmma}, steps={steps[0]}, first"""
    found: list[float] = []
    for keep in ("", ", keep")[: 2 if len(set(steps)) == 1 else 1]:
        cycles: list[int] = []
        for count in rounds:
            passes = [f"{lmma}, steps={each}{keep}" for each in steps] * count
            source = "\n".join([loads, *passes, "halt"])
            model.reset()
            result = model.execute(assemble(source, model.config), np.zeros(1 << 16, np.uint8))
            cycles.append(result.counters["cycles"])
        found.append((cycles[1] - cycles[0]) / (rounds[1] - rounds[0]))
    return found[0], found[1] if len(found) > 1 else 0


def main() -> int:
    """The command; status 1 where a bit differs."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.engine_gemm", description=__doc__)
    parser.add_argument("shape", type=int, nargs="*", metavar="M N K")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--latency", type=int, default=20, help="cycles of memory, at most")
    parser.add_argument("--precompute", action="store_true", help="the cost of tables, no GEMM")
    options = parser.parse_args()
    with EngineModel(CONFIG) as model:
        if options.precompute:
            return _precompute(model)
        if len(options.shape) != 3:
            parser.error("M, N and K are needed")
        return _gemm(model, options.shape, options.group, options.latency)


def _precompute(model: EngineModel) -> int:
    for planes in range(1, 5):
        for steps in ((16, 16), (11, 11), (4, 4), (16, 11)):
            own, kept = pass_times(model, planes, steps)
            least = sum(pass_cycles(planes, count, 1, CONFIG.core) for count in steps)
            print(
                f"{planes} planes, {steps[0]} and {steps[1]} steps: {own:g} cycles, the lanes' "
                f"{least}" + f", with tables kept {kept:g}" * bool(kept)
            )
    return 0


def _gemm(model: EngineModel, shape: list[int], group: int, latency: int) -> int:
    m, n, k = shape
    random = np.random.default_rng(1)
    groups = (n, -(-k // group))
    weights = AffineWeights(
        codes=random.integers(0, 16, (n, k)).astype(np.uint8),
        bits=4,
        scales=random.uniform(0.5, 2, groups).astype(np.float32),
        zeros=random.integers(0, 31, groups) / 2,
        group=group,
    )
    activations = random.standard_normal((m, k)).astype(np.float16)
    packed = pack(weights, CONFIG.core)
    found = compile_gemm(activations, packed, CONFIG, "fp16")
    memory, cost = found.memory.copy(), total(found.program, CONFIG)
    result = model.execute(found.program, memory, latency=latency, limit=1 << 40)
    cycles = result.counters["cycles"]
    results = found.results(memory).view(np.uint32)
    same = True
    for first in range(0, n, COLUMNS):
        part = slice(first, first + COLUMNS)
        some = replace(
            weights,
            codes=weights.codes[part],
            scales=weights.scales[part],
            zeros=weights.zeros[part],
        )
        expected = golden.core(activations, some, CONFIG.core).view(np.uint32)
        same = same and bool((results[:, part] == expected).all())
    start, end = ends(m, n, packed, CONFIG)
    whole = max(cost.lanes + start + end, cost.words)
    print(
        f"{m} x {n} x {k}: {cycles:,} cycles; lanes {cost.lanes:,}, words {cost.words:,}: "
        f"{max(cost) / cycles:.1%} of the bound; start {start}, end {end}: {whole / cycles:.1%} "
        f"with these; bits {'equal' if same else 'DIFFER'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
