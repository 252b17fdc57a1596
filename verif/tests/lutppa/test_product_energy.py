"""Energy of a product: every kind of design, its parts, and netlists that are wrong."""

import dataclasses

import pytest

from lutcore.config import TensorCoreConfig
from lutcore.errors import ConfigError
from lutppa.baseline_stimulus import baseline_stimulus, forms
from lutppa.baselines.array import BaselineArray
from lutppa.baselines.config import BaselineConfig
from lutppa.energy import Conditions
from lutppa.flat_netlist import read_netlist
from lutppa.mapped import mapped, texts
from lutppa.product_energy import at_tile, energy_figures, measured
from lutppa.stimulus import WrongNetlist, random_layer, workload

LAYER = random_layer(m=4, n=4, k=24)


def _baseline(design, coding, **more):
    sizes = {"m": 1, "n": 2, "terms": 4, "block": 12, "activation_bits": 8}
    return BaselineConfig(design=design, coding=coding, **(sizes | more))


CORE = TensorCoreConfig(
    m=1, n=2, lookup_group=2, table_bits=9, block=4, weight_bits=2, activations=("int8",),
    scales=("fp16",), outputs=("fp32",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "weights", "activations", "tried"),
    [
        (
            _baseline("mac", "integer", activation_bits=4, weight_bits=4),
            "w2",
            "int4",
            ["code", "centred", "odd"],
        ),
        (_baseline("folded", "odd", lookup_group=4, weight_bits=2), "ternary", "int8", ["planes"]),
        (CORE, "w2", "int8", [""]),
    ],
)
def test_figures(generic_volts, config, weights, activations, tried):
    whole = config is CORE
    found = energy_figures(
        config, generic_volts, weights, activations, whole=whole, layer=LAYER, cycles=32
    )
    parts = ("data", "clock", "internal", "leakage")
    assert found["fj"] == pytest.approx(sum(found[part] for part in parts))
    assert found["fj"] == pytest.approx(sum(unit["fj"] for unit in found["units"].values()))
    assert list(found["forms"]) == tried and found["fj"] == min(found["forms"].values())
    planes = 1 if tried[0] == "code" else 2
    most = config.m * config.n * (config.k if whole else config.terms) / planes
    if whole:  # A core waits for its rescale unit.
        assert 0 < found["products"] <= most
    else:
        assert found["products"] == pytest.approx(most)


def test_at_a_larger_tile():
    config = _baseline("folded", "odd", lookup_group=4, weight_bits=2)
    parts = dict.fromkeys(("fj", "data", "clock", "internal", "leakage"), 2.0)
    figures = {
        "fj": 6.0,
        "units": {"row": parts, "column": parts, "lane": parts},
        "forms": {"odd": 6.0, "code": 9.0},
        "products": 4.0,
    }
    found = at_tile(figures, config, 4, 8)
    # A row has 8 columns in place of 2, a column 4 rows in place of 1.
    assert [unit["fj"] for unit in found["units"].values()] == [0.5, 0.5, 2.0]
    assert found["fj"] == found["clock"] == 3.0
    assert found["forms"] == {"odd": 3.0, "code": 4.5} and found["products"] == 64.0
    own = dataclasses.replace(config, readers=1)
    assert at_tile(figures, own, 4, 8)["units"]["row"]["fj"] == 2.0


def test_a_wrong_netlist_gives_no_figure(generic_volts):
    config = _baseline("native", "unsigned", weight_bits=2)
    unit = BaselineArray(config)
    synthesis = mapped(unit, texts(unit), generic_volts)
    work = workload(LAYER, "w2", "int8", 12)
    (form,) = forms(config, "w2")
    stimulus = baseline_stimulus(work, config, form, 32)

    def run(text):
        measured(read_netlist(text, synthesis.top, generic_volts), stimulus, Conditions())

    run(synthesis.netlist)
    assert "NAND2 " in synthesis.netlist
    with pytest.raises(WrongNetlist, match=r"^o_psums of native .* are not the golden model's$"):
        run(synthesis.netlist.replace("NAND2 ", "NOR2 ", 1))


def test_what_a_design_does_not_take(generic_volts):
    native = _baseline("native", "unsigned", weight_bits=2)
    with pytest.raises(ConfigError, match=r"^weights must be of a width that the design takes"):
        energy_figures(native, generic_volts, "w4", "int8", layer=LAYER)
    with pytest.raises(ConfigError, match=r"^activation_bits of native must be those of int4"):
        energy_figures(native, generic_volts, "w2", "int4", layer=LAYER)
    with pytest.raises(ConfigError, match=r"^whole must be False for a baseline"):
        energy_figures(native, generic_volts, "w2", "int8", whole=True, layer=LAYER)
