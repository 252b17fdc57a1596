"""A slice of the mutation run; `make mutants` runs the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import lutcore
from lutverif import mutants
from lutverif.bench.runner import UNITS
from lutverif.mutants import MUTANTS, Mutant

KINDS = {
    "sign", "plane order", "stale table", "lost back-pressure", "reset", "width", "padding",
    "scale", "zero term", "accumulate clear", "rounding", "exponent", "hazard", "index",
    "special value", "protocol",
}  # fmt: skip
SLICE = [
    "table-overwritten", "load-step-survives", "psum-a-bit-short", "ties-away-from-zero",
    "load-over-a-slot-being-read",
]  # fmt: skip


@pytest.mark.parametrize("name", SLICE)
def test_mutant_is_caught(name: str) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    verdict = mutants.check(mutant)
    assert verdict.good, verdict.seen


def test_every_mutant_can_be_applied() -> None:
    folder = Path(lutcore.__file__).parent
    for mutant in MUTANTS:
        assert (folder / mutant.file).read_text().count(mutant.old) == 1, mutant.name
        assert mutant.old != mutant.new
        assert mutant.bench in (*UNITS, "axi", "axi_registers", "axi_engine", "engine")


def test_every_kind_is_there_and_golden_shares_no_file() -> None:
    assert {mutant.kind for mutant in MUTANTS} == KINDS
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    shared = {"config.py", "errors.py", "export.py", "formats.py", "layout.py", "streams.py"}
    assert not {mutant.file for mutant in MUTANTS} & shared


def test_a_mutant_that_changes_nothing_survives() -> None:
    verdict = mutants.check(Mutant("none", "none", "entries", "table.py", "lower", "lower"))
    assert not verdict.good
    assert "times, not once" in verdict.seen
    text = "class Entries(Unit):"
    verdict = mutants.check(Mutant("none", "none", "entries", "table.py", text, text + "  # same"))
    assert (verdict.good, verdict.seen) == (False, "survived")


def test_a_mutant_that_breaks_the_source_is_not_caught() -> None:
    text = "class Entries(Unit):"
    verdict = mutants.check(Mutant("none", "none", "entries", "table.py", text, "class:"))
    assert not verdict.good
    assert "cannot be checked" in verdict.seen


def test_command_fails_when_a_mutant_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutants, "unmutated", lambda benches: "")
    for good, status in ((True, 0), (False, 1)):
        monkeypatch.setattr(mutants, "check", lambda mutant, g=good: mutants.Verdict(g, "x", 0))
        assert mutants.main([]) == status
        assert f"{len(MUTANTS) if good else 0} of {len(MUTANTS)} mutants" in capsys.readouterr().out
    monkeypatch.setattr(mutants, "unmutated", lambda benches: "bench lane fails")
    assert mutants.main(["--only", MUTANTS[0].name]) == 1
