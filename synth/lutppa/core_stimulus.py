"""Stimulus of a whole core: passes, activations, weights and scales in, FP32 results out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.layout import pack
from lutcore.numbers import encode
from lutcore.streams import StreamLayouts
from lutcore.weights import AffineWeights, TernaryWeights
from lutverif import driver, golden

from .activity import STREAMS, Words, words
from .stimulus import Stimulus, Workload, streamed

__all__ = ["core_stimulus"]


def core_stimulus(work: Workload, config: TensorCoreConfig, cycles: int) -> Stimulus:
    """Stimulus of `lutcore.core.TensorCore`: whole tiles, at least `cycles` of steps."""
    c = config
    weights, activations = _wrapped(work, c)
    packed = pack(weights, c)
    name = work.fmt.name
    driver_jobs = list(driver.jobs(activations, packed, c, "fp32", name))
    beats = {
        stream: np.concatenate([job.beats[stream] for job in driver_jobs])
        for stream in driver_jobs[0].beats
    }
    tiles = len(activations) // c.m * (weights.shape[0] // c.n)
    a_tile = len(beats["i_weights"]) // tiles
    # Two passes wait in precompute at the end, one is in the lanes, one in rescale.
    late = -(-4 // len(packed.passes))
    index = work.tiles(c.m, c.n, -(-cycles // a_tile) + late).index
    layouts = StreamLayouts(c)

    def port(stream: str) -> Words:
        bits = getattr(layouts, stream.removeprefix("i_")).size
        single = np.unpackbits(beats[stream], axis=1, bitorder="little")[:, :bits]
        return _in_order(single.reshape(tiles, -1, bits), index)

    results = golden.core(activations, weights, c, "fp32", name)
    codes = encode(results, c.output_formats[c.outputs.index("fp32")]).astype(np.int64)
    columns = c.column_groups, c.rescale_columns
    parts = codes.reshape(len(codes) // c.m, c.m, -1, *columns).transpose(0, 2, 3, 4, 1)
    expected = (parts.reshape(tiles, c.column_groups, -1, 1) >> np.arange(32)) & 1
    expected = _in_order(expected.reshape(tiles, c.column_groups, -1), index)
    return streamed(
        f"core {c.name} on {work.name}",
        {stream: port(stream) for stream in beats},
        "i_weights",
        c.m * c.n * activations.shape[1] / a_tile,
        "o_outputs",
        expected,
        late=late * c.column_groups,
    )


def _in_order(single: NDArray[Any], index: NDArray[np.intp]) -> Words:
    """Words of the bits [tiles, beats, bits] of all tiles, for the tiles [64, tiles] of streams."""
    chosen = single[index.T]  # tile, stream, beat, bit
    chosen = chosen.transpose(0, 2, 1, 3)
    return words(chosen.reshape(-1, STREAMS, chosen.shape[-1]), 1)


def _wrapped(
    work: Workload, config: TensorCoreConfig
) -> tuple[AffineWeights | TernaryWeights, NDArray[Any]]:
    """Weights and activations with rows that fill whole tiles, from the start again at the end."""
    weights, activations = work.weights, work.activations
    columns = np.arange(-(-weights.shape[0] // config.n) * config.n) % weights.shape[0]
    rows = np.arange(-(-len(activations) // config.m) * config.m) % len(activations)
    if isinstance(weights, TernaryWeights):
        whole = replace(weights, ternary=weights.ternary[columns], scales=weights.scales[columns])
    else:
        whole = replace(
            weights,
            codes=weights.codes[columns],
            scales=weights.scales[columns],
            zeros=weights.zeros[columns],
        )
    return whole, activations[rows]
