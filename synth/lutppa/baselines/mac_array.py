"""`MacArray`: m * n fused dot products behind operand registers, with the streams of the product.

i_activations -> registers -> row of m ----> dot products -> accumulators -> o_results
i_weights -----> registers -> column of n -------^    ^-----------|
"""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from lutcore.formats import FP32

from .dot import FusedDot
from .mac_config import MacConfig, MacUnit
from .mac_operands import Column, Row

__all__ = ["MacArray"]


class Accumulator(MacUnit):
    """An FP32 sum. Cycle contract: `total` is the `result` of the last cycle with `enable`.

    addend: the sum to go on with, zero where one starts.
    """

    suffix = "accumulator"

    def ports(self) -> dict[str, Any]:
        bits = FP32.bits
        return {
            "enable": In(1), "first": In(1), "result": In(bits),
            "total": Out(bits), "addend": Out(bits),
        }  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(FP32.bits, reset_less=True)
        with m.If(self.enable):
            m.d.sync += total.eq(self.result)
        m.d.comb += [
            self.total.eq(total),
            self.addend.eq(total & (~self.first).replicate(FP32.bits)),
        ]
        return m


class MacArray(MacUnit):
    """O[m, n] += A[m, k] W[n, k]^T a step, as `golden_mac.matmul` defines it.

    i_activations  m rows of k codes; `first`: the sums start from zero; `last`: they are complete
    i_weights      n columns of k codes, one beat a step
    o_results      n columns of m sums, FP32

    A sum is in the pipeline between two steps, so `config.turns` tiles take turns: steps come in
    rounds, one of each tile, and `first` and `last` are the same for all steps of a round.
    Cycle contract: a step is taken in a cycle in which both beats are valid, one a cycle without
    back-pressure; its sums appear 2 + `stages` cycles later if it is a `last` one. Between a
    round's first step and its last, and between two rounds of a sum, all waits for the next step.
    """

    suffix = "array"

    def __init__(self, config: MacConfig, top: str = "mac") -> None:
        self.row = Row(config, top)
        self.column = Column(config, top)
        self.dot = FusedDot(config, top)
        self.accumulator = Accumulator(config, top)
        super().__init__(config, top, self.row, self.column, self.dot, self.accumulator)

    def ports(self) -> dict[str, Any]:
        return {
            "i_activations": In(self.layouts.signature("activations")),
            "i_weights": In(self.layouts.signature("weights")),
            "o_results": Out(self.layouts.signature("results")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        activations, weights, results = self.i_activations, self.i_weights, self.o_results
        control = Signal(self.layouts.control, reset_less=True)

        # Sums that still grow stay where they are; without any the pipeline runs empty.
        growing, turn = Signal(), Signal(range(c.turns))
        free, offered, step, moves = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~results.valid | results.ready),
            offered.eq(activations.valid & weights.valid),
            step.eq(offered & free),
            moves.eq(free & (offered | ~growing)),
            activations.ready.eq(weights.valid & free),
            weights.ready.eq(activations.valid & free),
        ]
        last_turn = turn == c.turns - 1
        with m.If(step):
            m.d.sync += [
                control.eq(activations.payload.control),
                growing.eq(~(activations.payload.control.last & last_turn)),
            ]
            if c.turns > 1:
                with m.If(last_turn):
                    m.d.sync += turn.eq(0)
                with m.Else():
                    m.d.sync += turn.eq(turn + 1)

        first = control.first
        if c.early:  # The addend is for the step that has passed it.
            first = Signal(reset_less=True)
            with m.If(moves):
                m.d.sync += first.eq(control.first)

        # Whether a step that is under way completes its sums.
        completes = [Signal(name=f"completes_{i}") for i in range(c.stages + 1)]
        with m.If(moves):
            m.d.sync += completes[0].eq(step & activations.payload.control.last)
            for now, before in zip([*completes[1:], results.valid], completes, strict=True):
                m.d.sync += now.eq(before)
        with m.Elif(results.ready):
            m.d.sync += results.valid.eq(0)

        rows = [Signal(self.layouts.row, name=f"row_{i}") for i in range(c.m)]
        columns = [Signal(self.layouts.column, name=f"column_{i}") for i in range(c.n)]
        move = {"move": moves} if c.early else {}
        for i, row in enumerate(rows):
            m.submodules[f"row_{i}"] = self.row.place(
                codes=activations.payload.rows[i], load=step, row=row, **move
            )
        for i, column in enumerate(columns):
            m.submodules[f"column_{i}"] = self.column.place(
                codes=weights.payload[i], load=step, column=column, **move
            )
        enable = {"enable": moves} if c.stages else {}
        for j, column in enumerate(columns):
            for i, row in enumerate(rows):
                addend, result = (
                    Signal(FP32.bits, name=f"{name}_{i}_{j}") for name in ("addend", "result")
                )
                m.submodules[f"dot_{i}_{j}"] = self.dot.place(
                    a=row, b=column, addend=addend, result=result, **enable
                )
                m.submodules[f"accumulator_{i}_{j}"] = self.accumulator.place(
                    enable=moves, first=first, result=result,
                    total=results.payload[j][i], addend=addend,
                )  # fmt: skip
        return m
