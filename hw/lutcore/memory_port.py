"""`MemoryPort`: how an engine asks for memory, whatever bus is behind it.

    reads, writes   {address, beats}     a request; beats is their number - 1
    read_data       {data, last, error}  in order of reads; last ends a read, error spoils the beat
    write_data      {data, strobe}       in order of writes; a strobe bit writes a byte
    write_done      {error}              one a write, in order, when its data has been written

Every border is a valid/ready stream. An address counts bytes and is a multiple of the width of a
beat; byte i of a beat, at address + i, is in its bits 8 i to 8 i + 7. A request may be of any
length and cross any boundary, but ends below 2^address_bits. Reads and writes are not ordered
among each other: a read sees a write for certain once that is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib import data

from .errors import check_power_of_two, check_range

__all__ = ["MemoryPort"]


@dataclass(frozen=True, kw_only=True)
class MemoryPort:
    """Parameters of a memory port, and the payloads of its streams.

    data_bits     width of a beat: a power of two, 32 to 1024
    address_bits  width of a byte address, 12 to 64
    length_bits   width of the number of beats of a request, 1 to 32

    ConfigError names a field that is out of range.
    """

    data_bits: int = 64
    address_bits: int = 32
    length_bits: int = 16

    def __post_init__(self) -> None:
        check_power_of_two("data_bits", self.data_bits, 32, 1024)
        check_range("address_bits", self.address_bits, 12, 64)
        check_range("length_bits", self.length_bits, 1, 32)

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat."""
        return self.data_bits // 8

    @property
    def offset_bits(self) -> int:
        """Low bits of an address that select a byte of a beat; they are 0 in a request."""
        return (self.beat_bytes - 1).bit_length()

    @property
    def request(self) -> data.StructLayout:
        """Payload of `reads` and `writes`."""
        return data.StructLayout({"address": self.address_bits, "beats": self.length_bits})

    @property
    def read_data(self) -> data.StructLayout:
        """Payload of `read_data`."""
        return data.StructLayout({"data": self.data_bits, "last": 1, "error": 1})

    @property
    def write_data(self) -> data.StructLayout:
        """Payload of `write_data`."""
        return data.StructLayout({"data": self.data_bits, "strobe": self.beat_bytes})

    @property
    def write_done(self) -> data.StructLayout:
        """Payload of `write_done`."""
        return data.StructLayout({"error": 1})
