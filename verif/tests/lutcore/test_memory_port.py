import re

import pytest

from lutcore.errors import ConfigError
from lutcore.memory_port import MemoryPort


def test_layouts_follow_the_port():
    port = MemoryPort(data_bits=128, address_bits=40, length_bits=12)
    assert (port.beat_bytes, port.offset_bits) == (16, 4)
    assert {name: field.offset for name, field in port.request} == {"address": 0, "beats": 40}
    assert {name: field.offset for name, field in port.read_data} == {
        "data": 0, "last": 128, "error": 129,
    }  # fmt: skip
    assert {name: field.offset for name, field in port.write_data} == {"data": 0, "strobe": 128}
    assert port.write_data.size == 144
    assert port.write_done.size == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_bits": 16}, "data_bits must be 32..1024, not 16"),
        ({"data_bits": 2048}, "data_bits must be 32..1024, not 2048"),
        ({"data_bits": 96}, "data_bits must be a power of two, not 96; 64 would do"),
        ({"data_bits": "64"}, "data_bits must be an integer, not '64'"),
        ({"address_bits": 11}, "address_bits must be 12..64, not 11"),
        ({"address_bits": 65}, "address_bits must be 12..64, not 65"),
        ({"length_bits": 0}, "length_bits must be 1..32, not 0"),
        ({"length_bits": True}, "length_bits must be an integer, not True"),
    ],
)
def test_bad_parameters(fields, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        MemoryPort(**fields)
