"""`lutcore.config`: every error by its text, derived sizes, presets and files."""

import dataclasses
import re
from fractions import Fraction
from pathlib import Path

import pytest

from lutcore.config import PRESETS, TensorCoreConfig, preset
from lutcore.errors import ConfigError, LutCoreError
from lutcore.formats import ACTIVATIONS, BF16, FP16, INT4, INT8, INT16, SCALES

FIELDS = (
    "name, m, n, table_digits, lookup_group, groups_per_step, table_bits, block, "
    "weight_bits, zero_bits, activations, scales, outputs, rescale_columns, "
    "pipeline, addends, truncate"
)
KNOWN = ", ".join(ACTIVATIONS)


def build(fields):
    return TensorCoreConfig(**({"m": 2, "n": 4} | fields))


def exactly(text):
    return f"^{re.escape(text)}$"


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("m", 1, 1024),
        ("n", 1, 4096),
        ("table_digits", 2, 3),
        ("lookup_group", 2, 6),
        ("groups_per_step", 1, 64),
        ("table_bits", 4, 16),
        ("block", 2, 4096),
        ("weight_bits", 1, 8),
        ("rescale_columns", 1, 4096),
        ("pipeline", 0, 3),
    ],
)
def test_ranges(field, low, high):
    for value in (low - 1, high + 1):
        with pytest.raises(
            ConfigError, match=exactly(f"{field} must be {low}..{high}, not {value}")
        ):
            build({field: value})
    for value in (2.0, "2", True, None):
        with pytest.raises(
            ConfigError, match=exactly(f"{field} must be an integer, not {value!r}")
        ):
            build({field: value})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"addends": 1}, "addends must be true or false, not 1"),
        ({"truncate": "no"}, "truncate must be true or false, not 'no'"),
        (
            {"truncate": True, "outputs": ("bf16", "fp32", "fp16")},
            "outputs must be fp32 or int32 with truncate, not bf16, fp16: these are rounded",
        ),
        (
            {"truncate": True, "pipeline": 3},
            "pipeline must be 0..2 with truncate, which has no stages for more, not 3",
        ),
        (
            {"truncate": True, "block": 1024, "table_bits": 16, "zero_bits": 14},
            "difference_bits must be at most 38, not 39; reduce block (1024), table_bits (16), "
            "weight_bits (8) or zero_bits (14)",
        ),
        ({"addends": "true"}, "addends must be true or false, not 'true'"),
        ({"zero_bits": 1}, "zero_bits must be 0 or 2..16, not 1"),
        ({"zero_bits": 17}, "zero_bits must be 0 or 2..16, not 17"),
        ({"name": "a b"}, "name must be an identifier of letters, digits and '_', not 'a b'"),
        ({"name": "é"}, "name must be an identifier of letters, digits and '_', not 'é'"),
        ({"name": ""}, "name must be an identifier of letters, digits and '_', not ''"),
        ({"name": 3}, "name must be an identifier of letters, digits and '_', not 3"),
        ({"m": 1024, "n": 65}, "m * n must be at most 65536 lanes, not 66560"),
        (
            {"block": 66},
            "block must be a multiple of k = lookup_group * groups_per_step = 4, not 66; "
            "64 would do",
        ),
        (
            {"block": 2},
            "block must be a multiple of k = lookup_group * groups_per_step = 4, not 2; 4 would do",
        ),
        ({"rescale_columns": 3}, "rescale_columns must divide n = 4, not 3"),
        *(
            case
            for field in ("activations", "scales", "outputs")
            for case in (
                ({field: ()}, f"{field} must be a tuple of one or more formats, not ()"),
                ({field: "fp16"}, f"{field} must be a tuple of one or more formats, not 'fp16'"),
                ({field: ("fp16", "fp16")}, f"{field} must not repeat a format: fp16, fp16"),
            )
        ),
        ({"activations": ("fp8",)}, f"activations: 'fp8' is not a format; known are {KNOWN}"),
        ({"activations": (["x"],)}, f"activations: ['x'] is not a format; known are {KNOWN}"),
        (
            {"scales": ("int8",)},
            "scales: 'int8' is not a format; known are fp32, fp16, bf16, e8m0, e4m3",
        ),
        (
            {"outputs": ("e4m3",)},
            "outputs: 'e4m3' is not a format; known are fp32, fp16, bf16, int32",
        ),
        (
            {"outputs": ("int32",)},
            "outputs must hold a float format, not only int32; adding fp32 would do",
        ),
        (
            {"table_digits": 3},
            "lookup_group must be 2 for table_digits = 3, not 4: "
            "three ternary digits would need a table of 13 entries",
        ),
        (
            {"table_digits": 3, "lookup_group": 2, "groups_per_step": 4},
            "groups_per_step must be a multiple of 3 for table_digits = 3, whose digits share "
            "codes by 6, not 4; 6 would do",
        ),
        (
            {"block": 4096, "table_bits": 16, "zero_bits": 16},
            "difference_bits must be at most 41, not 43; reduce block (4096), table_bits (16), "
            "weight_bits (8) or zero_bits (16)",
        ),
    ],
)
def test_errors(fields, text):
    with pytest.raises(ConfigError, match=exactly(text)) as error:
        build(fields)
    assert isinstance(error.value, LutCoreError)


