"""`lutcore asm`, `disasm` and `run` on the example of the docs."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from lutcore import PRESETS

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
TILE = str(EXAMPLES / "tile.lmma")


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example(monkeypatch, "in.bin")
    return "in.bin"


def example(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tile_memory.py", *arguments])
    runpy.run_path(str(EXAMPLES / "tile_memory.py"), run_name="__main__")


def test_the_example_runs(run, memory, monkeypatch, capsys):
    done = run("run", TILE, "--preset", "tiny", "--memory", memory, "--out", "out.bin")
    assert done.status == 0, done.err
    assert done.out.startswith("halt at instruction 9: the program ended with halt\n")
    example(monkeypatch, "in.bin", "out.bin")  # checks the results
    assert "161.17328" in capsys.readouterr().out


def test_assembled_it_runs_the_same_and_disassembles(run, memory):
    assert run("asm", TILE, "--preset", "tiny", "--out", "tile.bin").status == 0
    text = run("disasm", "tile.bin").out
    Path("again.lmma").write_text(text)
    for program in ("tile.bin", "again.lmma", TILE):
        arguments = ("--preset", "tiny", "--memory", memory, "--out", f"{Path(program).name}.out")
        assert run("run", program, *arguments).status == 0
    outs = {Path(f"{name}.out").read_bytes() for name in ("tile.bin", "again.lmma", "tile.lmma")}
    assert len(outs) == 1


def test_a_listing(run):
    done = run("asm", TILE, "--preset", "tiny")
    assert done.out.splitlines()[-1] == (
        "10 instructions; 24 lane cycles, 12 memory words: 24 cycles or more"
    )


def test_an_engine_from_a_file(run, memory):
    config = PRESETS["tiny"].to_toml()
    Path("c.toml").write_text(f"{config}[engine]\nword_bytes = 8\n")
    done = run("asm", TILE, "--config", "c.toml")
    assert done.out.splitlines()[-1] == (
        "10 instructions; 24 lane cycles, 22 memory words: 24 cycles or more"
    )
    assert run("run", TILE, "--config", "c.toml", "--memory", memory, "--out", "o.bin").status == 0
    assert run("verilog", "--config", "c.toml", "--top", "engine_axi", "--out", "v").status == 0
    built = json.loads(Path("v/lut_engine_axi.json").read_text())
    assert built["configuration"]["word_bytes"] == 8
    assert built["buses"]["m_axi"]["data_bits"] == 64
    Path("c.toml").write_text(f"{config}[engine]\na_steps = 3\n")
    for command in (
        ("config", "check", "c.toml"),
        ("asm", TILE),
        ("run", TILE, "--memory", memory, "--out", "p.bin"),
        ("verilog", "--top", "engine_axi", "--out", "w"),
    ):
        done = run(*command, *(() if command[0] == "config" else ("--config", "c.toml")))
        message = f"c.toml: engine: a_steps must be {PRESETS['tiny'].max_steps}..65536, not 3"
        assert (done.status, done.err) == (2, f"error: {message}\n")
    assert not Path("p.bin").exists()


def test_a_refused_program_leaves_memory_and_status_1(run, memory):
    Path("bad.lmma").write_text("fence\nload.w w0, r0, beats=1024\nhalt\n")
    done = run("run", "bad.lmma", "--preset", "tiny", "--memory", memory, "--out", "out.bin")
    assert done.status == 1
    assert done.out.startswith("address at instruction 1: a tile lies outside of memory\n")
    assert Path("out.bin").read_bytes() == Path(memory).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fence\n halt 1\n", "bad.lmma:2:7: expected no more operands, not '1'"),
        (b"\xff", "bad.lmma: must be UTF-8 text, but byte 0 is not"),
        (b"\x0d" + bytes(16), "bad.lmma: a program is a multiple of 16 bytes, not 17 bytes long"),
    ],
)
def test_bad_programs_are_one_line(run, memory, content, message):
    Path("bad.lmma").write_bytes(content)
    done = run("run", "bad.lmma", "--preset", "tiny", "--memory", memory, "--out", "out.bin")
    assert (done.status, done.err) == (2, f"error: {message}\n")
    assert not Path("out.bin").exists()


def test_bad_memory(run, memory):
    Path("odd.bin").write_bytes(bytes(20))
    done = run("run", TILE, "--preset", "tiny", "--memory", "odd.bin", "--out", "out.bin")
    message = "odd.bin: memory must be a multiple of 16 bytes, not 20 bytes long"
    assert (done.status, done.err) == (2, f"error: {message}\n")
    done = run("run", TILE, "--preset", "tiny", "--memory", "no.bin", "--out", "out.bin")
    assert (done.status, done.err) == (2, "error: no.bin: No such file or directory\n")
