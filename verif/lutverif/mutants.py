"""Deliberate RTL bugs, applied one at a time; each must be caught: `python -m lutverif.mutants`.

A mutant is a copy of `lutcore` with one piece of text replaced, put first on the path of a process
that runs the bench of the unit it is in. Only files of RTL units are replaced: the golden model and
the payloads of the bench share none of them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import lutcore
from lutcore.axi import engine_registers

from . import axi, engine_refusals, engine_soak, soak
from .bench import axi_runner, runner
from .bus_mutants import BUS_MUTANTS
from .engine import EngineModel
from .engine_mutants import ENGINE_MUTANTS
from .mutant import Mutant

__all__ = ["MUTANTS", "Mutant", "Verdict", "check", "run_bench"]

WORKERS = 2
CAUGHT = 3
CHECK = """
import sys
from lutverif.axi import AxiFault
from lutverif.bench.runner import BenchFailure
from lutverif.engine_soak import EngineFault
from lutverif.mutants import run_bench
try:
    run_bench(sys.argv[1], sys.argv[2])
except (AxiFault, BenchFailure, EngineFault) as failure:
    print(failure)
    sys.exit(int(sys.argv[3]))
"""
BURSTS = 20_000  # of the random run of a bus master
PROGRAMS = 500  # of the random run of an engine


def run_bench(name: str, preset: str) -> None:
    """Runs a bench of a unit, bus or engine; BenchFailure, AxiFault or EngineFault if it fails."""
    if name == "axi":
        axi.run(axi.CONFIGURATIONS[preset], 1, BURSTS)
    elif name == "axi_registers":
        axi_runner.run_registers(engine_registers(), counters_from=0xFFFFFFF0)
    elif name == "axi_engine":
        axi_runner.run_engine(preset)
    elif name == "engine":
        with EngineModel(engine_soak.CONFIGURATIONS[preset]) as model:
            engine_soak.compared(model, seed=1, count=PROGRAMS)
            if preset == "small":
                engine_refusals.walk(model)
    else:
        runner.run(name, soak.CONFIGURATIONS[preset])


MUTANTS = [
    Mutant("negation-without-one", "sign", "lane", "lookup.py",
           "carries.append(selection.negate & ~odd)", "carries.append(Const(0, 1))"),
    Mutant("scale-sign-ignored", "sign", "fma", "fma_product.py",
           "(self.scale.sign & ~raw) ^ (self.difference < 0)", "self.difference < 0"),
    Mutant("minus-in-a-decoder", "sign", "decoder", "lookup.py",
           "pair.negate.eq(b_minus | (a_minus & b_zero))", "pair.negate.eq(b_minus)", "ternary"),
    Mutant("minus-in-a-coded-pair", "sign", "decoder", "lookup.py",
           "pair.negate.eq(code[2])", "pair.negate.eq(0)", "ternary"),
    Mutant("carry-lost-in-the-tree", "sign", "lane", "lookup.py",
           "Cat(Const(1, 1), a) + Cat(carries.pop(), b)",
           "Cat(Const(1, 1), a) + Cat(carries.pop() & (len(carries) != 1), b)", "ternary"),
    Mutant("odd-sums-negated-like-even-ones", "sign", "lane", "lookup.py",
           "selection.negate & ~odd", "selection.negate"),
    Mutant("odd-is-forgotten", "zero term", "rescale", "rescale.py",
           "(psum << 1) + waiting.odds[row]", "psum << 1"),
    Mutant("odd-of-one-activation", "sign", "entries", "table.py",
           "Cat(value[0] for value in self.values).xor()", "self.values[0][0]"),
    Mutant("zero-digit-selects", "special value", "decoder", "lookup.py",
           "(self.taken & ~zero).replicate(4)", "self.taken.replicate(4)", "ternary"),
    Mutant("selected-without-a-step", "lost back-pressure", "lookup", "lookup.py",
           "Cat(*bits, self.taken).all()", "Cat(*bits).all()"),
    Mutant("lane-always-enabled", "lost back-pressure", "lookup", "lookup.py",
           "self.enable if c.lane_enable else 1", "1", "piped"),
    Mutant("align-never-waits", "lost back-pressure", "precompute", "precompute.py",
           "enable = align_moves & fetched", "enable = fetched", "piped"),
    Mutant("held-weights-overwritten", "lost back-pressure", "lookup", "unit.py",
           "source.ready.eq(~target.valid | target.ready)", "source.ready.eq(1)", "piped"),
    Mutant("pairs-from-the-wrong-base", "zero term", "rescale", "rescale.py",
           "Mux(second, 0, waiting.scaling.plane_sum)", "waiting.scaling.plane_sum", "pairs"),
    Mutant("equal-planes-as-powers", "zero term", "precompute", "precompute.py",
           "Mux(descriptor.equal, planes, powers)", "powers", "pairs"),
    Mutant("planes-from-the-low-end", "plane order", "lane", "lookup.py",
           "psum << 1", "psum >> 1"),
    Mutant("shift-a-step-late", "plane order", "precompute", "precompute.py",
           "control.shift.eq(first_step &", "control.shift.eq(plane_end &"),
    Mutant("table-kept-under-load", "stale table", "table", "table.py",
           "m.If(steps.ready & steps.valid)", "m.If(steps.ready & steps.valid & ~tables.valid)"),
    Mutant("place-still-needed", "stale table", "precompute", "precompute.py",
           "(last_plane & ((load_step < step)", "(((load_step < step)"),
    Mutant("scale-of-the-next-block", "stale table", "precompute", "precompute.py",
           "first = fetch & first_step & ~plane.any()", "first = fetch"),
    Mutant("peak-of-the-block-before", "stale table", "precompute", "precompute.py",
           "running.eq(Mux(load & ~more, 0, largest))", "running.eq(largest)", "piped"),
    Mutant("keep-loads-anew", "stale table", "core", "precompute.py",
           "keep = passes.payload.keep", "keep = passes.payload.keep & 0"),
    Mutant("table-overwritten", "lost back-pressure", "table", "table.py",
           "steps.ready.eq(~tables.valid | tables.ready)", "steps.ready.eq(1)"),
    Mutant("psums-overwritten", "lost back-pressure", "lookup", "lookup.py",
           "free.eq(~psums.valid | psums.ready)", "free.eq(1)"),
    Mutant("block-overwritten", "lost back-pressure", "precompute", "precompute.py",
           "passes.valid & ~Mux(load_bank, full[1], full[0])", "passes.valid & ~(full[0] & 0)"),
    Mutant("load-step-survives", "reset", "precompute", "precompute.py",
           "load_step = Signal(address_bits)", "load_step = Signal(address_bits, reset_less=True)"),
    Mutant("column-survives", "reset", "rescale", "rescale.py",
           "busy, second, index, turn = Signal(), Signal(), Signal(turn_bits), Signal(turn_bits)",
           "busy, second, turn = Signal(), Signal(), Signal(turn_bits)\n"
           "        index = Signal(turn_bits, reset_less=True)"),
    Mutant("psum-a-bit-short", "width", "lane", "lookup.py",
           "base = Signal(c.psum_bits)", "base = Signal(c.psum_bits - 1)"),
    Mutant("tree-a-bit-short", "width", "lane", "lookup.py",
           "return (count - 1).bit_length() + 1", "return (count - 1).bit_length()", "wide"),
    Mutant("entry-a-bit-short", "width", "entries", "table.py",
           "signed(c.total_bits)", "signed(c.total_bits - 1)"),
    Mutant("narrow-code-uncut", "padding", "decode", "decode.py",
           "code = self.code[: fmt.bits]", "code = self.code"),
    Mutant("tail-of-an-old-block", "padding", "precompute", "precompute.py",
           "plane_end.eq(step == bank.steps)", "plane_end.eq(step == c.max_steps - 1)"),
    Mutant("one-scale-for-all-columns", "scale", "rescale", "rescale.py",
           "scales.payload[column].scale,", "scales.payload[0].scale,"),
    Mutant("scale-format-of-the-first", "scale", "rescale", "rescale.py",
           "self.decode.placed(m, code, number_format, column)",
           "self.decode.placed(m, code, number_format & 0, column)"),
    Mutant("scale-bias-of-the-first", "scale", "rescale", "rescale.py",
           "Mux(number_format == index, FP32.bias - fmt.bias, rebias)", "rebias"),
    Mutant("zero-point-added", "zero term", "rescale", "rescale.py",
           "- factor * waiting.sums[row]", "+ factor * waiting.sums[row]"),
    Mutant("offsets-on-psums", "zero term", "rescale", "rescale.py",
           "Value.cast(waiting.columns) >> column_bits",
           "Value.cast(waiting.columns).rotate_right(column_bits)"),
    Mutant("sum-over-all-planes", "zero term", "precompute", "precompute.py",
           "control.restart_sum.eq(first_step)",
           "control.restart_sum.eq(first_step & ~plane.any())"),
    Mutant("psums-taken-before-outputs-left", "lost back-pressure", "rescale", "rescale.py",
           "certain &= ~(valid[-2] & kinds[-2].last)", "certain &= 1", "started_piped"),
    Mutant("psums-taken-without-scales", "lost back-pressure", "rescale", "rescale.py",
           "certain = enter & last_round & self.i_scales.valid", "certain = enter & last_round",
           "started_piped"),
    Mutant("psums-taken-without-addends", "lost back-pressure", "rescale", "rescale.py",
           "certain &= ~(before & of.first & of.addend)", "certain &= 1", "started_piped"),
    Mutant("psums-taken-after-the-first-round", "lost back-pressure", "rescale", "rescale.py",
           "certain = enter & last_round & self.i_scales.valid",
           "certain = enter & self.i_scales.valid", "started_piped"),
    Mutant("one-round-for-offsets", "zero term", "rescale", "rescale.py",
           "last_round.eq(second | ~rescaling.offset)", "last_round.eq(1)"),
    Mutant("second-round-starts-anew", "accumulate clear", "rescale", "rescale.py",
           "kind.first.eq(rescaling.kind.first & ~second)",
           "kind.first.eq(rescaling.kind.first)"),
    Mutant("accumulator-kept", "accumulate clear", "rescale", "rescale.py",
           "Mux(first, 0, ring[-1][column][row])", "ring[-1][column][row]"),
    Mutant("lane-kept", "accumulate clear", "lane", "lookup.py",
           "self.keep.replicate(c.psum_bits)", "Const(-1, c.psum_bits)"),
    Mutant("ties-away-from-zero", "rounding", "fma", "fma_round.py",
           "(half & (rest | kept[last]))", "half"),
    Mutant("sticky-bit-lost", "rounding", "fma", "fma_sum.py",
           "moved[:farthest].any()", "moved[farthest - 1]"),
    Mutant("far-addend-returns", "exponent", "fma", "fma_sum.py",
           "steps[len(places) :].any().replicate(len(places))", "0"),
    Mutant("low-digits-of-the-scale-lost", "scale", "fma", "fma_product.py",
           "factors.magnitude, digits, low[part:]", "factors.magnitude, digits", "deep"),
    Mutant("every-round-is-the-last", "rounding", "rescale", "rescale.py",
           "kind.last.eq(rescaling.kind.last & last_round)", "kind.last.eq(1)"),
    Mutant("output-cut-from-fp32", "rounding", "fma", "fma_round.py",
           "Cat(kept[low_bits:-1], field[:field_bits]) + chosen(digits, increment)",
           "Cat(kept[low_bits:-1], field[:field_bits]) + increment(FP32)"),
    Mutant("frame-of-a-zero-product", "exponent", "fma", "fma_product.py",
           "held_product.some.eq(factors.magnitude.any())", "held_product.some.eq(1)", "cut"),
    Mutant("cut-sum-a-digit-off", "rounding", "fma", "fma_round.py",
           "Cat(shifted[-FP32.significand_bits :], field)",
           "Cat(shifted[-FP32.significand_bits - 1 : -1], field)", "cut"),
    Mutant("cut-sum-rounded", "rounding", "fma", "fma_round.py",
           "                return Const(0, 1)\n", "                return kept[-1]\n", "cut"),
    Mutant("cut-digit-kept", "rounding", "fma", "fma_sum.py",
           "(lower >> places)[1:]", "(lower >> places)[1:] | lower[0]", "cut_piped"),
    Mutant("addend-awaited-late", "lost back-pressure", "rescale", "rescale.py",
           "zip(valid, kinds, strict=True)][c.addend_delay - 1]",
           "zip(valid, kinds, strict=True)][c.addend_delay]", "cut_piped"),
    Mutant("offset-halved", "scale", "rescale", "rescale.py",
           "number.field + rebias - zeros + second", "number.field + rebias - zeros"),
    Mutant("output-by-way-of-fp32", "rounding", "fma", "fma_round.py",
           "half, rest = kept[last - 1], kept[: last - 1].any()",
           "half = kept[last - 1]\n"
           "            rest = kept[0 if fmt is FP32 else LOW_BITS : last - 1].any()"),
    Mutant("peak-not-rounded-up", "rounding", "peak", "block.py",
           "(balanced(rests, add) << padding)", "0"),
    Mutant("peak-does-not-spill", "exponent", "precompute", "block.py",
           "self.carry = (2 << self.fraction_bits) - math.ceil(fitting)", "self.carry = 0"),
    Mutant("step-below-the-unit", "exponent", "precompute", "block.py",
           "margin > 0", "margin != 0"),
    Mutant("peak-not-normalised", "exponent", "precompute", "block.py",
           "m.d.comb += shifts.eq(count)", "m.d.comb += shifts.eq(0)"),
    Mutant("output-exponent-of-fp32", "exponent", "fma", "fma_sum.py",
           "w.chosen(self.product, lambda fmt: fmt.bias - FP32.bias)", "0"),
    Mutant("output-overflow-of-fp32", "special value", "fma", "fma_round.py",
           "(field >= fmt.special_field) | (result_field >= fmt.special_field)",
           "(field >= FP32.special_field) | (result_field >= FP32.special_field)"),
    Mutant("subnormal-addend", "exponent", "fma", "fma_sum.py",
           "Mux(field.any(), field, 1)", "field"),
    Mutant("e4m3-with-infinity", "special value", "decode", "decode.py",
           "field.all() if fmt.infinities else code[:-1].all()", "field.all()"),
    Mutant("scale-of-nan", "special value", "rescale", "rescale.py",
           "scale.special.eq(number.special)", "scale.special.eq(0)"),
    Mutant("hazard-unseen", "hazard", "rescale", "rescale.py",
           "padding.eq(index >= c.column_groups)", "padding.eq(0)", "narrow"),
    Mutant("hazard-of-the-piped-unseen", "hazard", "rescale", "rescale.py",
           "Signal(turn_bits), Signal(turn_bits)", "Signal(1), Signal(turn_bits)", "piped"),
    Mutant("ring-not-turned-back", "index", "rescale", "rescale.py",
           "(~turn.any() | (~index.any() & kind.first))", "1"),
    Mutant("started-amid-a-round", "index", "rescale", "rescale.py",
           "(~index.any() & kind.first)", "kind.first"),
    Mutant("empty-beats-add", "accumulate clear", "rescale", "rescale.py",
           "empty=~enter", "empty=0"),
    Mutant("empty-beats-start-anew", "accumulate clear", "rescale", "rescale.py",
           "first.eq(valid[c.addend_delay - 1] & at.first)", "first.eq(at.first)"),
    Mutant("columns-do-not-move", "index", "rescale", "rescale.py",
           "Value.cast(waiting.columns).eq(Value.cast(waiting.columns) >> column_bits)",
           "Value.cast(waiting.columns).eq(Value.cast(waiting.columns))"),
    *BUS_MUTANTS,
    *ENGINE_MUTANTS,
]  # fmt: skip


class Verdict(NamedTuple):
    """Whether a run did what it should, what was seen, and in how many seconds."""

    good: bool
    seen: str
    seconds: float


def _run(bench: str, preset: str, *first: Path) -> tuple[int, str]:
    """Exit status and output of the bench, with `first` leading the path."""
    path = os.pathsep.join([*map(str, first), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", CHECK, bench, preset, str(CAUGHT)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check(mutant: Mutant) -> Verdict:
    """Applies a mutant to a copy of lutcore and runs its bench; good if a test fails."""
    begin = time.monotonic()
    source = Path(lutcore.__file__).parent
    text = (source / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        count = text.count(mutant.old)
        return Verdict(False, f"{mutant.file} has the text to replace {count} times, not once", 0)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "lutcore"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / mutant.file).write_text(text.replace(mutant.old, mutant.new))
        status, output = _run(mutant.bench, mutant.preset, Path(scratch))
    lines = output.strip().splitlines() or [""]
    if status == 0:
        seen = "survived"
    elif status == CAUGHT:
        reasons = re.findall(r"^ *(?:AssertionError|\w+Error|\w+Exception): (.*)", output, re.M)
        seen = reasons[0] if reasons else lines[0]
    else:
        seen = f"cannot be checked: {lines[-1]}"
    return Verdict(status == CAUGHT, seen, time.monotonic() - begin)


def unmutated(benches: list[tuple[str, str]]) -> str:
    """Empty if every (bench, preset) passes on the sources as they are; otherwise why not."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for bench, (status, output) in zip(
            benches, pool.map(_run, *zip(*benches, strict=True)), strict=True
        ):
            if status:
                return f"bench {bench} fails without a mutant:\n{output}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 if a mutant survives or cannot be applied."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the mutants and do nothing")
    parser.add_argument("--only", metavar="NAME", choices=[m.name for m in MUTANTS], help="one")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if options.only in (None, m.name)]
    console = Console(width=max(140, Console().width))
    if options.list:
        table = Table("mutant", "kind", "file", "old", "new")
        for mutant in chosen:
            table.add_row(*map(escape, (*mutant[:2], *mutant[3:6])))
        console.print(table)
        return 0
    trouble = unmutated(sorted({(mutant.bench, mutant.preset) for mutant in chosen}))
    if trouble:
        print(trouble)
        return 1
    seen = Column("seen", no_wrap=True, overflow="ellipsis", max_width=44)
    table = Table("mutant", "kind", "bench", "verdict", "seconds", seen)
    with ThreadPoolExecutor(WORKERS) as pool:
        verdicts = list(pool.map(check, chosen))
    for mutant, verdict in zip(chosen, verdicts, strict=True):
        word = "[green]caught" if verdict.good else "[bold red]MISSED"
        seconds = f"{verdict.seconds:.1f}"
        table.add_row(mutant.name, mutant.kind, mutant.bench, word, seconds, escape(verdict.seen))
    console.print(table)
    caught = sum(verdict.good for verdict in verdicts)
    console.print(f"{caught} of {len(chosen)} mutants caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
