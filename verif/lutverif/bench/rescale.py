"""Bench of `Rescale`: zero point, scale and accumulation over passes, against `golden.rescale`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from lutcore import TensorCoreConfig
from lutcore.formats import SCALES
from lutcore.layout import OFFSET_ZERO
from lutcore.rescale import Rescale
from lutverif import golden

from . import stimulus
from .payloads import Kind, Pass, Payloads
from .runner import configuration
from .streams import Bench

INPUTS, OUTPUTS = ("i_psums", "i_scales"), ("o_outputs",)


def _inputs(config: TensorCoreConfig) -> tuple[str, ...]:
    return INPUTS + ("i_addends",) * config.addends


def _bounded(rng: np.random.Generator, shape: tuple[int, ...], limit: int) -> Any:
    """Integers within -limit..limit: of any size, or the extremes."""
    if rng.random() < 0.2:
        return rng.choice([-limit, 0, limit], shape)
    small = max(1, limit >> int(rng.integers(limit.bit_length())))
    return rng.integers(-small, small + 1, shape)


class _Passes:
    """Random passes; the accumulator goes on from one to the next, as in the unit."""

    def __init__(self, config: TensorCoreConfig, rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.payloads = Payloads(config)
        bounds = [config.exponent_range(fmt) for fmt in config.formats if not config.exact(fmt)]
        self.exponents = (min(b[0] for b in bounds), max(b[1] for b in bounds)) if bounds else None

    def beats(self, kinds: list[Kind], offset: bool | None = None) -> dict[str, list[int]]:
        """Passes of `kinds`, with a second round of scales or not, as it comes."""
        c, rng = self.config, self.rng
        beats: dict[str, list[int]] = {name: [] for name in (*_inputs(c), *OUTPUTS)}
        acc: Any = None
        for kind in kinds:
            raw = kind.output == "int32"
            rounds = 2 if (rng.random() < 0.3 if offset is None else offset) and not raw else 1
            name = c.scales[rng.integers(len(c.scales))]
            planes, equal = int(rng.integers(1, c.weight_bits + 1)), bool(rng.integers(2))
            weight = planes if equal else (1 << planes) - 1
            groups = c.block // c.lookup_group
            limit = groups * c.group_limit
            sums = _bounded(rng, (c.m,), limit)
            total = _bounded(rng, (c.m, c.n), weight * limit)
            base, factor = np.zeros(c.m, np.int64), 1 if c.table_digits == 3 else 2
            if c.parity:
                base = np.abs(_bounded(rng, (c.m,), weight * groups))
                total = np.maximum(total, base[:, None] - weight * limit)
            elif c.subsets:
                base = -weight * sums
            psum = (total - base[:, None]) // factor
            if c.subsets:  # of entries as they are
                psum = np.minimum(psum, weight * groups * c.entry_range[-1])
            looked_up = golden.LookedUp(psum, base, factor)
            exponent, nonfinite = np.zeros(c.m, np.int64), np.zeros(c.m, np.bool_)
            if self.exponents and not raw:
                exponent = rng.integers(*self.exponents, c.m, endpoint=True)
                nonfinite = rng.random(c.m) < 0.05
                exponent[nonfinite] = 0
            if kind.first:
                acc = np.zeros((c.m, c.n), np.int32 if raw else np.float32)
                if kind.addend:
                    acc = stimulus.addends(rng, acc.shape, kind.output)
                    beats["i_addends"] += self.payloads.addends(acc.view(np.uint32))
            for turn in range(rounds):
                scale = stimulus.scales(rng, (c.n,), SCALES[name])
                if rng.random() < 0.1:  # refused offline, and NaN here
                    scale[rng.integers(c.n)] = np.nan
                zero = stimulus.zeros(rng, (c.n,), c)
                if turn and (rng.random() < 0.5 or not c.zero_bits):
                    zero[...] = OFFSET_ZERO
                output = kind.output if raw or (kind.last and turn == rounds - 1) else None
                operand = None if turn else looked_up.total
                acc = golden.rescale(
                    acc, operand, sums, exponent, nonfinite, scale, zero, output, c
                )
                beats["i_scales"] += self.payloads.scales(scale, zero, name, rng)
            item = Pass(
                c.formats[0],
                np.zeros((c.m, 1)),
                np.zeros((planes, c.n, c.k), np.int8),
                equal,
                kind,
                offset=rounds == 2,
                scale=name,
            )
            scaling = self.payloads.scaled(exponent, nonfinite, self.payloads.plane_sum(item))
            scaling += self.payloads.rescaling(item)
            beats["i_psums"].append(self.payloads.psums(looked_up, sums, scaling))
            if kind.last:
                beats["o_outputs"] += self.payloads.outputs(acc, kind.output)
        return beats

    def kinds(self, count: int) -> list[Kind]:
        """Outputs of one to three passes each, `count` of them, in any format."""
        kinds: list[Kind] = []
        for _ in range(count):
            kinds += stimulus.kinds(self.rng, self.config, int(self.rng.integers(1, 4)))
        return kinds


@cocotb.test()
async def random_passes(dut: Any) -> None:
    """Outputs of several passes and rounds, raw or scaled; stalls; resets in the middle."""
    config = configuration()
    passes = _Passes(config, np.random.default_rng(11))
    bench = Bench(dut, _inputs(config), OUTPUTS)
    await bench.exercise(lambda: passes.beats(passes.kinds(6)), 36)


def cycles(config: TensorCoreConfig) -> tuple[int, int]:
    """Cycles from scales to addends, and to results."""
    if config.truncate:
        return (2, 2, 1)[config.pipeline], 3
    return (2, 2, 2, 4)[config.pipeline], (3, 4, 5, 7)[config.pipeline]


def period(config: TensorCoreConfig) -> int:
    """Cycles of a round."""
    delay, latency = cycles(config)
    return max(config.n // config.rescale_columns, latency - delay + 1)


def schedule(
    config: TensorCoreConfig, passes: int, rounds: int, steps: int
) -> tuple[list[int], list[int]]:
    """Cycles in which psums of `passes` passes with output and addends are taken, the first in 0,
    and in which their first scales enter.

    A pass is `steps` cycles in the lanes, one round of rescale or two, and waits for nothing else.
    """
    beats = config.n // config.rescale_columns
    delay, latency = cycles(config)
    taken, starts, busy = [0], [1], set[int]()
    for _ in range(passes - 1):
        first = starts[-1]
        end = first + (rounds - 1) * period(config) + beats - 1
        if config.addends:
            busy |= {first + beat + delay for beat in range(beats)}
        busy |= {end - beat + latency for beat in range(beats)}
        # With registers for a fast clock it has to be certain that the last scales enter.
        late = config.pipeline >= 2 and (beats == 1 or end in busy)
        taken.append(max(end + late, taken[-1] + steps))
        starts.append(max(taken[-1] + 1, first + rounds * period(config)))
    return taken, starts


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """When psums and scales are taken; outputs come `latency` cycles after the last scales."""
    config = configuration()
    delay, latency = cycles(config)
    assert Rescale(config, "top").latency == latency
    bench = Bench(dut, _inputs(config), OUTPUTS)
    beats = config.n // config.rescale_columns
    output = next(name for name in config.outputs if name != "int32")
    for rounds in (1, 2):
        passes = _Passes(config, np.random.default_rng(12))
        await bench.reset()
        before = {name: len(stream.moves) for name, stream in bench.inputs.items()}
        given = len(bench.outputs["o_outputs"].moves)
        kind = Kind(output=output, addend=config.addends)
        bench.send(passes.beats([kind] * 6, offset=rounds == 2))
        await bench.finish()
        psums = bench.inputs["i_psums"].moves[before["i_psums"] :]
        taken, starts = np.add(schedule(config, 6, rounds, 1), psums[0]).tolist()
        assert psums == taken
        enters = [
            start + turn * period(config) + beat
            for start in starts
            for turn in range(rounds)
            for beat in range(beats)
        ]
        moves = bench.inputs["i_scales"].moves[before["i_scales"] :]
        if config.pipeline >= 2:
            # Each beat is in its register until the next takes its place.
            assert moves[1:] == enters[:-1]
        else:
            assert moves == enters
        ends = [
            cycle
            for first in range(0, len(enters), rounds * beats)
            for cycle in enters[first + (rounds - 1) * beats : first + rounds * beats]
        ]
        outputs = bench.outputs["o_outputs"].moves[given:]
        assert outputs == [cycle + latency for cycle in ends]
        if config.addends:
            first = [start + beat for start in starts for beat in range(beats)]
            moves = bench.inputs["i_addends"].moves
            assert moves[-6 * beats :] == [cycle + delay for cycle in first]
