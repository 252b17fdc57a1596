"""The `lutcore` command: its subcommands, and how errors end it.

Exit status: 0 done; 1 a comparison found a mismatch; 2 bad input, as one line on stderr;
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from lutcore.errors import LutCoreError

from . import (
    asm,
    config,
    diagram,
    disasm,
    gemm,
    matrix,
    numerics,
    perplexity,
    run,
    sim,
    synth,
    types,
    vectors,
    verilog,
)

__all__ = ["app", "main"]

BAD_INPUT = 2

app = typer.Typer(help="Generate, simulate and measure LUT tensor cores.", add_completion=False)
app.add_typer(config.app, name="config")
for module in (
    *(asm, diagram, disasm, gemm, matrix, numerics, perplexity, run),
    *(sim, synth, types, vectors, verilog),
):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default) and return its status."""
    try:
        return app(arguments, prog_name="lutcore", standalone_mode=False) or 0
    except TyperException as error:
        return _fail(f"{error.format_message()} (lutcore --help lists what there is)")
    except LutCoreError as error:
        return _fail(str(error))
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}")


def _fail(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
