"""Writes the memory of tile.lmma: `python tile_memory.py IN.bin`; checks OUT.bin if it is given."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lutcore import PRESETS, AffineWeights, pack
from lutcore.lmma import EngineConfig
from lutcore.lmma.image import activation_rows, scale_beats, sections
from lutverif import golden

A, W, S, D, END = 0x000, 0x040, 0x080, 0x0C0, 0x0E0
K, N, GROUP = 24, 4, 12

core = PRESETS["tiny"]
engine = EngineConfig(core=core)
random = np.random.default_rng(1)
activations = random.integers(-128, 128, (2, K)).astype(np.int8)
weights = AffineWeights(
    codes=random.integers(0, 8, (N, K)).astype(np.uint8),
    bits=3,
    scales=random.uniform(0.5, 2, (N, K // GROUP)).astype(np.float32),
    zeros=np.full((N, K // GROUP), 3.5),
    group=GROUP,
)


def image() -> np.ndarray:
    """The memory before the program runs."""
    packed = pack(weights, core)
    cuts = [[item.segment for item in packed.passes]]
    parts = {
        A: activation_rows(activations.view(np.uint8), cuts, 8, engine),
        W: sections(packed.beats, [packed.beats.shape[1]], engine),
        S: sections(scale_beats(packed, engine), [4], engine),
    }
    memory = np.zeros(END, np.uint8)
    for address, part in parts.items():
        memory[address : address + part.size] = part.reshape(-1)
    return memory


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(image().tobytes())
    if len(sys.argv) > 2:
        out = np.frombuffer(Path(sys.argv[2]).read_bytes()[D:END], np.float32).reshape(2, N)
        assert (out == golden.core(activations, weights, core)).all()
        print(out)
