"""Bench of `TensorCore`: sequences of passes through all units, against the golden model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np

from lutcore import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.formats import SCALES
from lutcore.layout import OFFSET_ZERO
from lutverif import golden

from . import stimulus
from .payloads import Kind, Pass, Payloads
from .rescale import schedule
from .runner import configuration
from .streams import Bench

INPUTS = ("i_passes", "i_activations", "i_weights", "i_scales")
OUTPUTS = ("o_outputs",)


def core_inputs(config: TensorCoreConfig) -> tuple[str, ...]:
    """The names of the core's input streams."""
    return INPUTS + ("i_addends",) * config.addends


def core_beats(
    items: list[Pass], config: TensorCoreConfig, rng: np.random.Generator
) -> dict[str, list[int]]:
    """The beats of every stream for a sequence of passes, by the stream's name."""
    payloads = Payloads(config)
    beats: dict[str, list[int]] = {name: [] for name in (*core_inputs(config), *OUTPUTS)}
    acc: Any = None
    for item in items:
        raw = item.kind.output == "int32"
        looked_up, sums = payloads.looked_up(item)
        _, exponent, nonfinite = golden.precompute(item.activations, item.fmt, config)
        if item.kind.first:
            acc = np.zeros((config.m, config.n), np.int32 if raw else np.float32)
            if item.kind.addend:
                acc = stimulus.addends(rng, acc.shape, item.kind.output)
                beats["i_addends"] += payloads.addends(acc.view(np.uint32))
        for turn in range(1 + item.offset):
            scale = stimulus.scales(rng, (config.n,), SCALES[item.scale])
            zero = stimulus.zeros(rng, (config.n,), config)
            if turn:
                zero[...] = OFFSET_ZERO
            output = item.kind.output if raw or (item.kind.last and turn == item.offset) else None
            operand = None if turn else looked_up.total
            acc = golden.rescale(
                acc, operand, sums, exponent, nonfinite, scale, zero, output, config
            )
            beats["i_scales"] += payloads.scales(scale, zero, item.scale, rng)
        beats["i_passes"].append(payloads.descriptor(item))
        beats["i_activations"] += payloads.activations(item, rng)
        beats["i_weights"] += payloads.weights(item)
        if item.kind.last:
            beats["o_outputs"] += payloads.outputs(acc, item.kind.output)
    return beats


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Formats, planes, weighting and lengths change from pass to pass; stalls; resets."""
    config, rng = configuration(), np.random.default_rng(13)
    bench = Bench(dut, core_inputs(config), OUTPUTS)

    def traffic() -> dict[str, list[int]]:
        kinds = [
            kind for _ in range(3) for kind in stimulus.kinds(rng, config, int(rng.integers(1, 4)))
        ]
        return core_beats(stimulus.random_passes(rng, config, kinds), config, rng)

    await bench.exercise(traffic, 48 if config.lanes <= 8 else 12)


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Lanes start `fill` cycles after the activations; a pass takes the longer of p s and
    `round_cycles` a round, without gaps, activations sent or kept."""
    config, rng = configuration(), np.random.default_rng(14)
    fill = TensorCore(config).fill
    bench = Bench(dut, core_inputs(config), OUTPUTS)
    full = config.block // config.k
    most = config.weight_bits
    output = next(name for name in config.outputs if name != "int32")
    for planes, steps in ((1, full), (most, full), (1, 1), (min(2, most), max(1, full // 2))):
        for keep, offset in ((False, False), (True, False), (True, True)):
            await bench.reset()
            fmt = config.formats[0]
            item = Pass(
                fmt,
                stimulus.activations(rng, fmt, config.m, steps * config.k),
                np.ones((planes, config.n, steps * config.k), np.int8),
                False,
                Kind(output=output, addend=config.addends),
                offset=offset,
                scale=config.scales[0],
            )
            count = 8
            bench.send(core_beats([item, *[replace(item, keep=keep)] * (count - 1)], config, rng))
            await bench.finish()
            # With `pipeline` the first weights wait for the lanes in a register.
            weights = bench.inputs["i_weights"].moves[1 if config.pipeline else 0]
            assert weights - bench.inputs["i_activations"].moves[steps - 1] == fill
            outputs = bench.outputs["o_outputs"].moves
            beats = config.n // config.rescale_columns
            _, starts = schedule(config, count, 1 + offset, planes * steps)
            given = np.diff(outputs[::beats]).tolist()
            assert given == np.diff(starts).tolist(), (planes, steps, given)
