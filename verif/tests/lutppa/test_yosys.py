"""Runs of Yosys, and the proof that tables, lanes and accumulation do not multiply."""

import pytest

from lutcore.config import preset
from lutcore.core import TensorCore
from lutcore.export import unit_design
from lutppa import yosys

VERILOG = """
module leaf(input [3:0] a, b, output [7:0] y); assign y = a * b; endmodule
module t(input [3:0] a, b, output [7:0] y, z);
  leaf one(a, b, y); leaf two(b, ~a, z);
endmodule
module s(input [3:0] a, b, output [4:0] y); assign y = a + b; endmodule
"""


@pytest.fixture(scope="module")
def core():
    """Verilog of the tiny core."""
    return unit_design(TensorCore(preset("tiny")))


def test_operators_of_a_hierarchy():
    assert yosys.operators(VERILOG, "t") == {"$mul": 2, "$not": 1}
    assert yosys.operators(VERILOG, "s") == {"$add": 1}


@pytest.mark.parametrize("unit", ["table", "entries", "lookup", "lane"])
def test_no_multiplier(core, unit):
    assert not yosys.netlist_has_multiplier(core, f"lut_tensor_core_{unit}")


def test_rescale_multiplies(core):
    """By zero points; the product with the scale is a sum of rows."""
    assert yosys.netlist_has_multiplier(core, "lut_tensor_core_rescale")


def test_error_is_yosys_own_line():
    with pytest.raises(yosys.YosysError, match=r"^ERROR: Module `none' not found") as error:
        yosys.operators(VERILOG, "none")
    assert "Executing HIERARCHY pass" in error.value.log
