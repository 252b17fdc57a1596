"""The command: which designs it knows, ratios of what was measured, bad options."""

from lutppa import power


def test_every_ratio_has_its_designs():
    known = power.subjects(2, 8)
    for ratio in power.RATIOS:
        other = ratio.other or ratio.weights
        for starts, weights in ((("lut",), ratio.weights), (ratio.opponents, other)):
            wanted = (weights, ratio.activations)
            assert any(s.name.startswith(starts) and wanted in s.formats for s in known), ratio
    assert len({s.name for s in known}) == len(known)


def test_ratios_take_the_best_of_both_sides():
    found = {
        ("lut a", "w2", "int8"): {"fj": 4.0},
        ("lut b", "w2", "int8"): {"fj": 2.0},
        ("lut b, all in", "w2", "int8"): {"fj": 5.0},
        ("MAC INT8", "w2", "int8"): {"fj": 10.0, "forms": {"code": 10.0, "odd": 11.0}},
        ("MAC INT8", "w4", "int8"): {"fj": 1.0},
    }
    (odd, *row), (code, *other) = power.ratios(found, whole=False)
    assert odd.form == "odd" and row == ["lut b", 2.0, "MAC INT8", 11.0]
    assert code.form == "code" and other == ["lut b", 2.0, "MAC INT8", 10.0]
    _, (_, *row) = power.ratios(found, whole=True)
    assert row == ["lut b, all in", 5.0, "MAC INT8", 10.0]


def test_bad_options(capsys, tiny_file):
    assert power.main(["--liberty", str(tiny_file), "--only", "nothing"]) == 2
    assert "--only must begin a name of lut dense" in capsys.readouterr().err
    assert power.main(["--liberty", str(tiny_file), "--cycles", "0"]) == 2
    assert "--cycles must be positive, not 0" in capsys.readouterr().err
