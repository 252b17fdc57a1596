"""`tokenizer`: merging by score, the leading space, bytes for the unknown, whole files only."""

from __future__ import annotations

import struct
from typing import Any

from lutverif.tokenizer import Tokenizer, read

SPACE, A, B, C, AB, BC, SPACE_AB, ACCENT = range(259, 267)


def test_best_score_merges_first(bpe: Tokenizer) -> None:
    assert bpe.encode("abc") == [1, SPACE, A, BC]
    assert bpe.encode("ab") == [1, SPACE_AB]
    assert bpe.encode("abab") == [1, SPACE_AB, AB]


def test_unknown_characters_become_bytes(bpe: Tokenizer) -> None:
    assert bpe.encode("é€") == [1, SPACE, ACCENT, *(3 + b for b in "€".encode())]


def test_empty_text_is_bos(bpe: Tokenizer) -> None:
    assert bpe.encode("") == [1]


def test_decode_inverts_encode(bpe: Tokenizer) -> None:
    for text in ("abc", " a b", "né €\n", "<0x41>", ""):
        assert bpe.decode(bpe.encode(text)) == text


def test_decode_marks_broken_utf8(bpe: Tokenizer) -> None:
    assert bpe.decode([1, A, 3 + 0xE2]) == "a\ufffd"


def test_read(tiny: Any, bpe: Tokenizer) -> None:
    data = tiny.tokenizer.read_bytes()
    assert read(data) == bpe
    for wrong in (b"", data[:4], data[:-1], data + b"\0", struct.pack("<i", 1) + data[4:]):
        assert read(wrong) is None
