"""What the core's tables cost a language model: perplexity with and without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError

from . import golden, llama2c, quantise
from .network import Linear

__all__ = ["Perplexity", "measure", "read_texts"]

SEPARATOR = "<|endoftext|>"

DITHER = 2.0**-20
"""About what the rounding of FP32 accumulation does to an output."""


@dataclass(frozen=True)
class Perplexity:
    """full: the model itself; exact: quantised, with exact products; core: with the core's.

    `exact` and `core` have the same weights and quantise activations alike. `uncertainty` is the
    standard error of `change`, 0 where each was computed once.
    """

    full: float
    exact: float
    core: float
    uncertainty: float = 0.0

    @property
    def change(self) -> float:
        """What the tables add, relative to exact products of the same weights and activations."""
        return self.core / self.exact - 1


def read_texts(path: Path, numbers: list[int] | None = None) -> list[str]:
    """The texts of a file, separated by <|endoftext|>; `numbers` (from 1) picks some of them."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be UTF-8 text, but byte {error.start} is not") from None
    texts = [text.strip() for text in content.split(SEPARATOR) if text.strip()]
    if not texts:
        raise InputError(f"{path}: holds no text")
    for number in numbers or ():
        if not 1 <= number <= len(texts):
            raise InputError(f"{path}: story must be 1..{len(texts)}, not {number}")
    return [texts[number - 1] for number in numbers] if numbers else texts


def measure(
    model: Path,
    texts: list[str],
    bits: int,
    group: int,
    config: TensorCoreConfig,
    activation_type: str = "fp16",
    repeat: int = 1,
) -> Perplexity:
    """Perplexity of the llama2.c checkpoint in `model` on `texts`.

    All linear layers have affine weights of `bits` in groups of `group`, and activations that
    `quantise.activation_rows` brought to `activation_type`; their row scales multiply the outputs
    in float64. InputError if the model, the texts or the configuration will not do.

    Where activations are coarse, one that is rounded the other way by a last bit changes those of
    all layers after it, so that a single perplexity is a draw. With `repeat` above 1 `exact` and
    `core` are means over as many draws, outputs of layers differing by a relative DITHER.
    """
    if repeat < 1:
        raise InputError(f"repeat must be 1 or more, not {repeat}")
    fmt = golden.built_in(activation_type, config)
    llama = llama2c.load(model)
    weights = {name: quantise.affine(w, bits, group) for name, w in llama.weights.items()}
    real = {name: w.real() for name, w in weights.items()}

    def exact(name: str, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        values, scales = quantise.activation_rows(activations, fmt)
        return values.astype(np.float64) @ real[name].T * scales[:, None]

    def core(name: str, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        values, scales = quantise.activation_rows(activations, fmt)
        outputs = golden.core(values, weights[name], config, activation_type=activation_type)
        return outputs.astype(np.float64) * scales[:, None]

    full = llama.perplexity(texts)
    if repeat == 1:
        return Perplexity(full, llama.perplexity(texts, exact), llama.perplexity(texts, core))
    draws = [
        [llama.perplexity(texts, _dithered(linear, seed)) for seed in range(repeat)]
        for linear in (exact, core)
    ]
    means, spreads = np.mean(draws, axis=1), np.std(draws, axis=1, ddof=1)
    uncertainty = float(np.hypot.reduce(spreads / means)) / repeat**0.5
    return Perplexity(full, float(means[0]), float(means[1]), uncertainty)


def _dithered(linear: Linear, seed: int) -> Linear:
    """`linear` with outputs that differ at random by a relative DITHER."""
    rng = np.random.default_rng(seed)

    def dithered(name: str, activations: NDArray[np.float64]) -> NDArray[np.generic]:
        outputs = linear(name, activations).astype(np.float64)
        return outputs * (1 + DITHER * rng.standard_normal(outputs.shape))

    return dithered
