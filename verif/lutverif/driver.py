"""A GEMM as beats on the streams of the core, and back: what a driver of the hardware does.

The payload layouts are written here once more from docs/specification.md, "Streams", on purpose:
the benches would not see a wrong layout if they took it from the RTL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.layout import AffineWeights, PackedWeights, TernaryWeights, pack

from .golden import check_activations
from .native import NativeModel, core_model

__all__ = ["Job", "NativeResult", "gemm", "jobs", "pack_fields", "run"]

CHUNK_BYTES = 1 << 26  # of weight beats in one run


def pack_fields(*fields: tuple[NDArray[np.generic], int]) -> NDArray[np.uint8]:
    """[beats, bytes] of (values [beats, ...], bits of a value), the first field lowest."""
    columns: list[NDArray[np.uint8]] = []
    for values, bits in fields:
        flat = values.reshape(values.shape[0], -1).astype(np.int64)
        shifted = (flat[:, :, None] >> np.arange(bits)) & 1
        columns.append(shifted.reshape(flat.shape[0], -1).astype(np.uint8))
    return np.packbits(np.concatenate(columns, axis=1), axis=1, bitorder="little")


@dataclass(frozen=True)
class Job:
    """Beats of some row tiles of a GEMM, and how many output beats they make."""

    rows: slice
    beats: dict[str, NDArray[np.uint8]]
    outputs: int


def _index_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _passes(
    packed: PackedWeights, config: TensorCoreConfig, fmt: str, raw: bool
) -> NDArray[np.uint8]:
    """[segments, bytes]: the pass descriptors of one tile."""
    count = len(packed.segments)
    steps = np.array([cut.steps(config) for cut in packed.segments])
    one = np.ones(count, dtype=np.int64)
    index = np.arange(count)
    return pack_fields(
        (one * config.activations.index(fmt), _index_bits(len(config.activations))),
        (one * (packed.planes - 1), _index_bits(config.weight_bits)),
        (steps - 1, _index_bits(config.max_steps)),
        (one * packed.equal, 1),
        (index == 0, 1),
        (index == count - 1, 1),
        (one * raw, 1),
    )


def _activation_beats(
    activations: NDArray[np.generic], packed: PackedWeights, config: TensorCoreConfig
) -> NDArray[np.uint8]:
    """[row tiles, beats, bytes] of activations [M, K]; rows and steps are padded with zero."""
    codes = activations.view(np.uint16 if activations.dtype == np.float16 else np.uint8)
    codes = np.pad(codes, ((0, -codes.shape[0] % config.m), (0, 0)))
    parts = [
        np.pad(codes[:, cut.start : cut.stop], ((0, 0), (0, -(cut.stop - cut.start) % config.k)))
        for cut in packed.segments
    ]
    tiles = codes.shape[0] // config.m
    steps = np.concatenate(parts, axis=1).reshape(tiles, config.m, -1, config.k)
    steps = steps.transpose(0, 2, 1, 3)
    beats = pack_fields((steps.reshape(-1, config.m * config.k), config.activation_bits))
    return beats.reshape(tiles, steps.shape[1], -1)


def _scale_beats(packed: PackedWeights, config: TensorCoreConfig) -> NDArray[np.uint8]:
    """[column tiles, beats, bytes]: scale and zero point of every column, segment by segment."""
    tiles = packed.scales.shape[0]
    scales = packed.scales.view(np.uint32).reshape(-1, config.rescale_columns)
    zeros = packed.zeros.reshape(-1, config.rescale_columns)
    fields = [
        field
        for column in range(config.rescale_columns)
        for field in ((scales[:, column], 32), (zeros[:, column], config.zero_bits))
    ]
    return pack_fields(*fields).reshape(tiles, len(packed.segments) * config.column_groups, -1)


def jobs(
    activations: NDArray[np.generic],
    packed: PackedWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
) -> Iterator[Job]:
    """The GEMM in runs of bounded memory: row tiles outside, column tiles, then segments of K."""
    fmt = "fp16" if activations.dtype == np.float16 else "int8"
    passes = _passes(packed, config, fmt, output == "int32")
    column_tiles = packed.beats.shape[0]
    scales = _scale_beats(packed, config)
    height = config.m * max(1, CHUNK_BYTES // packed.beats.nbytes)
    for start in range(0, activations.shape[0], height):
        rows = slice(start, min(start + height, activations.shape[0]))
        block = _activation_beats(activations[rows], packed, config)
        tiles = block.shape[0]

        def flat(beats: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return beats.reshape(-1, beats.shape[-1])

        yield Job(
            rows,
            {
                "i_passes": np.tile(passes, (tiles * column_tiles, 1)),
                "i_activations": flat(np.repeat(block, column_tiles, axis=0)),
                "i_weights": np.tile(flat(packed.beats), (tiles, 1)),
                "i_scales": np.tile(flat(scales), (tiles, 1)),
            },
            tiles * column_tiles * config.column_groups,
        )


def _outputs(
    beats: NDArray[np.uint8], config: TensorCoreConfig, height: int, width: int
) -> NDArray[np.uint32]:
    """[height, width] of the output beats of some row tiles."""
    values = beats.view("<u4").reshape(
        -1, -(-width // config.n), config.column_groups * config.rescale_columns, config.m
    )
    whole = values.transpose(0, 3, 1, 2).reshape(-1, values.shape[1] * config.n)
    return whole[:height, :width]


@dataclass(frozen=True)
class NativeResult:
    """out [M, N]; cycles from the first beat to the last; steps in which the lanes worked."""

    out: NDArray[np.float32] | NDArray[np.int32]
    cycles: int
    steps: int


def run(
    model: NativeModel,
    activations: NDArray[np.generic],
    packed: PackedWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
    *,
    stalls: dict[str, int] | None = None,
    seed: int = 1,
) -> NativeResult:
    """A GEMM on a model of the core. Raises HarnessError where the model misbehaves."""
    width = packed.shape[0]
    out = np.zeros((activations.shape[0], width), dtype=np.uint32)
    cycles = steps = 0
    for job in jobs(activations, packed, config, output):
        results, taken = model.run(job.beats, {"o_outputs": job.outputs}, stalls=stalls, seed=seed)
        height = job.rows.stop - job.rows.start
        out[job.rows] = _outputs(results["o_outputs"], config, height, width)
        cycles += taken
        steps += job.beats["i_weights"].shape[0]
    values: NDArray[Any] = out.view(np.int32 if output == "int32" else np.float32)
    return NativeResult(values, cycles, steps)


def gemm(
    activations: NDArray[np.generic],
    weights: AffineWeights | TernaryWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
    *,
    waves: Path | None = None,
) -> NativeResult:
    """O[M, N] = A[M, K] W[N, K]^T on the compiled RTL of `config`; compiles it if need be.

    activations int8 or float16, output "fp32" or "int32" as in `golden.core`, whose InputErrors
    it raises. `waves` names a VCD file to write.
    """
    check_activations(activations, weights, config, output)
    packed = pack(weights, config)
    with core_model(config, waves) as model:
        return run(model, activations, packed, config, output)
