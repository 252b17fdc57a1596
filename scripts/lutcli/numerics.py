"""`lutcore numerics`: what tables cost in accuracy, as tables and plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS, named
from lutcore.outputs import write_files
from lutverif.numerics import Change, Point, RmsError

R = TypeVar("R", RmsError, Change)

__all__ = ["numerics"]

Rows = list[list[str]]
"""Cells of a table, the first row being its head."""


def numerics(
    out: Annotated[Path, typer.Option(help="Directory of the results.")] = Path("build/numerics"),
    model: Annotated[
        Path | None, typer.Option(help="Directory of a llama2.c checkpoint, for perplexities.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="Its texts, separated by <|endoftext|>.")
    ] = None,
    story: Annotated[
        list[int] | None,
        typer.Option(help="Number of a text, from 1; may be repeated.", show_default="all"),
    ] = None,
    precision: Annotated[
        float, typer.Option(help="Standard error at which draws of a perplexity end.")
    ] = 0.0008,
    most: Annotated[int, typer.Option(help="Most draws of a perplexity.")] = 96,
    activation_type: Annotated[
        list[str] | None,
        typer.Option(help="Only these activations; may be repeated.", show_default="all"),
    ] = None,
    table_bits: Annotated[
        list[int] | None,
        typer.Option(help="Only tables of this width; may be repeated.", show_default="all"),
    ] = None,
) -> None:
    """Error of layers, and change of perplexity, over table width, block and number format."""
    # Imported here: models and plots are needed by this subcommand alone.
    from lutverif.numerics import ERRORS, PERPLEXITIES, changes, layer_error
    from lutverif.perplexity import read_texts

    from .numerics_plot import error_figure, perplexity_figure, rendered

    if (model is None) != (text is None):
        raise InputError("--model and --text belong together")
    if not 0 < precision < 1:
        raise InputError(f"precision must be above 0 and below 1, not {precision}")
    if most < 4:
        raise InputError(f"most must be 4 or more, not {most}")
    for name in activation_type or []:
        named("--activation-type", name, ACTIVATIONS)
    selected = [
        [
            point
            for point in points
            if (not activation_type or point.activation_type in activation_type)
            and (not table_bits or point.table_bits in table_bits)
        ]
        for points in (ERRORS, PERPLEXITIES)
    ]
    if not all(selected):
        widths = sorted({point.table_bits for point in ERRORS})
        raise InputError(
            f"--table-bits must be among {', '.join(map(str, widths))}, not "
            f"{', '.join(map(str, table_bits or []))}"
        )
    texts = read_texts(text, story) if text else []
    console = Console(width=max(120, Console().width))
    quiet = not console.is_terminal
    errors = [layer_error(p) for p in track(selected[0], "errors", console=console, disable=quiet)]
    files: dict[str, bytes] = {
        "error.csv": _csv(
            ["bits", "activations", "table_bits", "block", "error"],
            [[*r.point, r.value] for r in errors],
        ),
        **rendered("error", error_figure(errors)),
    }
    tables = [("Relative RMS error of layer outputs", _grid(errors, _error))]
    if model:
        found = changes(selected[1], model, texts, precision, most)
        total = len(selected[1])
        costs = list(track(found, "perplexities", total, console=console, disable=quiet))
        files |= {
            "perplexity.csv": _csv(
                ["bits", "activations", "table_bits", "block", "exact", "core", "change",
                 "uncertainty", "draws"],
                [[*c.point, c.perplexity.exact, c.perplexity.core, c.value, c.uncertainty, c.draws]
                 for c in costs],
            ),
            **rendered("perplexity", perplexity_figure(costs)),
        }  # fmt: skip
        tables.append(("Change of perplexity by the tables", _grid(costs, _percent)))
        tables.append(("Against the targets", _judged(costs)))
    files["numerics.md"] = "\n".join(
        f"## {title}\n\n{_markdown(rows)}" for title, rows in tables
    ).encode()
    out.mkdir(parents=True, exist_ok=True)
    write_files({out / name: content for name, content in files.items()})
    for title, rows in tables:
        _print(console, title, rows)
    console.print(f"{', '.join(files)} in {out}", highlight=False)


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([head, *rows])
    return stream.getvalue().encode()


def _grid(results: list[R], show: Callable[[R], str]) -> Rows:
    """A row for each weight width, table width and block, a column for each activation format."""
    cells = {r.point: show(r) for r in results}
    settings = sorted(
        {(p.block != 64, p.bits, p.table_bits, p.block) for p in cells},
    )
    rows = [["weights", "table bits", "block", *ACTIVATIONS]]
    for _, bits, table_bits, block in settings:
        values = [cells.get(Point(bits, name, table_bits, block), "") for name in ACTIVATIONS]
        rows.append([f"W{bits}", str(table_bits), str(block), *values])
    return rows


def _error(result: RmsError) -> str:
    return "exact" if result.point.exact else f"{result.value:.1e}"


def _percent(change: Change) -> str:
    if change.point.exact:
        return "exact"
    return f"{100 * change.value:+.2f} ± {100 * change.uncertainty:.2f} %"


def _judged(results: list[Change]) -> Rows:
    rows = [["weights", "activations", "table bits", "block", "change", "target", "met"]]
    for change in sorted(results, key=lambda c: (-c.point.table_bits, c.point.bits)):
        point = change.point
        if point.target is not None:
            met = "yes" if abs(change.value) <= point.target else "no"
            name = [f"W{point.bits}", point.activation_type, str(point.table_bits)]
            rows.append([*name, str(point.block), _percent(change), f"{point.target:.1%}", met])
    return rows


def _markdown(rows: Rows) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body]) + "\n"


def _print(console: Console, title: str, rows: Rows) -> None:
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
