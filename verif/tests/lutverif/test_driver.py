"""The RTL against the golden model on whole GEMMs, natively: every shape, group and width."""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lutcore import PRESETS, AffineWeights, TensorCoreConfig, TernaryWeights, pack
from lutcore.formats import ACTIVATIONS
from lutverif import driver, golden
from lutverif.bench import stimulus
from lutverif.native import HarnessError, core_model
from lutverif.soak import CONFIGURATIONS

PAPER = PRESETS["paper"]
ROWS, COLUMNS, DEPTHS = (1, 2, 3, 17), (1, 63, 64, 70), (4, 37, 64, 300)
GROUPS = (4, 8, 16, 32, 64, 128)
WEIGHTS = (*range(1, 9), "ternary")


def random_weights(rng, kind, n, k, group):
    shape = (n, -(-k // group))
    scales = rng.standard_normal(shape) * 2.0 ** rng.integers(-8, 8, shape)
    if kind == "ternary":
        values = rng.integers(-1, 2, (n, k)).astype(np.int8)
        return TernaryWeights(values, scales.astype(np.float32), group)
    codes = rng.integers(0, 1 << kind, (n, k)).astype(np.uint8)
    zeros = rng.integers(-1, 2 << kind, shape) / 2
    return AffineWeights(codes, kind, scales.astype(np.float32), zeros, group)


def random_activations(rng, fmt, m, k):
    if fmt == "int8":
        return rng.integers(-128, 128, (m, k)).astype(np.int8)
    values = rng.standard_normal((m, k)) * 2.0 ** rng.integers(-12, 12, (m, 1))
    return values.astype(np.float16)


def bits(values):
    return values.view(f"u{values.itemsize}").tolist()


@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_shape_and_group(rng, kind):
    """Golden and RTL agree to the bit, and both stay within the bound of the exact product."""
    with core_model(PAPER) as model:
        shapes = itertools.chain(
            itertools.product(ROWS, COLUMNS, DEPTHS, (GROUPS[0], GROUPS[3], GROUPS[-1])),
            itertools.product(ROWS[-1:], COLUMNS[-1:], DEPTHS, GROUPS),
        )
        for m, n, k, group in shapes:
            weights = random_weights(rng, kind, n, k, group)
            packed = pack(weights, PAPER)
            for fmt in ("int8", "fp16"):
                a = random_activations(rng, fmt, m, k)
                expected = golden.core(a, weights, PAPER)
                found = driver.run(model, a, packed, PAPER)
                assert expected.any() or n == 1
                assert bits(found.out) == bits(expected), (m, n, k, group, fmt)
                product = a.astype(np.float64) @ weights.real().T
                bound = golden.error_bound(a, weights, PAPER)
                slack = 2.0**-40 * (np.abs(a.astype(np.float64)) @ np.abs(weights.real()).T)
                assert (np.abs(found.out - product) <= bound + slack).all(), (m, n, k, group, fmt)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_int8_is_the_integer_product_scaled(rng, kind):
    """One scale a column that is a power of two, and sums below 2^24: FP32 holds them exactly."""
    with core_model(PAPER) as model:
        for m, n, k in itertools.product((1, 3), (1, 70), (4, 37, 300)):
            weights = random_weights(rng, kind, n, k, k)
            scales = np.ldexp(np.float32(1), rng.integers(-20, 20, weights.scales.shape))
            weights = replace(weights, scales=scales.astype(np.float32))
            a = random_activations(rng, "int8", m, k)
            exact = a.astype(np.int64) @ (2 * weights.real() / scales).T.astype(np.int64)
            assert np.abs(exact).max() < 1 << 24
            found = driver.run(model, a, pack(weights, PAPER), PAPER)
            assert (found.out == exact * (scales[:, 0] / 2.0)).all()
            raw = driver.run(model, a, pack(weights, PAPER), PAPER, "int32")
            assert raw.out.dtype == np.int32
            assert (raw.out == exact).all() and exact.any()


FORMATS = (
    PRESETS["tiny"],
    PRESETS["ternary"],
    TensorCoreConfig(
        name="terms", m=2, n=3, lookup_group=3, block=12, table_bits=9, weight_bits=2,
        activations=("e5m2", "int4", "bf16", "int8"), scales=("bf16", "e4m3", "fp32"),
        outputs=("bf16", "fp16", "int32"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("config", FORMATS, ids=lambda config: config.name)
def test_every_format(rng, config):
    """Activations by scales by outputs; weights of several terms, offsets and kept activations."""
    kept = offsets = 0
    with core_model(config) as model:
        rounds = range(4 if config.name == "ternary" else 1)  # it has few combinations
        for _, activation_type, scale, output in itertools.product(
            rounds, config.activations, config.scales, config.outputs
        ):
            fmt = ACTIVATIONS[activation_type]
            if output == "int32" and not config.exact(fmt):
                continue
            a = stimulus.activations(rng, fmt, 5, 40)
            narrow = replace(config, scales=(scale,))
            weights = stimulus.weights(rng, config.n + 2, 40, narrow, output == "int32")
            packed = pack(weights, config)
            kept += any(item.keep for item in packed.passes)
            offsets += any(item.offset for item in packed.passes)
            expected = golden.core(a, weights, config, output, activation_type)
            found = driver.gemm(a, weights, config, output, activation_type)
            assert found.out.dtype == expected.dtype
            assert bits(found.out) == bits(expected), (activation_type, scale, output)
            if output != "int32":
                again = driver.run(model, a, packed, config, output, activation_type)
                assert bits(again.out) == bits(expected)
    assert offsets and bool(kept) == (config.name == "terms")


# `dense` and `dense8` take one format each; `pairs` has their tables.
@pytest.mark.parametrize("name", [*(n for n in PRESETS if not PRESETS[n].subsets), "pairs"])
def test_specials_and_extremes(rng, name):
    """Any FP16 bit pattern, infinities and NaN among them; extreme integers; stalls everywhere."""
    config = CONFIGURATIONS[name]
    streams = ("i_passes", "i_activations", "i_weights", "i_scales", "o_outputs")
    stalls: dict[str, int] = {name: 100 for name in streams}
    with core_model(config) as model:
        for seed, kind in enumerate(WEIGHTS):
            weights = random_weights(rng, kind, config.n + 3, 70, 16)
            patterns = rng.integers(0, 1 << 16, (5, 70)).astype(np.uint16)
            patterns[2:] &= 0xBFFF  # three rows stay finite
            extremes = rng.choice([-128, 127], (5, 70)).astype(np.int8)
            for a in (patterns.view(np.float16), extremes):
                expected = golden.core(a, weights, config)
                found = driver.run(
                    model, a, pack(weights, config), config, stalls=stalls, seed=seed
                )
                assert bits(found.out) == bits(expected)
                assert np.isfinite(expected[2:]).all() and expected[2:].any()


def test_lanes_never_idle_with_long_passes(rng):
    """At four planes a pass is 64 steps and rescale takes 16 cycles: only fill and drain remain."""
    weights = random_weights(rng, 4, 128, 1024, 128)
    a = random_activations(rng, "fp16", 8, 1024)
    with core_model(PAPER) as model:
        result = driver.run(model, a, pack(weights, PAPER), PAPER)
    assert result.steps == 8 // 2 * 2 * 1024 // 4 * 4
    assert result.cycles - result.steps < 64


def test_waveform(rng, tmp_path):
    config = PRESETS["tiny"]
    weights = random_weights(rng, 2, 4, 12, 12)
    a = random_activations(rng, "int8", 2, 12)
    path = tmp_path / "tile.vcd"
    result = driver.gemm(a, weights, config, waves=path)
    assert bits(result.out) == bits(golden.core(a, weights, config))
    text = path.read_text()
    assert "lane_1_3" in text and text.count("\n#") > 2 * result.cycles


def test_beats_by_hand():
    """One row tile, one column: two passes of which the second keeps its activations."""
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, block=2, table_bits=9, weight_bits=1, zero_bits=4,
        activations=("fp16", "int4", "int8"), scales=("bf16", "fp32"), outputs=("fp16", "fp32"),
    )  # fmt: skip
    weights = AffineWeights(
        np.array([[2, 1]], np.uint8),
        2,
        np.ones((1, 1), np.float32),
        np.ones((1, 1)),
        2,
        np.full((1, 1), -2, np.float32),
    )
    a = np.array([[-8, 7]], np.int8)
    (job,) = driver.jobs(a, pack(weights, config), config, "fp32", "int4")
    # format 1, planes - 1, steps - 1, equal: 0; keep, offset; scale 0; first, last; output 1
    assert job.beats["i_passes"][:, 0].tolist() == [0b00000001, 0b01100001]
    assert job.beats["i_passes"][:, 1].tolist() == [0b101, 0b110]
    assert job.beats["i_activations"].tolist() == [[0x8, 0, 0x7, 0]]
    assert job.beats["i_weights"].tolist() == [[0b10], [0b00]]
    scales = [int.from_bytes(beat.tobytes(), "little") for beat in job.beats["i_scales"]]
    assert scales == [0x4000, 0xF << 32 | 0x3F80, 0xF << 32 | 0xC000]
    assert job.outputs == 1


def test_a_starved_model_is_reported(rng):
    config = PRESETS["tiny"]
    packed = pack(random_weights(rng, 2, 4, 12, 12), config)
    job = next(driver.jobs(random_activations(rng, "int8", 2, 12), packed, config))
    job.beats["i_weights"] = job.beats["i_weights"][:-1]
    with core_model(config) as model:
        message = r"^the model is stuck after \d+ cycles; moved: .*i_weights 7/7.*o_outputs 0/2$"
        with pytest.raises(HarnessError, match=message):
            model.run(job.beats, {"o_outputs": job.outputs}, patience=1000)
