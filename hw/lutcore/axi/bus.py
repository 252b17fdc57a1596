"""AXI4, AXI4-Lite and AXI4-Stream as signatures, with the names of the standard.

A signature is seen from the side that starts a transfer; flip it for the other. A module that an
integrator connects shows it as flat ports, `m_axi_awaddr` and so on, which tools recognise.
Source: ARM IHI 0022 (AMBA AXI, issue H.c, AXI4 and AXI4-Lite), IHI 0051 (AXI4-Stream).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.errors import ConfigError, check_power_of_two, check_range

__all__ = [
    "BURST_INCR",
    "CACHE_NORMAL",
    "RESP_OKAY",
    "RESP_SLVERR",
    "AxiLiteSignature",
    "AxiReadSignature",
    "AxiSignature",
    "AxiStreamSignature",
    "AxiWriteSignature",
    "BusSignature",
]

BURST_INCR = 0b01
CACHE_NORMAL = 0b0011
"""Normal memory, not cacheable, bufferable: an interconnect may merge and resize bursts."""
RESP_OKAY, RESP_SLVERR = 0b00, 0b10
"""Bit 1 of a response is an error: SLVERR 0b10, DECERR 0b11."""


class BusSignature(wiring.Signature):
    """A bus; equal if kind and parameters are, and shown as its constructor's call."""

    def __init__(self, members: Mapping[str, wiring.Member], **parameters: int) -> None:
        self.parameters = parameters
        super().__init__(dict(members))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BusSignature)
            and type(self) is type(other)
            and self.parameters == other.parameters
        )

    def __hash__(self) -> int:
        return hash((type(self), *self.parameters.items()))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({arguments})"

    def ports(self, prefix: str, *, flipped: bool = False) -> dict[str, wiring.Member]:
        """The members as flat ports of a component, by name."""
        return {
            f"{prefix}_{name}": member.flip() if flipped else member
            for name, member in self.members.items()
        }

    def signals(self, component: Any, prefix: str) -> dict[str, Any]:
        """The signals of flat ports of `component`, by the name of the port."""
        return {f"{prefix}_{name}": getattr(component, f"{prefix}_{name}") for name in self.members}


def _check(data_bits: int, address_bits: int, id_bits: int) -> None:
    check_power_of_two("data_bits", data_bits, 8, 1024)
    check_range("address_bits", address_bits, 1, 64)
    check_range("id_bits", id_bits, 1, 32)


def _handshake(channel: str, payload: dict[str, int], flow: Any = Out) -> dict[str, wiring.Member]:
    back = In if flow == Out else Out
    members = {f"{channel}{name}": flow(bits) for name, bits in payload.items()}
    return members | {f"{channel}valid": flow(1), f"{channel}ready": back(1)}


def _address(channel: str, address_bits: int, id_bits: int) -> dict[str, wiring.Member]:
    burst = {"len": 8, "size": 3, "burst": 2, "cache": 4, "prot": 3}
    return _handshake(channel, {"id": id_bits, "addr": address_bits, **burst})


def _read(data_bits: int, address_bits: int, id_bits: int) -> dict[str, wiring.Member]:
    payload = {"id": id_bits, "data": data_bits, "resp": 2, "last": 1}
    return _address("ar", address_bits, id_bits) | _handshake("r", payload, In)


def _write(data_bits: int, address_bits: int, id_bits: int) -> dict[str, wiring.Member]:
    return (
        _address("aw", address_bits, id_bits)
        | _handshake("w", {"data": data_bits, "strb": data_bits // 8, "last": 1})
        | _handshake("b", {"id": id_bits, "resp": 2}, In)
    )


class AxiReadSignature(BusSignature):
    """The read channels of AXI4. ConfigError if a parameter is out of range."""

    def __init__(self, *, data_bits: int, address_bits: int, id_bits: int = 1) -> None:
        _check(data_bits, address_bits, id_bits)
        parameters = {"data_bits": data_bits, "address_bits": address_bits, "id_bits": id_bits}
        super().__init__(_read(**parameters), **parameters)


class AxiWriteSignature(BusSignature):
    """The write channels of AXI4. ConfigError if a parameter is out of range."""

    def __init__(self, *, data_bits: int, address_bits: int, id_bits: int = 1) -> None:
        _check(data_bits, address_bits, id_bits)
        parameters = {"data_bits": data_bits, "address_bits": address_bits, "id_bits": id_bits}
        super().__init__(_write(**parameters), **parameters)


class AxiSignature(BusSignature):
    """All channels of AXI4. ConfigError if a parameter is out of range."""

    def __init__(self, *, data_bits: int, address_bits: int, id_bits: int = 1) -> None:
        _check(data_bits, address_bits, id_bits)
        parameters = {"data_bits": data_bits, "address_bits": address_bits, "id_bits": id_bits}
        super().__init__(_write(**parameters) | _read(**parameters), **parameters)


class AxiLiteSignature(BusSignature):
    """AXI4-Lite, data of 32 or 64 bits. ConfigError if a parameter is out of range."""

    def __init__(self, *, data_bits: int = 32, address_bits: int) -> None:
        check_power_of_two("data_bits", data_bits, 32, 64)
        check_range("address_bits", address_bits, 1, 64)
        super().__init__(
            _handshake("aw", {"addr": address_bits, "prot": 3})
            | _handshake("w", {"data": data_bits, "strb": data_bits // 8})
            | _handshake("b", {"resp": 2}, In)
            | _handshake("ar", {"addr": address_bits, "prot": 3})
            | _handshake("r", {"data": data_bits, "resp": 2}, In),
            data_bits=data_bits,
            address_bits=address_bits,
        )


class AxiStreamSignature(BusSignature):
    """AXI4-Stream of whole bytes with TLAST. ConfigError if a parameter is out of range."""

    def __init__(self, *, data_bits: int) -> None:
        check_range("data_bits", data_bits, 8, 1 << 16)
        if data_bits % 8:
            bytes_ = -(-data_bits // 8)
            raise ConfigError(
                f"data_bits must be a multiple of 8, not {data_bits}; {8 * bytes_} would do"
            )
        super().__init__(_handshake("t", {"data": data_bits, "last": 1}), data_bits=data_bits)
