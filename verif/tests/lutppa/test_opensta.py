"""OpenSTA beside our account, where it is installed."""

import shutil

import pytest

from lutppa import liberty, opensta


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")
def test_within_the_limit(measuring_data):
    library = liberty.read(measuring_data / "liberty" / "asap7_rvt_tt.lib.gz")
    rows = opensta.cross_check(library)
    assert [row.category for row in rows] == ["internal", "switching", "leakage", "total"]
    for row in rows:
        assert row.ratio == pytest.approx(1, abs=opensta.LIMIT)