def test_ranges_include_their_ends():
    TensorCoreConfig(
        m=1, n=4096, lookup_group=6, groups_per_step=64, table_bits=16, block=384, zero_bits=16
    )
    TensorCoreConfig(
        m=1024, n=1, lookup_group=2, table_bits=4, block=2, weight_bits=1,
        zero_bits=2, activations=("fp16",),
    )  # fmt: skip


def test_derived_sizes_of_paper():
    config = preset("paper")
    assert (config.m, config.n, config.k, config.lanes) == (2, 64, 4, 128)
    assert (config.max_steps, config.entries, config.group_bits) == (16, 8, 2)
    assert (config.activation_bits, config.total_bits, config.column_groups) == (16, 10, 16)
    assert config.weight_beat_bytes == 32
    assert config.doubled_peak_limit == 1020  # 512 - 4/2, doubled
    assert config.aligned_bits == 10
    assert config.exponent_range(FP16) == (-24, 10)
    assert config.exponent_range(BF16) == (-133, 122)
    assert config.exponent_range(INT8) == config.exponent_range(INT4) == (0, 0)
    assert config.exponent_range(INT16) == (0, 10)
    assert config.exponent_bits == 9
    assert config.sum_bits == 15  # 16 groups of -512..511
    assert config.psum_bits == 21  # 255 x 16 entries of -256..255
    assert config.odd_bits == 12  # 255 x 16
    assert config.difference_bits == 24
    assert config.code_bits == 4


def test_derived_sizes_of_ternary():
    config = preset("ternary")
    assert (config.k, config.entries, config.code_bits, config.max_steps) == (12, 4, 20, 5)
    assert config.weight_beat_bytes == 40
    assert config.exact(INT8)


def test_exact_formats():
    config = TensorCoreConfig(m=1, n=1, table_bits=8)
    assert config.exact(INT4) and not config.exact(INT8)
    assert TensorCoreConfig(m=1, n=1, table_bits=9).exact(INT8)
    assert TensorCoreConfig(m=1, n=1, table_bits=5).exact(INT4)
    assert not TensorCoreConfig(m=1, n=1, table_bits=16, lookup_group=2).exact(INT16)
    for table_bits in (8, 9):  # whole sums, of ternary digits and of pairs
        trits = TensorCoreConfig(
            m=1, n=1, table_digits=3, lookup_group=2, groups_per_step=3, block=6,
            table_bits=table_bits,
        )  # fmt: skip
        pairs = TensorCoreConfig(m=1, n=1, lookup_group=2, table_bits=table_bits)
        assert trits.total_bits == pairs.total_bits == table_bits
        assert trits.exact(INT8) == pairs.exact(INT8) == (table_bits == 9)
    assert not config.exact(FP16)
    assert not config.raw and TensorCoreConfig(m=1, n=1).raw
    assert not TensorCoreConfig(m=1, n=1, outputs=("fp32",)).raw


