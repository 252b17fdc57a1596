"""Loops found in straight runs: unrolled again they are what they were."""

from __future__ import annotations

import random

from lutcore.lmma.roll import Loop, rolled


def unrolled(items):
    for item in items:
        if isinstance(item, Loop):
            for _ in range(item.count):
                yield from unrolled(item.body)
        else:
            yield item


def depth(items):
    return max((1 + depth(item.body) for item in items if isinstance(item, Loop)), default=0)


def test_nested_loops_are_found():
    inner = [1, 2, 1, 2, 1, 2, 1, 2]
    items = (inner + [3]) * 6 + [4]
    body = (Loop(4, (1, 2), 1), 3)
    assert rolled(items, 4) == [Loop(6, body, 2), 4]


def test_levels_bound_the_depth():
    items = (([1, 2] * 8 + [3]) * 8 + [4]) * 8
    assert depth(rolled(items, 4)) == 3
    assert depth(rolled(items, 2)) == 2
    assert list(unrolled(rolled(items, 2))) == items


def test_any_run_comes_back():
    source = random.Random(1)
    for _ in range(25):
        items = []
        while len(items) < 60:
            piece = [source.randrange(3) for _ in range(source.randrange(1, 6))]
            items += piece * source.randrange(1, 5)
        for levels in (1, 4):
            found = rolled(items, levels)
            assert list(unrolled(found)) == items
            assert depth(found) <= levels
