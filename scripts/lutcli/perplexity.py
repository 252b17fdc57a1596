"""`lutcore perplexity`: what the tables of a core cost a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigOption, PresetOption, configuration

__all__ = ["perplexity"]


def perplexity(
    model: Annotated[Path, typer.Option(help="Directory of a llama2.c checkpoint.")],
    text: Annotated[Path, typer.Option(help="Texts separated by <|endoftext|>.")],
    story: Annotated[
        list[int] | None,
        typer.Option(help="Number of a text, from 1; may be repeated.", show_default="all"),
    ] = None,
    bits: Annotated[int, typer.Option(help="Bits of a weight, 1 to 8.")] = 4,
    group: Annotated[int, typer.Option(help="Weights that share a scale.")] = 32,
    activation_type: Annotated[str, typer.Option(help="Format of the activations.")] = "fp16",
    repeat: Annotated[
        int, typer.Option(help="Draws to average, where coarse activations make each one random.")
    ] = 1,
    preset: PresetOption = None,
    config: ConfigOption = None,
) -> None:
    """Perplexity of a model in full precision, quantised, and quantised through the core."""
    chosen = configuration(preset, config)
    # Imported here: the models are needed by this subcommand alone.
    from lutverif.perplexity import measure, read_texts

    result = measure(model, read_texts(text, story), bits, group, chosen, activation_type, repeat)
    error = f" ± {result.uncertainty:.3%}" if repeat > 1 else ""
    kind = f"{bits}-bit x {activation_type}"
    for name, value, change in (
        ("full precision", result.full, ""),
        (f"{kind}, exact products", result.exact, ""),
        (f"{kind}, core {chosen.name}", result.core, f"  ({result.change:+.3%}{error})"),
    ):
        print(f"{name:<32} {value:.4f}{change}")
