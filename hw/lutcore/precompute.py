"""Activations, on line: a block is buffered, its scale is found, and it is replayed per plane.

    i_activations -> block buffer -> align -> o_steps
                 \\-> peak -> block scale

Source: paper section 3 (table precompute); docs/specification.md, "Activations and tables".
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from .block import Align, BlockScale, Largest, Peak, peak_bits, shift_bits
from .config import TensorCoreConfig
from .streams import index_bits
from .unit import Unit

__all__ = ["Precompute"]


class Precompute(Unit):
    """Buffers a block of activations, finds its scale, and replays it once per bit plane.

    Cycle contract: a pass is taken with its last activation beat; one with `keep` has none and is
    taken in a cycle. A block loads into the places that the last plane of the block before leaves,
    each in the cycle in which it is left, so that blocks of equal length follow without a gap. A
    replay emits one step a cycle, planes outside and steps inside, the first one `latency` cycles
    after its pass was taken. `o_steps` follows the stream rules under any back-pressure.
    """

    suffix = "precompute"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.align = Align(config, top)
        self.peak = Peak(config, top)
        self.largest = Largest(config, top)
        self.scale = BlockScale(config)
        super().__init__(config, top, self.peak, self.largest, self.align)

    @property
    def latency(self) -> int:
        """Cycles from the last activation of a pass to its first step."""
        return 3 if self.config.pipeline else 2

    def ports(self) -> dict[str, Any]:
        return {
            "i_passes": In(self.layouts.signature("passes")),
            "i_activations": In(self.layouts.signature("activations")),
            "o_steps": Out(self.layouts.signature("steps")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        passes, activations, steps = self.i_passes, self.i_activations, self.o_steps
        full = Signal(2)
        banks = [Signal(self.layouts.passes, name=f"bank_{i}", reset_less=True) for i in range(2)]
        address_bits = index_bits(c.max_steps)
        m.submodules.buffer = buffer = memory.Memory(
            shape=self.layouts.activations, depth=1 << address_bits, init=[]
        )
        write, read = buffer.write_port(), buffer.read_port(domain="sync")

        # Load: a step a cycle into places that are not needed any more. A pass with `keep` shares
        # the block and the scale of the one before; when a block is loaded, at most that one is
        # unfinished.
        load_bank = Signal()
        load_step = Signal(address_bits)
        load, load_end, left = Signal(), Signal(), Signal()
        largest = Signal(data.ArrayLayout(peak_bits(c), c.m))
        keep = passes.payload.keep
        free = passes.valid & ~Mux(load_bank, full[1], full[0])
        m.d.comb += [
            load.eq(free & ~keep & left & activations.valid),
            load_end.eq(Mux(keep, free, load & (load_step == passes.payload.steps))),
            activations.ready.eq(free & ~keep & left),
            passes.ready.eq(load_end),
            write.en.eq(load),
            write.addr.eq(load_step),
            write.data.eq(activations.payload),
        ]
        g = c.lookup_group
        for row in range(c.m):
            values = Value.cast(activations.payload[row])
            peaks = Signal(data.ArrayLayout(peak_bits(c), c.groups_per_step), name=f"peaks_{row}")
            for group in range(c.groups_per_step):
                m.submodules[f"peak_{row}_{group}"] = self.peak.place(
                    values=values.word_select(group, g * c.activation_bits),
                    format=passes.payload.format,
                    peak=peaks[group],
                )
            self._largest(
                m,
                row,
                peaks.as_value(),
                largest[row],
                load,
                load_step.any(),
            )
        with m.If(load):
            m.d.sync += load_step.eq(load_step + 1)
        with m.If(load_end):
            m.d.sync += [load_step.eq(0), load_bank.eq(~load_bank)]
            for index, bank in enumerate(banks):
                with m.If(load_bank == index):
                    m.d.sync += [full[index].eq(1), bank.eq(passes.payload)]

        # Replay: planes outside, steps inside, so that a lane only ever shifts by one.
        bank_index = Signal()
        plane = Signal(self.layouts.passes["planes"].shape)
        step = Signal(address_bits)
        bank = Signal(self.layouts.passes)
        plane_end, last_plane, replay_end = Signal(), Signal(), Signal()
        fetched = Signal()
        fetch_moves, align_moves = Signal(), Signal()
        fetch = Signal()
        m.d.comb += [
            bank.eq(Mux(bank_index, banks[1], banks[0])),
            plane_end.eq(step == bank.steps),
            last_plane.eq(plane == bank.planes),
            replay_end.eq(plane_end & last_plane),
            # The place was never used, or is fetched from for the last time, at the latest now.
            left.eq(
                ~full.any()
                | (load_step > bank.steps)
                | (last_plane & ((load_step < step) | ((load_step == step) & fetch)))
            ),
            fetch_moves.eq(~fetched | align_moves),
            fetch.eq(Mux(bank_index, full[1], full[0]) & fetch_moves),
            read.en.eq(fetch_moves),
            read.addr.eq(step),
        ]
        first_step = ~step.any()
        control = Signal(self.layouts.control, reset_less=True)
        scaling = Signal(self.layouts.scaling, reset_less=True)
        number_format = Signal(bank.format.shape(), reset_less=True)
        with m.If(fetch):
            m.d.sync += [
                step.eq(step + 1),
                control.clear.eq(first_step & ~plane.any()),
                control.shift.eq(first_step & ~bank.equal),
                control.restart_sum.eq(first_step),
                control.end.eq(replay_end),
                scaling.rescaling.eq(bank.rescaling),
                *self._plane_sum(scaling, bank),
                number_format.eq(bank.format),
            ]
            with m.If(plane_end):
                m.d.sync += [step.eq(0), plane.eq(plane + 1)]
            with m.If(replay_end):
                m.d.sync += [plane.eq(0), bank_index.eq(~bank_index)]
                for index in range(2):
                    with m.If(bank_index == index):
                        m.d.sync += full[index].eq(0)
        with m.If(fetch_moves):
            m.d.sync += fetched.eq(fetch)
        # The block that is loaded next changes `largest` after this step at the earliest.
        first = fetch & first_step & ~plane.any()
        scales = [
            self._scale(m, row, largest[row], first, bank, number_format) for row in range(c.m)
        ]

        # Align: the buffer's data, one cycle after the fetch; held behind that with `pipeline`.
        values = Signal(self.layouts.steps["values"].shape)
        enable = align_moves & fetched
        for row in range(c.m):
            for index in range(c.k):
                m.submodules[f"align_{row}_{index}"] = self.align.place(
                    value=read.data[row][index],
                    format=number_format,
                    shift=scales[row][1],
                    nonfinite=scales[row][2],
                    aligned=values[row][index],
                    **({"enable": enable} if c.pipeline else {}),
                )
        result = Signal(
            data.StructLayout({"control": self.layouts.control, "scaling": self.layouts.scaling})
        )
        m.d.comb += [
            steps.payload.values.eq(values),
            result.control.eq(control),
            result.scaling.eq(scaling),
        ]
        for row, (exponent, _, nonfinite) in enumerate(scales):
            m.d.comb += [
                result.scaling.exponents[row].eq(exponent),
                result.scaling.nonfinite[row].eq(nonfinite),
            ]
        if not c.pipeline:
            m.d.comb += [
                steps.valid.eq(fetched),
                steps.payload.control.eq(result.control),
                steps.payload.scaling.eq(result.scaling),
                align_moves.eq(steps.ready),
            ]
            return m
        # The values have their registers in `Align`.
        aligned = Signal()
        held: Any = Signal(result.shape(), reset_less=True)
        m.d.comb += [
            steps.valid.eq(aligned),
            steps.payload.control.eq(held.control),
            steps.payload.scaling.eq(held.scaling),
            align_moves.eq(~aligned | steps.ready),
        ]
        with m.If(align_moves):
            m.d.sync += aligned.eq(fetched)
        with m.If(enable):
            m.d.sync += held.eq(result)
        return m

    def _largest(
        self, m: Module, row: int, peaks: Value, largest: Value, load: Value, more: Value
    ) -> None:
        """Drives the peak of the steps loaded so far; `more`: the step is not a block's first.

        With `pipeline` a register stands behind every peak. That costs no cycle: the peak of a
        block is asked for in the cycle after its last step.
        """
        running = Signal(largest.shape(), name=f"running_{row}", reset_less=True)
        if self.config.pipeline:
            held = Signal.like(peaks, name=f"held_peaks_{row}", reset_less=True)
            m.submodules[f"largest_{row}"] = self.largest.place(
                peaks=held, before=running, largest=largest
            )
            m.d.sync += [held.eq(Mux(load, peaks, 0)), running.eq(Mux(load & ~more, 0, largest))]
            return
        found = Signal.like(running, name=f"found_{row}")
        m.submodules[f"largest_{row}"] = self.largest.place(
            peaks=peaks, before=Mux(more, running, 0), largest=found
        )
        m.d.comb += largest.eq(running)
        with m.If(load):
            m.d.sync += running.eq(found)

    def _scale(
        self, m: Module, row: int, largest: Value, first: Value, bank: Any, number_format: Value
    ) -> tuple[Value, Value, Value]:
        """Exponent, shift and `nonfinite` of a row from the cycle after the `first` fetch on.

        They are held in registers; with `pipeline` the peak is, and they follow from it.
        """
        c = self.config
        held = (
            Signal(signed(c.exponent_bits), name=f"exponent_{row}", reset_less=True),
            Signal(shift_bits(c), name=f"shift_{row}", reset_less=True),
            Signal(name=f"nonfinite_{row}", reset_less=True),
        )
        if c.pipeline:
            code = Signal(largest.shape(), name=f"largest_{row}", reset_less=True)
            with m.If(first):
                m.d.sync += code.eq(largest)
            found = self.scale.find(m, code, number_format, str(row))
            m.d.comb += [signal.eq(value) for signal, value in zip(held, found, strict=True)]
            return held
        found = self.scale.find(m, largest, bank.format, str(row))
        with m.If(first):
            m.d.sync += [signal.eq(value) for signal, value in zip(held, found, strict=True)]
        return held

    def _plane_sum(self, scaling: Any, descriptor: Any) -> list[Any]:
        """The sum of what the planes of a pass weigh, where the core needs it."""
        if not self.config.subsets:
            return []
        planes = descriptor.planes + 1
        powers = Cat(index < planes for index in range(self.config.weight_bits))
        return [scaling.plane_sum.eq(Mux(descriptor.equal, planes, powers))]
