"""`BaselineArray`: m * n lanes behind operand registers, with the streams of `LookupArray`.

i_activations -> row -> registers -> lanes -> o_psums
i_weights -> registers -> column ----^
"""

# The methods keep the contracts that the base classes state.
# ruff: noqa: D102

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal
from amaranth.lib.wiring import In, Out

from .config import BaselineConfig
from .lane import Lane
from .operands import BaselineUnit, Column, ColumnRegisters, Row, RowRegisters

__all__ = ["BaselineArray"]


class BaselineArray(BaselineUnit):
    """m rows of operands (for every `readers` columns), n columns of codes, m * n lanes.

    Cycle contract: a step is taken in a cycle in which an activation and a weight beat are both
    valid and the registers are free; it is in the lanes a cycle later, and the psums are valid
    2 + `stages` cycles after the last step of a block (`end`). Without back-pressure a step moves
    every cycle, also across blocks. Bit-serial designs take the activations of a step once for each
    plane; planes come most significant first, and `shift` is 1 in the first step of each but the
    first.
    """

    suffix = "array"

    def __init__(self, config: BaselineConfig, top: str = "baseline") -> None:
        self.row = Row(config, top)
        self.row_registers = RowRegisters(config, top)
        self.column_registers = ColumnRegisters(config, top)
        self.column = Column(config, top)
        self.lane = Lane(config, top)
        super().__init__(
            config, top, self.row, self.row_registers, self.column_registers, self.column, self.lane
        )

    def ports(self) -> dict[str, Any]:
        return {
            "i_activations": In(self.layouts.signature("activations")),
            "i_weights": In(self.layouts.signature("weights")),
            "o_psums": Out(self.layouts.signature("psums")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        activations, weights, psums = self.i_activations, self.i_weights, self.o_psums
        full, free, load, step = Signal(), Signal(), Signal(), Signal()
        control = Signal(self.layouts.control, reset_less=True)
        # The step whose products are added to the accumulators.
        adds, adding = Signal(), Signal(self.layouts.control, reset_less=True)
        keep, shift = Signal(), Signal()
        m.d.comb += [
            free.eq(~psums.valid | psums.ready),
            step.eq(full & free),
            load.eq(activations.valid & weights.valid & (~full | free)),
            activations.ready.eq(weights.valid & (~full | free)),
            weights.ready.eq(activations.valid & (~full | free)),
        ]
        with m.If(~full | free):
            m.d.sync += full.eq(load)
        with m.If(load):
            m.d.sync += control.eq(activations.payload.control)
        if c.stages:
            waiting = Signal()
            with m.If(free):
                m.d.sync += [waiting.eq(full), adding.eq(control)]
            m.d.comb += adds.eq(waiting & free)
        else:
            m.d.comb += [adds.eq(step), adding.eq(control)]
        with m.If(free):
            m.d.sync += psums.valid.eq(adds & adding.end)
        counts = Const(1, 1) if c.enables else adds
        m.d.comb += [
            keep.eq(~(counts & (adding.clear | adding.shift))),
            shift.eq(counts & adding.shift & ~adding.clear),
        ]
        moves = {"enable": adds} if c.enables else {}
        if c.stages:
            moves["move"] = free
        operands: dict[tuple[int, int], Any] = {}
        for table in range(c.n // c.table_readers):
            for row in range(c.m):
                prepared = Signal(self.layouts.operand, name=f"prepared_{row}_{table}")
                operand = Signal(self.layouts.operand, name=f"operand_{row}_{table}")
                m.submodules[f"row_{row}_{table}"] = self.row.place(
                    values=activations.payload.rows[row], operand=prepared
                )
                take = {"take": step} if "take" in self.row_registers.signature.members else {}
                m.submodules[f"row_registers_{row}_{table}"] = self.row_registers.place(
                    i=prepared, load=load, o=operand, **take
                )
                operands[row, table] = operand
        for column in range(c.n):
            decoded = Signal(self.layouts.selections, name=f"decoded_{column}")
            held = Signal(self.column_registers.o.shape(), name=f"held_{column}")
            m.submodules[f"column_registers_{column}"] = self.column_registers.place(
                i=decoded if c.decodes_first else weights.payload[column], load=load, o=held
            )
            take = {"take": step} if c.gates_columns else {}
            m.submodules[f"column_{column}"] = self.column.place(
                codes=weights.payload[column] if c.decodes_first else held,
                selections=decoded,
                **take,
            )
            selections = held if c.decodes_first else decoded
            for row in range(c.m):
                m.submodules[f"lane_{row}_{column}"] = self.lane.place(
                    operand=operands[row, column // c.table_readers],
                    selections=selections,
                    keep=keep,
                    shift=shift,
                    **moves,
                    psum=psums.payload[column][row],
                )
        return m
