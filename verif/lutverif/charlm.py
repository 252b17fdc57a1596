"""The embedded workload: a small character-level language model with captured activations.

`scripts/train_charlm.py` trains it and writes the file read here. From the last characters it
predicts the next one: their embeddings, joined, enter a linear layer, then residual blocks of
RMSNorm and a SwiGLU perceptron, and a classifier. Dimensions are no multiples of 64 on purpose:
real layers are ragged, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .network import Linear, exact, in_float64, negative_log_likelihood, rms_norm, swiglu

__all__ = ["DATA", "CharLM", "load"]

DATA = Path(__file__).parent / "data" / "charlm.npz"
"""The embedded file: arrays named as the fields of `CharLM`, with entries after a slash."""


@dataclass(frozen=True)
class CharLM:
    """The model, what it was given while it read, and the text to judge it by.

    characters   the alphabet; a token is an index into it
    embedding    [V, E]; a context of C characters enters as C E numbers
    norms        gains [K] of "block0", "block1", ..., "classifier"
    weights      [N, K] of "input", "block0.gate_up", "block0.down", ..., "classifier"
    activations  [M, K] float16 per layer, from M consecutive positions of `validation`
    validation   tokens of text that was held out of training
    """

    characters: str
    embedding: NDArray[np.float32]
    norms: dict[str, NDArray[np.float32]]
    weights: dict[str, NDArray[np.float32]]
    activations: dict[str, NDArray[np.float16]]
    validation: NDArray[np.uint8]

    @property
    def context(self) -> int:
        """Characters from which the next one is predicted."""
        return self.weights["input"].shape[1] // self.embedding.shape[1]

    def forward(
        self, tokens: NDArray[np.integer], linear: Linear | None = None
    ) -> NDArray[np.float64]:
        """Logits [T - context + 1, V] after each full context of tokens [T].

        `linear` replaces the products with the model's own weights.
        """
        product = in_float64(linear or exact(self.weights))
        windows = sliding_window_view(tokens, self.context)
        x = product("input", self.embedding[windows].reshape(len(windows), -1).astype(np.float64))
        for block in (name for name in self.norms if name != "classifier"):
            inner = product(f"{block}.gate_up", rms_norm(x, self.norms[block]))
            gate, up = np.split(inner, 2, axis=1)
            x = x + product(f"{block}.down", swiglu(gate, up))
        return product("classifier", rms_norm(x, self.norms["classifier"]))

    def perplexity(self, linear: Linear | None = None, count: int | None = None) -> float:
        """Return exp of the mean loss over the first `count` validation positions, or all."""
        scored = len(self.validation) - self.context if count is None else count
        tokens = self.validation[: self.context + scored]
        losses = negative_log_likelihood(
            self.forward(tokens[:-1], linear), tokens[self.context :].astype(np.intp)
        )
        return float(np.exp(losses.mean()))


def load(path: Path = DATA) -> CharLM:
    """The model in `path`, as the training script writes it."""
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files}

    def under(prefix: str) -> dict[str, NDArray[np.generic]]:
        return {
            name.removeprefix(prefix): array
            for name, array in entries.items()
            if name.startswith(prefix)
        }

    def wide(arrays: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    return CharLM(
        characters=entries["characters"].tobytes().decode("ascii"),
        embedding=entries["embedding"].astype(np.float32),
        norms=wide(under("norms/")),
        weights=wide(under("weights/")),
        activations={
            name: array.astype(np.float16) for name, array in under("activations/").items()
        },
        validation=entries["validation"],
    )
