"""Activations, on line: a block is buffered, its scale is found, and it is replayed per plane.

    i_activations -> block buffer -> align -> o_steps
                 \\-> peak -> exponent of a table step

Source: paper section 3 (table precompute); docs/specification.md, "Activations and tables".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .formats import FloatFormat, IntegerFormat
from .streams import index_bits
from .unit import Unit, balanced

__all__ = ["Align", "Peak", "Precompute"]


class BlockExponent:
    """How the exponent field E of a block follows from its peak, as constants.

    A peak is coded like a float of `fraction_bits` + ceil(log2 g) fraction bits, exponent field
    above fraction, and E = max(1, (code + carry) >> fraction bits): one small adder. `carry` makes
    the significands that do not fit spill into the next exponent.
    """

    def __init__(self, config: TensorCoreConfig, fmt: FloatFormat) -> None:
        self.fraction_bits = fmt.fraction_bits + config.group_bits
        # An activation is significand * 2^(left - (E - e)) guard units.
        self.left = config.guard - fmt.bias - fmt.fraction_bits - config.step_offset(fmt)
        hidden = 1 << self.fraction_bits
        unit = Fraction(2) ** (self.left - config.group_bits + 1)
        fitting = math.ceil(config.doubled_peak_limit / unit)  # significands below it fit at E = e
        assert hidden < fitting, "E would be one more than any peak's exponent"
        self.carry = max(0, 2 * hidden - fitting)

    def field(self, code: Value) -> Value:
        """E of a peak's code."""
        field = (code + self.carry) >> self.fraction_bits
        return Mux(field.any(), field, 1)


def field_bits(config: TensorCoreConfig) -> int:
    """Bits of the largest E of any float format built in."""
    largest = [
        fmt.special_field + config.group_bits
        for fmt in config.formats
        if isinstance(fmt, FloatFormat)
    ]
    return max(largest, default=1).bit_length()


def peak_bits(config: TensorCoreConfig) -> int:
    """Bits of a peak's code; all ones stands for a block with an infinity or NaN."""
    fractions = [
        fmt.fraction_bits + config.group_bits
        for fmt in config.formats
        if isinstance(fmt, FloatFormat)
    ]
    return field_bits(config) + max(fractions, default=0)


def format_cases(
    m: Module, config: TensorCoreConfig
) -> Iterator[tuple[AbstractContextManager[None], FloatFormat | IntegerFormat]]:
    """A case of a switch on the format index for every format; the last one takes the rest."""
    *others, last = config.formats
    for index, fmt in enumerate(others):
        yield m.Case(index), fmt
    yield m.Default(), last


