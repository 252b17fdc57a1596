"""Stimulus from the layers of a real model: the same workload for every design.

    layer -> quantised GEMM -> tiles, 64 streams of them -> ports of a design, cycle by cycle

`Workload.tiles` gives the operands of any design; `lookup_stimulus` is that of the product's tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import LutCoreError
from lutcore.formats import ACTIVATIONS, FloatFormat, IntegerFormat
from lutcore.layout import segments
from lutcore.streams import StreamLayouts
from lutcore.weights import AffineWeights, TernaryWeights
from lutverif import quantise
from lutverif.bench.payloads import Kind, Pass, Payloads
from lutverif.workload import Layer

from .activity import STREAMS, Words, integers, words

__all__ = [
    "Stimulus",
    "Tiles",
    "Workload",
    "WrongNetlist",
    "lookup_stimulus",
    "random_layer",
    "workload",
]


class WrongNetlist(LutCoreError):
    """A netlist gave other results than the golden model; its energy would mean nothing."""


@dataclass(frozen=True)
class Stimulus:
    """What a design is fed.

    ports     words [cycles, bits] of every input port but the clock (`lutppa.activity.words`)
    warm_up   cycles that are not counted: reset, and until the pipeline is full
    products  useful products (multiply-accumulates) of a cycle, on average
    check     given the words of every output port, raises WrongNetlist where they are not right
    """

    ports: dict[str, Words]
    warm_up: int
    products: float
    check: Callable[[dict[str, Words]], None]


@dataclass(frozen=True)
class Tiles:
    """Operands of 64 streams of tiles, the tiles of a stream one after the other.

    rows         [64, tiles, m] rows of the activations
    columns      [64, tiles, n] columns of the weights
    activations  [64, tiles, m, K] numbers of the activation format
    codes        [64, tiles, n, K] weights as stored: unsigned codes, or -1, 0, +1
    real         [64, tiles, n, K] float16 weights that the codes stand for
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    activations: NDArray[Any]
    codes: NDArray[Any]
    real: NDArray[np.float16]


@dataclass(frozen=True)
class Workload:
    """A quantised GEMM.

    fmt          format of the activations
    activations  [M, K] numbers of it
    weights      [N, K]
    original     [N, K] the weights before quantisation, rounded to float16
    """

    name: str
    fmt: FloatFormat | IntegerFormat
    activations: NDArray[Any]
    weights: AffineWeights | TernaryWeights
    original: NDArray[np.float16]

    def tiles(self, m: int, n: int, count: int) -> Tiles:
        """`count` successive tiles of m rows and n columns in each of 64 streams.

        Streams start evenly spaced among all tiles; column tiles go inside, row tiles outside, as
        the core takes them. At the edges rows and columns wrap round.
        """
        rows, columns = len(self.activations), self.weights.shape[0]
        across = -(-columns // n)
        total = -(-rows // m) * across
        first = np.arange(STREAMS) * total // STREAMS
        tile = (first[:, None] + np.arange(count)) % total
        row = (tile // across)[..., None] * m + np.arange(m)
        column = (tile % across)[..., None] * n + np.arange(n)
        row, column = row % rows, column % columns
        weights = self.weights
        codes = weights.codes if isinstance(weights, AffineWeights) else weights.ternary
        real = weights.real().astype(np.float16)
        return Tiles(row, column, self.activations[row], codes[column], real[column])


def workload(layer: Layer, weights: str, activations: str, group: int) -> Workload:
    """`layer` with weights w1 to w8 or ternary in groups, and activations of a format by name."""
    fmt = ACTIVATIONS[activations]
    values, _ = quantise.activation_rows(layer.activations, fmt)
    if weights == "ternary":
        quantised: AffineWeights | TernaryWeights = quantise.ternary(layer.weights, group)
    else:
        quantised = quantise.affine(layer.weights, int(weights[1:]), group)
    name = f"{layer.name} {weights} x {activations}"
    return Workload(name, fmt, values, quantised, layer.weights.astype(np.float16))


def random_layer(seed: int = 1, m: int = 48, n: int = 336, k: int = 128) -> Layer:
    """Weights and activations evenly spread over -1 to 1: what no real layer is."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-1, 1, (n, k)).astype(np.float32)
    return Layer("random", weights, rng.uniform(-1, 1, (m, k)).astype(np.float16))


RESET = 2
"""Cycles of reset at the start of a stimulus."""


def lookup_stimulus(work: Workload, config: TensorCoreConfig, cycles: int) -> Stimulus:
    """Stimulus of `lutppa.tile.LookupTile`: whole tiles, at least `cycles` of steps.

    Steps as the core makes them, planes outside and steps inside, one in every cycle; psums and
    sums are compared with the golden model as they come out.
    """
    payloads = Payloads(config)
    (term,) = work.weights.terms(config)
    cuts = segments(work.activations.shape[1], work.weights.group, config)
    planes = len(term.digits)
    a_tile = planes * sum(cut.steps(config) for cut in cuts)
    tiles = work.tiles(config.m, config.n, -(-cycles // a_tile))

    def passes(stream: int) -> list[Pass]:
        found: list[Pass] = []
        for row, column in zip(tiles.rows[stream], tiles.columns[stream], strict=True):
            for index, cut in enumerate(cuts):
                digits = term.digits[:, column, cut.start : cut.stop]
                short = -(cut.stop - cut.start) % config.k
                digits = np.pad(digits, ((0, 0), (0, 0), (0, short)), constant_values=-1)
                kind = Kind(index == 0, index == len(cuts) - 1)
                part = work.activations[row, cut.start : cut.stop]
                found.append(Pass(work.fmt, part, digits, term.equal, kind))
        return found

    streams = [passes(stream) for stream in range(STREAMS)]
    steps = [[word for item in stream for word in payloads.steps(item)] for stream in streams]
    weights = [[word for item in stream for word in payloads.weights(item)] for stream in streams]
    expected = [
        [payloads.psums(*payloads.looked_up(item), payloads.scaling(item)) for item in stream]
        for stream in streams
    ]
    layouts = StreamLayouts(config)
    length = RESET + len(steps[0])
    valid = np.zeros((length, 1), np.uint64)
    valid[RESET:] = ~np.uint64(0)

    def port(beats: list[list[int]], bits: int) -> Words:
        idle = np.zeros((RESET, bits), np.uint64)
        return np.concatenate([idle, words(np.array(beats, dtype=object).T, bits)])

    def check(outputs: dict[str, Words]) -> None:
        valid, payload = outputs["o_psums__valid"][RESET:, 0], outputs["o_psums__payload"][RESET:]
        beats = np.flatnonzero(valid)
        found = integers(payload[beats])
        # The last psums are still on their way when the stimulus ends.
        wanted = np.array(expected, dtype=object).T[: max(1, len(expected[0]) - 1)]
        if found.shape != wanted.shape or (found != wanted).any():
            raise WrongNetlist(f"psums of {work.name} on {config.name} are not the golden model's")

    k = work.activations.shape[1]
    return Stimulus(
        ports={
            "rst": ~valid,
            "i_steps__valid": valid,
            "i_steps__payload": port(steps, layouts.steps.size),
            "i_weights__valid": valid,
            "i_weights__payload": port(weights, layouts.weights.size),
            "o_psums__ready": np.full_like(valid, ~np.uint64(0)),
        },
        warm_up=RESET + 2,
        products=config.m * config.n * k / a_tile,
        check=check,
    )
