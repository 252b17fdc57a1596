"""Builds the bench of a unit and runs it: Verilog, Verilator, cocotb.

A build is kept in the cache of the native harness, by content.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from pathlib import Path
from unittest import mock

from cocotb_tools import config as cocotb_config
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from lutcore import TensorCoreConfig
from lutcore.block import Align, Largest, Peak
from lutcore.core import TensorCore
from lutcore.decode import Decode, ScaleDecode
from lutcore.export import ports
from lutcore.fma import Fma
from lutcore.lookup import Decoder, Lane, LookupArray
from lutcore.precompute import Precompute
from lutcore.rescale import Rescale
from lutcore.table import Entries, Table
from lutcore.unit import BaseUnit, Unit
from lutverif.native import HarnessError, cached, core_verilog, verilator, without_spaces

__all__ = ["CONFIGURATION", "UNITS", "BenchFailure", "configuration", "run", "run_unit"]

UNITS: dict[str, Callable[[TensorCoreConfig, str], Unit]] = {
    "decode": Decode,
    "align": Align,
    "peak": Peak,
    "largest": Largest,
    "precompute": Precompute,
    "entries": Entries,
    "table": Table,
    "decoder": Decoder,
    "lane": Lane,
    "lookup": LookupArray,
    "scale_decode": ScaleDecode,
    "fma": Fma,
    "rescale": Rescale,
    "core": TensorCore,
}
"""Units with a bench, in the order of the data flow; `lutverif.bench.NAME` holds the tests."""

CONFIGURATION = "LUTVERIF_BENCH_CONFIGURATION"
"""The variable that names the file of the unit's configuration."""

# The runner makes every signal public, which takes several times as long to compile; a control file
# names the ports instead.
BUILD_ARGUMENTS = [
    "-Wno-lint", "--no-public-flat-rw", "--x-assign", "fast", "--x-initial", "fast",
]  # fmt: skip
# The wheel's makefile leaves empty how g++ includes a precompiled header.
MAKE_FLAGS = "OPT_FAST=-O1 CFG_CXXFLAGS_PCH_I=-include"


class BenchFailure(HarnessError):
    """A test of a bench failed; the message ends with the log."""


def configuration() -> TensorCoreConfig:
    """The configuration of the unit under test; for use inside a simulation."""
    return TensorCoreConfig.from_toml(os.environ[CONFIGURATION])


@contextmanager
def _report(name: str, log: Path) -> Iterator[None]:
    """Turns what the runner raises, or its exit, into a HarnessError with the end of the log."""
    try:
        yield
    except (RuntimeError, SystemExit) as error:
        raise HarnessError(f"bench {name}: {error}\n{_tail(log)}") from None


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-6000:] if log.exists() else ""


@contextmanager
def _surroundings(**more: str) -> Iterator[None]:
    """What the runner reads apart from its arguments.

    WAVES belongs to `make sim`; under PYTEST_CURRENT_TEST the runner would exit on a failed test;
    a makefile cannot take a path with spaces.
    """
    libraries, share = map(without_spaces, (cocotb_config.libs_dir, cocotb_config.share_dir))
    with (
        mock.patch.dict(os.environ, {"WAVES": "0", **more}),
        mock.patch.object(cocotb_config, "libs_dir", libraries),
        mock.patch.object(cocotb_config, "share_dir", share),
    ):
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        yield


def _key(*recipe: str) -> str:
    common = [verilator()[0], str(cocotb_config.libs_dir), metadata.version("cocotb"), MAKE_FLAGS]
    return hashlib.sha256("\0".join([*common, *BUILD_ARGUMENTS, *recipe]).encode()).hexdigest()[:24]


def _build(
    work: Path, verilog: str, top: str, names: list[str], runtime: Path | None = None
) -> None:
    """Compiles module `top` of ports `names`, with the runtime's objects from a folder if given."""
    objects = sorted(without_spaces(runtime).glob("verilated*.o")) if runtime else []
    flags = MAKE_FLAGS + (" VM_GLOBAL_FAST=" if runtime else "")
    source, control = work / "unit.v", work / "ports.vlt"
    source.write_text(verilog)
    public = (f'public_flat_rw -module "{top}" -var "{name}"\n' for name in names)
    control.write_text("`verilator_config\n" + "".join(public))
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        environment = {**verilator()[1], "MAKEFLAGS": flags}
        with _surroundings(**environment), _report(top, log):
            get_runner("verilator").build(
                sources=[control, source],
                hdl_toplevel=top,
                build_args=[*BUILD_ARGUMENTS, *map(str, objects)],
                build_dir=work,
                log_file=log,
            )


def _executable(verilog: str, unit: BaseUnit) -> AbstractContextManager[Path]:
    """The cache entry with the simulation of a unit.

    Verilator's runtime takes far longer to compile than a unit, so it is compiled once.
    """

    def runtime(work: Path) -> None:
        _build(work, "module runtime(input clk); endmodule", "runtime", ["clk"])

    top, names = unit.module_name, [port["name"] for port in ports(unit)]

    def build(work: Path) -> None:
        with cached(f"bench-runtime-{_key()}", runtime) as compiled:
            _build(work, verilog, top, names, compiled)
        for part in work.glob("*.[oa]"):
            part.unlink()

    return cached(f"bench-{_key(verilog, top)}", build)


def _modules(unit: BaseUnit, verilog: str) -> str:
    """The modules that `unit` needs, from the Verilog of a whole core."""
    names = {definition.module_name for definition in unit.definitions()}
    found = re.finditer(r"^module (\w+)\(.*?^endmodule\n", verilog, re.M | re.S)
    return "\n".join(match[0] for match in found if match[1] in names)


def run(name: str, config: TensorCoreConfig) -> int:
    """Runs the bench of the unit `name` of UNITS; the number of its tests, all passed.

    Raises BenchFailure if a test fails, HarnessError if the bench does not build or run.
    """
    unit = UNITS[name](config, TensorCore(config).module_name)
    verilog = _modules(unit, core_verilog(config))
    label = f"{name} of {config.name}"
    return run_unit(f"lutverif.bench.{name}", unit, verilog, config.to_toml(), label)


def run_unit(module: str, unit: BaseUnit, verilog: str, configuration: str, label: str) -> int:
    """Runs the tests of a module on a unit's Verilog; errors as in `run`.

    configuration  text that the tests find in the file which CONFIGURATION names
    label          what errors call the bench
    """
    with _executable(verilog, unit) as entry, tempfile.TemporaryDirectory() as scratch:
        file, log = Path(scratch) / "configuration", Path(scratch) / "log"
        file.write_text(configuration)
        results = Path(scratch) / "results.xml"
        with _surroundings(), _report(label, log):
            get_runner("verilator").test(
                module,
                hdl_toplevel=unit.module_name,
                hdl_toplevel_lang="verilog",
                build_dir=entry,
                test_dir=scratch,
                results_xml=str(results),
                log_file=log,
                extra_env={CONFIGURATION: str(file)},
            )
            tests, failed = get_results(results)
        if failed or not tests:
            raise BenchFailure(f"bench {label}: {failed} of {tests} tests failed\n{_tail(log)}")
        return tests
