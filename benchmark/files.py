"""How files are written: as a whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a new version of a file to the path given, beside it; once that is complete it takes the file's place.

    If writing fails or is cut short, as on a full disk, the file stays as it was.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def writable(folder: Path) -> Path:
    """Make a folder, unless it exists, and try whether files can be written to it.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; name another folder with --store") from error
    return folder
