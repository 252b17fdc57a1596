"""What the core's tables cost a language model: perplexity with and without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS

from . import golden, llama2c, quantise

__all__ = ["DITHER", "Experiment", "Perplexity", "measure", "read_texts", "summary"]

SEPARATOR = "<|endoftext|>"

DITHER = 2.0**-10
"""Relative size of the noise of `Experiment`, about what keeping outputs in FP16 rounds off."""


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


class Experiment:
    """A llama2.c checkpoint in `model` with quantised linear layers, on `texts`.

    Weights are affine, of `bits` in groups of `group`; activations are brought to the format
    `activation_type` by `quantise.activation_rows`, and its row scales multiply the outputs in
    float64. InputError if the model or the texts will not do.
    """

    def __init__(
        self, model: Path, texts: list[str], bits: int, group: int, activation_type: str
    ) -> None:
        self.llama = llama2c.load(model)
        self.texts = texts
        self.fmt = ACTIVATIONS[activation_type]
        self.weights = {
            name: quantise.affine(w, bits, group) for name, w in self.llama.weights.items()
        }
        self.real = {name: w.real() for name, w in self.weights.items()}

    def perplexity(self, config: TensorCoreConfig | None, draw: int | None = None) -> float:
        """Through the tables of a core, or with exact products of the same operands.

        Where activations are coarse, one that is rounded the other way by a last bit changes those
        of all layers after it, so that a single perplexity is as good as drawn at random. `draw` is
        the seed of a relative noise of DITHER on the outputs of layers.
        """
        rng = None if draw is None else np.random.default_rng(draw)

        def linear(name: str, activations: NDArray[np.float64]) -> NDArray[np.float64]:
            values, scales = quantise.activation_rows(activations, self.fmt)
            if config is None:
                outputs = values.astype(np.float64) @ self.real[name].T
            else:
                outputs = golden.core(
                    values, self.weights[name], config, activation_type=self.fmt.name
                ).astype(np.float64)
            outputs *= scales[:, None]
            return outputs if rng is None else _noisy(outputs, rng)

        return self.llama.perplexity(self.texts, linear)


def _noisy(outputs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return outputs * (1 + DITHER * rng.standard_normal(outputs.shape))


def summary(full: float, exact: list[float], core: list[float]) -> Perplexity:
    """Means of perplexities that were drawn, and the standard error of their ratio."""
    means = [float(np.mean(draws)) for draws in (exact, core)]
    uncertainty = 0.0
    if len(exact) > 1 and len(core) > 1:
        errors = [np.std(d, ddof=1) / np.mean(d) / len(d) ** 0.5 for d in (exact, core)]
        uncertainty = float(np.hypot(*errors))
    return Perplexity(full, means[0], means[1], uncertainty)


def measure(
    model: Path,
    texts: list[str],
    bits: int,
    group: int,
    config: TensorCoreConfig,
    activation_type: str = "fp16",
    repeat: int = 1,
) -> Perplexity:
    """Perplexities of an `Experiment`; with `repeat` above 1 means over as many draws.

    InputError if the model, the texts or the configuration will not do.
    """
    if repeat < 1:
        raise InputError(f"repeat must be 1 or more, not {repeat}")
    golden.built_in(activation_type, config)
    experiment = Experiment(model, texts, bits, group, activation_type)
    draws = [None] if repeat == 1 else list(range(repeat))
    exact, core = ([experiment.perplexity(c, draw) for draw in draws] for c in (None, config))
    return summary(experiment.llama.perplexity(texts), exact, core)
