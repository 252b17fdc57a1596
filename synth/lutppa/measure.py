"""`measure(point)`: the figures of one point of a sweep, kept by content.

A point is a plain dict: `kind` names the measurement, `design` what is measured; the rest are
fields of the two. A kind of measurement is one entry of `KINDS`. Figures are kept under a hash of
Verilog, library, flow and tools, so that an interrupted sweep goes on where it was.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import lutcore
from lutcore.errors import InputError, LutCoreError
from lutverif import native

from . import clocked, designs, fanout, fpga, mapped, product_energy, report
from .designs import Built
from .gates import gates
from .liberty import Library

__all__ = ["KINDS", "Job", "Kind", "Record", "applies", "find", "keep", "measure"]

DESIGN = "lut"
"""The design of a point that names none."""

Point = dict[str, Any]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What a kind of measurement gets.

    built    the design
    modules  its Verilog by module, as `mapped.texts` gives it; none if `Kind.verilog` is False
    options  the fields of the point that belong to the measurement
    library  the cell library
    """

    built: Built
    modules: Mapping[str, str]
    options: Mapping[str, Any]
    library: Library


@dataclass(frozen=True)
class Kind:
    """A kind of measurement.

    run      the figures of a job, as JSON can hold them
    options  the fields of a point that it takes, each with its default
    flow     hash of what it runs: its own sources and tools
    cells    whether it depends on the cell library
    process  whether that must be the library of a process
    verilog  whether it needs the Verilog of the design and of what stands beside it
    """

    run: Callable[[Job], Figures]
    flow: Callable[[], str]
    options: Mapping[str, Any] = field(default_factory=dict)
    cells: bool = True
    process: bool = False
    verilog: bool = True


@dataclass(frozen=True)
class Record:
    """A point and what was found: `figures`, or why there are none in `error`.

    figures  those of the kind of measurement, and under `design` the facts of `designs.Built`
    library  name and sha256 of the cell library; empty where it does not matter
    seconds  that the measurement took, when it was made
    cached   whether the figures were there already
    """

    point: Point
    figures: Figures
    error: str = ""
    library: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False


def _area(job: Job) -> Figures:
    built = job.built
    synthesis = mapped.mapped(built.unit, job.modules, job.library)
    rows = report.rows(synthesis, built.unit.top)

    def total(suffixes: tuple[str, ...]) -> float:
        return sum(row.amount.area for row in rows if row.path[-1] in suffixes)

    whole = synthesis.totals[synthesis.top]
    units = {"/".join(row.path): row.amount.area for row in rows}
    parts = {name: total(suffixes) for name, suffixes in built.parts.items()}
    for name, unit, count in built.beside:
        amount = count * mapped.mapped(unit, job.modules, job.library).totals[unit.module_name]
        whole += amount
        parts[name] = units[name] = amount.area
    return {
        "unit": job.library.unit,
        "nand2": job.library.nand2.area,
        "gates": gates(job.library),
        "all_in": whole.area,
        "arithmetic": total(built.arithmetic),
        "parts": parts,
        "units": units,
        "cells": whole.cells,
        "flip_flops": whole.flip_flops,
        "flip_flop_area": whole.flip_flop_area,
    }


def _fanout(job: Job) -> Figures:
    return fanout.count(job.built, job.modules, job.library)


def _clock(job: Job) -> Figures:
    """Area at a clock and without one, and by how much the clock is missed."""
    built, clock_ps = job.built, float(job.options["clock_ps"])
    found = clocked.timed(built.unit, job.modules, job.library, clock_ps)
    names = {
        part.module_name
        for unit in built.unit.definitions()
        if unit.suffix in built.arithmetic
        for part in unit.definitions()
    }
    return {
        "unit": job.library.unit,
        "clock_ps": clock_ps,
        "length_ps": found.length_ps,
        "unclocked_ps": found.unclocked_ps,
        "all_in": found.timed_area,
        "all_in_unclocked": found.area,
        "arithmetic": sum(found.areas.get(name, 0.0) for name in names),
        "arithmetic_unclocked": sum(found.plain_areas.get(name, 0.0) for name in names),
        "buffers": found.buffers,
        "buffer_area": found.buffer_area,
        "ways": found.ways,
    }


def _energy(job: Job) -> Figures:
    options = job.options
    return product_energy.energy_figures(
        job.built.unit.config,
        job.library,
        str(options["format"]),
        job.built.activations[0],
        whole=bool(options["whole"]),
    )


def _fpga(job: Job) -> Figures:
    family, place = str(job.options["family"]), bool(job.options["place"])
    unit = fpga.part(job.built.unit, str(job.options["unit"]))
    verilog = "\n".join(job.modules[part.module_name] for part in unit.definitions())
    return asdict(fpga.implement(unit, verilog, family, place=place))


