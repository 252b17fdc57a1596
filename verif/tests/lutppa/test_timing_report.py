"""What a screen and the JSON file say of a clock."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lutcore.config import preset
from lutcore.errors import InputError
from lutppa import report
from lutppa.clocked import Timed
from lutppa.timing_report import verdict

FOUND = Timed(
    clock_ps=1000.0, area=10.0, unclocked_ps=1100.0, timed_area=12.0, buffers=1, buffer_area=0.5,
    slack_ps=200.0, areas={}, plain_areas={}, ways={}, paths=(), netlist="",
)  # fmt: skip


def test_verdict():
    assert verdict(FOUND, "ps") == (
        "meets 1000 ps with 200.0 ps to spare: the longest path takes 800.0 ps (1,250 MHz), "
        "mapped for area 1100.0 ps"
    )
    assert verdict(replace(FOUND, slack_ps=-12.25), "tau").startswith("misses 1000 tau by 12.2 tau")


def test_a_clock_that_is_missed(tmp_path, capsys):
    report.main(preset("tiny"), tmp_path, unit="decoder", clock_ps=2.0)
    screen = capsys.readouterr().out
    timing = json.loads((tmp_path / "area_decoder.json").read_text())["timing"]
    assert timing["clock_ps"] == 2 and timing["slack_ps"] < 0
    assert f"misses 2 tau by {-timing['slack_ps']:.1f} tau" in screen
    assert [(path["start"], path["end"]) for path in timing["paths"]] == [("ports", "ports")]
    assert "endmodule" in (tmp_path / "area_decoder_clocked.v").read_text()
    assert all(len(line) <= 80 for line in screen.splitlines()[:-1])


@pytest.mark.parametrize("clock", [0.0, -5.0])
def test_a_clock_that_is_none(tmp_path, clock):
    with pytest.raises(InputError, match=rf"^clock: must be positive, not {clock:g}$"):
        report.main(preset("tiny"), tmp_path, unit="decoder", clock_ps=clock)
    assert not list(tmp_path.iterdir())
