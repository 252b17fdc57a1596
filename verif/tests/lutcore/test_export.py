"""The written files pass the tools that they are for, and say what the core is."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lutcore import export, tops
from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError
from lutverif.native import verilator

TOP = "lut_tensor_core"
SUFFIXES = (".v", ".json", ".sdc", ".vlt", "_librelane.json", ".core", "_template.vh")

ONE = TensorCoreConfig(name="one", m=1, n=1, weight_bits=1, block=4, rescale_columns=1)
CONFIGS = PRESETS | {
    config.name: config
    for config in (
        ONE,
        TensorCoreConfig(name="int8_only", m=3, n=6, activations=("int8",), rescale_columns=3),
        TensorCoreConfig(
            name="fp16_only",
            m=1,
            n=4,
            lookup_group=2,
            table_bits=16,
            block=32,
            activations=("fp16",),
        ),
        TensorCoreConfig(
            name="odd", m=2, n=3, lookup_group=5, groups_per_step=3, table_bits=11, block=45
        ),
    )
}

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""

scratch = tempfile.TemporaryDirectory()
FMA = ("factors", "product", "align", "sum", "normalise", "round")

configs = pytest.mark.parametrize("name", CONFIGS)


@functools.cache
def written(name: str) -> Path:
    """A directory with the files of a configuration, the same for every test of a process."""
    directory = Path(scratch.name) / name
    paths, _ = tops.write(CONFIGS[name], directory)
    assert [path.name for path in paths] == [TOP + suffix for suffix in SUFFIXES]
    return directory


def described(name: str) -> dict[str, Any]:
    return json.loads((written(name) / f"{TOP}.json").read_text())


def text(name: str) -> str:
    return (written(name) / f"{TOP}.v").read_text()


@functools.cache
def yosys_modules(name: str) -> dict[str, Any]:
    """The modules as Yosys reads them, as Verilog of 2005 and not as SystemVerilog."""
    with tempfile.TemporaryDirectory() as directory:
        netlist = Path(directory) / "netlist.json"
        commands = [
            f"read_verilog {TOP}.v",
            f"hierarchy -check -top {TOP}",
            "proc",
            "check -assert",
            f"write_json {netlist}",
        ]
        result = subprocess.run(
            [sys.executable, "-c", YOSYS, *commands],
            cwd=written(name),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr
        return json.loads(netlist.read_text())["modules"]


def lint(directory: Path, *arguments: str) -> tuple[int, set[str]]:
    """Exit status of Verilator's lint with all warnings, and the rules that it reports."""
    tool, environment = verilator()
    result = subprocess.run(
        [tool, "--lint-only", "-Wall", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return result.returncode, set(re.findall(r"%(?:Warning|Error)-?(\w*)", result.stderr))


@configs
def test_lint_passes_as_verilog_2005(name: str) -> None:
    arguments = ("--default-language", "1364-2005", "--top-module", TOP)
    assert lint(written(name), *arguments, f"{TOP}.vlt", f"{TOP}.v") == (0, set())


def test_every_waiver_is_needed_and_no_other() -> None:
    status, rules = lint(written("one"), f"{TOP}.v", "--top-module", TOP)
    assert status != 0
    assert rules & set(export.WAIVERS)
    _, rules = lint(written("paper"), "-Wno-fatal", f"{TOP}.v", "--top-module", TOP)
    assert rules == set(export.WAIVERS)


def test_waivers_give_their_reasons_and_are_for_the_core_alone() -> None:
    lines = (written("tiny") / f"{TOP}.vlt").read_text().splitlines()
    assert lines[0] == "`verilator_config"
    assert lines[1::2] == [f"// {reason}" for reason in export.WAIVERS.values()]
    assert lines[2::2] == [f'lint_off -rule {rule} -file "*{TOP}.v"' for rule in export.WAIVERS]


@configs
def test_template_connects_every_port(name: str, tmp_path: Path) -> None:
    (tmp_path / "wrapper.v").write_text(
        f'module wrapper;\n`include "{TOP}_template.vh"\nendmodule\n'
    )
    assert lint(
        tmp_path,
        *("-Wno-UNDRIVEN", "-Wno-UNUSEDSIGNAL"),  # nothing drives or reads the declared signals
        f"+incdir+{written(name)}",
        *(str(written(name) / f"{TOP}{suffix}") for suffix in (".vlt", ".v")),
        *("wrapper.v", "--top-module", "wrapper"),
    ) == (0, set())


@configs
def test_every_unit_is_one_module(name: str) -> None:
    c = CONFIGS[name]
    modules = re.findall(r"^module (\w+)", text(name), re.MULTILINE)
    assert modules == described(name)["modules"]
    assert modules[-1] == TOP
    assert len(set(modules)) == len(modules) == 20
    read = yosys_modules(name)
    assert sorted(read) == sorted(modules)
    placed = Counter(
        cell["type"].removeprefix(f"{TOP}_")
        for module in read.values()
        for cell in module["cells"].values()
        if cell["type"] in modules
    )
    assert placed == {
        # In the one definition of align, and in that of peak where a format needs it.
        "decode": 1 if all(map(c.exact, c.formats)) else 1 + c.lookup_group,
        "peak": c.m * c.groups_per_step,
        "largest": c.m,
        "align": c.m * c.k,
        "entries": c.m * c.groups_per_step,
        "lane": c.m * c.n,
        "scale_decode": c.rescale_columns,
        "fma": c.m * c.rescale_columns,
        "decoder": c.n,
        **dict.fromkeys(("precompute", "table", "lookup", "rescale"), 1),
        # In the one definition of fma.
        **dict.fromkeys((f"fma_{part}" for part in FMA), 1),
    }


@configs
def test_described_ports_are_those_of_the_verilog(name: str) -> None:
    ports = described(name)["ports"]
    assert [port["name"] for port in ports[:2]] == ["clk", "rst"]
    read = yosys_modules(name)[TOP]["ports"]
    assert sorted((port["name"], port["direction"], port["bits"]) for port in ports) == sorted(
        (port, what["direction"], len(what["bits"])) for port, what in read.items()
    )


@configs
def test_streams_are_ports(name: str) -> None:
    description = described(name)
    directions = {"input": "output", "output": "input"}
    expected = {("clk", "input", 1), ("rst", "input", 1)}
    for stream, what in description["streams"].items():
        expected |= {
            (f"{stream}__payload", what["direction"], what["bits"]),
            (f"{stream}__valid", what["direction"], 1),
            (f"{stream}__ready", directions[what["direction"]], 1),
        }
    assert {(p["name"], p["direction"], p["bits"]) for p in description["ports"]} == expected


def unsigned(bits: int, **offset: int) -> dict[str, Any]:
    return {**offset, "bits": bits, "signed": False}


def test_payloads_of_tiny_are_those_of_the_specification() -> None:
    # M2 N4, g = 3, G = 1, blocks of 4 steps, 8 planes, 2 columns rescaled in a cycle; 7 formats of
    # activations, 5 of scales, 4 of outputs.
    streams = described("tiny")["streams"]
    assert {name: (what["direction"], what["payload"]) for name, what in streams.items()} == {
        "i_passes": (
            "input",
            {
                "bits": 18,
                "fields": {
                    "format": unsigned(3, offset=0),
                    "planes": unsigned(3, offset=3),
                    "steps": unsigned(2, offset=6),
                    "equal": unsigned(1, offset=8),
                    "keep": unsigned(1, offset=9),
                    "offset": unsigned(1, offset=10),
                    "scale": unsigned(3, offset=11),
                    "first": unsigned(1, offset=14),
                    "last": unsigned(1, offset=15),
                    "output": unsigned(2, offset=16),
                },
            },
        ),
        "i_activations": (
            "input",
            {
                "bits": 96,
                "count": 2,
                "element": {"bits": 48, "count": 3, "element": unsigned(16)},
            },
        ),
        "i_weights": (
            "input",
            {"bits": 12, "count": 4, "element": {"bits": 3, "count": 1, "element": unsigned(3)}},
        ),
        "i_scales": (
            "input",
            {
                "bits": 84,
                "count": 2,
                "element": {
                    "bits": 42,
                    "fields": {
                        "scale": unsigned(32, offset=0),
                        "zero": {"offset": 32, "bits": 10, "signed": True},
                    },
                },
            },
        ),
        "o_outputs": (
            "output",
            {
                "bits": 128,
                "count": 2,
                "element": {"bits": 64, "count": 2, "element": unsigned(32)},
            },
        ),
    }


def test_description_names_configuration_and_file() -> None:
    description = described("wide")
    values = description["configuration"]
    for field in ("activations", "scales", "outputs"):
        values[field] = tuple(values[field])
    assert TensorCoreConfig(**values) == PRESETS["wide"]
    assert (description["name"], description["top"]) == ("wide", TOP)
    content = (written("wide") / f"{TOP}.v").read_bytes()
    assert description["verilog_sha256"] == hashlib.sha256(content).hexdigest()


def test_verilog_begins_with_the_configuration(tmp_path: Path) -> None:
    head = text("odd").partition("\n\n")[0].splitlines()
    assert head[0].startswith("// LUT tensor core, lut-tensor-core ")
    file = tmp_path / "c.toml"
    file.write_text("\n".join(line.removeprefix("// ") for line in head[2:]))
    assert TensorCoreConfig.from_toml(file) == CONFIGS["odd"]


@pytest.mark.parametrize("name", ["tiny", "odd"])
def test_another_process_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(CONFIGS[name].to_toml())
    script = (
        "import sys; from pathlib import Path; from lutcore import config, tops; "
        "tops.write(config.TensorCoreConfig.from_toml(sys.argv[1]), Path('elsewhere'))"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(file)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
        timeout=120,
    )
    for suffix in SUFFIXES:
        other = tmp_path / "elsewhere" / f"{TOP}{suffix}"
        assert other.read_bytes() == (written(name) / other.name).read_bytes()


@configs
def test_nothing_of_this_machine_is_inside(name: str) -> None:
    for path in written(name).iterdir():
        content = path.read_text(encoding="ascii")
        assert not re.search(r"(?<![\w/])/\w[\w.-]*/", content)  # an absolute path
        assert "/* Generated" not in content
        assert "src =" not in content


@configs
def test_fusesoc_core_names_what_is_there(name: str) -> None:
    content = (written(name) / f"{TOP}.core").read_text()
    assert content.startswith(f"CAPI=2:\nname: lut-tensor-core:core:{name}:")
    assert "\t" not in content
    files = re.findall(r"^    files: \[(\S+)\]$", content, re.MULTILINE)
    assert files == [f"{TOP}.v", f"{TOP}.vlt", f"{TOP}.sdc"]
    assert all((written(name) / file).is_file() for file in files)
    filesets = re.findall(r"^  (\w+):\n    files:", content, re.MULTILINE)
    used = re.findall(r"^    filesets: \[(.*)\]$", content, re.MULTILINE)
    assert used == ["rtl", "rtl, constraints", "waivers, rtl"]
    assert {fileset for line in used for fileset in line.split(", ")} == set(filesets)
    assert re.findall(r"toplevel: (\w+)", content) == [TOP]


@configs
def test_constraints_name_every_port_once(name: str) -> None:
    lines = (written(name) / f"{TOP}.sdc").read_text().splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    # Only what OpenSTA, Vivado and others share.
    assert [line.split()[0] for line in commands] == [
        "set_units",
        "set",
        "set",
        "create_clock",
        "set_input_delay",
        "set_output_delay",
    ]
    assert commands[3] == "create_clock -name clk -period $period [get_ports clk]"
    for line, direction in ((commands[4], "input"), (commands[5], "output")):
        match = re.fullmatch(
            rf"set_{direction}_delay \$border -clock clk \[get_ports {{(.*)}}\]", line
        )
        assert match
        assert match[1].split() == [
            port["name"] + ("[*]" if port["bits"] > 1 else "")
            for port in described(name)["ports"]
            if port["direction"] == direction and port["name"] != "clk"
        ]


@configs
def test_librelane_names_what_is_written(name: str) -> None:
    content = json.loads((written(name) / f"{TOP}_librelane.json").read_text())
    description = described(name)
    assert content["DESIGN_NAME"] == description["top"]
    assert content["CLOCK_PORT"] in {port["name"] for port in description["ports"]}
    files = [*content["VERILOG_FILES"], content["PNR_SDC_FILE"], content["SIGNOFF_SDC_FILE"]]
    for file in files:
        assert (written(name) / file.removeprefix("dir::")).is_file()
    assert {"pdk::sky130*", "pdk::ihp-sg13g2*"} <= set(content)


def test_another_top_renames_every_module() -> None:
    files = tops.core(ONE, "second").files()
    assert list(files) == ["second" + suffix for suffix in SUFFIXES]
    assert not any(TOP in content for content in files.values())
    modules = re.findall(r"^module (\w+)", files["second.v"], re.MULTILINE)
    first = re.findall(r"^module (\w+)", text("one"), re.MULTILINE)
    assert modules == ["second" + module.removeprefix(TOP) for module in first]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing is what is tested: the Verilog is a constant."""
    monkeypatch.setattr(export, "unit_design", lambda unit: f"module {unit.module_name};\n")


def refused(out: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        tops.write(ONE, out)
    assert str(caught.value) == message


@pytest.mark.usefixtures("quick")
def test_out_that_cannot_be_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("earlier")
    refused(file, f"{file}: is not a directory; the name of one would do")
    refused(file / "out", f"{file / 'out' / TOP}.v: cannot be written: Not a directory")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "earlier"


@pytest.mark.usefixtures("quick")
def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    blocked = tmp_path / f"{TOP}.v"
    blocked.mkdir()
    refused(tmp_path, f"{blocked}: cannot be written: Is a directory")
    assert [path.name for path in tmp_path.iterdir()] == [blocked.name]


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_the_earlier_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in SUFFIXES:
        (tmp_path / f"{TOP}{suffix}").write_bytes(b"earlier")
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write_bytes(path, content[:5])
        if TOP + ".core" in path.name:
            raise OSError(28, "No space left on device")
        return 5

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(tmp_path, f"{tmp_path / TOP}.core: cannot be written: No space left on device")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files == {TOP + suffix: b"earlier" for suffix in SUFFIXES}


@pytest.mark.usefixtures("quick")
def test_writing_again_replaces(tmp_path: Path) -> None:
    out = tmp_path / "new" / "below"
    first, _ = tops.write(ONE, out)
    for path in first:
        path.write_text("old")
    assert tops.write(ONE, out) == (first, "")
    assert sorted(path.name for path in out.iterdir()) == sorted(TOP + s for s in SUFFIXES)
    assert "old" not in {path.read_text() for path in first}
