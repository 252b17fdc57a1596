"""The top modules that go into a chip: their files pass the tools that they are for."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lutcore import tops
from lutcore.axi.registers import COUNTERS, configuration_hash
from lutcore.config import PRESETS
from lutcore.errors import ConfigError
from lutverif.native import MAKE_FLAGS, verilator

TOP = {"engine_axi": "lut_engine_axi", "engine_stream": "lut_tensor_core_stream"}
scratch = tempfile.TemporaryDirectory()
every_top = pytest.mark.parametrize("name", TOP)


@functools.cache
def written(name: str) -> Path:
    """A folder with the files of a top of `tiny`, the same for every test of a process."""
    directory = Path(scratch.name) / name
    paths, remark = tops.write(PRESETS["tiny"], directory, name)
    assert not remark
    assert all(path.is_file() for path in paths) and paths[0].name == f"{TOP[name]}.v"
    return directory


def described(name: str) -> dict[str, Any]:
    return json.loads((written(name) / f"{TOP[name]}.json").read_text())


def lint(directory: Path, *arguments: str) -> str:
    """What Verilator's lint says with all warnings, nothing if nothing."""
    tool, environment = verilator()
    done = subprocess.run(
        [tool, "--lint-only", "-Wall", "--default-language", "1364-2005", *arguments],
        cwd=directory, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


@every_top
def test_lint(name: str) -> None:
    top = TOP[name]
    assert lint(written(name), f"{top}.vlt", f"{top}.v", "--top-module", top) == ""


@every_top
def test_template_connects_every_port(name: str, tmp_path: Path) -> None:
    top, wrapper = TOP[name], tmp_path / "wrapper.v"
    wrapper.write_text(f'module wrapper;\n`include "{top}_template.vh"\nendmodule\n')
    undriven = ("-Wno-UNDRIVEN", "-Wno-UNUSEDSIGNAL")
    arguments = (*undriven, f"{top}.vlt", f"{top}.v", str(wrapper), "--top-module", "wrapper")
    assert lint(written(name), *arguments) == ""


@every_top
def test_files_agree_on_ports(name: str) -> None:
    text = (written(name) / f"{TOP[name]}.v").read_text()
    top = text[text.index(f"module {TOP[name]}(") :]
    found = {
        (port, side, int(high) + 1 if high else 1)
        for side, high, port in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", top, re.M)
    }
    ports = described(name)["ports"]
    assert {(port["name"], port["direction"], port["bits"]) for port in ports} == found
    sdc = (written(name) / f"{TOP[name]}.sdc").read_text()
    assert all(port["name"] in sdc for port in ports)
    for prefix, bus in described(name)["buses"].items():
        valid = {"AXI4": "awvalid", "AXI4-Lite": "awvalid", "AXI4-Stream": "tvalid"}
        drives = (bus["role"] == "master", f"{prefix}_{valid[bus['protocol']]}")
        assert (drives[1], "output" if drives[0] else "input", 1) in found
    modules = re.findall(r"^module (\w+)", text, re.M)
    assert modules == described(name)["modules"]
    assert len(modules) == len(set(modules)) and modules[-1] == TOP[name]


def test_description_of_the_engine() -> None:
    found = described("engine_axi")
    assert found["buses"]["m_axi"]["data_bits"] == 8 * found["configuration"]["word_bytes"] == 128
    assert found["configuration"]["core"]["name"] == "tiny"
    assert found["registers"]["busy_low"] == 0x40
    assert len(found["registers"]) == 13 + 2 * len(COUNTERS)
    assert sorted(found["buffer_bits"]) == ["a", "d", "program", "s", "w"]
    core = (written("engine_axi") / "lut_engine_axi.core").read_text()
    assert "name: lut-tensor-core:engine_axi:tiny:" in core


def test_registers_know_the_configuration_in_the_verilog() -> None:
    folder = written("engine_axi")
    text = (folder / "lut_engine_axi.v").read_text()
    head = text.partition("\n\n")[0].splitlines()[2:]
    toml = "".join(line.removeprefix("// ") + "\n" for line in head)
    assert "\n[engine]\nword_bytes = 16\n" in toml
    rdl = (folder / "registers/lutcore_engine.rdl").read_text()
    assert f" = {configuration_hash(toml):#x};" in rdl
    names = {path.name for path in (folder / "registers").iterdir()}
    assert names == {"lutcore_engine.rdl", "lutcore_engine.h", "lutcore_engine.xml",
                     "lutcore_engine", "html"}  # fmt: skip


def test_registers_without_exporters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lutcore.axi.rdl", None)
    monkeypatch.delattr("lutcore.axi.rdl", raising=False)
    files, remark = tops._register_files(tops.register_map(tops.EngineConfig(core=PRESETS["tiny"])))
    assert list(files) == ["lutcore_engine.rdl"]
    assert remark.endswith("pip install lut-tensor-core[registers] brings what writes them")


def test_an_unknown_top(tmp_path: Path) -> None:
    message = "^top 'nothing' is unknown; known are core, engine_axi, engine_stream$"
    with pytest.raises(ConfigError, match=message):
        tops.write(PRESETS["tiny"], tmp_path, "nothing")


def test_the_soc_example(tmp_path: Path) -> None:
    """The commands of its page, but the first, whose files are here already."""
    examples = Path(__file__).parents[3] / "docs" / "examples" / "soc"
    page = (examples / "README.md").read_text()
    first, *commands = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert first == "lutcore verilog --preset tiny --top engine_axi --out build/soc"
    folder = tmp_path / "build" / "soc"
    shutil.copytree(written("engine_axi"), folder)
    (tmp_path / "docs").symlink_to(examples.parents[1])
    tool, environment = verilator()
    path = [str(Path(part).parent) for part in (sys.executable, tool)] + [environment["PATH"]]
    flags = f"{MAKE_FLAGS} OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
    environment = {**environment, "PATH": os.pathsep.join(path), "MAKEFLAGS": flags}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-e"], input=script, cwd=tmp_path, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    done = run("\n".join(commands))
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^done 1, irq 1, cause 0 after \d+ cycles$", done.stdout, re.M)
    assert done.stdout.endswith("6 x 8 results are those of the golden model\n")
    shutil.copy(folder / "before.hex", folder / "after.hex")
    done = run(f"{commands[1]}\n{commands[-1]}")
    assert done.returncode and "results differ" in done.stderr
