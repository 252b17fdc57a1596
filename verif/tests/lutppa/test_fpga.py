"""FPGAs: hand-counted designs in every family, the hierarchy's sums, placement, exact errors."""

import dataclasses
import json

import pytest
from amaranth.lib.wiring import In, Out

from lutcore.config import preset
from lutcore.errors import InputError
from lutcore.unit import BaseUnit
from lutppa import designs, fpga, fpga_report, sweep
from lutppa.baselines import integer
from lutppa.baselines.multiplier import Multiplier

VERILOG = """
module toy_leaf(input clk, rst, input [3:0] a, output reg y);
  always @(posedge clk) y <= ^a;
endmodule
module toy(input clk, rst, input [7:0] a, output y);
  wire [1:0] b;
  toy_leaf one(clk, rst, a[3:0], b[0]);
  toy_leaf two(clk, rst, a[7:4], b[1]);
  assign y = b[0] & b[1];
endmodule
"""


class Leaf(BaseUnit):
    suffix = "leaf"

    def ports(self):
        return {"a": In(4), "y": Out(1)}


class Toy(BaseUnit):
    suffix = ""

    def ports(self):
        return {"a": In(8), "y": Out(1)}


@pytest.fixture
def toy():
    return Toy("toy", Leaf("toy"))


@pytest.mark.parametrize("family", fpga.FAMILIES)
def test_hand_counts(toy, family):
    found = fpga.implement(toy, VERILOG, family, place=False)
    assert (found.luts, found.flip_flops, found.dsps, found.memories) == (3, 2, 0, 0)
    leaf = {"count": 2, "luts": 2, "flip_flops": 2, "dsps": 0, "memories": 0}
    assert found.units == {"leaf": leaf}
    assert found.fmax_mhz is None


def test_a_module_that_nothing_reads(toy):
    verilog = VERILOG.replace("b[0] & b[1]", "^a")
    found = fpga.implement(toy, verilog, "ice40", place=False)
    assert found.units["leaf"]["luts"] == found.units["leaf"]["count"] == 0
    assert (found.luts, found.flip_flops) == (3, 0)


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_placement(toy, tmp_path, family):
    said = []
    found = fpga.implement(toy, VERILOG, family, directory=tmp_path, say=said.append)
    assert found.note == ""
    assert found.device == fpga.FAMILIES[family].devices[0][0][0].removeprefix("--")
    assert found.fmax_mhz is not None and found.fmax_mhz > 100
    assert found.wrapper_bits == 9
    assert said[0] == "mapping onto LUTs"
    assert said[1].startswith(f"placing and routing in {found.device}")
    # Eight for the inputs, two of the toy, two behind its output: nothing of it is optimised away.
    report = json.loads((tmp_path / "report.json").read_text())
    name = {"ecp5": "TRELLIS_FF", "ice40": "ICESTORM_LC"}[family]
    assert report["utilization"][name]["used"] >= 8 + 2 + 2


def test_multiplications_take_dsps_or_luts():
    unit = Multiplier(integer.mac(1), "baseline")
    with_dsps, without = (fpga.count(unit, "ecp5", dsps=dsps) for dsps in (True, False))
    assert (with_dsps.dsps, without.dsps) == (1, 0)
    assert 0 < with_dsps.luts < without.luts
    assert with_dsps.flip_flops == without.flip_flops == unit.config.accumulator_bits


def test_a_cell_that_is_not_known(toy, monkeypatch):
    family = dataclasses.replace(fpga.FAMILIES["ice40"], luts={})
    monkeypatch.setitem(fpga.FAMILIES, "ice40", family)
    with pytest.raises(InputError) as error:
        fpga.implement(toy, VERILOG, "ice40", place=False)
    assert str(error.value) == "fpga: what cells SB_LUT4 of ice40 occupy is not known"


def test_files_and_screen(tmp_path, capsys):
    fpga_report.main(preset("tiny"), tmp_path, "gowin", "decoder")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fpga_gowin_decoder.json",
        "fpga_gowin_decoder.log",
    ]
    data = json.loads((tmp_path / "fpga_gowin_decoder.json").read_text())
    assert data["notes"] == list(fpga.NOTES)
    assert (data["family"], data["unit"], data["flip_flops"]) == ("gowin", "decoder", 0)
    luts = [count for cell, count in data["cells"].items() if cell.startswith("LUT")]
    assert data["luts"] == sum(luts) > 0
    assert data["note"] == "counted by Yosys only"
    assert set(data["tools"]) == {"python", "pyosys", "amaranth"}
    screen = capsys.readouterr().out
    assert "decoder of tiny (M2 N4 K3) on gowin" in screen
    assert screen.endswith("counted by Yosys only\n")


def test_a_design_that_does_not_fit(tmp_path, monkeypatch):
    options, _ = fpga.FAMILIES["ice40"].devices[0]
    family = dataclasses.replace(fpga.FAMILIES["ice40"], devices=((options, 1),))
    monkeypatch.setitem(fpga.FAMILIES, "ice40", family)
    with pytest.raises(InputError) as error:
        fpga_report.main(preset("tiny"), tmp_path, "ice40", "decoder")
    luts = json.loads((tmp_path / "fpga_ice40_decoder.json").read_text())["luts"]
    assert str(error.value) == (
        f"fpga: decoder with {luts} LUTs cannot be placed in ice40: hx8k has 1 LUTs; a unit alone, "
        "a smaller core, another family or --no-place would do"
    )


@pytest.mark.parametrize(
    ("family", "unit", "message"),
    [
        ("ice", None, "fpga: family 'ice' is unknown; known are ecp5, ice40, xc7, gowin"),
        ("ice40", "lanes", "unit: 'lanes' is unknown; known are decode, peak, largest, align, "),
    ],
)
def test_unknown_names(tmp_path, family, unit, message):
    with pytest.raises(InputError) as error:
        fpga_report.main(preset("tiny"), tmp_path, family, unit)
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_packaged_sweeps_can_be_built():
    points = [p for name in ("fpga", "default") for p in sweep.load(name).points]
    points = [point for point in points if point["kind"] == "fpga"]
    assert {point.get("design", "lut") for point in points} == {"lut", "mac", "add"}
    for point in points:
        options = ("kind", "design", "family", "unit", "place")
        values = {name: value for name, value in point.items() if name not in options}
        built = designs.build(point.get("design", "lut"), values)
        suffix = point.get("unit", "")
        found = fpga.part(built.unit, suffix)
        assert found.suffix == suffix if suffix else found is built.unit
        assert point["family"] in fpga.FAMILIES
