"""What tables cost: the measures of `lutcore numerics`, on few points and short texts."""

from __future__ import annotations

from pathlib import Path

from lutcore.formats import ACTIVATIONS
from lutverif import numerics
from lutverif.numerics import ERRORS, PERPLEXITIES, Point


def test_points() -> None:
    for points in (ERRORS, PERPLEXITIES):
        assert len(set(points)) == len(points)
        assert {p.activation_type for p in points} == set(ACTIVATIONS)
    judged = [p for p in PERPLEXITIES if p.target]
    # Every format with 8 bits, five of them with 6; 4- and 8-bit weights.
    assert len(judged) == 2 * (7 + 5)
    assert all(p.target == (0.002 if p.table_bits == 8 else 0.005) for p in judged)
    assert Point(4, "int8", 9, 64).exact and not Point(4, "int8", 8, 64).exact
    assert Point(4, "int4", 5, 64).exact


def test_the_error_halves_with_every_bit_until_tables_are_exact() -> None:
    errors = [numerics.layer_error(Point(4, "int8", t, 64)).value for t in (5, 6, 7, 9)]
    for coarse, fine in zip(errors[:2], errors[1:3], strict=True):
        assert 1.6 < coarse / fine < 2.6
    assert 0 < errors[3] < 1e-6  # of FP32 accumulation
    shared = [numerics.layer_error(Point(4, "fp16", 8, block)).value for block in (4, 256)]
    assert shared[0] < 0.6 * shared[1]


def test_changes_of_perplexity(measuring_data: Path) -> None:
    model, text = measuring_data / "models" / "stories260K", ["Once upon a time there was a cat."]
    points = [Point(4, "int8", t, 64) for t in (4, 8, 9)]
    coarse, fine, exact = numerics.changes(points, model, text, precision=0.05, most=8)
    assert [c.point for c in (coarse, fine, exact)] == points
    assert coarse.draws in (4, 8) and coarse.uncertainty > 0
    assert abs(coarse.value) > 4 * abs(fine.value)
    assert exact.value == 0 and exact.perplexity.exact == fine.perplexity.exact
