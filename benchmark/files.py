"""Files and folders that are written."""

import tempfile
from pathlib import Path

from datamodules.errors import UserError


def writable(folder: Path) -> Path:
    """Make a folder.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; name another folder with --store") from error
    return folder
