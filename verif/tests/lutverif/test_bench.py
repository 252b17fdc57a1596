"""Every unit bench on every preset, single units on the edges of the parameters, a short soak."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from lutcore import PRESETS, TensorCoreConfig
from lutcore.formats import FP16, INT8
from lutverif import native, soak
from lutverif.bench import runner, stimulus
from lutverif.bench.payloads import Kind, join

# Large builds first, so that two workers end together.
CASES = [(unit, name) for name in ("paper", "wide", "tiny") for unit in reversed(runner.UNITS)]
BROKEN = "module lut_tensor_core_lane(input clk);\nassign;\nendmodule\n"
EDGES = [
    ("rescale", "narrow"),
    ("fma", "integers"),
    ("fma", "precise"),
    ("align", "floats"),
    ("align", "precise"),
    ("peak", "precise"),
    ("entries", "precise"),
    ("entries", "floats"),
]


@pytest.mark.parametrize(("unit", "name"), [*CASES, *EDGES])
def test_unit(unit: str, name: str) -> None:
    assert runner.run(unit, soak.CONFIGURATIONS[name]) >= 1


def test_the_cases_are_every_unit_of_every_preset() -> None:
    assert {name for _, name in CASES} == set(PRESETS)


def test_a_wrong_unit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formats in the other order: int8 codes are aligned as fp16."""

    def swapped(config: TensorCoreConfig) -> str:
        return native.core_verilog(dataclasses.replace(config, activations=("fp16", "int8")))

    monkeypatch.setattr(runner, "core_verilog", swapped)
    with pytest.raises(runner.BenchFailure, match="2 of 2 tests failed"):
        runner.run("align", PRESETS["tiny"])


def test_a_bench_that_does_not_build_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "core_verilog", lambda config: BROKEN)
    with pytest.raises(native.HarnessError, match="syntax error"):
        runner.run("lane", PRESETS["tiny"])


# The other presets run in the tests of the command and of the harness.
@pytest.mark.parametrize("name", ["tiny", "narrow", "integers", "floats", "precise"])
def test_soak(name: str) -> None:
    elements = [count for _, count in soak.rounds([soak.CONFIGURATIONS[name]], 1000, 40)]
    assert len(elements) == 40
    assert min(elements) > 0


def test_soak_reports_the_first_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = soak.core

    def wrong(*arguments: Any) -> Any:
        result = golden(*arguments)
        result.view(np.uint32)[0, 0] ^= 1
        return result

    monkeypatch.setattr(soak, "core", wrong)
    assert soak.main(["--only", "tiny", "--seed", "7", "--count", "3"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("tiny, seed 7: output[0, 0] is ")
    assert "activations: [" in printed
    assert "reproduce: python -m lutverif.soak --only tiny --seed 7 --count 1" in printed


def test_join_puts_the_first_field_lowest() -> None:
    assert join((-1, 3), (np.array([[1, 2], [0, 3]]), 2), (True, 1)) == 0b1_11_00_10_01_111


def test_stimulus_has_every_kind(rng: np.random.Generator) -> None:
    config = PRESETS["tiny"]
    floats = stimulus.activations(rng, FP16, 400, 12)
    assert np.isinf(floats).any() and np.isnan(floats).any() and (floats == 65504).any()
    assert ((floats != 0) & (np.abs(floats) < 6e-5)).any()
    integers = stimulus.activations(rng, INT8, 100, 12)
    assert integers.min() == -128 and integers.max() == 127
    zeros = np.concatenate([stimulus.zeros(rng, (8,), config) for _ in range(40)])
    limit = 1 << (config.zero_bits - 1)
    assert zeros.min() == -limit and zeros.max() == limit - 1
    passes = [stimulus.random_pass(rng, config, Kind()) for _ in range(100)]
    assert {len(item.codes) for item in passes} == set(range(1, config.weight_bits + 1))
    assert all(
        item.fmt is INT8
        for item in (stimulus.random_pass(rng, config, Kind(raw=True)) for _ in range(20))
    )
