"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

__all__ = ["write_files", "writing"]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError inside into an InputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write every file, making folders as needed; InputError with the path that cannot be written.

    All contents are on disk before the first file gets its name, so that a full disk or an
    unwritable folder leaves the earlier files as they were.
    """
    for path in contents:
        if path.parent.exists() and not path.parent.is_dir():
            raise InputError(f"{path.parent}: is not a directory; the name of one would do")
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}
    try:
        for path, content in contents.items():
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                temporaries[path].write_bytes(content)
        for path, temporary in temporaries.items():
            with writing(path):
                temporary.replace(path)
    finally:
        for temporary in temporaries.values():
            if temporary.parent.is_dir():
                temporary.unlink(missing_ok=True)
