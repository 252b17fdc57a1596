"""Sweeps: a TOML file of points, measured on this machine's processes or on a Dask cluster.

    python -m lutppa.sweep default [--liberty FILE ...] [--scheduler tcp://...] [--out DIR]

A sweep file has tables `[[product]]`, whose lists span points, and `[[point]]`, which are one point
each; `[defaults]` holds what all of them share, `[defaults.DESIGN]` what those of a design do. A
sweep that ends early, in whatever way, goes on
where it was when it is started again: every figure is kept under a hash of what it depends on.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lutcore.errors import InputError, LutCoreError
from lutcore.outputs import write_files

from . import designs, liberty, measure, sweep_table
from .command import reported
from .liberty import Library
from .measure import Point, Record, find, keep

__all__ = ["Sweep", "load", "packaged", "run"]

DEFAULT = "default"


@dataclass(frozen=True)
class Sweep:
    """Points to measure: a name for files, and the points in the order of the file."""

    name: str
    points: list[Point]


def packaged() -> list[str]:
    """Names of the sweeps that come with the package."""
    files = resources.files("lutppa").joinpath("sweeps").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(name: str) -> Sweep:
    """The packaged sweep `name`, or that of a TOML file; InputError if it is not one."""
    if name in packaged():
        text = resources.files("lutppa").joinpath("sweeps", f"{name}.toml").read_text()
        return parse(text, name, name)
    path = Path(name)
    try:
        return parse(path.read_text(encoding="utf-8"), path.stem, name)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read: {error.strerror}; packaged are {', '.join(packaged())}"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is not TOML: {error}") from None


def parse(text: str, name: str, file: str) -> Sweep:
    """The sweep of a TOML text; `file` names it in errors. Equal points count once."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: is not TOML: {error}") from None
    for key, shape in (("defaults", dict), ("product", list), ("point", list)):
        found = values.pop(key, shape())
        tables = [found] if shape is dict else found
        if not isinstance(found, shape) or not all(isinstance(table, dict) for table in tables):
            raise InputError(f"{file}: {key} must be {'a table' if shape is dict else 'tables'}")
        values[f"_{key}"] = found
    defaults, products, points = (values.pop(f"_{key}") for key in ("defaults", "product", "point"))
    if values:
        raise InputError(
            f"{file}: unknown key {next(iter(values))!r}; known are defaults, product, point"
        )
    by_design = {key: value for key, value in defaults.items() if isinstance(value, dict)}
    for design in by_design:
        if design not in designs.DESIGNS:
            raise InputError(
                f"{file}: defaults of design {design!r}, which is unknown; known are "
                f"{', '.join(designs.DESIGNS)}"
            )
        del defaults[design]
    found: dict[str, Point] = {}
    spanned: list[Point] = []
    for table in products:
        axes = [value if isinstance(value, list) else [value] for value in table.values()]
        spanned += (dict(zip(table, chosen, strict=True)) for chosen in itertools.product(*axes))
    for table in [*spanned, *points]:
        design = table.get("design", defaults.get("design", measure.DESIGN))
        _add(found, {**defaults, **by_design.get(str(design), {}), **table}, file)
    if not found:
        raise InputError(f"{file}: has no points; a table [[point]] or [[product]] would do")
    return Sweep(name, list(found.values()))


def _add(found: dict[str, Point], point: Point, file: str) -> None:
    for key, value in point.items():
        if not isinstance(value, (str, int, float)):
            raise InputError(
                f"{file}: {key} of a point must be a number, a word or true or false, not {value!r}"
                "; formats that a design has at once are joined: int8+fp16"
            )
    found.setdefault(json.dumps(point, sort_keys=True), point)


