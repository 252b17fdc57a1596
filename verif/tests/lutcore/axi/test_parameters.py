import re

import pytest

from lutcore.axi import AxiParameters
from lutcore.errors import ConfigError
from lutcore.memory_port import MemoryPort


@pytest.mark.parametrize(
    ("data_bits", "max_beats", "block_beats"),
    [(64, 16, 16), (64, 256, 256), (512, 256, 64), (32, 1, 1), (128, 256, 256), (256, 256, 128)],
)
def test_a_block_is_at_most_4_kib(data_bits, max_beats, block_beats):
    parameters = AxiParameters(port=MemoryPort(data_bits=data_bits), max_beats=max_beats)
    assert parameters.block_beats == block_beats
    assert parameters.block_beats * data_bits // 8 <= 4096


def test_the_bus_has_the_widths_of_the_port():
    parameters = AxiParameters(port=MemoryPort(data_bits=128, address_bits=40), id_bits=3)
    widths = {"data_bits": 128, "address_bits": 40, "id_bits": 3}
    assert parameters.bus.parameters == widths
    assert parameters.read_bus.parameters == parameters.write_bus.parameters == widths


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_beats": 24}, "max_beats must be a power of two, not 24; 16 would do"),
        ({"max_beats": 512}, "max_beats must be 1..256, not 512"),
        ({"outstanding": 0}, "outstanding must be 1..64, not 0"),
        ({"id_bits": 33}, "id_bits must be 1..32, not 33"),
        ({"outstanding": 2.0}, "outstanding must be an integer, not 2.0"),
    ],
)
def test_bad_parameters(fields, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        AxiParameters(**fields)
