"""Mapping: hand-counted areas, the hierarchy's sums, and the mapped netlist's function."""

import re

import pytest

from lutcore.errors import InputError
from lutppa import area, generic, liberty, yosys

CORE = """
module lut_tensor_core_align(input [3:0] x, input [1:0] by, output [3:0] y);
  assign y = x >> by;
endmodule
module lut_tensor_core_precompute(input clk, we, input [1:0] at, input [3:0] d, output [3:0] y, z);
  reg [3:0] buffer [0:3];
  always @(posedge clk) if (we) buffer[at] <= d;
  lut_tensor_core_align a(buffer[0], at, y);
  lut_tensor_core_align b(buffer[at], at, z);
endmodule
module lut_tensor_core_entries(input signed [3:0] a, b, output signed [4:0] s, d);
  assign s = a + b;
  assign d = a - b;
endmodule
module lut_tensor_core_table(input clk, input [3:0] a, b, output reg [4:0] s, d);
  wire [4:0] ws, wd;
  lut_tensor_core_entries e(a, b, ws, wd);
  always @(posedge clk) begin s <= ws; d <= wd; end
endmodule
module lut_tensor_core_lane(
    input clk, clear, enable, input signed [4:0] s, d, input [1:0] code,
    output reg signed [7:0] sum);
  wire signed [4:0] entry = code[0] ? s : d;
  always @(posedge clk)
    if (enable) sum <= (clear ? 0 : sum) + (code[1] ? -entry : entry);
endmodule
module lut_tensor_core_lookup(
    input clk, clear, enable, input [4:0] s, d, input [5:0] codes, output [23:0] sums);
  genvar i;
  generate
    for (i = 0; i < 3; i = i + 1)
      lut_tensor_core_lane lane(
          clk, clear, enable, s, d, codes[2*i +: 2], sums[8*i +: 8]);
  endgenerate
endmodule
module lut_tensor_core_fma(input signed [7:0] a, input [3:0] b, input [11:0] c, output [11:0] y);
  assign y = a * $signed({1'b0, b}) + c;
endmodule
module lut_tensor_core_rescale(
    input clk, input [23:0] sums, input [3:0] scale, output reg [11:0] y);
  wire [11:0] w;
  lut_tensor_core_fma f(sums[7:0], scale, y, w);
  always @(posedge clk) y <= w;
endmodule
module lut_tensor_core(
    input clk, we, clear, enable, input [1:0] at, input [3:0] d, scale, input [5:0] codes,
    output [11:0] y);
  wire [3:0] a, b;
  wire [4:0] s, t;
  wire [23:0] sums;
  lut_tensor_core_precompute p(clk, we, at, d, a, b);
  lut_tensor_core_table t0(clk, a, b, s, t);
  lut_tensor_core_lookup l(clk, clear ^ we, enable, s, t, codes, sums);
  lut_tensor_core_rescale r(clk, sums, scale, y);
endmodule
"""
"""A toy of the core's hierarchy."""

PREFIX = "lut_tensor_core"

