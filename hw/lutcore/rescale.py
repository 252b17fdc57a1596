"""Epilogue of a pass: zero point, scale and offset, FP32 accumulation over the passes, output.

Shared in time: m * rescale_columns fused multiply-adds serve all m * n lanes.
Source: docs/specification.md, "Rescale".
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .decode import ScaleDecode
from .fma import Fma
from .fma_layout import scale_layout
from .formats import FP32
from .layout import OFFSET_ZERO
from .streams import index_bits
from .unit import Unit, leading_zeros

__all__ = ["Rescale"]


class Rescale(Unit):
    """Takes the psums of a pass at once, then rescales `rescale_columns` columns a cycle.

    Cycle contract: a round takes `config.round_cycles` in which scales are valid, a pass one round,
    or two with `offset`. The next psums are taken with the last scales of a pass, so passes of as
    many steps or more never wait. An output beat of a pass with `last`
    appears `latency` cycles after the scales of its last round. If `o_outputs` is not taken, all
    stops. After a pass with `last` and an output other than FP32 or INT32, a pass has `first`.
    With `config.addends`, a pass with `first` and `addend` takes a beat of `i_addends` for each of
    its first round, `addend_delay` cycles after the scales. While that is missing all stops, what
    is left of the outputs of the passes before too: addends must not wait for them.
    """

    suffix = "rescale"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.decode = ScaleDecode(config, top)
        self.fma = Fma(config, top)
        super().__init__(config, top, self.decode, self.fma)

    @property
    def latency(self) -> int:
        """Cycles from the scales of a last round to its outputs."""
        return self.config.fma_latency

    def ports(self) -> dict[str, Any]:
        return {
            "i_psums": In(self.layouts.signature("psums")),
            "i_scales": In(self.layouts.signature("scales")),
            **self.addends(),
            "o_outputs": Out(self.layouts.signature("outputs")),
        }

    def addends(self) -> dict[str, Any]:
        """The port of the addends, where there is one."""
        return {"i_addends": In(self.layouts.signature("addends"))} if self.config.addends else {}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        psums, outputs = self.i_psums, self.o_outputs
        ahead = c.pipeline >= 2
        scales = self.held(m, "scales", self.i_scales) if ahead else self.i_scales

        # The psums wait in a shift register; its low columns are next. Zeros follow, so that none
        # are left for a second round.
        waiting = Signal(self.layouts.psums, reset_less=True)
        rescaling = waiting.scaling.rescaling
        turn_bits = index_bits(c.round_cycles)
        busy, second, index, turn = Signal(), Signal(), Signal(turn_bits), Signal(turn_bits)
        last_index, last_round, padding = Signal(), Signal(), Signal()
        kind = Signal(self.layouts.kind)
        stages = range(1, self.latency + 1)
        valid = [Signal(name=f"valid_{i}") for i in stages]
        kinds = [Signal(self.layouts.kind, name=f"kind_{i}", reset_less=True) for i in stages]
        moves, may_enter, enter, empty = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            kind.first.eq(rescaling.kind.first & ~second),
            kind.last.eq(rescaling.kind.last & last_round),
            kind.output.eq(rescaling.kind.output),
            last_index.eq(index == c.column_groups - 1 if c.round_cycles > 1 else 1),
            last_round.eq(second | ~rescaling.offset),
            outputs.valid.eq(valid[-1] & kinds[-1].last),
            moves.eq(~outputs.valid | outputs.ready),
        ]

        # Accumulators go round in a ring of `round_cycles` places, the stages of the multiply-adds
        # from the addend on among them, and the ring stands still unless a beat enters. Where none
        # can, and results are still on their way out, or beats on their way to their addends, empty
        # beats enter, which change nothing; as many as bring the ring back to where it was, unless
        # what follows starts anew.
        if c.column_groups < c.round_cycles:
            m.d.comb += padding.eq(index >= c.column_groups)
        leaving = Cat(held & of.last for held, of in zip(valid, kinds, strict=True)).any()
        if c.addends:
            waits = zip(valid[: c.addend_delay], kinds, strict=False)
            leaving |= Cat(held & of.first & of.addend for held, of in waits).any()
        m.d.comb += [
            may_enter.eq(busy & ~padding & (~turn.any() | (~index.any() & kind.first))),
            scales.ready.eq(moves & may_enter),
            enter.eq(scales.ready & scales.valid),
            empty.eq(moves & ~(may_enter & scales.valid) & (padding | turn.any() | leaving)),
        ]
        ends, taken = Signal(), Signal()
        m.d.comb += [ends.eq(enter & last_index & last_round), taken.eq(psums.ready & psums.valid)]
        at_end = c.round_cycles - 1
        with m.If(enter | (empty & padding)):
            m.d.sync += index.eq(Mux(index == at_end, 0, index + 1) if at_end else 0)
        with m.If(enter):
            m.d.sync += turn.eq(0)
        with m.Elif(empty & ~padding):
            m.d.sync += turn.eq(Mux(turn == at_end, 0, turn + 1) if at_end else 0)
        with m.If(enter):
            column_bits = c.m * c.psum_bits * c.rescale_columns
            m.d.sync += Value.cast(waiting.columns).eq(Value.cast(waiting.columns) >> column_bits)
            with m.If(last_index):
                m.d.sync += [second.eq(~last_round), busy.eq(~last_round)]
                if c.parity:
                    m.d.sync += Value.cast(waiting.odds).eq(0)
        with m.If(taken):
            m.d.sync += [waiting.eq(psums.payload), busy.eq(1)]
        if ahead:
            # The next cycle's beat is the last of its pass, has its scales and enters.
            certain = enter & last_round & self.i_scales.valid
            certain &= index == c.column_groups - 2 if c.column_groups > 1 else 0
            certain &= ~(valid[-2] & kinds[-2].last)
            if c.addends:
                before, of = [(enter, kind), *zip(valid, kinds, strict=True)][c.addend_delay - 1]
                certain &= ~(before & of.first & of.addend)
            takes = Signal()
            m.d.sync += takes.eq(~taken & (~busy | ends) | certain)
            m.d.comb += psums.ready.eq(takes)
        else:
            m.d.comb += psums.ready.eq(~busy | ends)

        at, first, start, step = kinds[c.addend_delay - 1], Signal(), Signal(), Signal()
        m.d.comb += [first.eq(valid[c.addend_delay - 1] & at.first), step.eq(enter | empty)]
        if c.addends:
            m.d.comb += [
                kind.addend.eq(rescaling.kind.addend),
                start.eq(first & at.addend),
                self.i_addends.ready.eq(start & step),
            ]
            with m.If(start & ~self.i_addends.valid):
                m.d.comb += [moves.eq(0), outputs.valid.eq(0)]
        ring = [
            Signal(self.layouts.accumulators, name=f"ring_{i}", reset_less=True)
            for i in range(c.round_cycles - (self.latency - c.addend_delay))
        ]
        results = Signal(self.layouts.accumulators)
        with m.If(step):
            m.d.sync += [
                *(held.eq(source) for held, source in zip(valid, [enter, *valid], strict=False)),
                *(held.eq(source) for held, source in zip(kinds, [kind, *kinds], strict=False)),
                *(held.eq(source) for held, source in zip(ring, [results, *ring], strict=False)),
            ]
        for column in range(c.rescale_columns):
            scale = self._scale(m, scales.payload[column].scale, rescaling.scale, second, column)
            factor: Value = (
                scales.payload[column].zero if c.zero_bits else Mux(second, Const(OFFSET_ZERO), 0)
            )
            if c.subsets:
                # The psum counts from digits of -1 throughout, where every plane is -sum.
                factor += Mux(second, 0, waiting.scaling.plane_sum)
            for row in range(c.m):
                difference = Signal(signed(c.difference_bits), name=f"difference_{column}_{row}")
                psum = waiting.columns[column][row]
                if c.subsets:
                    psum <<= 1
                elif c.parity:
                    psum = (psum << 1) + waiting.odds[row]
                addend = Signal(FP32.bits, name=f"addend_{column}_{row}")
                m.d.comb += [
                    difference.eq(psum - factor * waiting.sums[row]),
                    addend.eq(Mux(first, 0, ring[-1][column][row])),
                ]
                if c.addends:
                    with m.If(start):
                        m.d.comb += addend.eq(self.i_addends.payload[column][row])
                m.submodules[f"fma_{row}_{column}"] = self.fma.place(
                    enable=step,
                    empty=~enter,
                    difference=difference,
                    scale=scale,
                    exponent=waiting.scaling.exponents[row],
                    nonfinite=waiting.scaling.nonfinite[row],
                    output_format=kind.output,
                    last=kind.last & enter,
                    addend=addend,
                    result=results[column][row],
                )
                m.d.comb += outputs.payload[column][row].eq(results[column][row])
        return m

    def _scale(
        self, m: Module, code: Value, number_format: Value, second: Value, column: int
    ) -> data.View[data.StructLayout]:
        """The scale of a column for its multiply-adds, subnormal or not: normalised, and twice as
        large in a second round."""
        number = self.decode.placed(m, code, number_format, column)
        scale = Signal(scale_layout(self.config), name=f"scale_{column}")
        rebias: Value = Const(0, 1)
        for index, fmt in enumerate(self.config.scale_formats):
            rebias = (
                Mux(number_format == index, FP32.bias - fmt.bias, rebias)
                if index
                else (Const(FP32.bias - fmt.bias))
            )
        zeros = leading_zeros(number.significand)
        m.d.comb += [
            scale.sign.eq(number.sign),
            scale.exponent.eq(number.field + rebias - zeros + second),
            scale.significand.eq(number.significand << zeros),
            scale.special.eq(number.special),
        ]
        return scale
