"""Bench of `AxiMaster`: the cycle contract, on a slave that answers at once."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import cocotb

from .axi_runner import Watch, parameters
from .payloads import join
from .streams import Bench

INPUTS, OUTPUTS = ("i_reads", "i_writes", "i_write_data"), ("o_read_data", "o_write_done")


class _Slave(Watch):
    """Takes whatever comes; answers from the next cycle on, a beat a cycle. Beats are counted."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.reads: deque[int] = deque()  # beats left of bursts
        self.bursts = self.written = self.count = 0
        self.cycles: dict[str, list[int]] = {name: [] for name in ("ar", "aw", "r", "w", "b")}

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            getattr(self.dut, f"m_axi_{name}").value = value

    def drive(self, _: object) -> None:
        self._set(arready=1, awready=1, wready=1, rid=0, rresp=0, bid=0, bresp=0)
        left = self.reads[0] if self.reads else 0
        self._set(rvalid=left > 0, rlast=left == 1, rdata=self.count)
        self._set(bvalid=min(self.bursts, self.written) > 0)

    def sample(self, cycle: int) -> bool:
        moved = {name for name in self.cycles if self.moves(name)}
        for name in moved:
            self.cycles[name].append(cycle)
        if "r" in moved:
            self.count += 1
            self.reads[0] -= 1
            if not self.reads[0]:
                self.reads.popleft()
        if "ar" in moved:
            self.reads.append(1 + int(self.dut.m_axi_arlen.value))
        self.bursts += ("aw" in moved) - ("b" in moved)
        self.written += ("w" in moved and int(self.dut.m_axi_wlast.value)) - ("b" in moved)
        return super().sample(cycle)


def _gaps(cycles: list[int]) -> set[int]:
    return {after - before for before, after in pairwise(cycles)}


@cocotb.test()
async def cycle_contract(dut: Any) -> None:
    """Latencies as stated; a beat a cycle across bursts and requests, those of one beat too."""
    port = parameters().port
    dut.i_flush.value = 0
    slave = _Slave(dut)
    bench = Bench(dut, INPUTS, OUTPUTS, agents=[slave])
    await bench.reset()
    lengths = [77, *[1] * 30, 16, 3]
    address, requests = 0x1F00 - 5 * port.beat_bytes, []
    for beats in lengths:
        requests.append(join((address, port.address_bits), (beats - 1, port.length_bits)))
        address += 40 * beats * port.beat_bytes
    lasts = [index == beats - 1 for beats in lengths for index in range(beats)]
    bench.send(
        {
            "i_reads": requests,
            "o_read_data": [
                join((number, port.data_bits), (last, 1), (0, 1))
                for number, last in enumerate(lasts)
            ],
            "i_writes": requests,
            "i_write_data": [
                join((number, port.data_bits), (~0, port.beat_bytes))
                for number in range(len(lasts))
            ],
            "o_write_done": [0] * len(lengths),
        }
    )
    await bench.finish()
    assert int(dut.o_idle.value)
    taken = {name: driver.moves for name, driver in bench.inputs.items()}
    bus, given = slave.cycles, bench.outputs
    assert bus["ar"][0] == taken["i_reads"][0] + 1
    assert given["o_read_data"].moves == [cycle + 1 for cycle in bus["r"]]
    assert bus["aw"][0] == taken["i_writes"][0] + 1
    assert taken["i_write_data"][0] == taken["i_writes"][0] + 2
    assert bus["w"] == [cycle + 1 for cycle in taken["i_write_data"]]
    assert set(given["o_write_done"].moves) <= {cycle + 1 for cycle in bus["b"]}
    assert _gaps(bus["r"]) == _gaps(bus["w"]) == {1}, (_gaps(bus["r"]), _gaps(bus["w"]))