COUNTED = {
    "inv": ("output y, input a", "assign y = !a;", 0.5),
    "nand3": ("output y, input a, b, c", "assign y = !(a & b & c);", 1.5),
    "nand4": ("output y, input a, b, c, d", "assign y = !(a & b & c & d);", 2),
    "nor2": ("output y, input a, b", "assign y = !(a | b);", 1),
    "nor3": ("output y, input a, b, c", "assign y = !(a | b | c);", 1.5),
    "and2": ("output y, input a, b", "assign y = a & b;", 1.5),
    "or2": ("output y, input a, b", "assign y = a | b;", 1.5),
    "aoi21": ("output y, input a, b, c", "assign y = !(a & b | c);", 1.5),
    "oai22": ("output y, input a, b, c, d", "assign y = !((a | b) & (c | d));", 2),
    "xor2": ("output y, input a, b", "assign y = a ^ b;", 2.5),
    "mux2": ("output y, input a, b, s", "assign y = s ? b : a;", 3),
    "wire_": ("output y, input a", "assign y = a;", 0),
    # The carry is a NAND2 and an inverter; the sum an OAI21 on the same NAND2, and an inverter.
    "half": ("output [1:0] y, input a, b", "assign y = a + b;", 3.5),
    # Four full adders, the first with a carry in; out of gates they would be as large.
    "sum4": ("output [4:0] y, input [3:0] a, b, input c", "assign y = a + b + c;", 28),
    "dff8": ("output reg [7:0] y, input k, input [7:0] a", "always @(posedge k) y <= a;", 48),
    "dffe": ("output reg y, input k, e, a", "always @(posedge k) if (e) y <= a;", 8.5),
    # An initial value costs nothing: a cell has none.
    "init": ("output reg y, input k, a", "initial y = 1; always @(posedge k) y <= a;", 6),
    # Two words of two bits: flip-flops that hold, an inverter for the enables and one for the
    # selects, and an AOI22 with an inverter for each bit read.
    "memory": (
        "output [1:0] y, input k, r, w, input [1:0] a",
        "reg [1:0] m [0:1]; always @(posedge k) m[w] <= a; assign y = m[r];",
        4 * 8.5 + 0.5 + 0.5 + 2 * 2.5,
    ),
}


@pytest.fixture(scope="module")
def counted():
    modules = [f"module {n}({ports}); {body} endmodule" for n, (ports, body, _) in COUNTED.items()]
    ports, places = [], []
    for name, (header, _, _) in COUNTED.items():
        widths = re.findall(
            r"(output|input)\s+(?:reg\s+)?(\[\d:0\])?\s*([\w, ]+?)(?=, (?:in|out)|$)", header
        )
        names = []
        for kind, width, list_ in widths:
            for port in list_.split(", "):
                ports.append(f"{kind} {width} {name}_{port}")
                names.append(f".{port}({name}_{port})")
        places.append(f"{name} u_{name}({', '.join(names)});")
    top = f"module top({', '.join(ports)}); {' '.join(places)} endmodule"
    return area.synthesise("\n".join([*modules, top]), "top", liberty.read(None))


@pytest.mark.parametrize("name", COUNTED)
def test_hand_counted_areas(counted, name):
    assert counted.modules[name].own.area == COUNTED[name][2]


def test_hand_counted_total(counted):
    assert counted.modules["top"].own == area.Amount()
    assert counted.totals["top"].area == sum(expected for _, _, expected in COUNTED.values())
    assert counted.totals["top"].flip_flops == 8 + 1 + 1 + 4
    assert counted.modules["memory"].memory == 4


@pytest.fixture(scope="module")
def core():
    return area.synthesise(CORE, PREFIX, liberty.read(None))


def test_hierarchy_counts(core):
    modules, totals = core.modules, core.totals
    assert modules[PREFIX].children == {
        f"{PREFIX}_{unit}": 1 for unit in ("precompute", "table", "lookup", "rescale")
    }
    assert modules[f"{PREFIX}_lookup"].children == {f"{PREFIX}_lane": 3}
    assert modules[f"{PREFIX}_precompute"].children == {f"{PREFIX}_align": 2}
    assert modules[f"{PREFIX}_precompute"].memory == 16
    lane = totals[f"{PREFIX}_lane"]
    assert lane.flip_flops == 8 and lane.area > 8 * 6
    assert totals[f"{PREFIX}_lookup"] == 3 * lane + modules[f"{PREFIX}_lookup"].own
    assert totals[PREFIX].flip_flops == 16 + 10 + 3 * 8 + 12
    assert modules[PREFIX].own.area == 2.5
    assert (
        totals[PREFIX].area
        == sum(totals[child].area for child in modules[PREFIX].children) + modules[PREFIX].own.area
    )


