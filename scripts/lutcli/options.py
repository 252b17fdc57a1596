"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lutcore.config import PRESETS, TensorCoreConfig, preset
from lutcore.errors import ConfigError
from lutcore.lmma import EngineConfig

__all__ = ["ConfigOption", "PresetOption", "configuration", "engine_configuration"]

DEFAULT_PRESET = "paper"

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help=f"Named configuration: {', '.join(PRESETS)}. Default: {DEFAULT_PRESET}.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file, in place of a preset.", show_default=False),
]


def configuration(preset_name: str | None, path: Path | None) -> TensorCoreConfig:
    """The configuration that --preset or --config names; ConfigError if both are given."""
    if path is None:
        return preset(DEFAULT_PRESET if preset_name is None else preset_name)
    if preset_name is not None:
        raise ConfigError(f"--preset {preset_name} and --config {path}: one of the two would do")
    return TensorCoreConfig.from_toml(path)


def engine_configuration(preset_name: str | None, path: Path | None) -> EngineConfig:
    """The engine of --config, its sizes in the table `engine`, or around the core of --preset."""
    core = configuration(preset_name, path)
    return EngineConfig(core=core) if path is None else EngineConfig.from_toml(path)