KINDS: dict[str, Kind] = {
    "area": Kind(_area, mapped.flow),
    "fanout": Kind(_fanout, lambda: mapped.digest(mapped.flow(), mapped.sources(fanout.__file__))),
    "clock": Kind(_clock, clocked.flow, {"clock_ps": 1000.0}, process=True),
    "energy": Kind(
        _energy,
        product_energy.flow_hash,
        {"format": "w2", "whole": False},
        process=True,
        verilog=False,
    ),
    "fpga": Kind(_fpga, fpga.flow, {"family": "ecp5", "unit": "", "place": True}, cells=False),
}
"""Every kind of measurement."""


def _split(point: Mapping[str, Any]) -> tuple[Kind, dict[str, Any], str, dict[str, Any]]:
    """A point's kind, the options of that, its design, and the fields of that."""
    values = dict(point)
    name = values.pop("kind", "area")
    if name not in KINDS:
        raise InputError(f"point: kind {name!r} is unknown; known are {', '.join(KINDS)}")
    kind = KINDS[name]
    options = {key: values.pop(key, default) for key, default in kind.options.items()}
    return kind, options, str(values.pop("design", DESIGN)), values


@functools.cache
def _generators() -> str:
    """Hash of all that the Verilog of a point depends on, apart from the point."""
    here = Path(__file__).parent
    files = [Path(lutcore.__file__).parent, here / "designs", here / "mapped.py"]
    files.append(here / "baselines")
    return mapped.digest(mapped.sources(*map(str, files)), metadata.version("amaranth"))


def _point_key(point: Point, library: Library) -> str:
    kind, *_ = _split(point)
    says = mapped.sources(__file__, str(report.__file__))
    text = json.dumps(point, sort_keys=True)
    cells = library.sha256 if kind.cells else ""
    return "point-" + mapped.digest(text, _generators(), cells, kind.flow(), says)


def applies(point: Point, library: Library) -> bool:
    """Whether a point can be measured on this library; also where it is wrong, which is said."""
    kind = KINDS.get(str(point.get("kind", "area")))
    return kind is None or not kind.process or library.unit != "NAND2"


def find(point: Point, library: Library) -> Record | None:
    """The record of a point that has been measured; None where that has to be done."""
    entry = native.cache_directory() / _point_key(point, library)
    if not entry.is_dir():
        return None
    os.utime(entry)  # What is used is not forgotten.
    kind, *_ = _split(point)
    return Record(point, **_read(entry), library=_library(kind, library), cached=True)


def measure(point: Point, library: Library) -> Record:
    """Measure a point, or find what was measured. An error becomes part of the record."""
    try:
        record = find(point, library) or _measure(point, library)
    except Exception as error:  # A sweep goes on whatever becomes of a point.
        kind = "" if isinstance(error, LutCoreError) else f"{type(error).__name__}: "
        return Record(point, {}, error=kind + " ".join(str(error).split()))
    keep(record, library)
    return record


def keep(record: Record, library: Library) -> None:
    """Keep the figures of a record on this machine, whole or not at all; errors are not kept."""
    if not record.error:
        with native.cached(_point_key(record.point, library), _writer(record)):
            pass


def _measure(point: Point, library: Library) -> Record:
    kind, options, design, values = _split(point)
    built = designs.build(design, values)
    fields = json.dumps([design, values], sort_keys=True)

    def generate(work: Path) -> None:
        units = (built.unit, *(unit for _, unit, _ in built.beside))
        found = {name: text for unit in units for name, text in mapped.texts(unit).items()}
        (work / "modules.json").write_text(json.dumps(found))

    modules: dict[str, str] = {}
    if kind.verilog:
        with native.cached(f"modules-{mapped.digest(_generators(), fields)}", generate) as entry:
            modules = json.loads((entry / "modules.json").read_text())
    job = Job(built, modules, options, library)
    # What a design says of itself decides what is counted as what.
    beside = [(name, unit.module_name, count) for name, unit, count in built.beside]
    says = repr((built.arithmetic, built.parts, beside, built.broadcasts, built.facts()))
    source = modules or [_generators(), fields]
    content = json.dumps([point.get("kind"), source, dict(options)], sort_keys=True)
    cells = library.sha256 if kind.cells else ""
    own = mapped.sources(__file__, str(report.__file__))
    key = "figures-" + mapped.digest(content, says, cells, kind.flow(), own)
    origin = _library(kind, library)

    def work_out(work: Path) -> None:
        begin = time.monotonic()
        figures = {**kind.run(job), "design": built.facts()}
        seconds = round(time.monotonic() - begin, 1)
        _writer(Record(point, figures, seconds=seconds))(work)

    with native.cached(key, work_out) as entry:
        return Record(point, **_read(entry), library=origin)


def _writer(record: Record) -> Callable[[Path], None]:
    content = json.dumps({"figures": record.figures, "seconds": record.seconds})

    def write(work: Path) -> None:
        (work / "figures.json").write_text(content)

    return write


def _read(entry: Path) -> dict[str, Any]:
    return json.loads((entry / "figures.json").read_text())


def _library(kind: Kind, library: Library) -> dict[str, str]:
    return {"name": library.name, "sha256": library.sha256} if kind.cells else {}
