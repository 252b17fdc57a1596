import re

import pytest

from lutcore.axi.registers import (
    COUNTERS,
    Access,
    Field,
    Register,
    RegisterMap,
    configuration_hash,
    engine_registers,
)
from lutcore.errors import ConfigError

# What drivers are compiled against: a change here breaks them.
OFFSETS = {
    "identification": 0x00, "version": 0x04, "configuration": 0x08, "control": 0x10,
    "status": 0x14, "fault": 0x18, "interrupt_enable": 0x20, "interrupt_pending": 0x24,
    "memory_limit_low": 0x28, "memory_limit_high": 0x2C, "program_base_low": 0x30,
    "program_base_high": 0x34, "program_length": 0x38,
    "busy_low": 0x40, "busy_high": 0x44, "tiles_low": 0x48, "tiles_high": 0x4C,
    "stall_fetch_low": 0x50, "stall_results_high": 0x74,
    "stall_addends_low": 0x78, "stall_addends_high": 0x7C,
}  # fmt: skip
FIELDS = {
    ("control", "start"): (0, 1), ("control", "soft_reset"): (1, 1),
    ("control", "clear_counters"): (2, 1), ("status", "busy"): (0, 1),
    ("status", "halted"): (1, 1), ("status", "cause"): (8, 8), ("fault", "index"): (0, 32),
    ("interrupt_enable", "done"): (0, 1), ("interrupt_enable", "error"): (1, 1),
    ("interrupt_pending", "done"): (0, 1), ("interrupt_pending", "error"): (1, 1),
    ("program_base_high", "address"): (0, 8), ("version", "major"): (16, 8),
}  # fmt: skip


def test_offsets_and_fields():
    registers = engine_registers(version="3.2.1", configuration=0x12345678, address_bits=40)
    offsets = {register.name: register.offset for register in registers.registers}
    assert {name: offsets[name] for name in OFFSETS} == OFFSETS
    assert len(offsets) == 13 + 2 * len(COUNTERS)
    places = {
        (register.name, field.name): (field.low, field.bits)
        for register, field in registers.fields(*Access)
    }
    assert {name: places[name] for name in FIELDS} == FIELDS
    built = {
        (register.name, field.name): field.value
        for register, field in registers.fields(Access.CONSTANT)
    }
    assert built == {
        ("identification", "magic"): 0x4C555443, ("version", "major"): 3, ("version", "minor"): 2,
        ("version", "patch"): 1, ("configuration", "hash"): 0x12345678,
    }  # fmt: skip


def test_the_map_follows_the_engine():
    small = engine_registers(address_bits=20, counters={"naps": "cycles of rest"})
    names = {register.name for register in small.registers}
    assert "program_base_high" not in names
    assert "memory_limit_high" not in names
    assert [(r.name, r.offset) for r in small.registers if r.offset >= 0x40] == [
        ("naps_low", 0x40),
        ("naps_high", 0x44),
    ]
    assert small.fields(Access.VALUE)[0][1].bits == 20


def test_configuration_hash():
    # sha256 of the empty text: e3b0c442 98fc1c14...
    assert configuration_hash("") == 0xE3B0C442


def _map(*registers):
    return RegisterMap("device", "", registers)


def _register(name, offset, *fields):
    return Register(name, offset, "", fields)


def _field(name, low, bits, value=0):
    return Field(name, low, bits, Access.VALUE, "", value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: _map(_register("a", 2)), "a.offset must be a multiple of 4, not 0x2"),
        (lambda: _map(_register("a", 4096)), "a.offset must be 0..4095, not 4096"),
        (lambda: _map(_register("a", 4), _register("b", 4)), "b.offset 0x4 is that of a"),
        (lambda: _map(_register("a", 0), _register("a", 4)),
         "registers: a name occurs twice: device, a, a"),
        (lambda: _map(_register("a b", 0)),
         "registers: 'a b' is no identifier of letters, digits and '_'"),
        (lambda: _map(_register("a", 0, _field("x", 0, 2), _field("y", 1, 2))),
         "a.y has bits of another field of the register"),
        (lambda: _map(_register("a", 0, _field("x", 30, 3))), "a.x.bits must be 1..2, not 3"),
        (lambda: _map(_register("a", 0, _field("x", 0, 3, 8))), "a.x.value must be 0..7, not 8"),
        (lambda: engine_registers(address_bits=8), "address_bits must be 12..64, not 8"),
    ],
)  # fmt: skip
def test_bad_maps(build, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build()
