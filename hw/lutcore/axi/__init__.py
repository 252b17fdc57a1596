"""Buses: a memory port on AXI4, control registers on AXI4-Lite, AXI4-Stream."""

from .bus import AxiLiteSignature, AxiSignature, AxiStreamSignature
from .control import ControlRegisters
from .master import AxiMaster
from .parameters import AxiParameters
from .reader import AxiReader
from .registers import RegisterMap, engine_registers
from .stream_core import StreamCore
from .writer import AxiWriter

__all__ = [
    "AxiLiteSignature",
    "AxiMaster",
    "AxiParameters",
    "AxiReader",
    "AxiSignature",
    "AxiStreamSignature",
    "AxiWriter",
    "ControlRegisters",
    "RegisterMap",
    "StreamCore",
    "engine_registers",
]
