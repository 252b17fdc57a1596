"""The buses: a slice of the random run, the benches, and what the command says."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from lutcore.axi import AxiParameters, engine_registers
from lutcore.memory_port import MemoryPort
from lutverif import axi
from lutverif.bench import axi_runner
from lutverif.bench.runner import BenchFailure
from lutverif.soak import CONFIGURATIONS

WIDE = AxiParameters(port=MemoryPort(data_bits=256, address_bits=40), max_beats=32, outstanding=2)

REGISTERS = engine_registers(version="1.2.3", configuration=0xDEADBEEF, address_bits=40)
COUNTERS_FROM = 0xFFFFFFF0


def test_random_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert axi.main(["--only", "default", "--transactions", "30000", "--seed", "5"]) == 0
    printed = capsys.readouterr().out
    assert "no fault, no beat lost or twice" in printed
    statistics = axi.run(axi.CONFIGURATIONS["default"], 5, 30000)
    assert f"{statistics.read_beats:,}" in printed
    assert statistics.read_bursts + statistics.write_bursts >= 30000
    # Everything that a run is for did happen, on every channel.
    assert min(statistics.moved) > 1000 and min(statistics.stalled) > 1000
    assert statistics.flushes > 50
    assert statistics.read_errors > 100 and statistics.write_errors > 100
    assert axi.run(axi.CONFIGURATIONS["default"], 6, 1000).cycles != statistics.cycles


@pytest.mark.parametrize(
    ("bench", "parameters"),
    [
        ("axi_trace", AxiParameters()),
        ("axi_master", AxiParameters()),
        ("axi_copy", WIDE),
    ],
)
def test_bench(bench: str, parameters: AxiParameters) -> None:
    assert axi_runner.run(bench, parameters) >= 1


def test_registers() -> None:
    assert axi_runner.run_registers(REGISTERS, COUNTERS_FROM) == 2


def test_registers_are_those_of_the_systemrdl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another hash in the SystemRDL than in the hardware is seen."""
    other = REGISTERS.systemrdl().replace("0xdeadbeef", "0xdeadbeee")
    monkeypatch.setattr(axi_runner.RegisterMap, "systemrdl", lambda _: other)
    with pytest.raises(BenchFailure, match="0x8: 0xdeadbeef, not 0xdeadbeee"):
        axi_runner.run_registers(REGISTERS, COUNTERS_FROM)


@pytest.mark.parametrize("name", ["floats", "started"])
def test_streams(name: str) -> None:
    assert axi_runner.run_stream(CONFIGURATIONS[name]) == 1


def test_engine() -> None:
    assert axi_runner.run_engine("small") == 4


def test_every_fault_of_the_monitor_has_a_name() -> None:
    text = resources.files("lutverif").joinpath("axi_monitor.v").read_text()
    codes = {int(code) for code in re.findall(r"seen = (\d+);", text)} - {0}
    bases = {int(base) for base in re.findall(r"seen = (\d+) \+", text)}
    known = set(axi.FAULTS)
    assert codes == {code for code in known if code > 80}
    assert bases == {code // 10 * 10 for code in known if code < 80}


def test_a_fault_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> axi.Statistics:
        raise axi.AxiFault("cycle 7: AW: VALID fell before READY")

    monkeypatch.setattr(axi, "run", broken)
    assert axi.main(["--only", "narrow", "--seed", "3"]) == 1
    assert capsys.readouterr().out == ("narrow, seed 3: cycle 7: AW: VALID fell before READY\n")
