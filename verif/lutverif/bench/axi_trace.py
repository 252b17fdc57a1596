"""Bench of the protocol monitor itself: traces written by hand, legal and with each fault.

A trace is a list of cycles; a cycle names the signals that are not 0 in it.
"""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import Timer

from lutcore.axi import AxiParameters

from .monitored import FAULTS

Cycle = dict[str, int]
PARAMETERS = AxiParameters()
OUTSTANDING = PARAMETERS.outstanding
SIGNALS = list(PARAMETERS.bus.members)


def _address(channel: str, **changed: int) -> Cycle:
    burst = {"addr": 0x1000, "len": 0, "size": 3, "burst": 1, "ready": 1, **changed}
    return {f"{channel}valid": 1} | {f"{channel}{name}": value for name, value in burst.items()}


def _w(*, last: int = 1, **changed: int) -> Cycle:
    return {"wvalid": 1, "wready": 1, "wlast": last} | changed


def _r(*, last: int = 1, **changed: int) -> Cycle:
    return {"rvalid": 1, "rready": 1, "rlast": last} | changed


B: Cycle = {"bvalid": 1, "bready": 1}
AW, AR = _address("aw"), _address("ar")
RESET: Cycle = {"rst": 1}
BUSY = {"aw": [], "w": [], "b": [AW, _w()], "ar": [], "r": [AR]}
"""What has to come before each channel may be valid."""
SHOWN = {"aw": AW, "w": _w(), "b": B, "ar": AR, "r": _r()}
PAYLOAD = {"aw": "awaddr", "w": "wdata", "b": "bresp", "ar": "araddr", "r": "rdata"}

LEGAL: list[list[Cycle]] = [
    [AW, _w(), B, AR, _r()],
    # Data before its address, and in the same cycle; the answer in the cycle after.
    [_w(), AW, B],
    [AW | _w(), B],
    # The last beat of a page, and the longest burst up to its end.
    [_address("ar", addr=0x1FF8), _r(), _address("ar", addr=0x2000 - 128, len=15)]
    + [_r(last=0)] * 15
    + [_r()],
    # As many in flight as are allowed.
    [AR] * OUTSTANDING + [_r()] * OUTSTANDING,
    [AW] * OUTSTANDING + [_w()] * OUTSTANDING + [B] * OUTSTANDING,
    # A payload without VALID may change; VALID may wait for long, and a reset takes it back.
    [{"awaddr": 3}, {"awaddr": 5}, AW | {"awready": 0}, AW | {"awready": 0}, AW, _w(), B],
    [AW | {"awready": 0}, RESET, RESET, AR, _r()],
    [AW, _w(), AR, RESET, RESET, AW, _w(), B],
]


def _illegal() -> list[tuple[int, list[Cycle]]]:
    traces: list[tuple[int, list[Cycle]]] = []
    for number, (channel, busy) in enumerate(BUSY.items(), 1):
        waiting = SHOWN[channel] | {f"{channel}ready": 0}
        payload = PAYLOAD[channel]
        traces += [
            (10 * number + 1, [*busy, waiting, {}]),
            (10 * number + 2, [*busy, waiting, waiting | {payload: waiting.get(payload, 0) ^ 1}]),
            (10 * number + 3, [RESET, RESET | waiting]),
        ]
    for base, channel in ((60, "aw"), (70, "ar")):
        traces += [
            (base + 1, [_address(channel, burst=0)]),
            (base + 1, [_address(channel, burst=2)]),
            (base + 1, [_address(channel, size=2)]),
            (base + 2, [_address(channel, addr=0x1004)]),
            (base + 3, [_address(channel, len=16)]),
            (base + 4, [_address(channel, addr=0x1FF8, len=1)]),
            (base + 4, [_address(channel, addr=0x2000 - 120, len=15)]),
            (base + 5, [_address(channel, id=1)]),
        ]
    traces += [
        (81, [_address("aw", len=1), _w()]),
        (81, [AW, _w(last=0), _w()]),
        (81, [_w(), _w(last=0), _w(), AW, _address("aw", len=2)]),
        (81, [AW, *[_w(last=0)] * 257]),
        (82, [B]),
        (82, [AW, B]),
        (82, [_w(), B]),
        (82, [AW, _w(), B, B]),
        (82, [AW, AW | _w() | B]),
        (83, [AW, _w(), B | {"bid": 1}]),
        (84, [AW] * (OUTSTANDING + 1)),
        (91, [_r()]),
        (91, [AR | _r()]),
        (91, [AR, _r(), _r()]),
        (92, [AR, _r(last=0)]),
        (92, [_address("ar", len=1), _r()]),
        (93, [AR, _r(rid=1)]),
        (94, [AR] * (OUTSTANDING + 1)),
    ]
    return traces


async def _play(dut: Any, trace: list[Cycle]) -> int:
    """The fault after a reset, the trace and a few idle cycles."""
    for cycle in [RESET, RESET, {}, *trace, {}, {}, {}]:
        dut.rst.value = cycle.get("rst", 0)
        for name in SIGNALS:
            getattr(dut, f"bus_{name}").value = cycle.get(name, 0)
        await Timer(5, "ns")
        dut.clk.value = 1
        await Timer(5, "ns")
        dut.clk.value = 0
    return int(dut.fault.value)


@cocotb.test()
async def legal_traces(dut: Any) -> None:
    """None of them has a fault."""
    for trace in LEGAL:
        fault = await _play(dut, trace)
        assert not fault, f"{FAULTS[fault]}: {trace}"


@cocotb.test()
async def illegal_traces(dut: Any) -> None:
    """Each has its fault, and every fault that a monitor knows has a trace."""
    traces = _illegal()
    for want, trace in traces:
        fault = await _play(dut, trace)
        assert fault == want, f"{fault}, not {want}, {FAULTS[want]}: {trace}"
    assert {fault for fault, _ in traces} == set(FAULTS)
