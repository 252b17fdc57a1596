"""A page from sections: one HTML file that needs no network, Markdown, and a CSV file a table."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.io
from plotly.offline import get_plotlyjs

from .model import Cell, Section, Table

__all__ = ["Page", "csv_text", "html_text", "markdown_text"]

_STYLE = """
:root { --ink: #22272e; --quiet: #5f6b7a; --line: #d8dde3; --accent: #2f5d8a; --paper: #ffffff; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 0 24px 64px; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 40px 0 8px; }
h2 { font-size: 1.35rem; margin: 56px 0 8px; padding-top: 12px; border-top: 1px solid var(--line); }
p { max-width: 46rem; margin: 10px 0; }
.quiet, figcaption, .caption { color: var(--quiet); font-size: 0.9rem; }
.note { border-left: 4px solid #e0a458; background: #fdf7ee; padding: 6px 16px; margin: 20px 0; }
.note ul { margin: 6px 0; padding-left: 18px; }
nav { columns: 2; column-gap: 32px; margin: 24px 0; font-size: 0.95rem; }
nav a { display: block; color: var(--accent); text-decoration: none; padding: 2px 0; }
.caption { margin: 22px 0 4px; max-width: none; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
.tall { max-height: 36rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; white-space: nowrap; }
th { position: sticky; top: 0; background: #eef2f6; cursor: pointer; font-weight: 600; }
th[aria-sort=ascending]::after { content: " \\2191"; }
th[aria-sort=descending]::after { content: " \\2193"; }
td.text, th.text { text-align: left; }
td.long { white-space: normal; min-width: 17rem; }
tbody tr:nth-child(even) { background: #f8fafb; }
figure { margin: 20px 0; }
@media (max-width: 640px) { body { padding: 0 12px 48px; } nav { columns: 1; }
  h1 { font-size: 1.5rem; } th, td { padding: 4px 8px; }
  .cards thead { display: none; } .cards tr { display: block; padding: 6px 0; }
  .cards td, .cards td.text { display: flex; white-space: normal; text-align: left; min-width: 0; }
  .cards td::before { content: attr(data-label); flex: 0 0 6.5rem; color: var(--quiet); }
  .cards td:first-child { font-weight: 600; } .cards td:first-child::before { content: none; }
  .cards td:empty { display: none; } }
"""

_SORT = """
for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const table = head.closest("table"), body = table.tBodies[0], at = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[at].dataset.value ?? row.cells[at].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), number = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
    return (number ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
  });
  body.append(...rows);
};
"""

_LONG = 36
"""Characters from which a text may be broken into lines."""

_PROSE = 72
"""Characters of a text that is prose: on a narrow screen its table's rows become cards."""

_TALL = 24
"""Rows above which a table scrolls by itself."""


@dataclass(frozen=True)
class Page:
    """Title, the notes that come first, a line of origin, sections, and what is missing."""

    title: str
    origin: list[str]
    notes: Sequence[str]
    sections: list[tuple[str, Section]]
    missing: list[str]


def _shown(value: Cell, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else value


def _textual(table: Table) -> list[bool]:
    return [any(isinstance(row[i], str) for row in table.rows) for i in range(len(table.columns))]


def csv_text(table: Table) -> str:
    """A table with its numbers in full."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    return stream.getvalue()


def markdown_text(page: Page) -> str:
    """The page without its plots."""
    lines = [f"# {page.title}", "", *(f"{line}  " for line in page.origin), ""]
    lines += [*(f"* {note}" for note in page.notes), ""]
    for _, section in page.sections:
        lines += [f"## {section.title}", ""]
        for paragraph in section.text:
            lines += [paragraph, ""]
        for plot in section.plots:
            lines += [f"(Plot in the HTML page: {plot.caption})", ""]
        for table in section.tables:
            marks = ["---" if text else "---:" for text in _textual(table)]
            lines += [table.caption, "", _pipes(table.columns), _pipes(marks)]
            lines += [_pipes([_shown(v, table.digits) for v in row]) for row in table.rows]
            lines += [""]
    if page.missing:
        lines += ["## Left out", "", *(f"* {line}" for line in page.missing), ""]
    return "\n".join(lines)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _html_table(table: Table) -> str:
    textual = _textual(table)
    cards = any(isinstance(v, str) and len(v) >= _PROSE for row in table.rows for v in row)

    def cell(value: Cell, text: bool, label: str) -> str:
        shown = html.escape(_shown(value, table.digits))
        kind = ""
        if text:
            kind = ' class="text long"' if len(shown) > _LONG else ' class="text"'
        number = "" if text else f' data-value="{"" if value is None else value}"'
        name = f' data-label="{html.escape(label)}"' if cards else ""
        return f"<td{kind}{number}{name}>{shown}</td>"

    heads = "".join(
        f'<th scope="col"{" class=text" if text else ""}>{html.escape(name)}</th>'
        for name, text in zip(table.columns, textual, strict=True)
    )
    rows = "\n".join(
        "<tr>" + "".join(map(cell, row, textual, table.columns)) + "</tr>" for row in table.rows
    )
    kind = " cards" if cards else " tall" if len(table.rows) > _TALL else ""
    return (
        f'<p class="caption">{html.escape(table.caption)}</p>\n'
        f'<div class="scroll{kind}" tabindex="0">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _html_section(name: str, section: Section) -> str:
    parts = [f'<section id="{name}"><h2>{html.escape(section.title)}</h2>']
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.text]
    for number, plot in enumerate(section.plots):
        drawing = plotly.io.to_html(
            plot.figure,
            config={"responsive": True, "displaylogo": False, "displayModeBar": False},
            include_plotlyjs=False,
            full_html=False,
            div_id=f"{name}-{number}",
        )
        caption = f"<figcaption>{html.escape(plot.caption)}</figcaption>"
        parts.append(f"<figure>{drawing}{caption}</figure>")
    parts += [_html_table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def html_text(page: Page) -> str:
    """The page in one file, plotly's script within."""
    links = "".join(
        f'<a href="#{name}">{html.escape(section.title)}</a>' for name, section in page.sections
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in page.notes)
    origin = "<br>".join(html.escape(line) for line in page.origin)
    missing = "".join(f"<li>{html.escape(line)}</li>" for line in page.missing)
    left_out = f"<section><h2>Left out</h2><ul>{missing}</ul></section>" if missing else ""
    sections = "\n".join(_html_section(name, section) for name, section in page.sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(page.title)}</title>
<style>{_STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<h1>{html.escape(page.title)}</h1>
<p class="quiet">{origin}</p>
<div class="note"><ul>{notes}</ul></div>
<nav>{links}</nav>
{sections}
{left_out}
<script>{_SORT}</script>
</body>
</html>
"""
