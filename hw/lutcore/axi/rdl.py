"""What software needs of a register map.

SystemRDL from the map, and through PeakRDL a C header, a Python package, HTML and IP-XACT. Needs
the packages of the extra `registers`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_html import HTMLExporter
from peakrdl_ipxact import IPXACTExporter
from peakrdl_python.exporter import PythonExporter
from peakrdl_python.systemrdl_node_hashes import NodeHashingMethod
from systemrdl.compiler import RDLCompiler
from systemrdl.messages import RDLCompileError
from systemrdl.node import AddrmapNode

from lutcore.errors import InputError

from .registers import RegisterMap

__all__ = ["elaborate", "exports"]


def elaborate(path: Path) -> AddrmapNode:
    """The register map of a SystemRDL file, from the compiler; InputError if it is none."""
    compiler = RDLCompiler()
    try:
        compiler.compile_file(str(path))
        return compiler.elaborate().top
    except RDLCompileError as error:
        raise InputError(f"{path}: is not SystemRDL: {error}") from None


def exports(registers: RegisterMap) -> dict[str, bytes]:
    """All files of a map by path: NAME.rdl, NAME.h, NAME.xml, html/, and a Python package NAME/."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / f"{registers.name}.rdl"
        source.write_text(registers.systemrdl(), encoding="utf-8")
        top = elaborate(source)
        CHeaderExporter().export(top, str(folder / f"{registers.name}.h"))
        ipxact = IPXACTExporter(vendor="lut-tensor-core", library="lutcore")
        ipxact.export(top, str(folder / f"{registers.name}.xml"))
        HTMLExporter().export(top, str(folder / "html"))
        PythonExporter().export(
            top,
            str(folder),
            skip_test_case_generation=True,
            hashing_method=NodeHashingMethod.SHA256,
        )
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
