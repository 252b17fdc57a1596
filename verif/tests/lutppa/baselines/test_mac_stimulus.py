"""Stimulus of the MAC array: a right netlist passes its check, a wrong one gives no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutcore.export import unit_design
from lutppa import liberty
from lutppa.activity import simulate
from lutppa.area import synthesise
from lutppa.baselines.mac_array import MacArray
from lutppa.baselines.mac_config import MacConfig
from lutppa.baselines.mac_stimulus import mac_stimulus
from lutppa.flat_netlist import read_netlist
from lutppa.stimulus import WrongNetlist, random_layer, workload


@pytest.mark.parametrize(
    ("weights", "config"),
    [
        ("w1", MacConfig(m=1, n=2, k=2, operand="e4m3", fraction_bits=13)),
        ("w2", MacConfig(m=2, n=1, k=2, operand="e5m2", weights="w2", stages=1)),
    ],
)
def test_right_and_wrong_netlists(weights: str, config: MacConfig, tmp_path: Path) -> None:
    # Without a voltage there is no energy.
    text = liberty.read(None).text
    path = tmp_path / "volts.lib"
    path.write_text(text.replace('voltage_unit : "1V";', 'voltage_unit : "1V"; nom_voltage : 1;'))
    library = liberty.read(path)
    unit = MacArray(config)
    text = synthesise(unit_design(unit), unit.module_name, library).netlist
    work = workload(random_layer(m=8, n=8, k=7), weights, config.operand, 7)
    stimulus = mac_stimulus(work, config, 24)
    assert stimulus.products == config.m * config.n * 7 / 4

    def run(netlist: str) -> None:
        found = simulate(read_netlist(netlist, unit.module_name, library), stimulus.ports)
        stimulus.check(found.outputs)

    run(text)
    with pytest.raises(WrongNetlist, match="are not the golden model's"):
        run(text.replace("XOR2 ", "XNOR2 ", 1))
