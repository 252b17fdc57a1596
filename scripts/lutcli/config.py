"""`lutcore config`: show a configuration with all that follows from it, or check a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lutcore.config import TensorCoreConfig, read_toml
from lutcore.lmma import EngineConfig

from .options import ConfigOption, PresetOption, configuration

__all__ = ["app"]

app = typer.Typer(help="Show or check a configuration.")


@app.command()
def show(preset: PresetOption = None, config: ConfigOption = None) -> None:
    """Print a configuration as TOML, and on stderr the sizes derived from it."""
    chosen = configuration(preset, config)
    typer.echo(chosen.to_toml(), nl=False)
    # stderr, so that redirected output is a configuration file.
    Console(stderr=True, markup=False).print(_derived(chosen))


@app.command()
def check(file: Annotated[Path, typer.Argument(help="TOML file.")]) -> None:
    """Check that a configuration file describes a core, or an engine, that can be built."""
    config = TensorCoreConfig.from_toml(file)
    if "engine" in read_toml(file):
        EngineConfig.from_toml(file)
    typer.echo(f"{file}: {config.name} is valid: M{config.m} N{config.n} K{config.k}")


def _derived(config: TensorCoreConfig) -> Table:
    """Every public property of the configuration with the first line of its docstring."""
    table = Table("derived", "value", "meaning", title=config.name, title_justify="left")
    for name, member in vars(TensorCoreConfig).items():
        if isinstance(member, property) and not name.startswith("_"):
            value = getattr(config, name)
            if isinstance(value, tuple):
                value = ", ".join(item.name for item in value)
            table.add_row(name, str(value), (member.__doc__ or "").partition("\n")[0])
    return table
