"""Areas of MAC arrays and cores: parts add up, and dequantisers are the door."""

from __future__ import annotations

import pytest

from lutppa import liberty
from lutppa.baselines.dequantise import CoreConfig
from lutppa.baselines.mac import main, measure
from lutppa.baselines.mac_array import MacArray
from lutppa.baselines.mac_config import MacConfig
from lutppa.baselines.mac_core import MacCore


def test_parts_of_an_array_and_of_a_core() -> None:
    library = liberty.read(None)
    config = MacConfig(m=2, n=1, k=2, operand="e4m3", fraction_bits=13)
    array = measure("array", MacArray(config), library)
    core = measure("core", MacCore(CoreConfig(mac=config, codes="ternary")), library)
    for row in (array, core):
        assert (row.m, row.n, row.k) == (2, 1, 2)
        control = row.all - row.dot - row.operands - row.door
        assert 0 < control < 0.1 * row.all
    assert array.door == 0 < core.door
    assert core.all == pytest.approx(array.all + core.door)


def test_a_missing_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--liberty", "missing.lib"]) == 2
    assert (
        capsys.readouterr().err == "error: missing.lib: cannot be read: No such file or directory\n"
    )
