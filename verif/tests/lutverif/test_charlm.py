"""`charlm`: the embedded model is whole, small, useful, and its activations are its own."""

from __future__ import annotations

import numpy as np
import pytest

from lutverif import charlm
from lutverif.charlm import CharLM
from lutverif.network import Capture, exact


@pytest.fixture(scope="module")
def model() -> CharLM:
    return charlm.load()


def test_file_is_small() -> None:
    assert charlm.DATA.stat().st_size <= 500_000


def test_layers_are_ragged(model: CharLM) -> None:
    shapes = {name: weights.shape for name, weights in model.weights.items()}
    assert len(set(shapes.values())) >= 4
    assert any(k % 64 for _, k in shapes.values()) and any(n % 64 for n, _ in shapes.values())
    assert {name: array.shape[1] for name, array in model.activations.items()} == {
        name: k for name, (_, k) in shapes.items()
    }


def test_perplexity_is_useful(model: CharLM) -> None:
    share = np.bincount(model.validation, minlength=len(model.characters)) / len(model.validation)
    share = share[share > 0]
    order0 = np.exp(-(share * np.log(share)).sum())
    assert order0 > 20
    assert model.perplexity() < 4.2
    assert model.perplexity(count=100) == model.perplexity(exact(model.weights), count=100)


def test_activations_are_captured_from_validation(model: CharLM) -> None:
    rows = len(model.activations["input"])
    assert rows == 48
    capture = Capture(exact(model.weights))
    model.forward(model.validation[: model.context + rows - 1], capture)
    assert list(capture.activations) == list(model.weights)
    for name, activations in capture.activations.items():
        stored = model.activations[name]
        assert stored.dtype == np.float16 and np.isfinite(stored).all()
        # Another BLAS may round a sum differently, so the last place of float16 is left open.
        near = np.spacing(np.abs(stored).astype(np.float16)) + np.float16(1e-4)
        assert (np.abs(activations - stored) <= near).all()


def test_linear_replaces_every_product(model: CharLM) -> None:
    called: list[str] = []

    def zero(name: str, activations: np.ndarray) -> np.ndarray:
        called.append(name)
        return np.zeros((len(activations), len(model.weights[name])), np.float32)

    logits = model.forward(model.validation[:30], zero)
    assert called == list(model.weights)
    assert logits.shape == (30 - model.context + 1, len(model.characters)) and not logits.any()


def test_context_is_causal(model: CharLM) -> None:
    tokens = model.validation[:60].copy()
    before = model.forward(tokens)
    tokens[50] ^= 1
    after = model.forward(tokens)
    changed = np.flatnonzero((before != after).any(axis=1)) + model.context - 1
    assert changed.min() == 50
