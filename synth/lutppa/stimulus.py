"""Stimulus from the layers of a real model: the same workload for every design.

    layer -> quantised GEMM -> tiles, 64 streams of them -> beats on the streams of a design

`Workload.tiles` gives the operands of any design, `streamed` makes a stimulus of their beats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import LutCoreError
from lutcore.formats import ACTIVATIONS, FloatFormat, IntegerFormat
from lutcore.weights import AffineWeights, TernaryWeights
from lutverif import quantise
from lutverif.workload import Layer

from .activity import RESET, STREAMS, Activity, Words

__all__ = [
    "RESET",
    "Stimulus",
    "Tiles",
    "Workload",
    "WrongNetlist",
    "random_layer",
    "streamed",
    "workload",
]


class WrongNetlist(LutCoreError):
    """A netlist gave other results than the golden model; its energy would mean nothing."""


@dataclass(frozen=True)
class Stimulus:
    """What a design is fed, as `activity.simulate` takes it.

    ports     words [cycles, bits] of every input port but the clock and those of `streams`
    warm_up   cycles that are not counted: reset, and until the pipeline is full
    products  useful products (multiply-accumulates) of a beat of `pace` on average, or of a cycle
    check     given the words of every output port, raises WrongNetlist where they are not right
    streams   beats, words [beats, bits], of valid/ready streams
    pace      the stream whose beats are the steps of the work; "" for a step in every cycle
    """

    ports: dict[str, Words]
    warm_up: int
    products: float
    check: Callable[[dict[str, Words]], None]
    streams: dict[str, Words] = field(default_factory=dict)
    pace: str = ""

    def work(self, activity: Activity) -> float:
        """Useful products of an average cycle that was counted."""
        if not self.pace:
            return self.products
        moved = activity.moved[self.pace]
        steps = int(moved[-1]) - int(moved[self.warm_up - 1])
        return self.products * steps / (len(moved) - self.warm_up)


def streamed(
    name: str,
    streams: dict[str, Words],
    pace: str,
    products: float,
    results: str,
    expected: Words,
    late: int = 2,
) -> Stimulus:
    """Beats for the streams of a design, whose results [beats, bits] are to be these.

    late  results that may be missing, since the run ends when a stream has no more beats
    """
    cycles = RESET + 3 * len(streams[pace]) + 200
    high = np.full((cycles, 1), ~np.uint64(0))
    reset = np.zeros_like(high)
    reset[:RESET] = high[:RESET]

    def check(outputs: dict[str, Words]) -> None:
        valid = outputs[f"{results}__valid"][RESET:, 0]
        found = outputs[f"{results}__payload"][RESET:][np.flatnonzero(valid)]
        wanted = expected[: len(found)]
        if len(found) < max(1, len(expected) - late) or (found != wanted).any():
            raise WrongNetlist(f"{results} of {name} are not the golden model's")

    return Stimulus(
        ports={"rst": reset, f"{results}__ready": high},
        warm_up=RESET + 4,
        products=products,
        check=check,
        streams=streams,
        pace=pace,
    )


@dataclass(frozen=True)
class Tiles:
    """Operands of 64 streams of tiles, the tiles of a stream one after the other.

    index        [64, tiles] number of the tile: rows of tiles outside, columns of tiles inside
    rows         [64, tiles, m] rows of the activations
    columns      [64, tiles, n] columns of the weights
    activations  [64, tiles, m, K] numbers of the activation format
    codes        [64, tiles, n, K] weights as stored: unsigned codes, or -1, 0, +1
    real         [64, tiles, n, K] float16 weights that the codes stand for
    """

    index: NDArray[np.intp]
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
        return Tiles(tile, row, column, self.activations[row], codes[column], real[column])


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
