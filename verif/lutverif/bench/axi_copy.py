"""Bench of `MemoryCopy`: both halves of the master against cocotbext-axi, memory byte for byte."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from .axi_memory import SlaveMemory
from .axi_runner import Watch, parameters
from .payloads import join
from .streams import Bench

MEMORY_BYTES = 1 << 16


@cocotb.test()
async def copies(dut: Any) -> None:
    """Blocks of any length and place are copied, bad blocks are not and are reported; stalls."""
    port = parameters().port
    rng = random.Random(21)
    memory = SlaveMemory(dut, rng.randbytes(MEMORY_BYTES))
    bench = Bench(dut, ("i_copies",), ("o_done",), agents=[Watch(dut)])
    await bench.reset(4)
    for index in range(60):
        rate = (0.0, 0.3, 0.7, 0.9)[index % 4]
        memory.pause(rng, rate)
        bench.stall(0.2, 0.5)
        memory.bad = {rng.randrange(MEMORY_BYTES // 64) for _ in range(20 * (index % 3))}
        most = min(rng.choice((1, 4, 40, 150)), 1 << port.length_bits)
        beats = rng.randint(1, most)
        size = beats * port.beat_bytes
        half = MEMORY_BYTES // 2
        source = rng.randrange(0, half - size + 1, port.beat_bytes)
        target = half + rng.randrange(0, half - size + 1, port.beat_bytes)
        want = bytearray(memory.content)
        failed = False
        for offset in range(0, size, port.beat_bytes):
            reading, writing = ((start + offset) // 64 in memory.bad for start in (source, target))
            failed |= reading or writing
            if not reading and not writing:
                beat = memory.content[source + offset : source + offset + port.beat_bytes]
                want[target + offset : target + offset + port.beat_bytes] = beat
            # A write without strobes reaches no byte, so that the slave does not refuse it.
        payload = join(
            (source, port.address_bits), (target, port.address_bits), (beats - 1, port.length_bits)
        )
        bench.send({"i_copies": [payload], "o_done": [int(failed)]})
        await bench.finish()
        assert int(dut.o_idle.value)
        assert memory.content == want, f"copy {index} of {beats} beats to {target:#x}"
