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
from lutcore.formats import ACTIVATIONS, OUTPUTS, SCALES
from lutcore.layout import PackedWeights, pack
from lutcore.numbers import encode
from lutcore.weights import Weights

from .golden import activation_format, check_activations, check_addends
from .native import HarnessError, NativeModel, core_model

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
    packed: PackedWeights,
    config: TensorCoreConfig,
    activation_type: str,
    output: str,
    addends: bool,
) -> NDArray[np.uint8]:
    """[passes, bytes]: the pass descriptors of one tile."""
    index = np.arange(len(packed.passes))
    one = np.ones_like(index)

    def each(attribute: str) -> NDArray[np.int64]:
        return np.array([getattr(item, attribute) for item in packed.passes], dtype=np.int64)

    steps = np.array([item.segment.steps(config) for item in packed.passes])
    return pack_fields(
        (one * config.activations.index(activation_type), _index_bits(len(config.activations))),
        (each("planes") - 1, _index_bits(config.weight_bits)),
        (steps - 1, _index_bits(config.max_steps)),
        (each("equal"), 1),
        (each("keep"), 1),
        (each("offset"), 1),
        (one * config.scales.index(packed.scale), _index_bits(len(config.scales))),
        (index == 0, 1),
        *[((index == 0) & addends, 1)] * config.addends,
        (index == len(index) - 1, 1),
        (one * config.outputs.index(output), _index_bits(len(config.outputs))),
    )


def _activation_beats(
    codes: NDArray[np.integer[Any]], packed: PackedWeights, config: TensorCoreConfig
) -> NDArray[np.uint8]:
    """[row tiles, beats, bytes] of activation codes [M, K], padded with zero, without passes that
    keep those of the pass before."""
    codes = np.pad(codes, ((0, -codes.shape[0] % config.m), (0, 0)))
    cuts = [item.segment for item in packed.passes if not item.keep]
    parts = [
        np.pad(codes[:, cut.start : cut.stop], ((0, 0), (0, -(cut.stop - cut.start) % config.k)))
        for cut in cuts
    ]
    tiles = codes.shape[0] // config.m
    steps = np.concatenate(parts, axis=1).reshape(tiles, config.m, -1, config.k)
    steps = steps.transpose(0, 2, 1, 3)
    width = max(ACTIVATIONS[name].bits for name in config.activations)
    beats = pack_fields((steps.reshape(-1, config.m * config.k), width))
    return beats.reshape(tiles, steps.shape[1], -1)


def _scale_beats(packed: PackedWeights, config: TensorCoreConfig) -> NDArray[np.uint8]:
    """[column tiles, beats, bytes]: scale and z' of every column, round by round."""
    tiles, rounds, _ = packed.scales.shape
    codes = encode(packed.scales, SCALES[packed.scale]).reshape(-1, config.rescale_columns)
    zeros = packed.zeros.reshape(-1, config.rescale_columns)
    width = max(SCALES[name].bits for name in config.scales)
    fields = [
        field
        for column in range(config.rescale_columns)
        for field in ((codes[:, column], width), (zeros[:, column], config.zero_bits))
    ]
    return pack_fields(*fields).reshape(tiles, rounds * config.column_groups, -1)


