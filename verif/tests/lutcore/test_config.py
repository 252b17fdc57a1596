"""`lutcore.config`: every error by its text, derived sizes, presets and files."""

import dataclasses
import itertools
import re
from fractions import Fraction

import pytest

from lutcore.config import PRESETS, TensorCoreConfig, preset
from lutcore.errors import ConfigError, LutCoreError
from lutcore.formats import FP16

FIELDS = (
    "name, m, n, lookup_group, groups_per_step, table_bits, guard_bits, block, weight_bits, "
    "zero_bits, activations, rescale_columns"
)


def build(fields):
    return TensorCoreConfig(**({"m": 2, "n": 4} | fields))


def exactly(text):
    return f"^{re.escape(text)}$"


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("m", 1, 1024),
        ("n", 1, 4096),
        ("lookup_group", 2, 6),
        ("groups_per_step", 1, 64),
        ("table_bits", 4, 16),
        ("guard_bits", 0, 8),
        ("block", 2, 4096),
        ("weight_bits", 1, 8),
        ("zero_bits", 2, 16),
        ("rescale_columns", 1, 4096),
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
        (
            {"activations": ()},
            "activations must be a tuple of one or more formats, not ()",
        ),
        (
            {"activations": "int8"},
            "activations must be a tuple of one or more formats, not 'int8'",
        ),
        ({"activations": ("int8", "int8")}, "activations must not repeat a format: int8, int8"),
        ({"activations": ("fp8",)}, "activations: 'fp8' is not a format; known are int8, fp16"),
        ({"activations": (["x"],)}, "activations: ['x'] is not a format; known are int8, fp16"),
        (
            {"table_bits": 9},
            "table_bits must be at least 10 to hold sums of 4 int8 activations exactly, not 9",
        ),
        (
            {"lookup_group": 5, "block": 60},
            "table_bits must be at least 11 to hold sums of 5 int8 activations exactly, not 10",
        ),
        (
            {"block": 4096, "table_bits": 16, "zero_bits": 16},
            "difference_bits must be at most 41, not 42; reduce block (4096), table_bits (16), "
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
        m=1024, n=1, lookup_group=2, table_bits=4, guard_bits=0, block=2, weight_bits=1,
        zero_bits=2, activations=("fp16",),
    )  # fmt: skip


def test_derived_sizes_of_paper():
    config = preset("paper")
    assert (config.m, config.n, config.k, config.lanes) == (2, 64, 4, 128)
    assert (config.max_steps, config.entries, config.group_bits) == (16, 8, 2)
    assert (config.activation_bits, config.guard, config.column_groups) == (16, 3, 16)
    assert config.weight_beat_bytes == 32
    assert config.doubled_peak_limit == 8180  # (511.5 - 4/2/8) * 8 guard units, doubled
    assert config.aligned_bits == 13  # -4090..4090
    assert config.step_offset(FP16) == 1 - 15 - 9
    assert config.sum_bits == 15  # 16 groups of -512..511
    assert config.psum_bits == 22
    assert config.difference_bits == 24


@pytest.mark.parametrize("g", range(2, 7))
def test_peaks_below_the_limit_fit(g):
    for table_bits, guard in itertools.product(range(4, 17), range(9)):
        config = TensorCoreConfig(
            m=1, n=1, lookup_group=g, block=g, table_bits=table_bits, guard_bits=guard,
            activations=("fp16",),
        )  # fmt: skip
        top = Fraction(2 ** (table_bits - 1)) - Fraction(1, 2)
        limit = Fraction(config.doubled_peak_limit, 2)
        assert (limit + Fraction(g, 2)) / 2**guard == top
        # Any normal float has an E at which it stays above half a table's range.
        assert limit > 2 ** (table_bits - 2 + guard)


def test_guard_is_for_floats_only():
    assert TensorCoreConfig(m=1, n=1, activations=("int8",)).guard == 0
    assert TensorCoreConfig(m=1, n=1, activations=("int8",)).aligned_bits == 8
    assert TensorCoreConfig(m=1, n=1, activations=("int8",)).activation_bits == 8


@pytest.mark.parametrize("name", PRESETS)
def test_toml_round_trip(name, tmp_path):
    path = tmp_path / "core.toml"
    path.write_text(preset(name).to_toml(), encoding="utf-8")
    assert TensorCoreConfig.from_toml(path) == preset(name)
    assert preset(name).name == name


def test_toml_round_trip_of_every_field(tmp_path):
    config = TensorCoreConfig(
        name="other", m=3, n=6, lookup_group=5, groups_per_step=2, table_bits=12, guard_bits=1,
        block=40, weight_bits=3, zero_bits=7, activations=("fp16",), rescale_columns=3,
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
            "activations: ['int8'] is not a format; known are int8, fp16",
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
    assert list(PRESETS) == ["paper", "tiny", "wide"]
    assert preset("wide").groups_per_step > 1
    text = "preset 'huge' is unknown; known are paper, tiny, wide"
    with pytest.raises(ConfigError, match=exactly(text)):
        preset("huge")
