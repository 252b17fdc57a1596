"""Published figures beside ours, each with the reason of the difference.

Sources: "LUT Tensor Core", ISCA 2025 and arXiv 2408.06003 (first version of August 2024), which
used Design Compiler and a 28 nm process, synthesis only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .energy import ratio
from .model import Missing, Results, Section, Table
from .steps import ABLATION, with_tables

__all__ = ["PUBLISHED", "beside"]

NAND2_28NM = 0.49
"""um2 of a small NAND2 in 28 nm; assumed, to compare areas across processes."""

Ours = Callable[[Results], float | None]


@dataclass(frozen=True)
class Published:
    """A published figure: what it is, its value and unit, what we have in its place, and why not.

    ours  None where this run has nothing to compare
    """

    what: str
    value: float
    unit: str
    ours: Ours
    reason: str


def _against(weights: str, activations: str, role: str, **options: Any) -> Ours:
    """Area of a product of `role` over that of the lookup core; options of `Results.ratio`."""
    return lambda results: results.ratio(weights, activations, role, **options)


def _equivalents(results: Results) -> float | None:
    ours = results.best("w1", "int8", products=512)
    return 4 * ours.per_product("w1") / results.nand2 if ours else None


def _share(results: Results) -> float | None:
    ratio = results.ratio("w1", "fp16", "mac", all_in=True)
    return 100 / ratio if ratio else None


def _unpu(step: int) -> Ours:
    """UNPU-like area over that after a step of the ablation."""

    def ratio(results: Results) -> float | None:
        first, then = (ABLATION[i].best(results, "w2") for i in (0, step))
        return with_tables(first, "w2") / with_tables(then, "w2") if first and then else None

    return ratio


_GATES = (
    f"theirs is 11,991 µm² for 512 products, over an assumed {NAND2_28NM} µm² for a NAND2, at "
    "1.41 GHz; both leave tables outside; a NAND2 measures logic, not wires, and flip-flops "
    "weigh differently in each library"
)
_INTEGERS = (
    "our lanes are integers under one scale a block, theirs add in floating point; our MAC has "
    "fused sums of 16 terms, Booth recoding and full-adder cells, theirs 4 terms, so that the "
    "opponent is smaller too"
)
_STEPS = (
    "theirs shares tables among 64 columns in every step and counts no tables in the last; ours "
    "starts from tables for 16 columns and counts tables in every step"
)

PUBLISHED: tuple[Published, ...] = (
    Published(
        "NAND2 equivalents of four one-bit products a cycle, A-INT8, arithmetic only, m n k = 512",
        4 * 11991.3 / 512 / NAND2_28NM,
        "NAND2",
        _equivalents,
        _GATES,
    ),
    Published(
        "density W1 A-FP16 against FP16 MAC, arithmetic only",
        61.55 / 3.39,
        "x",
        _against("w1", "fp16", "mac"),
        _INTEGERS,
    ),
    Published(
        "density W1 A-FP16 against FP16 MAC, arithmetic only, m n k = 512",
        61.55 / 3.39,
        "x",
        _against("w1", "fp16", "mac", products=512),
        _INTEGERS,
    ),
    Published(
        "density W2 A-INT8 core against FP16 tensor core, BitNet 3B",
        61.95 / 2.96,
        "x",
        _against("w2", "int8", "mac", other="fp16"),
        "both compare cores of different activations; " + _INTEGERS,
    ),
    Published(
        "density W2 A-INT8 against INT8 MAC",
        61.84 / 17.73,
        "x",
        _against("w2", "int8", "mac"),
        "their MAC has 4 terms and is not said to use compressors or adder cells; ours "
        "has both, which halves its area (Booth recoding, one tree of full adders for all terms)",
    ),
    Published(
        "area at equal throughput, W1 A-FP16, all in, of the FP16 MAC core",
        14.3,
        "%",
        _share,
        "ours counts tables, precompute and rescale; theirs leaves tables outside",
    ),
    *(
        Published(
            f"area W2 A-INT8 of UNPU over that after {what}", 17271.7 / area, "x", _unpu(step), why
        )
        for what, area, step, why in (
            ("reinterpretation", 13116.6, 1, _STEPS),
            ("no negation on the index", 12780.1, 2, _STEPS),
            ("precompute shared", 11991.3, 3, _STEPS),
            ("all steps, to the core", 11991.3, 5, "their core is the step before; " + _STEPS),
        )
    ),
    Published(
        "energy W2 A-INT8 against INT8 MAC", 33.3 / 19.94, "x",
        lambda results: ratio(results, "mac", "w2", "int8"),
        "theirs is of cores at 0.9 V with vendor activity, ours of netlists on a layer's data, "
        "without glitches and wires; our MAC is small",
    ),
    Published(
        "energy of a W2 A-INT8 core against an FP16 tensor core", 33.65 / 2.98, "x",
        lambda results: ratio(results, "mac", "w2", "int8", "fp16"),
        "as above; both compare cores of different activations",
    ),
)  # fmt: skip


def beside(results: Results) -> Section:
    """Every published figure and ours."""
    if not results.areas:
        raise Missing("no areas were measured")
    rows = []
    for figure in PUBLISHED:
        ours = figure.ours(results)
        reason = figure.reason
        if ours is None:
            reason = "the opponent was not measured in this run"
        rows.append([figure.what, figure.unit, figure.value, ours, reason])
    return Section(
        "Published figures beside ours",
        [
            "Theirs: Design Compiler and a 28 nm process, synthesis only, tables outside the "
            "area. Ours: Yosys and the library named above, the best variant measured."
        ],
        [
            Table(
                "published",
                "Empty where this run has nothing to compare",
                ["figure", "unit", "published", "ours", "reason of the difference"],
                rows,
            )
        ],
    )
