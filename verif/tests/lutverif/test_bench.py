"""Every unit bench on every preset, single units on the edges of the parameters, a short soak."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lutcore import PRESETS, TensorCoreConfig
from lutcore.formats import ACTIVATIONS, SCALES, FloatFormat, IntegerFormat, PowerFormat
from lutcore.layout import check_weights
from lutcore.numbers import decode, representable
from lutverif import native, soak
from lutverif.bench import runner, stimulus
from lutverif.bench.payloads import join

# Large builds first, so that two workers end together.
CASES = [
    (unit, name)
    for name in ("paper", "ternary", "wide", "pairs", "tiny")
    for unit in reversed(runner.UNITS)
]
BROKEN = "module lut_tensor_core_lane(input clk);\nassign;\nendmodule\n"
EDGES = [
    ("rescale", "narrow"),
    ("rescale", "trits"),
    ("rescale", "piped"),
    ("rescale", "deep"),
    ("rescale", "started"),
    ("rescale", "started_piped"),
    ("rescale", "symmetric"),
    ("rescale", "cut"),
    ("rescale", "cut_piped"),
    ("fma", "floats"),
    ("fma", "piped"),
    ("fma", "deep"),
    ("fma", "integers"),
    ("fma", "precise"),
    ("fma", "cut"),
    ("fma", "cut_piped"),
    ("decode", "floats"),
    ("scale_decode", "floats"),
    ("align", "floats"),
    ("align", "precise"),
    ("align", "integers"),
    ("align", "trits"),
    ("align", "piped"),
    ("align", "deep"),
    ("decoder", "piped"),
    ("lane", "piped"),
    ("peak", "floats"),
    ("peak", "precise"),
    ("peak", "integers"),
    ("precompute", "narrow"),
    ("precompute", "floats"),
    ("precompute", "precise"),
    ("precompute", "integers"),
    ("precompute", "trits"),
    ("precompute", "piped"),
    ("largest", "piped"),
    ("lookup", "piped"),
    ("core", "piped"),
    ("core", "deep"),
    ("core", "started"),
    ("core", "started_piped"),
    ("core", "cut_piped"),
    ("entries", "precise"),
    ("entries", "floats"),
]


@pytest.mark.parametrize(("unit", "name"), [*CASES, *EDGES])
def test_unit(unit: str, name: str) -> None:
    assert runner.run(unit, soak.CONFIGURATIONS[name]) >= 1


def test_the_cases_are_every_unit_of_every_preset() -> None:
    # `pairs` is the large presets' small twin.
    large = {"dense", "dense8"}
    assert {name for _, name in CASES} == set(PRESETS) - large | {"pairs"}
    for name in large:
        assert PRESETS[name].subsets and soak.CONFIGURATIONS["pairs"].subsets


def test_a_wrong_unit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formats in the other order: e5m2 codes are aligned as int4."""

    def swapped(config: TensorCoreConfig) -> str:
        names = tuple(reversed(config.activations))
        return native.core_verilog(dataclasses.replace(config, activations=names))

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
@pytest.mark.parametrize(
    "name",
    [
        "tiny",
        "narrow",
        "integers",
        "floats",
        "precise",
        "pairs",
        "trits",
        "piped",
        "started",
        "cut",
    ],
)
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


@pytest.mark.parametrize("fmt", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations_are_of_every_kind(
    rng: np.random.Generator, fmt: FloatFormat | IntegerFormat
) -> None:
    values = stimulus.activations(rng, fmt, 400, 12)
    assert representable(values, fmt).all()
    if isinstance(fmt, IntegerFormat):
        assert values.min() == fmt.min and values.max() == fmt.max and (values == 0).any()
        return
    assert np.isnan(values).any() and np.isinf(values).any() == fmt.infinities
    largest = decode(np.array(stimulus.largest_code(fmt)), fmt)
    assert (values == largest).any() and (values == -largest).any()
    assert ((values == 0) & np.signbit(values)).any()
    smallest_normal = 2.0 ** (fmt.unit_exponent + fmt.fraction_bits)
    assert ((values != 0) & (np.abs(values.astype(np.float64)) < smallest_normal)).any()


@pytest.mark.parametrize("fmt", SCALES.values(), ids=SCALES)
def test_scales_are_of_every_kind(rng: np.random.Generator, fmt: FloatFormat | PowerFormat) -> None:
    values = np.concatenate([stimulus.scales(rng, (16,), fmt) for _ in range(200)])
    assert values.dtype == np.float32
    assert np.isfinite(values).all() and representable(values, fmt).all()
    if isinstance(fmt, FloatFormat):
        assert (values == 0).any() and (values < 0).any()
        smallest_normal = 2.0 ** (fmt.unit_exponent + fmt.fraction_bits)
        assert ((values != 0) & (np.abs(values) < smallest_normal)).any()
    small = np.concatenate([stimulus.scales(rng, (16,), fmt, doublings=8) for _ in range(200)])
    assert representable(np.ldexp(small.astype(np.float64), 8), fmt).all()


@pytest.mark.parametrize("name", soak.CONFIGURATIONS)
def test_weights_fit_their_configuration(rng: np.random.Generator, name: str) -> None:
    config = soak.CONFIGURATIONS[name]
    for _ in range(100):
        check_weights(stimulus.weights(rng, 3, 2 * config.block, config), config)
        raw = stimulus.weights(rng, 3, 2 * config.block, config, raw=True)
        (term,) = check_weights(raw, config)
        assert term.offsets is None


def test_passes_are_of_every_kind(rng: np.random.Generator) -> None:
    config = PRESETS["tiny"]
    zeros = np.concatenate([stimulus.zeros(rng, (8,), config) for _ in range(40)])
    assert zeros.min() == config.zero_range.start and zeros.max() == config.zero_range.stop - 1
    kinds = [kind for _ in range(60) for kind in stimulus.kinds(rng, config, 3)]
    assert {kind.output for kind in kinds} == set(config.outputs)
    passes = stimulus.random_passes(rng, config, kinds)
    assert {len(item.digits) for item in passes} == set(range(1, config.weight_bits + 1))
    assert {item.fmt for item in passes} == set(config.formats)
    assert {item.scale for item in passes} == set(config.scales)
    assert not passes[0].keep and any(item.keep for item in passes)
    for before, item in pairwise(passes):
        if item.keep:
            assert item.fmt is before.fmt and item.activations is before.activations
    assert all(
        config.exact(item.fmt) and not item.offset for item in passes if item.kind.output == "int32"
    )
    assert any(item.offset for item in passes)
