"""The arithmetic that the two language models share, and the type of their pluggable linear layers.

A model's forward pass does everything but its matrix products; those it asks of a `Linear`. Exact
products, quantised weights and the golden core are all called the same way:

    model.forward(tokens)                                        # the model's own weights
    model.forward(tokens, lambda name, a: golden.core(...))      # the same network through the core
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Capture",
    "Linear",
    "exact",
    "in_float64",
    "negative_log_likelihood",
    "rms_norm",
    "swiglu",
]

Linear = Callable[[str, NDArray[np.float64]], NDArray[np.generic]]
"""`linear(name, activations [T, K]) -> outputs [T, N]` of the layer called `name`."""


def exact(weights: dict[str, NDArray[np.float32]]) -> Linear:
    """The layers of `weights`, each [N, K], multiplied in float64."""
    return lambda name, activations: activations @ weights[name].astype(np.float64).T


def in_float64(linear: Linear) -> Callable[[str, NDArray[np.float64]], NDArray[np.float64]]:
    """`linear` with its outputs widened to float64, in which the rest of a network is computed."""
    return lambda name, activations: linear(name, activations).astype(np.float64)


class Capture:
    """A `Linear` that passes everything to another one and keeps what each layer was given.

    `activations` maps the name of a layer to its input [T, K] of the last call.
    """

    def __init__(self, linear: Linear) -> None:
        self.linear = linear
        self.activations: dict[str, NDArray[np.float64]] = {}

    def __call__(self, name: str, activations: NDArray[np.float64]) -> NDArray[np.generic]:
        """Keep `activations`, and pass them on."""
        self.activations[name] = activations
        return self.linear(name, activations)


def rms_norm(x: NDArray[np.float64], gain: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale x [..., K] to a root mean square of one, times gain [K]."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-5) * gain


def swiglu(gate: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """silu(gate) * up, with silu(x) = x / (1 + e^-x) in the form that never overflows."""
    return gate * (0.5 + 0.5 * np.tanh(0.5 * gate)) * up


def negative_log_likelihood(
    logits: NDArray[np.float64], targets: NDArray[np.integer]
) -> NDArray[np.float64]:
    """[T] nats: -ln of the probability that logits [T, V] give to targets [T]."""
    peak = logits.max(axis=-1)
    total = np.log(np.exp(logits - peak[:, None]).sum(axis=-1)) + peak
    return total - logits[np.arange(len(targets)), targets]
