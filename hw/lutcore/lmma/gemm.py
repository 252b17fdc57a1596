"""A compiler for one GEMM: an LMMA program and the memory that it works on.

`plan` says in which order tiles are done and what is loaded when; `rolled` turns that into loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, OUTPUTS
from lutcore.layout import PackedWeights
from lutcore.numbers import encode as codes_of

from .config import LEVELS, EngineConfig
from .encoding import Op, encode, new
from .image import addend_rows, scale_beats, sections
from .plan import A, Access, C, D, Plan, S, W
from .roll import Loop, rolled

__all__ = ["Gemm", "compile_gemm"]

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
    plan = Plan(len(codes), packed, config, activation_type, output, addends is not None)
    images = {
        A: plan.activation_image(codes),
        W: plan.weight_image(),
        S: sections(scale_beats(packed, config), plan.counts[S], config),
        **({} if addends is None else {C: addend_rows(addends, config)}),
        D: np.zeros((plan.rows, plan.d_stride), np.uint8),
    }
    sizes = itertools.accumulate((image.size for image in images.values()), initial=0)
    bases = dict(zip(images, sizes, strict=False))
    schedule = list(plan.schedule(bases))
    program = [*_words(rolled(list(_words_of(schedule)), LEVELS)), encode(new("halt"))]
    if len(program) > config.program_words:
        raise InputError(
            f"the program has {len(program)} instructions, but program_words is "
            f"{config.program_words}"
        )
    memory = np.concatenate([image.reshape(-1) for image in images.values()])
    shape = (len(codes), packed.shape[0])
    return Gemm(config, program, memory, shape, output, packed.factor, bases[D])


def _words_of(schedule: Sequence[Access | Op]) -> Iterator[int]:
    """The words of the schedule, every access moving its register to the access after it."""
    following: dict[int, int] = {}
    changes: list[int | None] = []
    for item in reversed(schedule):
        if isinstance(item, Access):
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
        if register not in before:
            yield encode(new("set", address=register, value=item.address))
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
