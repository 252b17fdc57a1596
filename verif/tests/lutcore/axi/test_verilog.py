"""The Verilog of the buses is clean, and a unit is one module."""

import re
import subprocess

import pytest

from lutcore.axi import AxiMaster, AxiParameters, ControlRegisters, engine_registers
from lutcore.export import WAIVERS, unit_design
from lutcore.memory_port import MemoryPort
from lutverif.native import verilator

EDGE = AxiParameters(
    port=MemoryPort(data_bits=512, address_bits=12, length_bits=1), max_beats=1, outstanding=1
)
UNITS = [
    AxiMaster(AxiParameters()),
    AxiMaster(EDGE),
    ControlRegisters(engine_registers(address_bits=64)),
]


@pytest.mark.parametrize("unit", UNITS, ids=["default", "edge", "registers"])
def test_lint(unit, tmp_path):
    text = unit_design(unit)
    modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert modules == [definition.module_name for definition in unit.definitions()]
    assert len(set(modules)) == len(modules)
    (tmp_path / "unit.v").write_text(text)
    tool, environment = verilator()
    waived = [f"-Wno-{rule}" for rule in WAIVERS]
    command = [tool, "--lint-only", "-Wall", "--default-language", "1364-2005", *waived]
    done = subprocess.run(
        [*command, "--top-module", unit.module_name, "unit.v"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
