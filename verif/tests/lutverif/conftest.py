"""A tiny llama2.c model in files, written here by hand and not by the code under test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from lutverif.tokenizer import Tokenizer

BYTES = [f"<0x{i:02X}>".encode() for i in range(256)]
PIECES = [b" ", b"a", b"b", b"c", b"ab", b"bc", b" ab", "é".encode()]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -1.0, -3.0, -4.0]


class TinyLlama(NamedTuple):
    """Where the model lies, and the seven numbers of its header."""

    directory: Path
    dim: int = 24
    hidden: int = 20
    layers: int = 2
    heads: int = 6
    kv_heads: int = 2
    vocabulary: int = 267
    positions: int = 40

    @property
    def model(self) -> Path:
        return self.directory / "z_model.bin"

    @property
    def tokenizer(self) -> Path:
        return self.directory / "a_tokenizer.bin"

    def write_model(self) -> None:
        """Random weights after the header."""
        kv = self.dim // self.heads * self.kv_heads
        attention = self.dim * (2 * self.dim + 2 * kv)
        layer = self.dim + attention + self.dim + 3 * self.dim * self.hidden
        embedding = abs(self.vocabulary) * self.dim
        count = embedding + self.layers * layer + self.dim
        count += self.positions * (self.dim // self.heads)
        count += embedding if self.vocabulary < 0 else 0
        values = np.random.default_rng(5).standard_normal(count) * 0.3
        self.model.write_bytes(struct.pack("<7i", *self[1:]) + values.astype("<f4").tobytes())

    def write_tokenizer(self, tokenizer: Tokenizer) -> None:
        data = struct.pack("<i", max(map(len, tokenizer.tokens)))
        for token, score in zip(tokenizer.tokens, tokenizer.scores, strict=True):
            data += struct.pack("<fi", score, len(token)) + token
        self.tokenizer.write_bytes(data)


@pytest.fixture
def bpe() -> Tokenizer:
    """Special tokens, bytes, and from number 259 on the `PIECES`."""
    return Tokenizer([b"<unk>", b"\n<s>\n", b"\n</s>\n", *BYTES, *PIECES], [0.0] * 259 + SCORES)


@pytest.fixture
def tiny(tmp_path: Path, bpe: Tokenizer) -> TinyLlama:
    llama = TinyLlama(tmp_path)
    llama.write_model()
    llama.write_tokenizer(bpe)
    return llama
