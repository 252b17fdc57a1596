"""Llama checkpoints in the v0 format of llama2.c: reading them, and the forward pass.

A checkpoint is seven int32 (dim, hidden, layers, heads, key-value heads, vocabulary, positions;
a negative vocabulary says that the classifier is not the embedding) and float32 weights in the
order of `Shape.arrays`. Source of the format and of the network: A. Karpathy's llama2.c.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lutcore.errors import InputError

from .network import Linear, exact, in_float64, negative_log_likelihood, rms_norm, swiglu
from .tokenizer import BOS, Tokenizer, read

__all__ = ["Llama", "Shape", "load"]

_HEADER = struct.Struct("<7i")


@dataclass(frozen=True)
class Shape:
    """The header of a checkpoint. `shared`: the classifier is the token embedding."""

    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int
    shared: bool

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of the file after the header, in its order."""
        layers, dim, hidden, kv = self.layers, self.dim, self.hidden, self.kv_heads * self.head
        shapes: dict[str, tuple[int, ...]] = {
            "embedding": (self.vocabulary, dim),
            "attention_norm": (layers, dim),
            "wq": (layers, dim, dim),
            "wk": (layers, kv, dim),
            "wv": (layers, kv, dim),
            "wo": (layers, dim, dim),
            "ffn_norm": (layers, dim),
            "w1": (layers, hidden, dim),
            "w2": (layers, dim, hidden),
            "w3": (layers, hidden, dim),
            "final_norm": (dim,),
            "unused_rotary": (2, self.positions, self.head // 2),
        }
        if not self.shared:
            shapes["classifier"] = (self.vocabulary, dim)
        return shapes

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return _HEADER.size + 4 * sum(math.prod(shape) for shape in self.arrays().values())


def _read_shape(data: bytes) -> Shape | None:
    """The header at the start of `data`; None if no Llama could have it.

    A tokenizer never passes for one: the bits of its first score are 0 or a huge integer.
    """
    if len(data) < _HEADER.size:
        return None
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = _HEADER.unpack_from(data)
    if not all(0 < x < 1 << 24 for x in (dim, hidden, layers, heads, kv_heads, positions)):
        return None
    if not 0 < abs(vocabulary) < 1 << 24 or dim % (2 * heads) or heads % kv_heads:
        return None
    return Shape(dim, hidden, layers, heads, kv_heads, abs(vocabulary), positions, vocabulary > 0)


@dataclass(frozen=True)
class Llama:
    """A checkpoint with its tokenizer.

    weights  the linear layers, [N, K] float32 by name ("layer0.wq" ... "classifier"), in the order
             in which the forward pass calls them
    arrays   every array of the file, by the names of `Shape.arrays`
    """

    shape: Shape
    tokenizer: Tokenizer
    weights: dict[str, NDArray[np.float32]]
    arrays: dict[str, NDArray[np.float32]]

    def forward(self, tokens: list[int], linear: Linear | None = None) -> NDArray[np.float64]:
        """Logits [T, vocabulary] of the token after each of `tokens`; `linear` replaces products.

        InputError if the tokens are none, or more than the positions that the model knows.
        """
        shape, arrays = self.shape, self.arrays
        if not 1 <= len(tokens) <= shape.positions:
            raise InputError(f"tokens must be 1..{shape.positions} in number, not {len(tokens)}")
        product = in_float64(linear or exact(self.weights))
        x = arrays["embedding"][tokens].astype(np.float64)
        for layer in range(shape.layers):
            here = f"layer{layer}"
            inner = rms_norm(x, arrays["attention_norm"][layer])
            q, k, v = (product(f"{here}.{name}", inner) for name in ("wq", "wk", "wv"))
            x = x + product(f"{here}.wo", self._attend(q, k, v))
            inner = rms_norm(x, arrays["ffn_norm"][layer])
            gate, up = product(f"{here}.w1", inner), product(f"{here}.w3", inner)
            x = x + product(f"{here}.w2", swiglu(gate, up))
        return product("classifier", rms_norm(x, arrays["final_norm"]))

    def _attend(
        self, q: NDArray[np.float64], k: NDArray[np.float64], v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """[T, dim] of causal attention; each key-value head serves heads / kv_heads queries."""
        shape = self.shape
        length = len(q)
        q = self._rotate(q.reshape(length, shape.kv_heads, -1, shape.head))
        k = self._rotate(k.reshape(length, shape.kv_heads, 1, shape.head))[:, :, 0]
        v = v.reshape(length, shape.kv_heads, shape.head)
        scores = np.einsum("tgrh,sgh->grts", q, k) / math.sqrt(shape.head)
        scores += np.triu(np.full((length, length), -np.inf), 1)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.einsum("grts,sgh->tgrh", scores, v).reshape(length, shape.dim)

    def _rotate(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rotary position embedding of x [T, ..., head]: neighbours form the pairs."""
        pairs = x.reshape(*x.shape[:-1], -1, 2)
        rates = 10000.0 ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1])
        turn = np.exp(1j * np.arange(len(x))[:, None] * rates)
        turn = turn.reshape(len(x), *(1,) * (x.ndim - 2), -1)
        turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn
        return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)

    def generate(self, count: int) -> list[int]:
        """BOS and up to `count` - 1 tokens of the most likely story; a story ends before BOS."""
        tokens = [BOS]
        while len(tokens) < min(count, self.shape.positions):
            following = int(self.forward(tokens)[-1].argmax())
            if following == BOS:
                break
            tokens.append(following)
        return tokens

    def perplexity(self, texts: list[str], linear: Linear | None = None) -> float:
        """Return exp of the mean negative log likelihood of all tokens of `texts`.

        Each text is scored apart, after BOS; BOS itself is not scored.
        """
        losses = []
        for text in texts:
            tokens = self.tokenizer.encode(text)
            logits = self.forward(tokens[:-1], linear)
            losses.append(negative_log_likelihood(logits, np.array(tokens[1:])))
        return float(np.exp(np.concatenate(losses).mean()))


def load(directory: Path) -> Llama:
    """The checkpoint and the tokenizer among the *.bin files of `directory`, told apart by content.

    InputError unless there is exactly one checkpoint, whole and finite, and a tokenizer of as many
    tokens as it has.
    """
    try:
        files = {path: path.read_bytes() for path in sorted(directory.glob("*.bin"))}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None
    shapes = {path: shape for path, data in files.items() if (shape := _read_shape(data))}
    found = ", ".join(path.name for path in files) or "none"
    if len(shapes) != 1:
        raise InputError(
            f"{directory}: must hold one llama2.c checkpoint among its *.bin files ({found}), "
            f"not {len(shapes)}"
        )
    ((path, shape),) = shapes.items()
    data = files.pop(path)
    if len(data) != shape.bytes:
        raise InputError(
            f"{path}: must be {shape.bytes} bytes long as its header says, not {len(data)}"
        )
    tokenizers = [read(data) for data in files.values()]
    fitting = [t for t in tokenizers if t is not None and len(t.tokens) == shape.vocabulary]
    if not fitting:
        raise InputError(
            f"{directory}: must hold a whole tokenizer of {shape.vocabulary} tokens for "
            f"{path.name} among its *.bin files ({found})"
        )
    arrays = _read_arrays(data, shape)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {name} must be finite, but holds an infinity or NaN")
    weights = {
        f"layer{layer}.{name}": arrays[name][layer]
        for layer in range(shape.layers)
        for name in ("wq", "wk", "wv", "wo", "w1", "w3", "w2")
    }
    weights["classifier"] = arrays["embedding" if shape.shared else "classifier"]
    return Llama(shape, fitting[0], weights, arrays)


def _read_arrays(data: bytes, shape: Shape) -> dict[str, NDArray[np.float32]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    offset = _HEADER.size
    for name, extent in shape.arrays().items():
        count = math.prod(extent)
        arrays[name] = np.frombuffer(data, "<f4", count, offset).reshape(extent)
        offset += 4 * count
    return arrays
