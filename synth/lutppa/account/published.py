"""Published figures beside ours, each with the reason of the difference.

Sources: "LUT Tensor Core", ISCA 2025 and arXiv 2408.06003 (first version of August 2024), which
used Design Compiler and a 28 nm process, synthesis only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .model import Missing, Results, Section, Table

__all__ = ["PUBLISHED", "beside"]

NAND2_28NM = 0.49
"""um2 of a small NAND2 in 28 nm; assumed, to compare areas across processes."""


@dataclass(frozen=True)
class Published:
    """A published figure: what it is, its value and unit, what we have in its place, and why not.

    ours  None where this run has nothing to compare
    """

    what: str
    value: float
    unit: str
    ours: Callable[[Results], float | None]
    reason: str


def _against(
    bits: int, activations: str, role: str, *, mac: str = "", all_in: bool = False
) -> Callable[[Results], float | None]:
    """Area of a product of `role` over that of the lookup core; `mac` names its activations."""

    def ratio(results: Results) -> float | None:
        ours = results.best(bits, activations, "lut", all_in)
        theirs = results.best(bits, mac or activations, role, all_in)
        if ours is None or theirs is None:
            return None
        return theirs.per_product(bits, all_in) / ours.per_product(bits, all_in)

    return ratio


def _equivalents(results: Results) -> float | None:
    ours = results.best(1, "int8")
    return 4 * ours.per_product(1) / results.nand2 if ours else None


def _share(results: Results) -> float | None:
    ratio = _against(1, "fp16", "mac", all_in=True)(results)
    return 100 / ratio if ratio else None


def _nothing(results: Results) -> float | None:
    return None


_GATES = (
    f"theirs is 11,991 µm² for 512 products, over an assumed {NAND2_28NM} µm² for a NAND2; they "
    "leave tables outside, as we do here, but accumulate in FP16 where the format asks for it; a "
    "NAND2 is a measure of logic, not of wires, and flip-flops weigh differently in each library"
)
_INTEGERS = (
    "tables of integers under one scale a block: our lanes have no floating-point adder; our MAC "
    "core has fused sums, Booth recoding and full-adder cells, so that the opponent is smaller too"
)

PUBLISHED: tuple[Published, ...] = (
    Published(
        "NAND2 equivalents of four one-bit products a cycle, A-INT8, arithmetic only",
        4 * 11991.3 / 512 / NAND2_28NM,
        "NAND2",
        _equivalents,
        _GATES,
    ),
    Published(
        "density W1 A-FP16 against FP16 MAC, dot product of four",
        61.55 / 3.39,
        "x",
        _against(1, "fp16", "mac"),
        _INTEGERS,
    ),
    Published(
        "density W2 A-INT8 core against FP16 tensor core, BitNet 3B",
        61.95 / 2.96,
        "x",
        _against(2, "int8", "mac", mac="fp16"),
        "theirs compares cores of different activations, so does ours in this row",
    ),
    Published(
        "density W2 A-INT8 against INT8 MAC",
        61.84 / 17.73,
        "x",
        _against(2, "int8", "mac"),
        _INTEGERS,
    ),
    Published(
        "area W2 A-INT8, UNPU against the core",
        17271.7 / 11991.3,
        "x",
        _against(2, "int8", "unpu"),
        "their UNPU has the original's full tables in every unit",
    ),
    Published(
        "energy W2 A-INT8 against INT8 MAC",
        33.3 / 19.94,
        "x",
        _nothing,
        "energy is a measurement of its own, not in this sweep",
    ),
    Published(
        "energy W1 A-FP16 core against FP16 tensor core",
        33.65 / 2.98,
        "x",
        _nothing,
        "energy is a measurement of its own, not in this sweep",
    ),
    Published(
        "area at equal throughput, W1 A-FP16, all in, of the FP16 MAC core",
        14.3,
        "%",
        _share,
        "ours counts tables, precompute and rescale; theirs leaves tables outside",
    ),
)


def beside(results: Results) -> Section:
    """Every published figure and ours."""
    if not results.areas:
        raise Missing("no areas were measured")
    rows = []
    for figure in PUBLISHED:
        ours = figure.ours(results)
        reason = figure.reason
        if ours is None and figure.ours is not _nothing:
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
