"""How busy an engine's lanes are in a GEMM: `python -m lutverif.engine_gemm 2048 128 1024`.

FP16 by 4-bit weights on the `paper` tile, compiled, run on the RTL, and compared with the golden
model in every bit. The bound is the larger of lane cycles and memory words of the program.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from lutcore.config import PRESETS
from lutcore.layout import pack
from lutcore.lmma.config import EngineConfig
from lutcore.lmma.gemm import compile_gemm
from lutcore.lmma.listing import total
from lutcore.weights import AffineWeights

from . import golden
from .engine import EngineModel

__all__ = ["CONFIG", "main"]

CONFIG = EngineConfig(
    core=replace(PRESETS["paper"], activations=("int8", "fp16"), outputs=("fp32", "int32", "fp16"))
)


def main() -> int:
    """The command; status 1 where a bit differs."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.engine_gemm", description=__doc__)
    parser.add_argument("shape", type=int, nargs=3, metavar=("M", "N", "K"))
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--latency", type=int, default=20, help="cycles of memory, at most")
    options = parser.parse_args()
    m, n, k = options.shape
    random = np.random.default_rng(1)
    groups = (n, -(-k // options.group))
    weights = AffineWeights(
        codes=random.integers(0, 16, (n, k)).astype(np.uint8),
        bits=4,
        scales=random.uniform(0.5, 2, groups).astype(np.float32),
        zeros=random.integers(0, 31, groups) / 2,
        group=options.group,
    )
    activations = random.standard_normal((m, k)).astype(np.float16)
    found = compile_gemm(activations, pack(weights, CONFIG.core), CONFIG, "fp16")
    memory, cost = found.memory.copy(), total(found.program, CONFIG)
    with EngineModel(CONFIG) as model:
        result = model.execute(found.program, memory, latency=options.latency, limit=1 << 40)
    cycles = result.counters["cycles"]
    expected = golden.core(activations, weights, CONFIG.core)
    same = (found.results(memory).view(np.uint32) == expected.view(np.uint32)).all()
    print(
        f"{m} x {n} x {k}: {cycles:,} cycles; lanes {cost.lanes:,}, words {cost.words:,}: "
        f"{max(cost) / cycles:.1%} of the bound; bits {'equal' if same else 'DIFFER'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