COMBINATIONAL = """
module sums(input [7:0] a, b, input c, output [8:0] s);
  assign s = a + b + c;
endmodule
module odd(input signed [7:0] a, b, input [2:0] c, output [9:0] p, output [8:0] s,
           output signed [7:0] n, output lt, eq, output [7:0] sh, output [3:0] ones);
  sums sums_(a, b, c[0], s);
  assign p = $signed(a[4:0]) * $signed(b[4:0]);
  assign n = c[0] ? -a : a;
  assign lt = a < b;
  assign eq = a == b;
  assign sh = a >>> c;
  assign ones = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
endmodule
"""


def _small_adder(tmp_path, inverted):
    """The generic library with a full adder that pays, its outputs inverted as ASAP7 has them."""
    text = generic.text().replace("area : 7.0", "area : 4.0")
    if inverted:
        text = text.replace('"(A&B)|(A&C)|(B&C)"', '"!((A&B)|(A&C)|(B&C))"')
        text = text.replace('"A^B^C"', '"!(A^B^C)"')
    path = tmp_path / "adder.lib"
    path.write_text(text)
    return liberty.read(path)


def test_netlist_computes_the_verilog(equivalent):
    library = liberty.read(None)
    mapped = area.synthesise(COMBINATIONAL, "odd", library)
    equivalent(COMBINATIONAL, "odd", library, mapped.netlist)


# With inverted outputs every other bit takes inverted inputs: of two bits, one has an inverter at
# its sum and the other two at its operands, and none has one in its carry.
@pytest.mark.parametrize(("inverted", "expected"), [(False, 8 * 4), (True, 8 * 4 + 12 * 0.5)])
def test_full_adder_cells_where_they_pay(tmp_path, equivalent, inverted, expected):
    library = _small_adder(tmp_path, inverted)
    mapped = area.synthesise(COMBINATIONAL, "odd", library)
    assert mapped.modules["sums"].full_adders
    assert mapped.modules["sums"].own.area == expected
    equivalent(COMBINATIONAL, "odd", library, mapped.netlist)


def test_a_wrong_netlist_is_noticed(equivalent):
    library = liberty.read(None)
    mapped = area.synthesise(COMBINATIONAL, "odd", library)
    wrong = mapped.netlist.replace("NAND2 ", "NOR2 ", 1)
    assert wrong != mapped.netlist
    with pytest.raises(yosys.YosysError, match="unproven"):
        equivalent(COMBINATIONAL, "odd", library, wrong)


def test_sequential_netlist_computes_the_verilog(equivalent, core):
    lane = f"{PREFIX}_lane"
    equivalent(CORE, lane, liberty.read(None), core.netlist)


def test_library_without_the_needed_flip_flop(tmp_path):
    path = tmp_path / "falling.lib"
    path.write_text(generic.text().replace("clocked_on", "clocked_never"))
    with pytest.raises(
        InputError, match=r"^falling\.lib: cannot be mapped onto: ERROR: FF .* would do$"
    ):
        area.synthesise(CORE, f"{PREFIX}_lane", liberty.read(path))


def test_bad_verilog_is_not_blamed_on_the_library():
    with pytest.raises(yosys.YosysError, match="syntax error"):
        area.synthesise("module", "top", liberty.read(None))


@pytest.mark.parametrize(
    ("file", "adder"),
    [
        ("sg13g2_stdcell_typ_1p20V_25C.lib.gz", None),
        ("asap7_rvt_tt.lib.gz", "FAx1_ASAP7_75t_R"),
        ("sky130hd_tt.lib.gz", "sky130_fd_sc_hd__fa_1"),
    ],
)
def test_real_libraries(equivalent, measuring_data, file, adder):
    library = liberty.read(measuring_data / "liberty" / file)
    assert (library.full_adder.cell.name if library.full_adder else None) == adder
    mapped = area.synthesise(COMBINATIONAL, "odd", library)
    equivalent(COMBINATIONAL, "odd", library, mapped.netlist)
    assert mapped.modules["odd"].own.area > 100 * library.nand2.area
