"""`AxiParameters`: what an AXI4 master is built for."""

from __future__ import annotations

from dataclasses import dataclass, field

from lutcore.errors import check_power_of_two, check_range
from lutcore.memory_port import MemoryPort

from .bus import AxiReadSignature, AxiSignature, AxiWriteSignature

__all__ = ["PAGE_BYTES", "AxiParameters"]

PAGE_BYTES = 4096
"""No burst crosses a multiple of it, so that every burst has one slave (IHI 0022, A3.4.1)."""


@dataclass(frozen=True, kw_only=True)
class AxiParameters:
    """Parameters of `AxiReader`, `AxiWriter` and `AxiMaster`.

    port         the memory port served; the bus has its widths
    id_bits      width of the IDs, 1 to 32; all of them are 0, which keeps bursts in order
    max_beats    beats of the longest burst: a power of two, 1 to 256
    outstanding  bursts in flight, reads and writes each, 1 to 64

    ConfigError names a field that is out of range.
    """

    port: MemoryPort = field(default_factory=MemoryPort)
    id_bits: int = 1
    max_beats: int = 16
    outstanding: int = 4

    def __post_init__(self) -> None:
        check_range("id_bits", self.id_bits, 1, 32)
        check_power_of_two("max_beats", self.max_beats, 1, 256)
        check_range("outstanding", self.outstanding, 1, 64)

    @property
    def block_beats(self) -> int:
        """Beats of an aligned block that no burst leaves: max_beats, but 4 KiB at most.

        A burst that stays inside such a block crosses no multiple of 4 KiB either.
        """
        return min(self.max_beats, PAGE_BYTES // self.port.beat_bytes)

    @property
    def _widths(self) -> dict[str, int]:
        return {
            "data_bits": self.port.data_bits,
            "address_bits": self.port.address_bits,
            "id_bits": self.id_bits,
        }

    @property
    def read_bus(self) -> AxiReadSignature:
        """The bus of a reader."""
        return AxiReadSignature(**self._widths)

    @property
    def write_bus(self) -> AxiWriteSignature:
        """The bus of a writer."""
        return AxiWriteSignature(**self._widths)

    @property
    def bus(self) -> AxiSignature:
        """The bus of a master that reads and writes."""
        return AxiSignature(**self._widths)
