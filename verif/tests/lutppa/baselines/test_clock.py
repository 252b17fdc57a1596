"""Baselines at a clock: lanes and shares, and a missing library in one line."""

from __future__ import annotations

import pytest

from lutppa import liberty
from lutppa.baselines.array import BaselineArray
from lutppa.baselines.clock import Design, main, measure
from lutppa.baselines.config import BaselineConfig
from lutppa.mapped import mapped, texts


def _unit(m: int, n: int) -> BaselineArray:
    return BaselineArray(
        BaselineConfig(
            design="native", coding="odd", m=m, n=n, terms=2, weight_bits=1, block=4, stages=1
        )
    )


def test_shares_of_a_product() -> None:
    library = liberty.read(None)
    row = measure(Design(_unit, m=2, n=4), library, 1e6)
    unit = _unit(2, 2)
    totals = mapped(unit, texts(unit), library).totals
    area = {part.suffix: totals[part.module_name].area for part in unit.definitions()}
    assert row.stages == 1
    assert row.length_ps <= row.unclocked_ps < 1e6
    assert row.lanes[0] == pytest.approx(area["lane"] / 2)
    rows, columns = area["row"] + area["row_registers"], area["column"] + area["column_registers"]
    assert row.shared[0] == pytest.approx((rows / 4 + columns / 2) / 2)


def test_a_missing_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--liberty", "missing.lib"]) == 2
    assert (
        capsys.readouterr().err == "error: missing.lib: cannot be read: No such file or directory\n"
    )
