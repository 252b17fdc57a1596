"""The report: its rows add up, its files hold what the screen shows, its errors are exact."""

import hashlib
import json
import struct

import pytest

from lutcore.config import preset
from lutcore.errors import InputError
from lutppa import area, generic, liberty, report

CORE = """
module lut_tensor_core_lane(input clk, input [7:0] a, output reg [7:0] y);
  always @(posedge clk) y <= a;
endmodule
module lut_tensor_core_lookup(input clk, input [7:0] a, output [7:0] y, z, output n);
  lut_tensor_core_lane one(clk, a, y);
  lut_tensor_core_lane two(clk, y, z);
  assign n = !(a[0] & a[1]);
endmodule
module lut_tensor_core_precompute(input clk, w, input [1:0] a, output [1:0] y);
  reg [1:0] m [0:1];
  always @(posedge clk) m[w] <= a;
  assign y = m[0];
endmodule
module lut_tensor_core(input clk, w, input [7:0] a, output [7:0] y, z, output n, output [1:0] b,
                       output i);
  lut_tensor_core_lookup l(clk, a, y, z, n);
  lut_tensor_core_precompute p(clk, w, a[1:0], b);
  assign i = !a[7];
endmodule
"""

ROWS = [
    # path, count, area, cells, flip-flops; m[1] is never read and falls away
    ("precompute", 1, 2 * 8.5 + 0.5, 3, 2),
    ("precompute/memory", 1, 2 * 8.5, 2, 2),
    ("precompute/rest", 1, 0.5, 1, 0),
    ("lookup", 1, 2 * 8 * 6 + 1, 17, 16),
    ("lookup/lane", 2, 2 * 8 * 6, 16, 16),
    ("lookup/rest", 1, 1, 1, 0),
    ("rest", 1, 0.5, 1, 0),
]


def test_rows_of_a_hierarchy():
    synthesis = area.synthesise(CORE, "lut_tensor_core", liberty.read(None))
    found = [
        ("/".join(r.path), r.count, r.amount.area, r.amount.cells, r.amount.flip_flops)
        for r in report.rows(synthesis, "lut_tensor_core")
    ]
    assert found == ROWS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files of the table unit of the tiny core."""
    out = tmp_path_factory.mktemp("report") / "new"
    report.main(preset("tiny"), out, unit="table")
    return out


def test_files(written):
    assert sorted(path.name for path in written.iterdir()) == [
        f"area_table.{kind}" for kind in ("json", "log", "png", "svg", "v")
    ]
    png = (written / "area_table.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG") and width > 1000 and height > 300
    assert "<svg" in (written / "area_table.svg").read_text()
    assert "module lut_tensor_core_entries" in (written / "area_table.v").read_text()


def test_json(written):
    data = json.loads((written / "area_table.json").read_text())
    assert data["notes"] == list(report.NOTES)
    assert data["unit"] == "table"
    assert data["configuration"]["n"] == 4
    assert data["library"] == {
        "name": generic.NAME,
        "file": generic.NAME,
        "sha256": hashlib.sha256(generic.text().encode()).hexdigest(),
        "area_unit": "NAND2",
        "nand2": {"cell": "NAND2", "area": 1.0},
    }
    assert set(data["tools"]) == {"python", "pyosys", "amaranth"}
    assert data["commands"][0] == "read_verilog -sv design.v"
    rows = {row["path"]: row for row in data["rows"]}
    assert list(rows) == ["table", "table/entries", "table/rest"]
    assert rows["table/entries"]["count"] == 2
    for key in ("area", "cells", "flip_flops"):
        parts = rows["table/entries"][key] + rows["table/rest"][key]
        assert rows["table"][key] == data["totals"]["all_in"][key] == parts
    assert rows["table"]["share"] == 1
    assert "arithmetic" not in data["totals"]


def test_screen(capsys, tmp_path):
    report.main(preset("tiny"), tmp_path, unit="lane")
    screen = capsys.readouterr().out
    assert screen.startswith(report.NOTES[0])
    assert "lane of tiny (M2 N4 K3) on lutppa_generic" in screen
    assert "arithmetic only (lanes)" in screen
    assert "…" not in screen
    assert all(len(line) <= 80 for line in screen.splitlines()[:-1])


def test_a_library_of_another_scale(measuring_data, tmp_path):
    file = measuring_data / "liberty" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
    report.main(preset("tiny"), tmp_path, file, "lookup")
    data = json.loads((tmp_path / "area_lookup.json").read_text())
    assert data["library"]["area_unit"] == "um2"
    assert data["library"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert data["library"]["nand2"] == {"cell": "sg13g2_nand2_1", "area": 7.2576}
    total = data["totals"]["all_in"]
    assert total["nand2"] == round(total["area"] / 7.2576, 1)
    assert 0 < data["totals"]["arithmetic"]["area"] < total["area"]
    assert [row["count"] for row in data["rows"]] == [1, 4, 8, 1]


@pytest.mark.parametrize("unit", ["lookups", ""])
def test_unknown_unit(tmp_path, unit):
    with pytest.raises(InputError) as error:
        report.main(preset("tiny"), tmp_path, unit=unit)
    message = str(error.value)
    assert message.startswith(f"unit: {unit!r} is unknown; known are ")
    known = message.removeprefix(f"unit: {unit!r} is unknown; known are ").split(", ")
    assert {"precompute", "table", "lookup", "lane", "rescale"} <= set(known)
    assert not list(tmp_path.iterdir())


def test_unwritable_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        report.main(preset("tiny"), tmp_path / "file" / "out")
    assert str(error.value) == f"{tmp_path}/file/out: cannot be written: Not a directory"
