"""A memory behind the bus of a master: what cocotbext-axi does with it is up to the bench."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiSlave

__all__ = ["SlaveMemory", "channels", "pauses"]

BLOCK = 64


def pauses(rng: random.Random, rate: float) -> Iterator[bool]:
    """Whether a channel pauses, cycle by cycle."""
    while True:
        yield rng.random() < rate


def channels(side: Any) -> list[Any]:
    """The five channels of a master or slave of cocotbext-axi."""
    assert side.write_if and side.read_if
    return [
        side.write_if.aw_channel, side.write_if.w_channel, side.write_if.b_channel,
        side.read_if.ar_channel, side.read_if.r_channel,
    ]  # fmt: skip


class SlaveMemory:
    """Bytes behind `m_axi` of a unit.

    content  the bytes; beyond them is SLVERR
    bad      blocks of 64 bytes, by number, whose access is SLVERR
    slow     cycles that an access of the word at an address takes longer
    """

    def __init__(self, dut: Any, content: bytes) -> None:
        self.content = bytearray(content)
        self.bad: set[int] = set()
        self.slow: dict[int, int] = {}
        self._clk = dut.clk
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self._slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=self)

    def pause(self, rng: random.Random, rate: float) -> None:
        """Every channel pauses in a random part of the cycles, up to `rate`; 0 is never."""
        for channel in channels(self._slave):
            channel.clear_pause_generator()
            channel.pause = False
            if rate:
                channel.set_pause_generator(pauses(rng, rate * rng.random()))

    async def _reached(self, address: int, length: int) -> None:
        if self.slow.get(address):
            await ClockCycles(self._clk, self.slow[address])
        if address // BLOCK in self.bad or address + length > len(self.content):
            raise ValueError("nothing that answers")

    async def read(self, address: int, length: int) -> bytes:
        """As a target of cocotbext-axi."""
        await self._reached(address, length)
        return bytes(self.content[address : address + length])

    async def write(self, address: int, content: bytes) -> None:
        """As a target of cocotbext-axi."""
        await self._reached(address, len(content))
        self.content[address : address + len(content)] = content
