"""The account: run the sweeps, write one page.

`python -m lutppa.account [SWEEP ...] [--liberty FILE] [--scheduler tcp://...] [--out DIR]` writes
report.html, which needs no network, report.md, and a CSV file a table.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from pathlib import Path

from rich.console import Console

from lutcore.outputs import write_files

from .. import sweep, sweep_table
from ..command import reported
from ..liberty import Library, read
from ..measure import Record
from ..report import NOTES
from .model import Results
from .render import Page, csv_text, html_text, markdown_text
from .sections import made

TITLE = "LUT tensor core: the account"


def page(records: list[Record], library: Library) -> Page:
    """The page of these records, measured on `library`."""
    sections, missing = made(Results(records))
    missing += [
        f"{sweep_table.label(record.point, {})}: {record.error}."
        for record in records
        if record.error
    ]
    tools = ", ".join(f"{tool} {metadata.version(tool)}" for tool in ("amaranth", "pyosys"))
    origin = [
        f"Library {library.name} ({library.file}, SHA-256 {library.sha256[:12]}); areas in "
        f"{'NAND2 equivalents' if library.unit == 'NAND2' else 'µm²'}, a NAND2 is "
        f"{library.nand2.area:g}.",
        f"{len(records)} points; lut-tensor-core {metadata.version('lut-tensor-core')}, {tools}, "
        f"Python {platform.python_version()}.",
    ]
    return Page(TITLE, origin, NOTES, sections, missing)


def files(shown: Page, out: Path) -> dict[Path, bytes]:
    """Every file of a page."""
    tables = [table for _, section in shown.sections for table in section.tables]
    return {
        out / "report.html": html_text(shown).encode(),
        out / "report.md": markdown_text(shown).encode(),
        **{out / f"{table.name}.csv": csv_text(table).encode() for table in tables},
    }


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; status 1 if a point has an error, 2 for bad input, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.account", description=__doc__)
    sweep.options(parser)
    parser.add_argument("--out", type=Path, default=Path("build/report"), help="folder of the page")
    chosen = parser.parse_args(arguments)
    console = Console()
    records: list[Record] = []
    try:
        library = read(chosen.liberty)
        for points in [sweep.load(name) for name in chosen.sweep]:
            records += sweep.measured(
                points, chosen.liberty, console, chosen.processes, chosen.scheduler
            )
        shown = page(records, library)
        write_files(files(shown, chosen.out))
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    for line in shown.missing:
        console.print(f"left out: {line}", style="dim", highlight=False)
    console.print(f"report.html, report.md and a CSV file a table in {chosen.out}", highlight=False)
    return int(any(record.error for record in records))


if __name__ == "__main__":
    sys.exit(main())
