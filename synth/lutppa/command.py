"""What the commands of this package do about errors that a user can cause."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from lutcore.errors import LutCoreError

__all__ = ["reported"]

Main = Callable[[list[str] | None], int]


def reported(main: Main) -> Callable[..., int]:
    """A command that prints a LutCoreError in one line, and whose exit status then is 2."""

    @functools.wraps(main)
    def run(arguments: list[str] | None = None) -> int:
        try:
            return main(arguments)
        except LutCoreError as error:
            print("error:", error, file=sys.stderr)
            return 2

    return run
