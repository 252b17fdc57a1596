"""Stimulus of the tile: a right netlist passes its check, a wrong one gives no figure."""

import numpy as np
import pytest

from lutcore.config import PRESETS
from lutcore.export import unit_design
from lutppa.activity import simulate
from lutppa.area import synthesise
from lutppa.flat_netlist import read_netlist
from lutppa.stimulus import WrongNetlist, random_layer, workload
from lutppa.tile import LookupTile
from lutppa.tile_stimulus import lookup_stimulus


@pytest.mark.parametrize("formats", [("w2", "int8"), ("ternary", "fp16")])
def test_right_and_wrong_netlists(generic_volts, formats):
    config = PRESETS["tiny"]
    unit = LookupTile(config)
    text = synthesise(unit_design(unit), unit.module_name, generic_volts).netlist
    weights, activations = formats
    work = workload(random_layer(m=8, n=8, k=24), weights, activations, config.block)
    stimulus = lookup_stimulus(work, config, 64)
    assert stimulus.products == config.m * config.n * config.k / 2

    def run(netlist):
        found = simulate(
            read_netlist(netlist, unit.module_name, generic_volts), stimulus.ports, stimulus.streams
        )
        stimulus.check(found.outputs)

    run(text)
    assert "XOR2 " in text
    with pytest.raises(WrongNetlist, match="are not the golden model's"):
        run(text.replace("XOR2 ", "XNOR2 ", 1))


def test_tiles_wrap_and_are_the_same_for_every_design():
    work = workload(random_layer(m=5, n=6, k=8), "w2", "int8", 8)
    tiles = work.tiles(2, 4, 3)
    assert tiles.activations.shape == (64, 3, 2, 8) and tiles.codes.shape == (64, 3, 4, 8)
    assert (tiles.activations == work.activations[tiles.rows]).all()
    real = work.weights.real()[tiles.columns]
    assert (tiles.real == real.astype(np.float16)).all()
    assert set(tiles.rows.ravel()) == set(range(5)) and set(tiles.columns.ravel()) == set(range(6))
