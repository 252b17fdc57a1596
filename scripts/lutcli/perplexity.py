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
    preset: PresetOption = None,
    config: ConfigOption = None,
) -> None:
    """Perplexity of a model in full precision, with quantised weights, and through the core."""
    chosen = configuration(preset, config)
    # Imported here: the models are needed by this subcommand alone.
    from lutverif.perplexity import measure, read_texts

    result = measure(model, read_texts(text, story), bits, group, chosen)
    print(f"full precision           {result.full:.4f}")
    print(f"{bits}-bit, exact products    {result.exact:.4f}")
    print(f"{bits}-bit, core {chosen.name:<12} {result.core:.4f}  ({result.change:+.3%})")
