"""Activations, on line: a block is buffered, its scale is found, and it is replayed per plane.

    i_activations -> block buffer -> align -> o_steps
                 \\-> largest magnitude -> exponent of a table step

Source: paper section 3 (table precompute); docs/specification.md, "Activations and tables".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .formats import FloatFormat, IntegerFormat
from .streams import index_bits
from .unit import Unit

__all__ = ["Align", "BlockExponent", "Precompute"]


def _round_even(value: int, shift: int) -> int:
    """value / 2^shift rounded to the nearest integer, ties to even; shift may be negative."""
    if shift <= 0:
        return value << -shift
    floor, rest, half = value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1)
    return floor + (rest > half or (rest == half and floor & 1))


class BlockExponent:
    """How the exponent field E of a block follows from its largest magnitude, as constants.

    With the magnitude read as an integer (exponent field above fraction),
    E = max(1, ((magnitude + carry) >> fraction_bits) + offset): one small adder. `carry` makes the
    significands that would round past `aligned_limit` spill into the next exponent.
    """

    def __init__(self, config: TensorCoreConfig, fmt: FloatFormat) -> None:
        self.fmt = fmt
        # An activation is significand * 2^(left - (E - e)) guard units.
        self.left = config.guard - fmt.bias - fmt.fraction_bits - config.step_offset(fmt)
        hidden = 1 << fmt.fraction_bits

        def above(significand: int) -> int:
            """The smallest E - e at which the significand fits."""
            for difference in range(-2, 4):
                if _round_even(significand, difference - self.left) <= config.aligned_limit:
                    return difference
            raise AssertionError("aligned_limit is too small for the derivation of E")

        self.offset = above(hidden)
        threshold = next(
            (s for s in range(hidden, 2 * hidden) if above(s) > self.offset), 2 * hidden
        )
        assert self.offset in (-1, 0) and above(2 * hidden - 1) <= self.offset + 1
        self.carry = 2 * hidden - threshold

    def field(self, magnitude: Value) -> Value:
        """E of a largest magnitude."""
        field = ((magnitude + self.carry) >> self.fmt.fraction_bits) + self.offset
        return Mux(field > 1, field, 1)


def field_bits(config: TensorCoreConfig) -> int:
    """Bits of E of any float format built in; it may be one more than the largest field."""
    fields = [fmt.special_field + 1 for fmt in config.formats if isinstance(fmt, FloatFormat)]
    return max(fields, default=1).bit_length()


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
        headroom = max(0, block.left - block.offset)
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
            m.d.comb += self.aligned.eq(
                Mux(self.value[fmt.bits - 1], -magnitude, magnitude)
            )


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
        super().__init__(config, top, self.align)

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
        floats = [(i, f) for i, f in enumerate(c.formats) if isinstance(f, FloatFormat)]
        magnitude_bits = max((fmt.bits - 1 for _, fmt in floats), default=1)
        bank_layout = data.StructLayout(
            {
                "descriptor": self.layouts.passes,
                "magnitudes": data.ArrayLayout(magnitude_bits, c.m),
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
        largest = Signal(bank_layout["magnitudes"].shape)
        running = Signal(bank_layout["magnitudes"].shape)
        m.d.comb += [
            load.eq(passes.valid & activations.valid & ~load_full),
            load_end.eq(load & (load_step == passes.payload.steps)),
            activations.ready.eq(passes.valid & ~load_full),
            passes.ready.eq(load_end),
            write.en.eq(load),
            write.addr.eq(Cat(load_step, load_bank)),
            write.data.eq(activations.payload),
        ]
        for row in range(c.m):
            values = [activations.payload[row][i] for i in range(c.k)]
            with m.Switch(passes.payload.format):
                for index, fmt in floats:
                    with m.Case(index):
                        candidates = [value[: fmt.bits - 1] for value in values]
                        m.d.comb += largest[row].eq(_largest([*candidates, running[row]]))
                with m.Default():
                    m.d.comb += largest[row].eq(0)
        with m.If(load):
            m.d.sync += [load_step.eq(load_step + 1), running.eq(largest)]
        with m.If(load_end):
            m.d.sync += [load_step.eq(0), load_bank.eq(~load_bank), running.eq(0)]
            for index, bank in enumerate(banks):
                with m.If(load_bank == index):
                    m.d.sync += [
                        full[index].eq(1),
                        bank.descriptor.eq(passes.payload),
                        bank.magnitudes.eq(largest),
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
            magnitude = bank.magnitudes[row]
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
                        nonfinite = magnitude[fmt.fraction_bits :] == fmt.special_field
                        m.d.comb += field.eq(BlockExponent(self.config, fmt).field(magnitude))
                        offset = self.config.step_offset(fmt)
                        m.d.sync += [
                            fields[row].eq(field),
                            scaling.exponents[row].eq(Mux(nonfinite, 0, field + offset)),
                            scaling.nonfinite[row].eq(nonfinite),
                        ]


def _largest(values: list[Value]) -> Value:
    """The largest of unsigned values, as a balanced tree."""
    while len(values) > 1:
        pairs = [Mux(a > b, a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]
