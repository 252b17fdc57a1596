"""`llama2c`: the forward pass against a plain per-token one, and the reading of directories."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutcore.errors import InputError
from lutverif import llama2c
from lutverif.llama2c import Llama
from lutverif.tokenizer import Tokenizer


def one_token_at_a_time(model: Llama, tokens: list[int]) -> np.ndarray:
    """The network as scalar loops over heads and pairs, with a cache of keys and values."""
    w = model.arrays
    layers, heads, share = model.shape.layers, 6, 3
    head = model.shape.dim // heads
    keys: dict[int, list[np.ndarray]] = {i: [] for i in range(layers)}
    values: dict[int, list[np.ndarray]] = {i: [] for i in range(layers)}

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return gain * x / math.sqrt(float(x @ x) / len(x) + 1e-5)

    def rotate(x: np.ndarray, position: int) -> np.ndarray:
        y = x.copy()
        for i in range(0, len(x), 2):
            angle = position / 10000 ** ((i % head) / head)
            y[i] = x[i] * math.cos(angle) - x[i + 1] * math.sin(angle)
            y[i + 1] = x[i] * math.sin(angle) + x[i + 1] * math.cos(angle)
        return y

    logits = []
    for position, token in enumerate(tokens):
        x = w["embedding"][token].astype(np.float64)
        for i in range(layers):
            inner = norm(x, w["attention_norm"][i])
            query = rotate(w["wq"][i] @ inner, position)
            keys[i].append(rotate(w["wk"][i] @ inner, position))
            values[i].append(w["wv"][i] @ inner)
            mixed = np.zeros(len(x))
            for h in range(heads):
                mine = slice(h * head, (h + 1) * head)
                g = h // share
                theirs = slice(g * head, (g + 1) * head)
                score = [math.exp(query[mine] @ k[theirs] / math.sqrt(head)) for k in keys[i]]
                for s, v in zip(score, values[i], strict=True):
                    mixed[mine] += s / sum(score) * v[theirs]
            x = x + w["wo"][i] @ mixed
            inner = norm(x, w["ffn_norm"][i])
            gate = w["w1"][i] @ inner
            x = x + w["w2"][i] @ (gate / (1 + np.exp(-gate)) * (w["w3"][i] @ inner))
        classifier = w["embedding"] if model.shape.shared else w["classifier"]
        logits.append(classifier @ norm(x, w["final_norm"]))
    return np.array(logits)


@pytest.mark.parametrize("sign", [1, -1])
def test_forward(tiny: Any, sign: int) -> None:
    tiny._replace(vocabulary=sign * tiny.vocabulary).write_model()
    model = llama2c.load(tiny.directory)
    assert len(model.weights) == 7 * tiny.layers + 1
    tokens = [1, 5, 260, 9, 266, 5, 0, 100]
    expected = one_token_at_a_time(model, tokens)
    # Not a contract on bits: both are float64 and differ in the order of sums only.
    np.testing.assert_allclose(model.forward(tokens), expected, rtol=0, atol=1e-11)


def test_linear_replaces_every_product(tiny: Any) -> None:
    model = llama2c.load(tiny.directory)
    called: list[str] = []

    def zero(name: str, activations: np.ndarray) -> np.ndarray:
        called.append(name)
        return np.zeros((len(activations), len(model.weights[name])), np.float32)

    assert not model.forward([1, 2, 3], zero).any()
    assert called == list(model.weights)
    assert abs(model.perplexity(["ab", "c"], zero) - tiny.vocabulary) < 1e-9


def test_generate_is_greedy(tiny: Any) -> None:
    model = llama2c.load(tiny.directory)
    tokens = model.generate(9)
    assert tokens[0] == 1 and 2 <= len(tokens) <= 9
    assert model.forward(tokens[:-1]).argmax(axis=1).tolist() == tokens[1:]


@pytest.mark.parametrize("count", [0, 41])
def test_refuses_too_many_tokens(tiny: Any, count: int) -> None:
    message = rf"^tokens must be 1\.\.40 in number, not {count}$"
    with pytest.raises(InputError, match=message):
        llama2c.load(tiny.directory).forward([1] * count)


def test_refuses_no_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: must hold one llama2\.c checkpoint .*\(none\)"):
        llama2c.load(tmp_path / "nowhere")


@pytest.mark.parametrize("cut", [27, 28, 5000, -1])
def test_refuses_truncated_checkpoint(tiny: Any, cut: int) -> None:
    path = tiny.model
    path.write_bytes(path.read_bytes()[:cut])
    message = "must hold one llama2.c checkpoint" if cut == 27 else "z_model.bin: must be .* long"
    with pytest.raises(InputError, match=message):
        llama2c.load(tiny.directory)


def test_refuses_longer_checkpoint(tiny: Any) -> None:
    with tiny.model.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match=r"z_model\.bin: must be \d+ bytes long as its header"):
        llama2c.load(tiny.directory)


def test_refuses_two_checkpoints(tiny: Any) -> None:
    (tiny.directory / "other.bin").write_bytes(tiny.model.read_bytes())
    with pytest.raises(InputError, match=r"\(a_tokenizer\.bin, other\.bin, z_model\.bin\), not 2$"):
        llama2c.load(tiny.directory)


def test_refuses_infinite_weights(tiny: Any) -> None:
    path = tiny.model
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", math.nan))
    with pytest.raises(InputError, match=r"z_model\.bin: unused_rotary must be finite"):
        llama2c.load(tiny.directory)


def test_refuses_other_tokenizers(tiny: Any, bpe: Tokenizer) -> None:
    message = r"must hold a whole tokenizer of 267 tokens for z_model\.bin among"
    whole = tiny.tokenizer.read_bytes()
    tiny.write_tokenizer(Tokenizer(bpe.tokens[:-1], bpe.scores[:-1]))
    for wrong in (tiny.tokenizer.read_bytes(), whole[:-1], b""):
        tiny.tokenizer.write_bytes(wrong)
        with pytest.raises(InputError, match=message):
            llama2c.load(tiny.directory)
    tiny.tokenizer.unlink()
    with pytest.raises(InputError, match=message):
        llama2c.load(tiny.directory)


def test_ignores_the_tokenizer_of_another_model(tiny: Any, bpe: Tokenizer) -> None:
    tiny.tokenizer.rename(tiny.directory / "other.bin")
    tiny.write_tokenizer(Tokenizer(bpe.tokens[:-1], bpe.scores[:-1]))
    assert llama2c.load(tiny.directory).tokenizer == bpe


def test_stories260k(measuring_data: Path) -> None:
    model = llama2c.load(measuring_data / "models" / "stories260K")
    sample = (measuring_data / "text" / "tinystories_sample.txt").read_text(encoding="utf-8")
    stories = [story.strip() for story in sample.split("<|endoftext|>")]
    assert round(model.perplexity(stories[1:3]), 4) == 3.0747
    for story in stories:
        assert model.tokenizer.decode(model.tokenizer.encode(story)) == story
    story = model.tokenizer.decode(model.generate(24))
    assert story.startswith("Once upon a time, there was a little girl named Lily.")
