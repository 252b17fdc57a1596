"""Configuration files of an engine."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lutcore import PRESETS, TensorCoreConfig
from lutcore.errors import ConfigError
from lutcore.lmma import EngineConfig

SIZES = "word_bytes, address_bits, a_steps, w_beats, s_beats, program_words"


@pytest.mark.parametrize("name", PRESETS)
def test_toml_round_trip(name, tmp_path):
    config = EngineConfig(core=PRESETS[name], word_bytes=32, address_bits=33, a_steps=2000)
    path = tmp_path / "engine.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert EngineConfig.from_toml(path) == config
    assert TensorCoreConfig.from_toml(str(path)) == config.core


def test_sizes_may_be_left_out(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text(PRESETS["tiny"].to_toml(), encoding="utf-8")
    assert EngineConfig.from_toml(path) == EngineConfig(core=PRESETS["tiny"])
    path.write_text(PRESETS["tiny"].to_toml() + "[engine]\nw_beats = 500\n", encoding="utf-8")
    assert EngineConfig.from_toml(path) == replace(EngineConfig(core=PRESETS["tiny"]), w_beats=500)


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[engine]\nwords = 8\n", f"unknown key 'words' in engine; known are {SIZES}"),
        ("[engine]\ncore = 8\n", f"unknown key 'core' in engine; known are {SIZES}"),
        ("engine = 8\n", "engine must be a table, not 8"),
        (
            "[engine]\nword_bytes = 24\n",
            "engine: word_bytes must be a power of two from 4 to 128, not 24",
        ),
        ("[engine]\naddress_bits = 65\n", "engine: address_bits must be 16..48, not 65"),
        ("[engine]\ns_beats = '8'\n", "engine: s_beats must be an integer, not '8'"),
        ("tiles = 2\n[engine]\nword_bytes = 24\n", "unknown key 'tiles'; known are "),
        ("[engine\n", "is not TOML: "),
    ],
)
def test_toml_errors(toml, text, tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text(f"m = 1\nn = 4\n{toml}", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: {text}')}"):
        EngineConfig.from_toml(path)
