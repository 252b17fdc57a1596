"""What software needs of a register map: `python -m lutcore.axi.rdl --out DIR`.

SystemRDL from the map, and through PeakRDL a C header, a Python package, HTML and IP-XACT. Needs
the packages of the extra `registers`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_html import HTMLExporter
from peakrdl_ipxact import IPXACTExporter
from peakrdl_python.exporter import PythonExporter
from peakrdl_python.systemrdl_node_hashes import NodeHashingMethod
from systemrdl.compiler import RDLCompiler
from systemrdl.messages import RDLCompileError
from systemrdl.node import AddrmapNode

from lutcore.config import TensorCoreConfig, preset
from lutcore.errors import InputError, LutCoreError
from lutcore.outputs import write_files

from .registers import RegisterMap, configuration_hash, engine_registers

__all__ = ["elaborate", "exports", "write"]


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


def write(registers: RegisterMap, out: Path) -> list[Path]:
    """Write all files of a map below `out`; their paths. InputError if one cannot be written."""
    files = {out / path: content for path, content in exports(registers).items()}
    write_files(files)
    return list(files)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m lutcore.axi.rdl", description=__doc__)
    parser.add_argument("--preset", default="paper", help="configuration of the core (paper)")
    parser.add_argument("--config", type=Path, help="its TOML file instead")
    parser.add_argument("--address-bits", type=int, default=32, help="of the memory port (32)")
    parser.add_argument("--out", type=Path, default=Path("build/registers"), help="folder")
    options = parser.parse_args(arguments)
    try:
        config = TensorCoreConfig.from_toml(options.config) if options.config else None
        registers = engine_registers(
            version=metadata.version("lut-tensor-core"),
            configuration=configuration_hash((config or preset(options.preset)).to_toml()),
            address_bits=options.address_bits,
        )
        for path in write(registers, options.out):
            if path.parent == options.out:
                print(path)
    except LutCoreError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out / registers.name}/ (Python)\n{options.out / 'html'}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
