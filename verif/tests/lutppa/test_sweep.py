"""Sweep files: what points they hold, and what is said of wrong ones."""

import pytest

from lutcore.errors import InputError
from lutppa import designs, fanout, sweep


def test_product_and_points():
    text = "[defaults]\nm=1\n[[product]]\nn=[1,2]\nblock=[4,8]\n"
    text += "[[point]]\nn=1\nblock=4\n[[point]]\nm=3"
    points = sweep.parse(text, "name", "file").points
    assert points == [*({"m": 1, "n": n, "block": b} for n in (1, 2) for b in (4, 8)), {"m": 3}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: has no points; a table [[point]] or [[product]] would do"),
        ("x=1", "f: unknown key 'x'; known are defaults, product, point"),
        ("point=1", "f: point must be tables"),
    ],
)
def test_wrong_files(text, message):
    with pytest.raises(InputError) as error:
        sweep.parse(text, "name", "f")
    assert str(error.value) == message


def test_packaged_points_can_be_built():
    points = sweep.load("default").points
    assert len(points) >= 60
    for point in points:
        designs.build("lut", {k: v for k, v in point.items() if k not in ("kind", "design")})


@pytest.mark.parametrize(("loads", "limit", "expected"), [(8, 8, 0), (9, 8, 2), (128, 8, 18)])
def test_buffers(loads, limit, expected):
    assert fanout.buffers(loads, limit) == expected
