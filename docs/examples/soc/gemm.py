"""The GEMM that soc.v runs: `python gemm.py DIR` writes DIR/before.hex and DIR/program.vh,
`python gemm.py DIR --check` compares DIR/after.hex with the golden model.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lutcore import PRESETS, AffineWeights, pack
from lutcore.lmma import EngineConfig, to_bytes
from lutcore.lmma.gemm import compile_gemm
from lutverif import golden

M, N, K, GROUP = 6, 8, 36, 12
WORDS = 1024

engine = EngineConfig(core=PRESETS["tiny"])
random = np.random.default_rng(1)
activations = random.integers(-128, 128, (M, K)).astype(np.int8)
weights = AffineWeights(
    codes=random.integers(0, 8, (N, K)).astype(np.uint8),
    bits=3,
    scales=random.uniform(0.5, 2, (N, K // GROUP)).astype(np.float32),
    zeros=np.full((N, K // GROUP), 3.5),
    group=GROUP,
)
gemm = compile_gemm(activations, pack(weights, engine.core), engine, "int8")


def write(folder: Path) -> None:
    """Operands from address 0 on, the program behind them."""
    base = engine.aligned(gemm.memory.size)
    memory = np.zeros(WORDS * engine.word_bytes, np.uint8)
    memory[: gemm.memory.size] = gemm.memory
    program = np.frombuffer(to_bytes(gemm.program), np.uint8)
    memory[base : base + program.size] = program
    words = memory.reshape(WORDS, -1)[:, ::-1]  # hexadecimal begins with the highest byte
    (folder / "before.hex").write_text("".join(word.tobytes().hex() + "\n" for word in words))
    defines = {"PROGRAM_BASE": base, "PROGRAM_LENGTH": len(gemm.program), "WORDS": WORDS}
    text = "".join(f"`define {name} {value}\n" for name, value in defines.items())
    (folder / "program.vh").write_text(text)


def check(folder: Path) -> None:
    """The results, bit for bit."""
    lines = (folder / "after.hex").read_text().split()
    words = [bytes.fromhex(line)[::-1] for line in lines if not line.startswith(("/", "@"))]
    found = gemm.results(np.frombuffer(b"".join(words), np.uint8))
    assert (found == golden.core(activations, weights, engine.core)).all(), "results differ"
    print(f"{M} x {N} results are those of the golden model")


if __name__ == "__main__":
    (check if "--check" in sys.argv else write)(Path(sys.argv[1]))