def run(
    sweep: Sweep,
    library: Path | None,
    *,
    processes: int | None = None,
    scheduler: str = "",
    done: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Measure every point on a library, generic for None; the records in the order of the points.

    processes  at a time on this machine; its processors by default
    scheduler  address of a Dask scheduler, whose workers have this package; in place of processes
    done       called with every record as it comes
    """
    cells = liberty.read(library)
    records: dict[int, Record] = {}
    for index, point in enumerate(sweep.points):
        try:
            found = find(point, cells)
        except LutCoreError as error:
            found = Record(point, {}, error=str(error))
        if found:
            records[index] = found
            done(found)
    missing = [index for index in range(len(sweep.points)) if index not in records]
    if missing:
        workers = _dask(scheduler, cells) if scheduler else _local(library, processes)
        with workers as submit:
            jobs = {submit(sweep.points[index]): index for index in missing}
            for job in as_completed(jobs):
                record = job.result()
                keep(record, cells)
                records[jobs[job]] = record
                done(record)
    return [records[index] for index in range(len(sweep.points))]


Submit = Callable[[Point], "Future[Record]"]


@contextmanager
def _local(library: Path | None, processes: int | None) -> Iterator[Submit]:
    # Workers start afresh: a copy of this process would keep its threads' locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes or os.cpu_count(), context, initializer=_follow)
    try:
        yield lambda point: pool.submit(_measure, point, library)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _follow() -> None:
    """Ends this worker, and the tools that it started, as soon as its parent has ended."""
    os.setpgid(0, 0)

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


@functools.cache
def _library(path: Path | None) -> Library:
    return liberty.read(path)


def _measure(point: Point, library: Path | None) -> Record:
    return measure.measure(point, _library(library))


@contextmanager
def _dask(scheduler: str, cells: Library) -> Iterator[Submit]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"scheduler {scheduler}: cannot be reached: {error}") from None
    with client:
        shared = client.scatter(cells, broadcast=True)
        executor: Executor = client.get_executor(pure=False)
        yield lambda point: executor.submit(measure.measure, point, shared)


def measured(
    sweep: Sweep, library: Path | None, console: Console, processes: int | None, scheduler: str
) -> list[Record]:
    """`run` with a progress bar, and lines at the end on how many points were there already.

    Points that this library cannot have are left out.
    """
    cells = liberty.read(library)
    points = [point for point in sweep.points if measure.applies(point, cells)]
    left_out = len(sweep.points) - len(points)
    sweep = Sweep(sweep.name, points)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(f"sweep {sweep.name}", total=len(sweep.points))
        records = run(
            sweep,
            library,
            processes=processes,
            scheduler=scheduler,
            done=lambda record: progress.advance(task),
        )
    kept = sum(record.cached for record in records)
    errors = sum(bool(record.error) for record in records)
    console.print(
        f"sweep {sweep.name}: {len(records)} points, {kept} measured before, "
        f"{len(records) - kept - errors} measured now, {errors} with errors",
        highlight=False,
    )
    if left_out:
        console.print(f"left out: {left_out} points that need the library of a process")
    return records


def data(sweep: Sweep, records: Sequence[Record]) -> bytes:
    """The JSON file of a sweep."""
    return (json.dumps([asdict(record) for record in records], indent=1) + "\n").encode()


def options(parser: argparse.ArgumentParser) -> None:
    """The options that every command with a sweep has."""
    known = ", ".join(packaged())
    parser.add_argument("sweep", nargs="*", default=[DEFAULT], help=f"{known}, or TOML files")
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    parser.add_argument("--scheduler", default="", help="Dask scheduler, such as tcp://host:8786")
    parser.add_argument("--processes", type=int, help="points at a time on this machine (all CPUs)")


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; status 1 if a point has an error, 2 for bad input, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.sweep", description=__doc__)
    options(parser)
    parser.add_argument("--out", type=Path, default=Path("build/sweep"), help="folder of the JSON")
    chosen = parser.parse_args(arguments)
    console = Console()
    failed = False
    try:
        for sweep in [load(name) for name in chosen.sweep]:
            records = measured(sweep, chosen.liberty, console, chosen.processes, chosen.scheduler)
            file = chosen.out / f"{sweep.name}.json"
            write_files({file: data(sweep, records)})
            console.print(sweep_table.table(records))
            console.print(f"{file}", highlight=False)
            failed |= any(record.error for record in records)
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
