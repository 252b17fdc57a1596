"""The byte-pair tokenizer that a llama2.c checkpoint comes with.

Its file is an int32 (length of the longest token) and, for every token, a float32 score, an int32
length and that many bytes. Source of the format and of the merging: A. Karpathy's llama2.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["BOS", "EOS", "Tokenizer", "read"]

UNKNOWN, BOS, EOS = 0, 1, 2
FIRST_BYTE = 3
_LONGEST = struct.Struct("<i")
_TOKEN = struct.Struct("<fi")


@dataclass(frozen=True)
class Tokenizer:
    """Byte-pair tokens with scores. Token 0 is unknown, 1 BOS, 2 EOS, 3 to 258 single bytes."""

    tokens: list[bytes]
    scores: list[float]

    def encode(self, text: str) -> list[int]:
        """Token numbers of `text`, BOS first; the neighbours of the best score merge first."""
        index: dict[bytes, int] = {}
        for number, token in enumerate(self.tokens):
            index.setdefault(token, number)
        numbers: list[int] = []
        for character in " " + text if text else "":
            code = character.encode()
            known = index.get(code)
            numbers.extend([FIRST_BYTE + byte for byte in code] if known is None else [known])
        while True:
            best: tuple[float, int, int] | None = None
            for place, (left, right) in enumerate(zip(numbers, numbers[1:], strict=False)):
                merged = index.get(self.tokens[left] + self.tokens[right])
                if merged is not None and (best is None or self.scores[merged] > best[0]):
                    best = self.scores[merged], place, merged
            if best is None:
                return [BOS, *numbers]
            numbers[best[1] : best[1] + 2] = [best[2]]

    def decode(self, numbers: list[int]) -> str:
        """The text of token numbers; BOS and EOS have none."""
        text = b""
        previous = UNKNOWN
        for number in numbers:
            if number not in (BOS, EOS):
                token = self.tokens[number]
                if FIRST_BYTE <= number < FIRST_BYTE + 256:
                    token = bytes([number - FIRST_BYTE])
                text += token[1:] if previous == BOS and token[:1] == b" " else token
            previous = number
        return text.decode(errors="replace")


def read(data: bytes) -> Tokenizer | None:
    """The tokenizer of a file's contents; None unless they are whole tokens and nothing else."""
    tokens: list[bytes] = []
    scores: list[float] = []
    offset = _LONGEST.size
    while offset + _TOKEN.size <= len(data):
        score, length = _TOKEN.unpack_from(data, offset)
        offset += _TOKEN.size
        if not 0 <= length <= len(data) - offset:
            return None
        tokens.append(data[offset : offset + length])
        scores.append(score)
        offset += length
    if offset != len(data) or len(tokens) < FIRST_BYTE + 256:
        return None
    return (
        Tokenizer(tokens, scores)
        if max(map(len, tokens)) <= _LONGEST.unpack_from(data)[0]
        else None
    )
