"""LMMA: the instructions of an engine around the core, as data, as text and as words."""

from .assembler import AssemblyError, assemble, disassemble, from_bytes, text, to_bytes
from .config import EngineConfig
from .encoding import INSTRUCTIONS, Cause, Op, Refusal, decode, encode, illegal, new

__all__ = [
    "INSTRUCTIONS",
    "AssemblyError",
    "Cause",
    "EngineConfig",
    "Op",
    "Refusal",
    "assemble",
    "decode",
    "disassemble",
    "encode",
    "from_bytes",
    "illegal",
    "new",
    "text",
    "to_bytes",
]
