"""A compiler for one GEMM: an LMMA program and the memory that it works on.

Tiles are scheduled flat, in the order of issue. While a tile is looked up, the operands of the next
are loaded and the results of the one before are stored: every buffer alternates between its slots.
One operand stays in its slot for a whole inner loop where it fits, weights over all rows or
activations over all columns. `rolled` turns the schedule into loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, FP32, OUTPUTS
from lutcore.layout import PackedWeights, Pass
from lutcore.numbers import encode as codes_of

from .config import LEVELS, EngineConfig
from .encoding import Op, encode, new
from .image import activation_rows, addend_rows, scale_beats, sections
from .listing import cost, pass_cycles
from .roll import Loop, rolled

__all__ = ["Gemm", "compile_gemm"]

A, W, S, D, C = range(5)
"""Buffers; each has the address register of its number."""

NEXT = range(-(1 << 31), 1 << 31)
"""What the field `next` of a load or store holds."""


@dataclass(frozen=True)
class Gemm:
    """A compiled GEMM of `shape` (M, N).

    program     words
    memory      [bytes] uint8, before the program runs
    results_at  address of the results: rows of tiles of columns, each from an aligned address
    factor      what INT32 results are multiplied by (`PackedWeights.factor`)
    """

    config: EngineConfig
    program: list[int]
    memory: NDArray[np.uint8]
    shape: tuple[int, int]
    output: str
    factor: int
    results_at: int

    def results(self, memory: NDArray[np.uint8]) -> NDArray[Any]:
        """[M, N] of a memory in which the program has run, in the types of `golden.core`."""
        rows, columns = self.shape
        n, size = self.config.core.n, OUTPUTS[self.output].bits // 8
        tiles = -(-columns // n)
        width = self.config.aligned(n * size)
        area = memory[self.results_at :][: rows * tiles * width].reshape(rows, tiles, width)
        codes = np.ascontiguousarray(area[:, :, : n * size]).view(f"<u{size}")
        codes = codes.reshape(rows, -1)[:, :columns]
        if self.output == "bf16":
            return (codes.astype(np.uint32) << 16).view(np.float32)
        if self.output == "int32":
            return codes.view(np.int32) * np.int32(self.factor)
        return codes.view(np.float16 if self.output == "fp16" else np.float32)


def compile_gemm(
    activations: NDArray[Any],
    packed: PackedWeights,
    config: EngineConfig,
    activation_type: str,
    output: str = "fp32",
    addends: NDArray[np.float32] | NDArray[np.int32] | None = None,
) -> Gemm:
    """O[M, N] = activations [M, K] times packed weights [N, K] transposed, and addends [M, N].

    Activations are values of `activation_type`; operands are those that `golden.check_activations`
    and `golden.check_addends` let pass. InputError where the program has more instructions than the
    engine holds.
    """
    codes = codes_of(activations, ACTIVATIONS[activation_type])
    plan = _Plan(len(codes), packed, config, activation_type, output, addends is not None)
    cuts = [[item.segment for item in part if not item.keep] for part in plan.parts(A)]
    images = {
        A: activation_rows(codes, cuts, plan.bits, config),
        W: sections(packed.beats, plan.counts[W], config),
        S: sections(scale_beats(packed, config), plan.counts[S], config),
        **({} if addends is None else {C: addend_rows(addends, config)}),
        D: np.zeros((plan.rows, plan.d_stride), np.uint8),
    }
    sizes = itertools.accumulate((image.size for image in images.values()), initial=0)
    bases = dict(zip(images, sizes, strict=False))
    program = [
        encode(new("set", address=f"r{buffer}", value=base)) for buffer, base in bases.items()
    ]
    schedule = list(plan.schedule(bases))
    program += [*_words(rolled(list(_words_of(schedule)), LEVELS)), encode(new("halt"))]
    if len(program) > config.program_words:
        raise InputError(
            f"the program has {len(program)} instructions, but program_words is "
            f"{config.program_words}"
        )
    memory = np.concatenate([image.reshape(-1) for image in images.values()])
    shape = (len(codes), packed.shape[0])
    return Gemm(config, program, memory, shape, output, packed.factor, bases[D])


class _Access(NamedTuple):
    """A load or store; its `next` follows from the access of its register after it."""

    op: Op
    address: int


Passes = tuple[Pass, ...]


class _Plan:
    """What is loaded when: chunks of passes whose operands are loaded together, and loop order."""

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
        whole = tuple(packed.passes)
        fits = [self._beats(buffer, whole) <= most for buffer, most in enumerate(self._capacity)]
        # Weights stay in their buffers unless they are too many, or used once in any case.
        self.weights_stay = fits[W] and fits[S] and self.row_tiles > 1
        self.staying = (W, S) if self.weights_stay else (A,) * fits[A]
        self.chunks = self._chunks()
        self.counts = [
            [self._beats(buffer, part) for part in self.parts(buffer)] for buffer in (A, W, S)
        ]
        self.sizes = [
            [config.aligned(self._bytes(buffer, count)) for count in self.counts[buffer]]
            for buffer in (A, W, S)
        ]
        self.tile_bytes = config.aligned(self.core.n * OUTPUTS[output].bits // 8)
        self.d_stride = self.column_tiles * self.tile_bytes
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

    def _bytes(self, buffer: int, count: int) -> int:
        if buffer == A:
            return self.config.row_bytes(count, self.bits)
        return count * (self.core.weight_beat_bytes, self.config.scale_beat_bytes)[buffer == S]

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

    def schedule(self, bases: Mapping[int, int]) -> Iterator[_Access | Op]:
        """All instructions that work on buffers, in the order of issue."""
        outer, inner = self.row_tiles, self.column_tiles
        if self.weights_stay:
            outer, inner = inner, outer
        items = list(itertools.product(range(outer), range(inner), range(len(self.chunks))))
        slots = [1, 1, 1, 1, 1]

        def load(buffer: int, tile: int, section: int) -> _Access:
            slots[buffer] ^= 1
            return self._load(buffer, slots[buffer], bases[buffer], tile, section)

        def stay(o: int) -> list[_Access]:
            return [load(buffer, o, 0) for buffer in self.staying]

        def stream(o: int, i: int, section: int) -> list[_Access]:
            found = [
                load(buffer, i if (buffer == A) == self.weights_stay else o, section)
                for buffer in (A, W, S)
                if buffer not in self.staying and self.counts[buffer][section]
            ]
            if self.addends and section == 0:
                slots[C] ^= 1
                place = (i, o) if self.weights_stay else (o, i)
                found.append(self._tile("load_c", slots[C], bases[C], *place))
            return found

        late = self._late(inner)
        # Lanes begin when something of all of them is there: what is short goes first.
        yield from sorted(
            [*stay(0), *stream(*items[0])], key=lambda load: cost(load.op, self.config).words
        )
        stores: list[_Access] = []
        for (o, i, section), after in zip(items, [*items[1:], None], strict=True):
            first, last = section == 0, section == len(self.chunks) - 1
            slots[D] ^= first
            # What stays has alternated once an outer iteration, and is one load ahead.
            now = [o & 1 if buffer in self.staying else slots[buffer] for buffer in (A, W, S)]
            lmmas = self.lmmas(section, (*now, slots[D]), slots[C])
            loads = [] if after is None else stream(*after)
            # What takes longer goes first, so that it never waits for the other.
            lanes = sum(cost(op, self.config).lanes for op in lmmas)
            words = sum(cost(load.op, self.config).words for load in loads)
            yield from [*loads, *lmmas] if words > lanes else [*lmmas, *loads]
            yield from stores
            if first and o + 1 < outer:
                yield from [load(buffer, o + 1, 0) for buffer in late.get(i, ())]
            stores = []
            if last:
                row, column = (i, o) if self.weights_stay else (o, i)
                stores = [self._tile("store_d", slots[D], bases[D], row, column)]
        yield from stores

    def _late(self, inner: int) -> dict[int, list[int]]:
        """The tiles of an outer iteration at which what stays in the next one is loaded.

        One buffer a tile, so that what the tile after needs comes between them, and no earlier than
        it takes, so that tiles before are not kept waiting.
        """
        lanes = sum(
            pass_cycles(item.planes, item.segment.steps(self.core), item.rounds, self.core)
            for item in self.packed.passes
        )
        words, found = 0, dict[int, list[int]]()
        for buffer in self.staying:
            words += sum(self.sizes[buffer]) // self.config.word_bytes
            found.setdefault(max(0, inner - -(-words // lanes)), []).append(buffer)
        return found

    def _load(self, buffer: int, slot: int, base: int, tile: int, section: int) -> _Access:
        count, sizes = self.counts[buffer][section], self.sizes[buffer]
        offset, size = sum(sizes[:section]), sum(sizes)
        if buffer != A:
            name = "ws"[buffer - W]
            op = new(f"load_{name}", **{name: slot}, address=buffer, beats=count)
            return _Access(op, base + tile * size + offset)
        rows = min(self.core.m, self.rows - tile * self.core.m)
        op = new(
            "load_a",
            a=slot,
            address=buffer,
            bits=str(self.bits),
            rows=rows,
            steps=count,
            stride=size,
        )
        return _Access(op, base + tile * self.core.m * size + offset)

    def _tile(self, name: str, slot: int, base: int, row: int, column: int) -> _Access:
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
        return _Access(op, base + row * m * stride + column * width)

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


def _words_of(schedule: Sequence[_Access | Op]) -> Iterator[int]:
    """The words of the schedule, every access moving its register to the access after it."""
    following: dict[int, int] = {}
    changes: list[int | None] = []
    for item in reversed(schedule):
        if isinstance(item, _Access):
            register = item.op["address"]
            after = following.get(register)
            changes.append(None if after is None else after - item.address)
            following[register] = item.address
    before: dict[int, int] = {}
    word = cache(lambda instruction, values: encode(Op(instruction, dict(values))))
    for item in schedule:
        if isinstance(item, Op):
            yield word(item.instruction, tuple(item.values.items()))
            continue
        register, change = item.op["address"], changes.pop()
        # The last access does as the one before it, so that a loop may hold it.
        change = before.get(register, 0) if change is None else change
        before[register] = change
        by_next = change if change in NEXT else 0
        yield word(item.op.instruction, tuple({**item.op.values, "next": by_next}.items()))
        if by_next != change:
            yield encode(new("add", address=register, value=change))


def _words(nodes: Sequence[Hashable]) -> Iterator[int]:
    """The words of a program of loops."""
    for node in nodes:
        if isinstance(node, Loop):
            yield encode(new("loop", count=node.count))
            yield from _words(node.body)
            yield encode(new("end"))
        else:
            assert isinstance(node, int)
            yield node
