"""What the core's tables cost a language model: perplexity with and without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError

from . import golden, llama2c, quantise

__all__ = ["Perplexity", "measure", "read_texts"]

SEPARATOR = "<|endoftext|>"


@dataclass(frozen=True)
class Perplexity:
    """full: the model's own weights; exact: quantised ones, exact products; core: the core's."""

    full: float
    exact: float
    core: float

    @property
    def change(self) -> float:
        """What the tables add, relative to exact products of the same weights."""
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
    model: Path, texts: list[str], bits: int, group: int, config: TensorCoreConfig
) -> Perplexity:
    """Perplexity of the llama2.c checkpoint in `model` on `texts`.

    All linear layers have affine weights of `bits` in groups of `group`; activations are FP16 at
    the core's door. InputError if the model, the texts or the configuration will not do.
    """
    llama = llama2c.load(model)
    weights = {name: quantise.affine(w, bits, group) for name, w in llama.weights.items()}
    real = {name: w.real() for name, w in weights.items()}
    return Perplexity(
        full=llama.perplexity(texts),
        exact=llama.perplexity(texts, lambda name, a: a @ real[name].T),
        core=llama.perplexity(
            texts, lambda name, a: golden.core(a.astype(np.float16), weights[name], config)
        ),
    )
