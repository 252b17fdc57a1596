"""Designs of sweeps: what they compute, and what is said of wrong points."""

import pytest

from lutcore.errors import ConfigError, InputError
from lutppa import designs

TILE = {"m": 2, "n": 4, "k": 8, "block": 32}


def test_one_name_for_integer_and_floating_point():
    integer = designs.build("mac", {**TILE, "activations": "int8"})
    assert integer.activations == ("int8",)
    assert integer.cycles["w1"] == integer.cycles["w8"] == 1
    assert designs.build("mac", {**TILE, "weight_bits": 2}).role == "native"
    tile = {"m": 2, "n": 4, "k": 8, "activations": "fp16"}
    assert designs.build("mac", tile).cycles == {"ordinary": 1}
    assert designs.build("mac", {**tile, "codes": "w2"}).cycles == {"w2": 1}
    assert designs.build("native", {**tile, "weights": "int2"}).cycles == {"w2": 1}


def test_cycles_count_what_the_epilogue_makes_lanes_wait():
    # Two steps a block; 4 columns at one a cycle take 4 cycles, at four a cycle at least 2.
    narrow = designs.build("add", {**TILE, "weight_bits": 2, "rescale_columns": 1, "block": 16})
    assert narrow.cycles == {"w1": 2, "w2": 2, "ternary": 2}
    wide = designs.build("add", {**TILE, "weight_bits": 2, "rescale_columns": 4, "block": 16})
    assert wide.cycles == {"w1": 1, "w2": 2, "ternary": 2}


def test_exactness():
    fields = {"m": 1, "n": 4, "groups_per_step": 2, "block": 16, "activations": "int8"}
    assert designs.build("lut", {**fields, "table_bits": 9}).exact
    assert not designs.build("lut", {**fields, "table_bits": 8}).exact
    assert designs.build("lut", {**fields, "activations": "fp16", "table_bits": 8}).exact


def test_ternary_in_one_pass():
    fields = {"m": 1, "n": 4, "table_digits": 3, "lookup_group": 2, "groups_per_step": 6}
    assert designs.build("lut", {**fields, "block": 48}).cycles["ternary"] == 1


@pytest.mark.parametrize(
    ("design", "fields", "message"),
    [
        ("nothing", {}, "point: design 'nothing' is unknown; known are lut, mac, native, add, full,"
         " unpu, unpu_reinterpreted, unpu_folded"),
        ("lut", {"m": 1}, "point: key 'n' is missing; a preset would do as well"),
        ("lut", {"m": 1, "n": 1, "stages": 1}, r"point: unknown key 'stages' of design lut; .*"),
        ("add", {"m": 1, "n": 1}, "point: key 'k' of design add is missing"),
        ("add", {**TILE, "terms": 8}, r"point: unknown key 'terms' of design add; .*"),
        ("add", {**TILE, "activations": "fp16"},
         "point: activations of design add must be integers, not fp16"),
        ("mac", {"activations": "fp16", "k": 4, "block": 4},
         r"point: unknown key 'block' of design mac; .*"),
        ("native", {"activations": "fp16", "k": 4},
         "point: weights of design native must be one of w1, ternary, w2, w4, int2, int4, not ''"),
    ],
)  # fmt: skip
def test_wrong_points(design, fields, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        designs.build(design, fields)


def test_wrong_values_are_those_of_the_configuration():
    with pytest.raises(ConfigError, match="^weight_bits must be 1..8, not 9$"):
        designs.build("add", {**TILE, "weight_bits": 9})
    with pytest.raises(ConfigError, match="^activations: 'int9' is not a format; known are"):
        designs.build("add", {**TILE, "activations": "int9"})
