"""A slice of the benches of the baselines; `python -m lutppa.baselines.verify` runs all."""

from __future__ import annotations

import pytest

from lutcore.errors import ConfigError
from lutppa.baselines import verify
from lutppa.baselines.config import BaselineConfig
from lutverif.bench.runner import BenchFailure


@pytest.mark.parametrize(
    "name", ["mac-4x8", "mac-1", "native-5", "native-3", "folded-4", "core-e4m3"]
)
def test_rtl_equals_golden(name: str) -> None:
    assert verify.check(name) == 2


@pytest.mark.parametrize(
    ("name", "right", "wrong", "failed"),
    [
        ("add", "{ psum[15:0], 1'h0 }", "{ 1'h0, psum[15:0] }", 2),
        # A cycle without a step adds something; only stalls see it.
        ("add", "codes[0] & take", "codes[0]", 1),
        # The lowest bit of what is left of a term after 24 places.
        ("e4m3", "24'h000000, shifted_3[25:24]", "25'h0000000, shifted_3[25]", 2),
    ],
)
def test_a_wrong_rtl_fails(
    monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str, failed: int
) -> None:
    design = verify.unit_design

    def broken(unit: object) -> str:
        text = design(unit)  # type: ignore[arg-type]
        assert text.count(right) == 1
        return text.replace(right, wrong)

    monkeypatch.setattr(verify, "unit_design", broken)
    with pytest.raises(BenchFailure, match=f"{failed} of 2 tests failed"):
        verify.check(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"design": "sum"}, "design must be one of mac, add, native, full, half, folded"),
        ({"coding": "odd"}, "coding of mac must be one of integer, not 'odd'"),
        ({"terms": 7}, "block must be a multiple of terms = 7, not 64"),
        ({"activation_bits": 7}, "activation_bits of mac must be even.*8 would do"),
        ({"lookup_group": 2}, "lookup_group of mac must be 1..1, not 2"),
        ({"readers": 2}, "readers must be 0 for mac, not 2"),
        ({"psum_bits": 12}, "psum_bits must be at least 22 for this block, not 12"),
    ],
)
def test_bad_parameters_say_what_would_do(wrong: dict[str, object], message: str) -> None:
    fields = {"design": "mac", "coding": "integer", "m": 2, "n": 2, "terms": 4} | wrong
    with pytest.raises(ConfigError, match=message):
        BaselineConfig(**fields)  # type: ignore[arg-type]
