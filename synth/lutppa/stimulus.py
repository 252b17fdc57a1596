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
from lutcore.layout import Segment, lookup_codes, segments
from lutcore.weights import AffineWeights, Term, TernaryWeights
from lutverif import golden, quantise
from lutverif.bench.payloads import Kind, Pass, Payloads, join
from lutverif.workload import Layer

from .activity import STREAMS, Words, words

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

    Steps as the core makes them, planes outside and steps inside, one in every cycle; what the
    lanes and the rows add up is compared with the golden model as it comes out.
    """
    (term,) = work.weights.terms(config)
    cuts = segments(work.activations.shape[1], work.weights.group, config)
    parts = [_Part(work, term, cut, cut is cuts[0], cut is cuts[-1], config) for cut in cuts]
    a_tile = sum(part.beats for part in parts)
    tiles = work.tiles(config.m, config.n, -(-cycles // a_tile))
    order = [(tile, part) for tile in range(tiles.rows.shape[1]) for part in parts]
    steps, weights, expected = (
        np.concatenate([make(part, tiles.rows[:, tile], tiles.columns[:, tile])
                        for tile, part in order])
        for make in (_Part.steps, _Part.weights, _Part.psums)
    )  # fmt: skip

    def check(outputs: dict[str, Words]) -> None:
        valid, payload = outputs["o_psums__valid"][RESET:, 0], outputs["o_psums__payload"][RESET:]
        found = payload[np.flatnonzero(valid)]
        # The last psums are still on their way when the stimulus ends.
        wanted = expected[: max(1, len(expected) - 1)]
        if found.shape != wanted.shape or (found != wanted).any():
            raise WrongNetlist(f"psums of {work.name} on {config.name} are not the golden model's")

    valid = np.full((RESET + len(steps), 1), ~np.uint64(0))
    valid[:RESET] = 0

    def port(beats: Words) -> Words:
        return np.concatenate([np.zeros((RESET, beats.shape[1]), np.uint64), beats])

    return Stimulus(
        ports={
            "rst": ~valid,
            "i_steps__valid": valid,
            "i_steps__payload": port(steps),
            "i_weights__valid": valid,
            "i_weights__payload": port(weights),
            "o_psums__ready": np.full_like(valid, ~np.uint64(0)),
        },
        warm_up=RESET + 2,
        products=config.m * config.n * work.activations.shape[1] / a_tile,
        check=check,
    )


class _Part:
    """A segment of K as the core takes it, for all rows and columns; payloads of those of a tile.

    Their fields are in the order of docs/specification.md. rows are [64, m], columns [64, n].
    """

    def __init__(
        self,
        work: Workload,
        term: Term,
        cut: Segment,
        first: bool,
        last: bool,
        config: TensorCoreConfig,
    ) -> None:
        self.config = config
        rows = work.activations[:, cut.start : cut.stop]
        digits = term.digits[:, :, cut.start : cut.stop]
        short = -(cut.stop - cut.start) % config.k
        digits = np.pad(digits, ((0, 0), (0, 0), (0, short)), constant_values=-1)
        self._planes, self._steps = len(digits), cut.steps(config)
        self.beats = self._planes * self._steps
        aligned, self._exponent, self._nonfinite = golden.precompute(rows, work.fmt, config)
        tables = golden.table(aligned, config)
        self._aligned = aligned.reshape(len(rows), self._steps, config.k)
        self._looked_up = golden.lookup(tables, digits, term.equal, config)
        self._sum = golden.activation_sum(tables, config)
        codes = lookup_codes(digits, config)
        self._codes = codes.reshape(*digits.shape[:2], self._steps, -1)
        item = Pass(work.fmt, rows, digits, term.equal, Kind(first, last))
        payloads = Payloads(config)
        fields = payloads.rescaling(item)
        if config.subsets:
            fields = [(payloads.plane_sum(item), config.weight_bits), *fields]
        self._rescaling, self._rescaling_bits = join(*fields), sum(bits for _, bits in fields)
        step = np.tile(np.arange(self._steps), self._planes)
        beat = np.arange(self.beats)
        self._control = np.stack(
            [beat == 0, (step == 0) & (not term.equal), step == 0, beat == self.beats - 1], axis=-1
        )

    def _scaling(self, rows: NDArray[np.intp], beats: int) -> list[Words]:
        shape = (beats, STREAMS, self.config.m)
        return [
            words(np.broadcast_to(self._exponent[rows], shape), self.config.exponent_bits),
            words(np.broadcast_to(self._nonfinite[rows], shape), 1),
            words(np.full(shape[:2], self._rescaling), self._rescaling_bits),
        ]

    def steps(self, rows: NDArray[np.intp], _: NDArray[np.intp]) -> Words:
        """[beats, bits] of `i_steps`."""
        values = self._aligned[rows].transpose(2, 0, 1, 3)
        values = np.tile(values, (self._planes, 1, 1, 1))
        control = np.broadcast_to(self._control[:, None], (self.beats, STREAMS, 4))
        fields = [words(values, self.config.aligned_bits), words(control, 1)]
        return np.concatenate([*fields, *self._scaling(rows, self.beats)], axis=1)

    def weights(self, _: NDArray[np.intp], columns: NDArray[np.intp]) -> Words:
        """[beats, bits] of `i_weights`."""
        codes = self._codes[:, columns].transpose(0, 3, 1, 2, 4)
        codes = codes.reshape(self.beats, *codes.shape[2:])
        return words(codes, self.config.code_bits // codes.shape[-1])

    def psums(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Words:
        """[1, bits] of `o_psums`."""
        psum = self._looked_up.psum[rows[:, None, :], columns[:, :, None]]
        fields = [words(psum[None], self.config.psum_bits)]
        fields.append(words(self._sum[rows][None], self.config.sum_bits))
        if self.config.parity:
            fields.append(words(self._looked_up.base[rows][None], self.config.odd_bits))
        return np.concatenate([*fields, *self._scaling(rows, 1)], axis=1)
