"""LMMA programs in files: text, or the words that `lutcore asm` writes."""

from __future__ import annotations

from pathlib import Path

from lutcore.errors import InputError
from lutcore.lmma import EngineConfig, assemble, from_bytes

from .files import in_file

__all__ = ["read_program", "read_words"]


def read_program(path: Path, config: EngineConfig) -> list[int]:
    """The words of a program, text or not; InputError with file, line and column."""
    content = path.read_bytes()
    if b"\0" in content:  # every word has zeros, no text has
        return read_words(path)
    try:
        source = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be UTF-8 text, but byte {error.start} is not") from None
    try:
        return assemble(source, config)
    except InputError as error:
        raise InputError(f"{path}:{error}") from None


def read_words(path: Path) -> list[int]:
    """The words of a program in a file of bytes; InputError where they are none."""
    with in_file(path):
        return from_bytes(path.read_bytes())
