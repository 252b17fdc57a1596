"""A unit at a clock: what changes, what does not, and that it computes the same."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from lutcore.unit import BaseUnit
from lutppa import clocked, liberty, mapped
from lutppa.buffers import LIMIT
from lutppa.clocked import timed

BITS = LIMIT  # with two masked adders, a wire to mask has twice the limit of loads


class Adder(BaseUnit):
    suffix = "adder"

    def ports(self) -> dict[str, Any]:
        return {"a": In(BITS), "b": In(BITS), "mask": In(1), "s": Out(BITS + 1)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.mask):
            m.d.sync += self.s.eq(self.a + self.b)
        return m


class Pair(BaseUnit):
    suffix = ""

    def __init__(self) -> None:
        self.adder = Adder("pair")
        super().__init__("pair", self.adder)

    def ports(self) -> dict[str, Any]:
        return {
            "a": In(BITS), "b": In(BITS), "mask": In(1), "s": Out(BITS + 1), "t": Out(BITS + 1),
        }  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, result in (("one", self.s), ("two", self.t)):
            m.submodules[name] = self.adder.place(a=self.a, b=self.b, mask=self.mask, s=result)
        return m


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return mapped.texts(Pair())


def test_without_haste_only_buffers_are_added(texts):
    library = liberty.read(None)
    found = timed(Pair(), texts, library, 1000.0)
    assert found.area == mapped.mapped(Pair(), texts, library).totals["pair"].area
    assert found.buffers > 0 and found.timed_area == found.area + found.buffer_area
    assert not found.ways
    assert found.slack_ps > 0 and found.length_ps == pytest.approx(1000 - found.slack_ps)
    assert sum(found.areas.values()) == pytest.approx(found.timed_area)
    assert [path.end for path in found.paths][0] == "pair_adder"
    assert found.paths[0].length_ps == pytest.approx(found.length_ps)


def test_in_haste_sums_are_prefixes_and_the_rest_is_said(texts, equivalent):
    library = liberty.read(None)
    relaxed = timed(Pair(), texts, library, 1000.0)
    found = timed(Pair(), texts, library, 1.0)
    assert set(found.ways) == {"pair_adder"}
    assert found.length_ps < 0.7 * relaxed.length_ps
    assert found.timed_area > relaxed.timed_area
    assert found.slack_ps == pytest.approx(1 - found.length_ps) and found.slack_ps < 0
    equivalent("\n".join(texts.values()), "pair", library, found.netlist)


def test_the_smallest_that_meets_the_clock(texts):
    library = liberty.read(None)
    relaxed = timed(Pair(), texts, library, 1000.0)
    fastest = timed(Pair(), texts, library, 1.0)
    between = timed(Pair(), texts, library, (relaxed.length_ps + fastest.length_ps) / 2)
    assert between.slack_ps >= 0
    assert relaxed.timed_area < between.timed_area <= fastest.timed_area


def test_kept_by_content(texts, monkeypatch):
    library = liberty.read(None)
    found = timed(Pair(), texts, library, 1000.0)
    monkeypatch.setattr(clocked, "_Search", None)
    assert timed(Pair(), texts, library, 1000.0) == found
    assert "netlist" not in found.data()
