"""Bench of `Precompute`: block buffer, scale, alignment and replay."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cocotb
import numpy as np

from lutcore.formats import FloatFormat, IntegerFormat
from lutcore.numbers import encode
from lutcore.precompute import Precompute

from . import stimulus
from .payloads import Kind, Pass, Payloads
from .runner import configuration
from .streams import Bench

INPUTS, OUTPUTS = ("i_passes", "i_activations"), ("o_steps",)


def _beats(items: list[Pass], payloads: Payloads, rng: np.random.Generator) -> dict[str, list[int]]:
    return {
        "i_passes": [payloads.descriptor(item) for item in items],
        "i_activations": [word for item in items for word in payloads.activations(item, rng)],
        "o_steps": [word for item in items for word in payloads.steps(item)],
    }


@cocotb.test()
async def random_passes_of_every_kind(dut: Any) -> None:
    """Passes of every format, length and number of planes, new or kept; stalls; resets."""
    config, rng = configuration(), np.random.default_rng(5)
    payloads = Payloads(config)
    bench = Bench(dut, INPUTS, OUTPUTS)

    def traffic() -> dict[str, list[int]]:
        flags = [kind for count in (1, 3, 4) for kind in stimulus.kinds(rng, config, count)]
        return _beats(stimulus.random_passes(rng, config, flags), payloads, rng)

    await bench.exercise(traffic, 36)


def _about_the_limits(fmt: FloatFormat | IntegerFormat, rng: np.random.Generator) -> list[Any]:
    """Lookup groups [g] whose peak just fits a unit, and just does not."""
    config = configuration()
    g, bits, unit = config.lookup_group, fmt.significand_bits, fmt.unit_exponent
    # Significands that can stand in units of 2^exponent: subnormal and of a middle exponent.
    largest = fmt.max if isinstance(fmt, IntegerFormat) else (1 << bits) - 1
    ranges = [(unit, 1, largest)]
    if isinstance(fmt, FloatFormat):
        ranges.append((unit + fmt.largest_field // 2, 1 << (bits - 1), largest))
    groups: list[Any] = []
    for exponent, low, high in ranges:
        for places in range(-32, 16):
            fitting = math.ceil(config.doubled_peak_limit * Fraction(2) ** places)
            for peak in (fitting - 1, fitting):
                parts = (peak + np.arange(g)) // g  # sum to the peak
                if low <= parts[0] and parts[-1] <= high:
                    groups.append(np.ldexp(parts * rng.choice([-1, 1], g), exponent))
    return groups


@cocotb.test()
async def peaks_about_the_limits(dut: Any) -> None:
    """Peaks next to those at which the unit doubles."""
    config, rng = configuration(), np.random.default_rng(8)
    bench = Bench(dut, INPUTS, OUTPUTS)
    await bench.reset()
    kind = Kind(output=config.outputs[0])
    items: list[Pass] = []
    for fmt in config.formats:
        groups = _about_the_limits(fmt, rng)
        rows = np.resize(np.array(groups), (-(-len(groups) // config.m), config.m, len(groups[0])))
        values = stimulus.values(encode(rows, fmt), fmt)
        digits = np.ones((1, config.n, config.k), np.int8)
        items += [Pass(fmt, block, digits, False, kind, scale=config.scales[0]) for block in values]
    bench.send(_beats(items, Payloads(config), rng))
    await bench.finish()


def _pass(rng: np.random.Generator, planes: int) -> Pass:
    """A pass of a full block."""
    config = configuration()
    fmt = config.formats[planes % len(config.formats)]
    return Pass(
        fmt,
        stimulus.activations(rng, fmt, config.m, config.block),
        np.ones((planes, config.n, config.block), np.int8),
        False,
        Kind(output=config.outputs[0]),
        scale=config.scales[0],
    )


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """The first step `latency` cycles after the last activation, then a step in every cycle."""
    config, rng = configuration(), np.random.default_rng(6)
    bench = Bench(dut, INPUTS, OUTPUTS)
    steps = config.block // config.k
    for planes in range(1, config.weight_bits + 1):
        await bench.reset()
        bench.send(_beats([_pass(rng, planes) for _ in range(4)], Payloads(config), rng))
        await bench.finish()
        taken, given = bench.inputs["i_activations"].moves, bench.outputs["o_steps"].moves
        assert given[0] - taken[steps - 1] == Precompute(config, "top").latency
        assert given == list(range(given[0], given[0] + 4 * planes * steps)), "a gap"
        assert bench.inputs["i_passes"].moves == taken[steps - 1 :: steps]


@cocotb.test()
async def resets_in_the_middle_of_a_block(dut: Any) -> None:
    """A block of which any number of steps was loaded leaves nothing behind."""
    config, rng = configuration(), np.random.default_rng(9)
    bench, payloads = Bench(dut, INPUTS, OUTPUTS), Payloads(config)
    await bench.reset()
    for loaded in range(1, config.block // config.k):
        whole = _beats([_pass(rng, 1)], payloads, rng)
        started = whole["i_activations"][:loaded]
        bench.send({"i_passes": whole["i_passes"], "i_activations": started})
        for _ in range(loaded + 3):
            await bench.clock()
        assert not bench.inputs["i_activations"].queue
        await bench.reset()
        bench.send(_beats([_pass(rng, 1) for _ in range(2)], payloads, rng))
        await bench.finish()


@cocotb.test()
async def kept_blocks(dut: Any) -> None:
    """A pass with `keep` takes no activations and one cycle; a block loads behind two of them."""
    config, rng = configuration(), np.random.default_rng(7)
    bench = Bench(dut, INPUTS, OUTPUTS)
    steps = config.block // config.k
    planes = config.weight_bits
    await bench.reset()
    items: list[Pass] = []
    for _ in range(3):
        new = _pass(rng, planes)
        items += [new, replace(new, keep=True), replace(new, keep=True)]
    bench.send(_beats(items, Payloads(config), rng))
    await bench.finish()
    passes, given = bench.inputs["i_passes"].moves, bench.outputs["o_steps"].moves
    assert len(bench.inputs["i_activations"].moves) == 3 * steps
    assert passes[1] == passes[0] + 1
    assert given == list(range(given[0], given[0] + 9 * planes * steps)), "a gap"