@pytest.mark.parametrize("g", range(2, 7))
def test_peaks_below_the_limit_fit(g):
    for table_bits in range(4, 17):
        config = TensorCoreConfig(
            m=1, n=1, lookup_group=g, block=g, table_bits=table_bits, activations=("fp16",)
        )
        limit = Fraction(config.doubled_peak_limit, 2)
        assert config.total_bits == table_bits + (g > 2)
        assert limit + Fraction(g, 2) == 2 ** (config.total_bits - 1)
        # Any peak has an e at which it stays above half a table's range.
        assert limit > 2 ** (config.total_bits - 2)


def test_aligned_activations():
    for activations, table_bits, aligned in (
        (("int8",), 9, 8),
        (("int8", "int4"), 9, 8),
        (("int8",), 8, 9),
        (("int4", "fp16"), 4, 5),
        (("int8", "fp16"), 9, 10),
    ):
        config = TensorCoreConfig(m=1, n=1, activations=activations, table_bits=table_bits)
        assert config.aligned_bits == aligned
    assert TensorCoreConfig(m=1, n=1, activations=("int8", "e4m3")).activation_bits == 8


@pytest.mark.parametrize("name", PRESETS)
def test_toml_round_trip(name, tmp_path):
    path = tmp_path / "core.toml"
    path.write_text(preset(name).to_toml(), encoding="utf-8")
    assert TensorCoreConfig.from_toml(path) == preset(name)
    assert preset(name).name == name


def test_toml_round_trip_of_every_field(tmp_path):
    config = TensorCoreConfig(
        name="other", m=3, n=6, table_digits=3, lookup_group=2, groups_per_step=3, table_bits=12,
        block=42, weight_bits=3, zero_bits=7, activations=("fp16",),
        scales=tuple(SCALES), outputs=("fp32",), rescale_columns=3, pipeline=1,
        addends=True, truncate=True,
    )  # fmt: skip
    default = TensorCoreConfig(m=1, n=1)
    for field in dataclasses.fields(config):
        assert getattr(config, field.name) != getattr(default, field.name)
    path = tmp_path / "core.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert TensorCoreConfig.from_toml(str(path)) == config


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("m = 1\nn = 1\ntiles = 2\n", f"unknown key 'tiles'; known are {FIELDS}"),
        ("m = 1\n", "key 'n' is missing"),
        ("n = 1\n", "key 'm' is missing"),
        ("m = 1\nn = 1\ntable_bits = 3\n", "table_bits must be 4..16, not 3"),
        ("m = 1.5\nn = 1\n", "m must be an integer, not 1.5"),
        (
            "m = 1\nn = 1\nactivations = [['int8']]\n",
            f"activations: ['int8'] is not a format; known are {KNOWN}",
        ),
        (
            "m = 1\nn = 1\nactivations = 'int8'\n",
            "activations must be a tuple of one or more formats, not 'int8'",
        ),
    ],
)
def test_toml_errors(toml, text, tmp_path):
    path = tmp_path / "core.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(ConfigError, match=exactly(f"{path}: {text}")):
        TensorCoreConfig.from_toml(path)


def test_toml_that_cannot_be_read(tmp_path):
    path = tmp_path / "core.toml"
    text = f"{path}: cannot be read: No such file or directory"
    with pytest.raises(ConfigError, match=exactly(text)):
        TensorCoreConfig.from_toml(path)
    path.write_text("m = ", encoding="utf-8")
    text = f"{path}: is not TOML: Invalid value (at end of document)"
    with pytest.raises(ConfigError, match=exactly(text)):
        TensorCoreConfig.from_toml(path)
    path.write_bytes(b"\xff")
    text = (
        f"{path}: is not TOML: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte"
    )
    with pytest.raises(ConfigError, match=exactly(text)):
        TensorCoreConfig.from_toml(path)


def test_presets():
    assert list(PRESETS) == ["paper", "tiny", "wide", "ternary", "dense", "dense8"]
    assert preset("wide").groups_per_step > 1
    text = "preset 'huge' is unknown; known are paper, tiny, wide, ternary, dense, dense8"
    with pytest.raises(ConfigError, match=exactly(text)):
        preset("huge")


def test_the_examples_are_configurations():
    examples = [*(Path(__file__).parents[3] / "docs" / "examples").glob("*.toml")]
    assert len(examples) >= 3
    for path in examples:
        TensorCoreConfig.from_toml(path)
