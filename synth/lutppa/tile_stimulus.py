"""Stimulus of the product's tile: steps, weights and psums of quantised layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.layout import Segment, lookup_codes, segments
from lutcore.weights import Term
from lutverif import golden
from lutverif.bench.payloads import Kind, Pass, Payloads, join

from .activity import STREAMS, Words, words
from .stimulus import Stimulus, Workload, streamed

__all__ = ["lookup_stimulus"]


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
    return streamed(
        f"{config.name} on {work.name}",
        {"i_steps": steps, "i_weights": weights},
        "i_weights",
        config.m * config.n * work.activations.shape[1] / a_tile,
        "o_psums",
        expected,
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
        item = Pass(work.fmt, rows, digits, term.equal, Kind(first, last), scale=config.scales[0])
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
