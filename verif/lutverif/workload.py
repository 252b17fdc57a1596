"""Layers of a real model with the activations that real text gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from . import charlm, llama2c
from .network import Capture, exact

__all__ = ["Layer", "load"]

TOKENS = 16
"""Tokens that a llama2.c model reads for its activations; the embedded ones are what they are."""


@dataclass(frozen=True)
class Layer:
    """A linear layer, weights [N, K], and activations [M, K] that it was given."""

    name: str
    weights: NDArray[np.float32]
    activations: NDArray[np.float16]


def load(model: Path | None = None) -> list[Layer]:
    """The layers of the llama2.c checkpoint in directory `model`, or of the embedded model.

    A checkpoint reads the first *.txt file of its directory, or else what it generates itself.
    InputError if the directory or a file in it will not do, or float16 cannot hold the activations.
    """
    if model is None:
        embedded = charlm.load()
        return [
            Layer(name, weights, embedded.activations[name])
            for name, weights in embedded.weights.items()
        ]
    llama = llama2c.load(model)
    text = _text(model)
    tokens = llama.generate(TOKENS) if text is None else llama.tokenizer.encode(text)
    capture = Capture(exact(llama.weights))
    llama.forward(tokens[: min(TOKENS, llama.shape.positions)], capture)
    limit = float(np.finfo(np.float16).max)
    for name, activations in capture.activations.items():
        if not np.abs(activations).max() <= limit:
            raise InputError(
                f"{model}: activations of {name} reach {np.abs(activations).max():.6g}, but "
                f"float16 ends at {limit:g}"
            )
    return [
        Layer(name, weights, capture.activations[name].astype(np.float16))
        for name, weights in llama.weights.items()
    ]


def _text(directory: Path) -> str | None:
    """The first *.txt file of `directory` by name; None without one."""
    for path in sorted(directory.glob("*.txt")):
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: must be UTF-8 text, but byte {error.start} is not") from None
    return None
