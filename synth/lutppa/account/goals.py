"""The section that comes first: what was aimed at, what was reached, and why a figure falls short.

A goal has two marks: `bar`, which it is meant to reach at least, and `goal`. A figure below the bar
is short, and the reason stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .energy import ratio
from .model import Missing, Results, Section, Table
from .steps import ABLATION, Step, with_tables

__all__ = ["GOALS", "Goal", "goals"]


@dataclass(frozen=True)
class Goal:
    """A figure with its marks.

    bar, goal  to reach at least, and to aim at; at most where `small`
    ours       the figure; None where this run has not measured it
    bounds     what bounds it, shown where it falls short
    asap7      whether its marks are areas in ASAP7, without meaning on another library
    """

    what: str
    bar: float
    goal: float
    ours: Callable[[Results], float | None]
    bounds: str
    small: bool = False
    asap7: bool = False

    def verdict(self, value: float) -> str:
        """Where a figure stands."""
        sign = -1 if self.small else 1
        if sign * value >= sign * self.goal:
            return "goal met"
        return "met" if sign * value >= sign * self.bar else "short"


def _ratio(weights: str, activations: str, role: str, *, all_in: bool = False):
    return lambda results: results.ratio(weights, activations, role, all_in=all_in)


def _multiply(activations: str, weights: str):
    """Area of a multiply-accumulate with its operand registers."""

    def area(results: Results) -> float | None:
        best = Step("mac", activations, "").best(results, weights)
        return with_tables(best, weights) if best else None

    return area


def _equivalents(results: Results) -> float | None:
    best = results.best("w1", "int8")
    return 4 * best.per_product("w1") / results.nand2 if best else None


def _unpu(readers: int):
    def ratio(results: Results) -> float | None:
        first = Step("unpu", "int8", "", readers).best(results, "w2")
        ours = ABLATION[-1].best(results, "w2")
        return with_tables(first, "w2") / with_tables(ours, "w2") if first and ours else None

    return ratio


def _energy(role: str, weights: str, activations: str):
    return lambda results: ratio(results, role, weights, activations)


def _share(results: Results) -> float | None:
    ratio = results.ratio("w1", "fp16", "mac", all_in=True)
    return 100 / ratio if ratio else None


_MAC = (
    "the INT8 MAC is itself far below its mark; a lane pays for a plane an entry bit's selection "
    "and addition, and twice at two bits"
)
_NATIVE = (
    "a native lane selects a multiple of each activation and adds it once, without a table; a "
    "lookup lane adds once a group but selects and negates as well, a cycle for each bit"
)

GOALS: tuple[Goal, ...] = (
    Goal(
        "µm² of an INT8 multiply-accumulate, registers included", 50, 50,
        _multiply("int8", "w8"), "", small=True, asap7=True,
    ),
    Goal(
        "µm² of an FP16 multiply-accumulate, registers included", 153, 153,
        _multiply("fp16", "ordinary"), "", small=True, asap7=True,
    ),
    Goal(
        "density W1 A-FP16 over FP16 MAC, arithmetic only", 25, 30, _ratio("w1", "fp16", "mac"),
        "the FP16 MAC is below its mark of 153 µm², which takes as much off the ratio",
    ),
    Goal(
        "density W1 A-FP16 over FP16 MAC, all in", 15, 20.9,
        _ratio("w1", "fp16", "mac", all_in=True),
        "epilogue and precompute are shared by the columns of a tile of at most 4,096 products: "
        "a multiply-add in FP32 for each row and block of every column, and the block's exponent",
    ),
    Goal(
        "the same, accumulation truncated here as in the MAC core", 15, 20.9,
        lambda results: results.ratio(
            "w1", "fp16 truncated", "mac", other="fp16", all_in=True
        ),
        "as rounded; at 1 GHz, where both have registers, it is more (docs/account.md)",
    ),
    Goal(
        "density W2 A-INT8 over INT8 MAC, arithmetic only", 4.5, 6, _ratio("w2", "int8", "mac"),
        _MAC,
    ),
    Goal(
        "density W2 A-INT8 over INT8 MAC, all in", 3.5, 3.5,
        _ratio("w2", "int8", "mac", all_in=True),
        _MAC + "; the same epilogue on both sides leaves less between them",
    ),
    Goal("density W4 A-INT8 over INT8 MAC, arithmetic only", 1, 1, _ratio("w4", "int8", "mac"),
         _MAC),
    Goal(
        "density W4 A-INT8 over INT8 MAC, all in", 1, 1,
        _ratio("w4", "int8", "mac", all_in=True), _MAC,
    ),
    Goal(
        "NAND2 equivalents of four one-bit products a cycle, A-INT8, arithmetic only", 250, 190,
        _equivalents, "", small=True,
    ),
    Goal(
        "density W1 A-INT8 over bit-serial ADD, arithmetic only", 1.4, 1.4,
        _ratio("w1", "int8", "add"),
        "ADD needs an AND and an adder a bit and weight; pairs need a selection of three and half "
        "an adder, of entries one bit wider; both have the same accumulator and register",
    ),
    Goal(
        "density W1 A-INT8 over native 1 bit, arithmetic only", 1, 1,
        _ratio("w1", "int8", "native"), _NATIVE,
    ),
    Goal(
        "density W2 A-INT8 over native 2 bits, arithmetic only", 1, 1,
        _ratio("w2", "int8", "native"), _NATIVE,
    ),
    Goal(
        "density W4 A-INT8 over native 4 bits, arithmetic only", 1, 1,
        _ratio("w4", "int8", "native"), _NATIVE,
    ),
    Goal(
        "density W1 A-FP16 over native FP16 x 1 bit, arithmetic only", 5, 5,
        _ratio("w1", "fp16", "native"), "a native lane aligns every activation for itself",
    ),
    Goal(
        "area W2 A-INT8 of UNPU-like, tables for 16 columns, over this core", 1.6, 1.6,
        _unpu(16), "their tables cost less than their lanes, which differ by the index alone",
    ),
    Goal(
        "the same with tables for all 64 columns", 1.6, 1.6, _unpu(64),
        "with tables shared, half a table and its negation are all that is left to save",
    ),
    Goal(
        "area at equal throughput, W1 A-FP16, all in, % of the FP16 MAC core", 10, 10, _share,
        "as density, all in", small=True,
    ),
    Goal(
        "energy W1 A-FP16, FP16 MAC over this core", 11.2, 20, _energy("mac", "w1", "fp16"),
        "the FP16 MAC multiplies by plus and minus one here, which wakes little of a multiplier",
    ),
    Goal(
        "energy W2 A-INT8, INT8 MAC over this core", 3, 5, _energy("mac", "w2", "int8"),
        "a MAC clocks its registers once a product, a bit-serial core twice at two bits",
    ),
    Goal(
        "energy W1 A-INT8, bit-serial ADD over this core", 1.3, 1.3, _energy("add", "w1", "int8"),
        "accumulators and registers switch alike on both sides, and are most of what is left",
    ),
    *(
        Goal(
            f"energy {w.upper()} A-INT8, native over this core", 1, 1,
            _energy("native", w, "int8"), _NATIVE,
        )
        for w in ("w1", "w2", "w4")
    ),
    Goal(
        "energy W1 A-FP16, native FP16 x 1 bit over this core", 5, 5,
        _energy("native", "w1", "fp16"), "",
    ),
    Goal(
        "energy W2 A-INT8, UNPU-like over this core", 1.6, 1.6, _energy("unpu", "w2", "int8"),
        "as its area",
    ),
)  # fmt: skip


def goals(results: Results) -> Section:
    """Every goal with the figure reached and a verdict."""
    if not results.areas:
        raise Missing("no areas were measured")
    rows = []
    absent = []
    for goal in GOALS:
        if goal.asap7 and not results.asap7:
            continue
        value = goal.ours(results)
        if value is None:
            absent.append(goal.what)
            continue
        verdict = goal.verdict(value)
        sign = "≤" if goal.small else "≥"
        rows.append(
            [
                goal.what,
                f"{sign} {goal.bar:g}",
                f"{sign} {goal.goal:g}",
                value,
                verdict,
                goal.bounds if verdict == "short" else "",
            ]
        )
    short = sum(row[4] == "short" for row in rows)
    text = [
        f"{len(rows)} goals have figures in this run, {short} fall short of their bar. Both sides "
        "of a ratio are mapped by the same flow and stand at their best tile of up to 4,096 "
        "products a cycle; integers are exact on both sides.",
    ]
    if not results.asap7:
        text.append(
            "Goals were set for ASAP7; on another library the proportions of cells are others."
        )
    if absent:
        text.append(f"Not measured in this run: {'; '.join(absent)}.")
    columns = ["figure", "bar", "goal", "reached", "verdict", "what bounds it"]
    return Section("What was aimed at", text, [Table("goals", "Goals", columns, rows)])
