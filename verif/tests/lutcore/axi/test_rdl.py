"""Every file that comes from a register map says the same as the map."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from lutcore.axi import engine_registers
from lutcore.axi.rdl import elaborate, exports
from lutcore.axi.registers import Access
from lutcore.errors import InputError

REGISTERS = engine_registers(version="1.2.3", configuration=0xC0FFEE, address_bits=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("registers")
    for path, content in exports(REGISTERS).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    return out


def _fields():
    for register, field in REGISTERS.fields(*Access):
        yield register.name, register.offset, field


def test_systemrdl(folder):
    top = elaborate(folder / "lutcore_engine.rdl")
    found = {
        (register.inst_name, field.inst_name): (
            register.absolute_address, field.low, field.width,
            field.is_sw_readable, field.is_sw_writable,
        )
        for register in top.registers()
        for field in register.fields()
    }  # fmt: skip
    unread = (Access.PULSE, Access.CLEAR)
    assert found == {
        (name, field.name): (
            offset, field.low, field.bits, field.access not in unread, field.access.writable,
        )
        for name, offset, field in _fields()
    }  # fmt: skip


def test_c_header(folder):
    """A C compiler's offsets and masks."""
    lines = [
        f"_Static_assert(offsetof(lutcore_engine_t, {register.name}) == {register.offset}, "
        f'"{register.name}");'
        for register in REGISTERS.registers
    ]
    lines += [
        f"_Static_assert(LUTCORE_ENGINE__{name.upper()}__{field.name.upper()}_bm "
        f'== {field.mask}u, "{name}.{field.name}");'
        for name, _, field in _fields()
    ]
    source = '#include <stddef.h>\n#include "lutcore_engine.h"\n' + "\n".join(lines) + "\n"
    (folder / "check.c").write_text(source)
    command = ["gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "check.c"]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    (folder / "check.c").write_text(source.replace("== 20,", "== 24,"))
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode and '"status"' in done.stderr


def test_ip_xact(folder):
    tree = ElementTree.parse(folder / "lutcore_engine.xml")
    space = {"x": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}

    def number(node, tag):
        return int(node.findtext(f"x:{tag}", "", space).replace("'h", "0x"), 0)

    found = {
        (register.findtext("x:name", "", space), field.findtext("x:name", "", space)): (
            number(register, "addressOffset"), number(field, "bitOffset"), number(field, "bitWidth")
        )
        for register in tree.iterfind(".//x:register", space)
        for field in register.iterfind("x:field", space)
    }  # fmt: skip
    assert found == {
        (name, field.name): (offset, field.low, field.bits) for name, offset, field in _fields()
    }


def test_python_access(folder):
    """The package reads and writes through a function; words are those of the map."""
    script = """
from lutcore_engine.lib import NormalCallbackSet
from lutcore_engine.reg_model.lutcore_engine import lutcore_engine_cls
words = {0x14: 0x0502, 0x18: 77}
callbacks = NormalCallbackSet(
    read_callback=lambda addr, width, accesswidth: words.get(addr, 0),
    write_callback=lambda addr, width, accesswidth, data: words.update({addr: data}),
)
engine = lutcore_engine_cls(callbacks=callbacks)
assert engine.status.halted.read() == 1
assert engine.status.cause.read() == 5
assert engine.fault.index.read() == 77
engine.program_length.instructions.write(9)
engine.interrupt_enable.write_fields(error=1)
engine.control.write_fields(start=1, soft_reset=0, clear_counters=1)
assert words == {0x14: 0x0502, 0x18: 77, 0x38: 9, 0x20: 2, 0x10: 5}, words
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_html(folder):
    text = "".join(path.read_text(errors="replace") for path in (folder / "html").rglob("*.htm*"))
    assert text
    names = "".join(
        path.read_text(errors="replace") for path in (folder / "html").rglob("*") if path.is_file()
    )
    assert all(register.name in names for register in REGISTERS.registers)


def test_no_path_of_this_machine(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            assert not re.search(rb"/tmp/tmp", path.read_bytes()), path


def test_not_systemrdl(tmp_path, capfd):
    path = tmp_path / "bad.rdl"
    path.write_text("addrmap x {")
    with pytest.raises(InputError, match=r"bad\.rdl: is not SystemRDL: "):
        elaborate(path)
