"""`workload`: layers and activations fit together, whichever model they come from."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from lutcore.errors import InputError
from lutverif import llama2c, workload
from lutverif.tokenizer import Tokenizer
from lutverif.workload import Layer


def check(layers: list[Layer], rows: int) -> None:
    assert len({layer.name for layer in layers}) == len(layers)
    for layer in layers:
        assert layer.weights.dtype == np.float32 and layer.activations.dtype == np.float16
        assert layer.activations.shape == (rows, layer.weights.shape[1])
        assert np.isfinite(layer.activations).all() and layer.activations.any()


def test_embedded() -> None:
    layers = workload.load()
    assert [layer.name for layer in layers] == [
        *("input", "block0.gate_up", "block0.down", "block1.gate_up", "block1.down", "classifier")
    ]
    check(layers, 48)


def test_checkpoint_reads_what_it_generates(tiny: Any) -> None:
    model = llama2c.load(tiny.directory)
    layers = workload.load(tiny.directory)
    assert len(layers) == 7 * tiny.layers + 1
    check(layers, len(model.generate(16)))


def test_checkpoint_reads_the_text_beside_it(tiny: Any, bpe: Tokenizer) -> None:
    (tiny.directory / "story.txt").write_text("abc é\n")
    tokens = bpe.encode("abc é")
    layers = workload.load(tiny.directory)
    check(layers, len(tokens))
    model = llama2c.load(tiny.directory)
    embedded = model.arrays["embedding"][tokens].astype(np.float64)
    unit = embedded / np.sqrt((embedded**2).mean(axis=1, keepdims=True) + 1e-5)
    expected = (unit * model.arrays["attention_norm"][0]).astype(np.float16)
    assert (layers[0].activations == expected).all()


def test_long_text_is_cut(tiny: Any) -> None:
    (tiny.directory / "story.txt").write_text("ca" * 100)
    check(workload.load(tiny.directory), 16)


def test_refuses_text_that_is_none(tiny: Any) -> None:
    (tiny.directory / "story.txt").write_bytes(b"abc\xff")
    with pytest.raises(InputError, match=r"story\.txt: must be UTF-8 text, but byte 3 is not$"):
        workload.load(tiny.directory)


def test_refuses_activations_beyond_float16(tiny: Any) -> None:
    data = bytearray(tiny.model.read_bytes())
    first_gain = 28 + 4 * tiny.dim * tiny.vocabulary
    data[first_gain : first_gain + 4 * tiny.dim] = struct.pack("<f", 1e6) * tiny.dim
    tiny.model.write_bytes(data)
    with pytest.raises(
        InputError, match=r"activations of layer0\.wq reach .* float16 ends at 65504"
    ):
        workload.load(tiny.directory)