class Align(Unit):
    """One activation to a two's complement integer in guard units (2^-guard table steps).

    Combinational. value: a code of the format; format: its place in `config.activations`;
    field: the block's E; nonfinite: the row has an infinity or NaN, which makes the result 0.
    """

    suffix = "align"
    clocked = False

    def ports(self) -> dict[str, Any]:
        return {
            "value": In(unsigned(self.config.activation_bits)),
            "format": In(self.layouts.passes["format"].shape),
            "field": In(unsigned(field_bits(self.config))),
            "nonfinite": In(1),
            "aligned": Out(signed(self.config.aligned_bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.Switch(self.format):
            for case, fmt in format_cases(m, self.config):
                with case:
                    if isinstance(fmt, IntegerFormat):
                        m.d.comb += self.aligned.eq(
                            self.value[: fmt.bits].as_signed() << self.config.guard
                        )
                    else:
                        self._align_float(m, fmt)
        return m

    def _align_float(self, m: Module, fmt: FloatFormat) -> None:
        block = BlockExponent(self.config, fmt)
        fraction = self.value[: fmt.fraction_bits]
        own = self.value[fmt.fraction_bits : fmt.bits - 1]
        significand = Cat(fraction, own.any())
        # A right shift by E - e - left; where that can be negative, the significand starts higher.
        headroom = max(0, block.left)
        width = fmt.significand_bits + headroom
        shift = Signal(signed(len(self.field) + 7))
        m.d.comb += shift.eq(self.field - Mux(own.any(), own, 1) + (headroom - block.left))
        # Beyond width + 1 the value is below a half and rounds to zero all the same.
        amount = Signal(range(width + 2))
        m.d.comb += amount.eq(Mux(shift > width + 1, width + 1, shift))
        wide = Signal(2 * width)
        m.d.comb += wide.eq(Cat(Const(0, width + headroom), significand) >> amount)
        floor, half, rest = wide[width:], wide[width - 1], wide[: width - 1].any()
        magnitude = Signal(width + 1)
        m.d.comb += magnitude.eq(floor + (half & (rest | floor[0])))
        with m.If(~self.nonfinite):
            m.d.comb += self.aligned.eq(Mux(self.value[fmt.bits - 1], -magnitude, magnitude))


class Peak(Unit):
    """The peak of one lookup group, as a code that orders like the peak itself. Combinational.

    values: g activation codes; format: their place in `config.activations`; peak: exponent field
    above fraction; all ones if one of the values is an infinity or NaN; 0 for integers.
    """

    suffix = "peak"
    clocked = False

    def ports(self) -> dict[str, Any]:
        c = self.config
        return {
            "values": In(data.ArrayLayout(c.activation_bits, c.lookup_group)),
            "format": In(self.layouts.passes["format"].shape),
            "peak": Out(unsigned(peak_bits(c))),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.Switch(self.format):
            for case, fmt in format_cases(m, self.config):
                with case:
                    if isinstance(fmt, FloatFormat):
                        self._float_peak(m, fmt)
        return m

    def _float_peak(self, m: Module, fmt: FloatFormat) -> None:
        group_bits = self.config.group_bits
        exponents: list[Value] = []
        significands: list[Value] = []
        special: list[Value] = []
        for value in self.values:
            own = value[fmt.fraction_bits : fmt.bits - 1]
            exponents.append(Mux(own.any(), own, 1))
            significands.append(Cat(value[: fmt.fraction_bits], own.any()))
            special.append(own.all())
        largest = Signal(fmt.exponent_bits, name=f"largest_{fmt.name}")
        m.d.comb += largest.eq(balanced(exponents, lambda a, b: Mux(a > b, a, b)))
        terms: list[Value] = []
        for index, (exponent, significand) in enumerate(zip(exponents, significands, strict=True)):
            # Rounded up: what is shifted out adds one. Further than all bits away, one remains.
            distance = Signal(fmt.exponent_bits, name=f"distance_{index}_{fmt.name}")
            width = fmt.significand_bits
            wide = Signal(2 * width, name=f"wide_{index}_{fmt.name}")
            far = Mux(distance > width, width, distance)
            m.d.comb += distance.eq(largest - exponent)
            m.d.comb += wide.eq(Cat(Const(0, width), significand) >> far)
            terms.append(wide[width:] + wide[:width].any())
        total = Signal(fmt.significand_bits + group_bits, name=f"total_{fmt.name}")
        m.d.comb += total.eq(balanced(terms, add))
        fraction_bits = fmt.fraction_bits + group_bits
        code = Signal.like(self.peak, name=f"code_{fmt.name}")
        m.d.comb += code.eq(Cat(Const(0, group_bits), total))  # subnormal: field 0
        for above in range(group_bits + 1):
            with m.If(total[fmt.fraction_bits + above]):
                fraction = (total << (group_bits - above))[:fraction_bits]
                m.d.comb += code.eq(Cat(fraction, largest + above))
        m.d.comb += self.peak.eq(Mux(Cat(special).any(), ~Const(0, len(self.peak)), code))


class Precompute(Unit):
    """Buffers a block of activations, finds its scale, and replays it once per bit plane.

    Cycle contract: a pass is taken with its last activation beat. Two blocks are buffered, so a
    block loads while the one before is replayed; a replay emits one step a cycle, planes outside
    and steps inside, the first one `latency` cycles after the last activation beat. `o_steps`
    follows the stream rules under any back-pressure.
    """

    suffix = "precompute"
    latency = 3

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.align = Align(config, top)
        self.peak = Peak(config, top)
        super().__init__(config, top, self.peak, self.align)

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
        bank_layout = data.StructLayout(
            {
                "descriptor": self.layouts.passes,
                "peaks": data.ArrayLayout(peak_bits(c), c.m),
            }
        )
        full = Signal(2)
        banks = [Signal(bank_layout, name=f"bank_{i}", reset_less=True) for i in range(2)]
        address_bits = index_bits(c.max_steps)
        m.submodules.buffer = buffer = memory.Memory(
            shape=self.layouts.activations, depth=2 << address_bits, init=[]
        )
        write, read = buffer.write_port(), buffer.read_port(domain="sync")

        # Load: a step a cycle into the bank that is not being replayed.
        load_bank = Signal()
        load_step = Signal(address_bits)
        load_full = Mux(load_bank, full[1], full[0])
        load = Signal()
        load_end = Signal()
        largest = Signal(bank_layout["peaks"].shape)
        running = Signal(bank_layout["peaks"].shape)
        m.d.comb += [
            load.eq(passes.valid & activations.valid & ~load_full),
            load_end.eq(load & (load_step == passes.payload.steps)),
            activations.ready.eq(passes.valid & ~load_full),
            passes.ready.eq(load_end),
            write.en.eq(load),
            write.addr.eq(Cat(load_step, load_bank)),
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
            m.d.comb += largest[row].eq(
                balanced([*peaks, running[row]], lambda a, b: Mux(a > b, a, b))
            )
        with m.If(load):
            m.d.sync += [load_step.eq(load_step + 1), running.eq(largest)]
        with m.If(load_end):
            m.d.sync += [load_step.eq(0), load_bank.eq(~load_bank), running.eq(0)]
            for index, bank in enumerate(banks):
                with m.If(load_bank == index):
                    m.d.sync += [
                        full[index].eq(1),
                        bank.descriptor.eq(passes.payload),
                        bank.peaks.eq(largest),
                    ]

        # Replay: planes outside, steps inside, so that a lane only ever shifts by one.
        bank_index = Signal()
        plane = Signal(self.layouts.passes["planes"].shape)
        step = Signal(address_bits)
        bank = Signal(bank_layout)
        plane_end, replay_end = Signal(), Signal()
        fetched, aligned = Signal(), Signal()
        fetch_moves, align_moves = Signal(), Signal()
        fetch = Signal()
        m.d.comb += [
            bank.eq(Mux(bank_index, banks[1], banks[0])),
            plane_end.eq(step == bank.descriptor.steps),
            replay_end.eq(plane_end & (plane == bank.descriptor.planes)),
            align_moves.eq(~aligned | steps.ready),
            fetch_moves.eq(~fetched | align_moves),
            fetch.eq(Mux(bank_index, full[1], full[0]) & fetch_moves),
            read.en.eq(fetch_moves),
            read.addr.eq(Cat(step, bank_index)),
        ]
        first_step = ~step.any()
        control = Signal(self.layouts.control, reset_less=True)
        scaling = Signal(self.layouts.scaling, reset_less=True)
        fields = Signal(data.ArrayLayout(field_bits(c), c.m), reset_less=True)
        number_format = Signal(bank.descriptor.format.shape(), reset_less=True)
        with m.If(fetch):
            m.d.sync += [
                step.eq(step + 1),
                control.clear.eq(first_step & ~plane.any()),
                control.shift.eq(first_step & ~bank.descriptor.equal),
                control.restart_sum.eq(first_step),
                control.end.eq(replay_end),
                scaling.kind.eq(bank.descriptor.kind),
                number_format.eq(bank.descriptor.format),
            ]
            self._find_scale(m, bank, scaling, fields)
            with m.If(plane_end):
                m.d.sync += [step.eq(0), plane.eq(plane + 1)]
            with m.If(replay_end):
                m.d.sync += [plane.eq(0), bank_index.eq(~bank_index)]
                for index in range(2):
                    with m.If(bank_index == index):
                        m.d.sync += full[index].eq(0)
        with m.If(fetch_moves):
            m.d.sync += fetched.eq(fetch)

        # Align: the buffer's data, one cycle after the fetch.
        values = Signal(self.layouts.steps["values"].shape)
        for row in range(c.m):
            for index in range(c.k):
                m.submodules[f"align_{row}_{index}"] = self.align.place(
                    value=read.data[row][index],
                    format=number_format,
                    field=fields[row],
                    nonfinite=scaling.nonfinite[row],
                    aligned=values[row][index],
                )
        with m.If(align_moves):
            m.d.sync += aligned.eq(fetched)
        held = Signal(self.layouts.steps, reset_less=True)
        with m.If(align_moves & fetched):
            m.d.sync += [held.values.eq(values), held.control.eq(control), held.scaling.eq(scaling)]
        m.d.comb += [steps.valid.eq(aligned), steps.payload.eq(held)]
        return m

    def _find_scale(
        self, m: Module, bank: data.View[Any], scaling: data.View[Any], fields: data.View[Any]
    ) -> None:
        """Registers the block exponent of every row with the fetch."""
        for row in range(self.config.m):
            peak = bank.peaks[row]
            with m.Switch(bank.descriptor.format):
                for case, fmt in format_cases(m, self.config):
                    with case:
                        if isinstance(fmt, IntegerFormat):
                            m.d.sync += [
                                scaling.exponents[row].eq(0),
                                scaling.nonfinite[row].eq(0),
                            ]
                            continue
                        field = Signal(field_bits(self.config), name=f"field_{row}_{fmt.name}")
                        nonfinite = peak.all()
                        m.d.comb += field.eq(BlockExponent(self.config, fmt).field(peak))
                        offset = self.config.step_offset(fmt)
                        m.d.sync += [
                            fields[row].eq(field),
                            scaling.exponents[row].eq(Mux(nonfinite, 0, field + offset)),
                            scaling.nonfinite[row].eq(nonfinite),
                        ]
