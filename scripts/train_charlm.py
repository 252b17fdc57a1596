"""Train the embedded character-level language model and write verif/lutverif/data/charlm.npz.

    python scripts/train_charlm.py [--out FILE]

The text is `pydoc_data.topics` of the running CPython: the same CPython, numpy and processor give
the same file, bit for bit. It takes a few minutes on one core. Everything is numpy; the gradients
are written out below. The network is that of `lutverif.charlm`, whose own forward pass measures the
perplexity and captures the activations at the end.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the order of sums must not depend on the cores

import argparse
import re
import time
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from lutverif import charlm
from lutverif.network import Capture, exact

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "."})
CHUNK, PERIOD = 1024, 20
CONTEXT, EMBEDDING, WIDTH, HIDDEN, BLOCKS = 24, 10, 128, 168, 2
BATCH, STEPS, WARMUP, RATE, DECAY = 256, 8000, 200, 4e-3, 0.3
CAPTURED = 48

Arrays = dict[str, NDArray[np.float32]]


def corpus() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tokens for training and for validation: every 20th chunk of 1024 characters is held out.

    Topics quote each other, so each paragraph is kept once. Runs of a character (indentation,
    rulings) shrink to two, which leaves English and code.
    """
    paragraphs: dict[str, None] = {}
    for _, topic in sorted(topics.items()):
        paragraphs.update(dict.fromkeys(p.strip() for p in topic.split("\n\n")))
    text = "\n".join(paragraphs).translate(TYPOGRAPHY)
    text = re.sub(r" *\n *", "\n", text)
    text = re.sub(r"(.)\1{2,}", r"\1\1", text, flags=re.DOTALL).replace("  ", " ")
    # The few characters that are neither ASCII nor mapped become newlines.
    tokens = np.array([max(CHARACTERS.find(c), 0) for c in text], dtype=np.uint8)
    chunks = tokens[: len(tokens) // CHUNK * CHUNK].reshape(-1, CHUNK)
    held = np.arange(len(chunks)) % PERIOD == PERIOD // 2
    return chunks[~held].ravel(), chunks[held].ravel()


def initial(random: np.random.Generator) -> Arrays:
    """Random parameters, named as in the file."""

    def matrix(n: int, k: int, gain: float = 1.0) -> NDArray[np.float32]:
        return (random.standard_normal((n, k)) * gain / np.sqrt(k)).astype(np.float32)

    arrays = {"embedding": matrix(len(CHARACTERS), EMBEDDING, np.sqrt(EMBEDDING))}
    arrays["weights/input"] = matrix(WIDTH, CONTEXT * EMBEDDING)
    for block in range(BLOCKS):
        arrays[f"norms/block{block}"] = np.ones(WIDTH, np.float32)
        arrays[f"weights/block{block}.gate_up"] = matrix(2 * HIDDEN, WIDTH)
        arrays[f"weights/block{block}.down"] = matrix(WIDTH, HIDDEN, 0.5)
    arrays["norms/classifier"] = np.ones(WIDTH, np.float32)
    arrays["weights/classifier"] = matrix(len(CHARACTERS), WIDTH, 0.1)
    return arrays


class Norm:
    """RMSNorm of one batch, kept for its gradient."""

    def __init__(self, x: NDArray[np.float32], gain: NDArray[np.float32]) -> None:
        self.gain = gain
        self.rate = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + np.float32(1e-5))
        self.unit = x * self.rate
        self.y = self.unit * gain

    def gradient(self, dy: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gradients of the input and of the gain."""
        dunit = dy * self.gain
        along = np.mean(dunit * self.unit, axis=1, keepdims=True)
        return self.rate * (dunit - self.unit * along), (dy * self.unit).sum(axis=0)


def loss_and_gradients(
    arrays: Arrays, contexts: NDArray[np.uint8], targets: NDArray[np.uint8]
) -> tuple[float, Arrays]:
    """Mean loss in nats over a batch, contexts [B, C] and targets [B], and its gradients."""
    grads: Arrays = {}
    batch = len(targets)
    joined = arrays["embedding"][contexts].reshape(batch, -1)
    x = joined @ arrays["weights/input"].T
    kept = []
    for block in range(BLOCKS):
        norm = Norm(x, arrays[f"norms/block{block}"])
        gate, up = np.split(norm.y @ arrays[f"weights/block{block}.gate_up"].T, 2, axis=1)
        sigmoid = 0.5 + 0.5 * np.tanh(0.5 * gate)
        product = gate * sigmoid * up
        x = x + product @ arrays[f"weights/block{block}.down"].T
        kept.append((norm, gate, up, sigmoid, product))
    norm = Norm(x, arrays["norms/classifier"])
    logits = norm.y @ arrays["weights/classifier"].T
    logits -= logits.max(axis=1, keepdims=True)
    share = np.exp(logits)
    total = share.sum(axis=1, keepdims=True)
    rows = np.arange(batch)
    loss = float(np.mean(np.log(total[:, 0]) - logits[rows, targets]))

    dlogits = share / total
    dlogits[rows, targets] -= 1
    dlogits /= batch
    grads["weights/classifier"] = dlogits.T @ norm.y
    dx, grads["norms/classifier"] = norm.gradient(dlogits @ arrays["weights/classifier"])
    for block in reversed(range(BLOCKS)):
        norm, gate, up, sigmoid, product = kept[block]
        grads[f"weights/block{block}.down"] = dx.T @ product
        dproduct = dx @ arrays[f"weights/block{block}.down"]
        dgate = dproduct * up * sigmoid * (1 + gate * (1 - sigmoid))
        dinner = np.concatenate([dgate, dproduct * gate * sigmoid], axis=1)
        grads[f"weights/block{block}.gate_up"] = dinner.T @ norm.y
        dinput, grads[f"norms/block{block}"] = norm.gradient(
            dinner @ arrays[f"weights/block{block}.gate_up"]
        )
        dx = dx + dinput
    grads["weights/input"] = dx.T @ joined
    djoined = dx @ arrays["weights/input"]
    places = contexts.astype(np.intp)[:, :, None] * EMBEDDING + np.arange(EMBEDDING)
    flat = np.bincount(places.ravel(), djoined.ravel(), arrays["embedding"].size)
    grads["embedding"] = flat.reshape(-1, EMBEDDING).astype(np.float32)
    return loss, grads


def train(tokens: NDArray[np.uint8]) -> Arrays:
    """Parameters after Adam with decoupled decay of the matrices and a cosine schedule."""
    random = np.random.default_rng(2023)
    arrays = initial(random)
    first = {name: np.zeros_like(array) for name, array in arrays.items()}
    second = {name: np.zeros_like(array) for name, array in arrays.items()}
    windows = np.lib.stride_tricks.sliding_window_view(tokens, CONTEXT + 1)
    began, recent = time.monotonic(), 0.0
    for step in range(1, STEPS + 1):
        batch = windows[random.integers(len(windows), size=BATCH)]
        loss, grads = loss_and_gradients(arrays, batch[:, :-1], batch[:, -1])
        rate = RATE * min(step / WARMUP, 0.5 + 0.5 * np.cos(np.pi * step / STEPS))
        size = rate * np.sqrt(1 - 0.99**step) / (1 - 0.9**step)
        for name, array in arrays.items():
            first[name] += np.float32(0.1) * (grads[name] - first[name])
            second[name] += np.float32(0.01) * (grads[name] ** 2 - second[name])
            if name.startswith("weights/"):
                array *= np.float32(1 - rate * DECAY)
            array -= np.float32(size) * first[name] / (np.sqrt(second[name]) + np.float32(1e-8))
        recent += (loss - recent) * (1 / step if step < 200 else 1 / 200)
        if step % 1000 == 0:
            seconds = time.monotonic() - began
            print(f"step {step:6d}  training perplexity {np.exp(recent):6.3f}  {seconds:4.0f} s")
    return arrays


def write(path: Path, entries: dict[str, NDArray[np.generic]]) -> None:
    """Compress `entries` to `path`, by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    with temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **entries)
    temporary.replace(path)


def main() -> None:
    """Train, write, and measure."""
    parser = argparse.ArgumentParser(description="Train the embedded language model.")
    parser.add_argument("--out", type=Path, default=charlm.DATA, help="file to write")
    out: Path = parser.parse_args().out
    training, validation = corpus()
    print(f"{len(training)} characters to train on, {len(validation)} held out")
    entries: dict[str, NDArray[np.generic]] = {
        name: array.astype(np.float16) for name, array in train(training).items()
    }
    entries["characters"] = np.frombuffer(CHARACTERS.encode("ascii"), np.uint8)
    entries["validation"] = validation
    write(out, entries)
    model = charlm.load(out)
    capture = Capture(exact(model.weights))
    model.forward(validation[: CONTEXT + CAPTURED - 1], capture)
    for name, activations in capture.activations.items():
        entries[f"activations/{name}"] = activations.astype(np.float16)
    write(out, entries)
    share = np.bincount(training, minlength=len(CHARACTERS)) + 1.0
    order0 = np.exp(-np.log(share / share.sum())[validation[CONTEXT:]].mean())
    print(f"validation perplexity {model.perplexity():.3f}, order 0 {order0:.3f}")
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
