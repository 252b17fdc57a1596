"""In which order the tiles of a GEMM are done, and what is loaded when.

Tiles are scheduled flat, in the order of issue. While a tile is looked up, the operands of the next
are loaded and the results of the one before are stored: every buffer alternates between its slots.
One operand stays in its slot for a whole inner loop where it fits, weights over all rows or
activations over all columns.

Lanes wait for the first tile, so it is the smallest: rows and columns that are left over go first.
Weights that stay may take longer to be loaded than a tile takes; then the activations of several
tiles are one load, and while these are looked up there is time for the weights of the next columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.formats import ACTIVATIONS, FP32, OUTPUTS
from lutcore.layout import PackedWeights, Pass

from .config import EngineConfig
from .encoding import Op, new
from .image import activation_rows, sections
from .listing import cost, pass_cycles

__all__ = ["A", "Access", "C", "D", "Plan", "S", "W"]

A, W, S, D, C = range(5)
"""Buffers; each has the address register of its number."""

MANY = 8
"""Times that a column of tiles takes longer than its weights, for these to be loaded in one go
between the activations of two tiles; found by trying 17 x 70 x 300 (4) and 64 x 256 x 512 (14)."""


class Access(NamedTuple):
    """A load or store; its `next` follows from the access of its register after it."""

    op: Op
    address: int


class _Item(NamedTuple):
    """A chunk of passes of a tile: the places of loops that it is in, its tile, and its chunk."""

    outer: int
    inner: int
    row: int
    column: int
    section: int


Passes = tuple[Pass, ...]


class Plan:
    """What is loaded when: chunks of passes whose operands are loaded together, and loop order.

    groups  row tiles whose activations are one load, in the order in which they lie in memory
    """

    def __init__(
        self,
        rows: int,
        packed: PackedWeights,
        config: EngineConfig,
        activations: str,
        output: str,
        addends: bool,
    ) -> None:
        self.config, self.core, self.packed = config, config.core, packed
        self.addends = addends
        self.type, self.output, self.bits = activations, output, ACTIVATIONS[activations].bits
        self.rows, self.columns = rows, packed.shape[0]
        self.row_tiles = -(-rows // self.core.m)
        self.column_tiles = -(-self.columns // self.core.n)
        self.halved = config.halvings(self.columns % self.core.n or self.core.n)
        whole = tuple(packed.passes)
        fits = [self._beats(buffer, whole) <= most for buffer, most in enumerate(self._capacity)]
        # Weights stay in their buffers unless they are too many, or used once in any case.
        self.weights_stay = fits[W] and fits[S] and self.row_tiles > 1
        self.staying = (W, S) if self.weights_stay else (A,) * fits[A]
        self.chunks = self._chunks()
        self.counts = [
            [self._beats(buffer, part) for part in self.parts(buffer)] for buffer in (A, W, S)
        ]
        self.tile_bytes = config.aligned(self.core.n * OUTPUTS[output].bits // 8)
        self.d_stride = self.column_tiles * self.tile_bytes
        self.lanes = sum(
            pass_cycles(item.planes, item.segment.steps(self.core), item.rounds, self.core)
            for item in packed.passes
        )
        self.groups = self._groups()
        strides = [self._stride(group) for group in self.groups]
        sizes = [
            stride * min(self.core.m, rows - group[0] * self.core.m)
            for stride, group in zip(strides, self.groups, strict=True)
        ]
        self.group_at = list(itertools.accumulate(sizes, initial=0))
        self.lmmas = cache(self._lmmas)

    @property
    def _capacity(self) -> tuple[int, int, int]:
        return self.config.a_steps, self.config.w_beats, self.config.s_beats

    def _beats(self, buffer: int, passes: Passes) -> int:
        """Beats that the passes take of A, W or S."""
        if buffer == S:
            return sum(item.rounds for item in passes) * self.core.column_groups
        return sum(
            item.segment.steps(self.core) * (item.planes if buffer == W else not item.keep)
            for item in passes
        )

    def _sizes(self, buffer: int, column: int = 0) -> list[int]:
        """Bytes in memory of what the buffer is loaded with for a tile, section by section."""
        each = (0, self.core.weight_beat_bytes, self.config.scale_beat_bytes)[buffer]
        if buffer == W:
            each >>= self._part(column)
        return [
            self.config.aligned(
                self.config.row_bytes(count, self.bits) if buffer == A else count * each
            )
            for count in self.counts[buffer]
        ]

    def _part(self, column: int) -> int:
        """How often a tile's beats of weights are halved."""
        return self.halved if column == self.column_tiles - 1 else 0

    def _chunks(self) -> list[Passes]:
        """As many passes at a time as fit the buffers that are loaded for each chunk."""
        limits = [
            (buffer, most)
            for buffer, most in enumerate(self._capacity)
            if buffer not in self.staying
        ]
        chunks: list[Passes] = []
        passes: Passes = ()
        for item in self.packed.passes:
            if any(self._beats(buffer, (*passes, item)) > most for buffer, most in limits):
                chunks.append(passes)
                passes = ()
            passes = (*passes, item)
        return [*chunks, passes]

    def parts(self, buffer: int) -> list[Passes]:
        """The passes for which the buffer is loaded at a time."""
        return [tuple(self.packed.passes)] if buffer in self.staying else self.chunks

    def _groups(self) -> list[range]:
        """Tiles enough that lanes are busy with a group while the next columns' weights are loaded.

        The first groups are short, as lanes wait for them.
        """
        most = 1
        if self.weights_stay and self.column_tiles > 1 and len(self.chunks) == 1:
            word, m = self.config.word_bytes, self.core.m
            words = sum(self._sizes(W) + self._sizes(S)) // word
            others = m * (sum(self._sizes(A)) + self.tile_bytes) // word
            # Large loads of activations have a price too, at the start of every column of tiles:
            # where there are many tiles, waiting for the weights once is less.
            if MANY * words > self.row_tiles * self.lanes:
                most = -(-words // max(1, self.lanes - others))
                most = max(1, min(most, self.config.a_steps // self.counts[A][0]))
        rest = self.rows % self.core.m != 0
        found: list[range] = []
        at, size, whole = 0, 1, self.row_tiles - rest
        while at < whole:
            found.append(range(at, min(at + size, whole)))
            at, size = at + size, min(2 * size, most)
        return found + [range(whole, self.row_tiles)] * rest

    def _stride(self, group: range) -> int:
        """Bytes from a row of a group to the next."""
        if len(group) == 1:
            return sum(self._sizes(A))
        return self.config.aligned(self.config.row_bytes(len(group) * self.counts[A][0], self.bits))

    # What is in memory.

    def activation_image(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """[bytes] of codes [M, K], group by group; the tiles of a group follow each other in each
        of its rows."""
        m, k = self.core.m, codes.shape[1]
        cuts = [[item.segment for item in part if not item.keep] for part in self.parts(A)]
        found: list[NDArray[np.uint8]] = []
        for group in self.groups:
            tiles = codes[group.start * m : group.stop * m].reshape(len(group), -1, k)
            rows = tiles.transpose(1, 0, 2).reshape(tiles.shape[1], -1)
            if len(group) > 1:
                shifts = [tile * k for tile in range(len(group))]
                parts = [
                    replace(cut, start=cut.start + shift, stop=cut.stop + shift)
                    for shift in shifts
                    for cut in cuts[0]
                ]
                found.append(activation_rows(rows, [parts], self.bits, self.config))
            else:
                found.append(activation_rows(rows, cuts, self.bits, self.config))
        return np.concatenate([rows.reshape(-1) for rows in found])

    def weight_image(self) -> NDArray[np.uint8]:
        """[bytes] of the beats of all tiles of columns; of the last one the part that counts."""
        beats, last = self.packed.beats, self.core.weight_beat_bytes >> self.halved
        parts = [beats[:-1], beats[-1:, :, :last]]
        found = [sections(part, self.counts[W], self.config) for part in parts if len(part)]
        return np.concatenate([part.reshape(-1) for part in found])

    # What is done when.

    def _items(self) -> list[_Item]:
        """In their order. What is left over is first where lanes would wait for it, and last where
        they would wait after it."""
        rows, columns = list(range(self.row_tiles)), list(range(self.column_tiles))

        def short_first(tiles: list[int], rest: bool) -> list[int]:
            return [tiles[-1], *tiles[:-1]] if rest else tiles

        first = (
            short_first(rows, self.rows % self.core.m != 0),
            short_first(columns, self.halved > 0),
        )
        if self.weights_stay:
            pairs = [
                (at, [(row, column) for row in (rows if at else first[0])])
                for at, column in enumerate(first[1])
            ]
        else:
            pairs = [
                (at, [(row, column) for column in (columns if at else first[1])])
                for at, row in enumerate(first[0])
            ]
        return [
            _Item(outer, inner, row, column, section)
            for outer, tiles in pairs
            for inner, (row, column) in enumerate(tiles)
            for section in range(len(self.chunks))
        ]

    def schedule(self, bases: Mapping[int, int]) -> Iterator[Access | Op]:
        """All instructions that work on buffers, in the order of issue."""
        items = self._items()
        outer = items[-1].outer + 1
        heads = [next(item for item in items if item.outer == o) for o in range(outer)]
        slots = [1, 1, 1, 1, 1]

        def load(buffer: int, item: _Item) -> Access:
            slots[buffer] ^= 1
            return self._load(buffer, slots[buffer], bases[buffer], item)

        def stream(buffers: Sequence[int], item: _Item) -> list[Access]:
            found = [
                load(buffer, item)
                for buffer in buffers
                if buffer not in self.staying and self.counts[buffer][item.section]
            ]
            if self.addends and item.section == 0 and S in buffers:
                slots[C] ^= 1
                found.append(self._tile("load_c", slots[C], bases[C], item.row, item.column))
            return found

        # Activations of a group are loaded during the one before; all else during the item before.
        begins = [at for at, item in enumerate(items) if self._begins_group(item)]
        during = dict(zip(begins, begins[1:], strict=False))
        # Lanes begin when something of all of them is there: what is short goes first.
        yield from sorted(
            [
                *(load(buffer, heads[0]) for buffer in self.staying),
                *stream((A, W, S), items[0]),
            ],
            key=lambda load: cost(load.op, self.config).words,
        )
        stores: list[Access] = []
        a_slot = slots[A]
        for at, (item, after) in enumerate(zip(items, [*items[1:], None], strict=True)):
            first, last = item.section == 0, item.section == len(self.chunks) - 1
            slots[D] ^= first
            if self._begins_group(item):
                a_slot = slots[A]
            # What stays has alternated once an outer iteration, and is one load ahead.
            now = [item.outer & 1 if buffer in self.staying else slots[buffer] for buffer in (W, S)]
            now.insert(0, item.outer & 1 if A in self.staying else a_slot)
            lmmas = self.lmmas(item.section, (*now, slots[D]), slots[C])
            late = [
                load(buffer, heads[item.outer + 1])
                for buffer in (self._late(items, at) if item.outer + 1 < outer else ())
            ]
            loads = stream((A,), items[during[at]]) if at in during else []
            loads += [] if after is None else stream((W, S), after)
            # What takes longer goes first, so that it never waits for the other.
            span = during.get(at, at + 1) - at
            lanes = span * sum(cost(op, self.config).lanes for op in lmmas)
            words = sum(cost(load.op, self.config).words for load in loads)
            if late and self._longest > 1:
                yield from [*lmmas, *stores, *late, *loads]
            else:
                yield from [*loads, *lmmas] if words > lanes else [*lmmas, *loads]
                yield from [*stores, *late]
            stores = []
            if last:
                stores = [self._tile("store_d", slots[D], bases[D], item.row, item.column)]
        yield from stores

    @property
    def _longest(self) -> int:
        return max(map(len, self.groups))

    def _begins_group(self, item: _Item) -> bool:
        """Whether activations are loaded for the item and those after it."""
        loaded = A not in self.staying and self.counts[A][item.section] > 0
        return loaded and any(group.start == item.row for group in self.groups)

    def _late(self, items: Sequence[_Item], at: int) -> list[int]:
        """What is loaded at an item of what stays in the next outer iteration.

        One buffer a tile, so that what the tile after needs comes between them; while a group of
        several tiles is looked up, or else no earlier than it takes, so that tiles before are not
        kept waiting.
        """
        item = items[at]
        if item.section:
            return []
        if self._longest > 1:
            start = [group.start for group in self.groups if len(group) == self._longest][-1]
            return [b for tile, b in enumerate(self.staying) if item.row == start + tile]
        inner = items[-1].inner + 1
        words, found = 0, list[int]()
        for buffer in self.staying:
            words += sum(self._sizes(buffer)) // self.config.word_bytes
            if item.inner == max(0, inner - -(-words // self.lanes)):
                found.append(buffer)
        return found

    def _load(self, buffer: int, slot: int, base: int, item: _Item) -> Access:
        count = self.counts[buffer][item.section]
        if buffer != A:
            sizes = self._sizes(buffer, item.column)
            # Only the last tile of columns may be shorter.
            at = item.column * sum(self._sizes(buffer)) + sum(sizes[: item.section])
            part = {"part": self._part(item.column)} if buffer == W else {}
            name = "ws"[buffer - W]
            op = new(f"load_{name}", **{name: slot}, address=buffer, beats=count, **part)
            return Access(op, base + at)
        index = next(i for i, group in enumerate(self.groups) if group.start == item.row)
        group = self.groups[index]
        op = new(
            "load_a",
            a=slot,
            address=buffer,
            bits=str(self.bits),
            rows=min(self.core.m, self.rows - item.row * self.core.m),
            steps=count * len(group),
            stride=self._stride(group),
        )
        return Access(op, base + self.group_at[index] + sum(self._sizes(A)[: item.section]))

    def _tile(self, name: str, slot: int, base: int, row: int, column: int) -> Access:
        """The load of a tile of addends, or the store of one of results."""
        m, n = self.core.m, self.core.n
        fields: dict[str, int | str] = {"c": slot, "address": C}
        width = self.config.aligned(n * FP32.bits // 8)
        if name == "store_d":
            fields = {"d": slot, "address": D, "bits": str(OUTPUTS[self.output].bits)}
            width = self.tile_bytes
        stride = self.column_tiles * width
        op = new(
            name,
            **fields,
            rows=min(m, self.rows - row * m),
            columns=min(n, self.columns - column * n),
            stride=stride,
        )
        return Access(op, base + row * m * stride + column * width)

    def _lmmas(self, section: int, slots: tuple[int, ...], addends: int) -> list[Op]:
        """The passes of a chunk, alike ones in one instruction; `addends` is a slot of C."""
        runs = [
            (item, len(list(group)))
            for item, group in itertools.groupby(map(self._alike, self.chunks[section]))
        ]
        found: list[Op] = []
        for index, (item, count) in enumerate(runs):
            first = section == 0 and index == 0
            last = section == len(self.chunks) - 1 and index == len(runs) - 1
            op = new(
                "lmma",
                m=self.core.m,
                n=self.core.n,
                k=self.core.k,
                a_type=self.type,
                w_type=f"w{item.planes}" + "e" * item.equal,
                acc_type="int32" if self.output == "int32" else "fp32",
                o_type=self.output,
                **dict(zip("awsd", slots, strict=True)),
                steps=item.segment.stop,
                passes=count,
                scale=self.packed.scale,
                first=first,
                addend=1 + addends if first and self.addends else 0,
                last=last,
                keep=item.keep,
                offset=item.offset,
                **{f"rewind_{'aws'[buffer]}": first for buffer in self.staying},
            )
            found.append(op)
        return found

    def _alike(self, item: Pass) -> Pass:
        """The pass as an instruction sees it: wherever its segment is, only its steps count."""
        steps = item.segment.steps(self.core)
        return replace(item, segment=replace(item.segment, start=0, stop=steps, group=0))
