import re

import pytest
from amaranth.lib.wiring import In, Out

from lutcore.axi import AxiLiteSignature, AxiSignature, AxiStreamSignature
from lutcore.axi.bus import AxiReadSignature, AxiWriteSignature
from lutcore.errors import ConfigError

# From the tables of signals in IHI 0022 (A2, B1) and IHI 0051, those that a manager drives first.
WRITE = (
    "awid awaddr awlen awsize awburst awcache awprot awvalid wdata wstrb wlast wvalid bready",
    "awready wready bid bresp bvalid",
)
READ = (
    "arid araddr arlen arsize arburst arcache arprot arvalid rready",
    "arready rid rdata rresp rlast rvalid",
)
LITE = (
    "awaddr awprot awvalid wdata wstrb wvalid bready araddr arprot arvalid rready",
    "awready wready bresp bvalid arready rdata rresp rvalid",
)
STREAM = ("tdata tlast tvalid", "tready")
WIDTHS = {"data_bits": 64, "address_bits": 40, "id_bits": 4}


@pytest.mark.parametrize(
    ("signature", "signals"),
    [
        (AxiReadSignature(**WIDTHS), READ),
        (AxiWriteSignature(**WIDTHS), WRITE),
        (AxiSignature(**WIDTHS), tuple(" ".join(both) for both in zip(READ, WRITE, strict=True))),
        (AxiLiteSignature(address_bits=12), LITE),
        (AxiStreamSignature(data_bits=48), STREAM),
    ],
)
def test_signals_are_those_of_the_standard(signature, signals):
    driven, given = (set(part.split()) for part in signals)
    assert {name for name, member in signature.members.items() if member.flow == Out} == driven
    assert {name for name, member in signature.members.items() if member.flow == In} == given


def test_widths():
    widths = {name: member.shape for name, member in AxiSignature(**WIDTHS).members.items()}
    expected = {
        "awid": 4, "awaddr": 40, "awlen": 8, "awsize": 3, "awburst": 2, "awcache": 4, "awprot": 3,
        "wdata": 64, "wstrb": 8, "wlast": 1, "bresp": 2, "rdata": 64, "rresp": 2, "rid": 4,
    }  # fmt: skip
    assert {name: widths[name] for name in expected} == expected


def test_flat_ports():
    signature = AxiLiteSignature(address_bits=12)
    ports, flipped = signature.ports("s_axi"), signature.ports("s_axi", flipped=True)
    assert set(ports) == {f"s_axi_{name}" for name in signature.members}
    assert ports["s_axi_awaddr"].flow == Out and flipped["s_axi_awaddr"].flow == In


def test_equality_and_repr():
    assert AxiSignature(**WIDTHS) == AxiSignature(**WIDTHS)
    assert hash(AxiSignature(**WIDTHS)) == hash(AxiSignature(**WIDTHS))
    assert AxiSignature(**WIDTHS) != AxiSignature(**WIDTHS | {"id_bits": 1})
    assert AxiReadSignature(**WIDTHS) != AxiWriteSignature(**WIDTHS)
    assert repr(AxiSignature(**WIDTHS)) == "AxiSignature(data_bits=64, address_bits=40, id_bits=4)"
    assert repr(AxiStreamSignature(data_bits=8)) == "AxiStreamSignature(data_bits=8)"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AxiSignature(data_bits=48, address_bits=32),
         "data_bits must be a power of two, not 48; 32 would do"),
        (lambda: AxiSignature(data_bits=2048, address_bits=32),
         "data_bits must be 8..1024, not 2048"),
        (lambda: AxiSignature(data_bits=64, address_bits=0), "address_bits must be 1..64, not 0"),
        (lambda: AxiSignature(data_bits=64, address_bits=32, id_bits=0),
         "id_bits must be 1..32, not 0"),
        (lambda: AxiLiteSignature(data_bits=128, address_bits=12),
         "data_bits must be 32..64, not 128"),
        (lambda: AxiStreamSignature(data_bits=12),
         "data_bits must be a multiple of 8, not 12; 16 would do"),
    ],
)  # fmt: skip
def test_bad_parameters(build, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build()