def _addend_beats(addends: NDArray[Any] | None, config: TensorCoreConfig) -> NDArray[np.uint8]:
    """[beats, bytes] of addends [M, N], padded with zero: row tiles outside, then column tiles."""
    size = config.m * config.rescale_columns
    if addends is None:
        return np.zeros((0, 4 * size), np.uint8)
    codes = np.ascontiguousarray(addends).view(np.uint32)
    codes = np.pad(codes, ((0, -codes.shape[0] % config.m), (0, -codes.shape[1] % config.n)))
    beats = codes.reshape(-1, config.m, codes.shape[1] // config.rescale_columns, size // config.m)
    return pack_fields((beats.transpose(0, 2, 3, 1).reshape(-1, size), 32))


def jobs(
    activations: NDArray[np.generic],
    packed: PackedWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
) -> Iterator[Job]:
    """The GEMM in runs of bounded memory: row tiles outside, column tiles, then segments of K."""
    fmt = activation_format(activations, config, activation_type)
    codes = encode(activations, fmt)
    passes = _passes(packed, config, fmt.name, output, addends is not None)
    column_tiles = packed.beats.shape[0]
    scales = _scale_beats(packed, config)
    height = config.m * max(1, CHUNK_BYTES // packed.beats.nbytes)
    for start in range(0, codes.shape[0], height):
        rows = slice(start, min(start + height, codes.shape[0]))
        block = _activation_beats(codes[rows], packed, config)
        tiles = block.shape[0]

        def flat(beats: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return beats.reshape(-1, beats.shape[-1])

        starts = None if addends is None else addends[rows]
        yield Job(
            rows,
            ({"i_addends": _addend_beats(starts, config)} if config.addends else {})
            | {
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
    """[height, width] codes of the output beats of some row tiles."""
    bits = max(OUTPUTS[name].bits for name in config.outputs)
    values = beats.view(f"<u{bits // 8}").reshape(
        -1, -(-width // config.n), config.column_groups * config.rescale_columns, config.m
    )
    whole = values.transpose(0, 3, 1, 2).reshape(-1, values.shape[1] * config.n)
    return whole[:height, :width].astype(np.uint32)


def _values(codes: NDArray[np.uint32], output: str) -> NDArray[Any]:
    """The results of codes, in the dtype of `golden.core`. HarnessError for bits above a code."""
    above = codes >> OUTPUTS[output].bits if OUTPUTS[output].bits < 32 else np.uint32(0)
    if above.any():
        raise HarnessError(f"o_outputs has bits above the {OUTPUTS[output].bits} of {output}")
    if output == "bf16":
        return (codes << 16).view(np.float32)
    if output == "fp16":
        return codes.astype(np.uint16).view(np.float16)
    return codes.view(np.int32 if output == "int32" else np.float32)


@dataclass(frozen=True)
class NativeResult:
    """out [M, N]; cycles from the first beat to the last; steps in which the lanes worked."""

    out: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int32]
    cycles: int
    steps: int


def run(
    model: NativeModel,
    activations: NDArray[np.generic],
    packed: PackedWeights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
    *,
    stalls: dict[str, int] | None = None,
    seed: int = 1,
) -> NativeResult:
    """A GEMM on a model of the core. Raises HarnessError where the model misbehaves.

    Results are those of `golden.core`.
    """
    width, raw = packed.shape[0], output == "int32"
    out = np.zeros((activations.shape[0], width), dtype=np.uint32)
    cycles = steps = 0
    for job in jobs(activations, packed, config, output, activation_type, addends):
        results, taken = model.run(job.beats, {"o_outputs": job.outputs}, stalls=stalls, seed=seed)
        height = job.rows.stop - job.rows.start
        out[job.rows] = _outputs(results["o_outputs"], config, height, width)
        cycles += taken
        steps += job.beats["i_weights"].shape[0]
    values = _values(out, output)
    return NativeResult(values * np.int32(packed.factor) if raw else values, cycles, steps)


def gemm(
    activations: NDArray[np.generic],
    weights: Weights,
    config: TensorCoreConfig,
    output: str = "fp32",
    activation_type: str | None = None,
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
    *,
    waves: Path | None = None,
) -> NativeResult:
    """O[M, N] = A[M, K] W[N, K]^T, and addends, on the RTL of `config`; compiles it if need be.

    Arguments, results and InputErrors are those of `golden.core`. `waves` names a VCD file to
    write.
    """
    check_activations(activations, weights, config, output, activation_type)
    if addends is not None:
        shape = len(activations), weights.shape[0]
        addends = check_addends(addends, shape, weights, config, output)
    packed = pack(weights, config)
    with core_model(config, waves) as model:
        return run(model, activations, packed, config, output, activation_type, addends)
