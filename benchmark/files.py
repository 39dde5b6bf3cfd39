"""How files are written: as a whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import UserError
from datamodules.scratch import scratch_file


@contextmanager
def replacing(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Write a new version of a file to the path given, beside it; once that is complete it takes the file's place.

    If writing fails or is cut short, as on a full disk, the file stays as it was.

    Args:
        path: the file.
        lasting: whether it must survive a power failure, for which the disk is waited for.

    Raises:
        UserError: the file cannot be written.
    """
    scratch = scratch_file(path)
    try:
        yield scratch
        if lasting:
            _sync(scratch)
        scratch.replace(path)
        if lasting:
            _sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def asked_for(path: Path) -> Iterator[Path]:
    """Write a file that a user names to the path given: as a whole or not at all, in a folder that is made if need be.

    What is written to a link goes to the file that it leads to. A pipe or a device, such as /dev/stdout, stays what it
    is, and takes what is written as it comes.

    Raises:
        UserError: the file cannot be written.
    """
    if path.is_fifo() or path.is_char_device():
        try:
            yield path
        except OSError as error:
            raise unwritable(path, error) from error
        return
    path = path.resolve() if path.is_symlink() else path
    writable(path.parent)
    with replacing(path) as scratch:
        yield scratch


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(descriptor)


def writable(folder: Path) -> Path:
    """Make a folder, unless it exists, and try whether files can be written to it.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a text to a file that a user names; see `asked_for`.

    Raises:
        UserError: it cannot be written.
    """
    with asked_for(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


ADVICE = {
    errno.ENOSPC: "make room and rerun the same command to resume",
    errno.EDQUOT: "make room and rerun the same command to resume",
    errno.ENAMETOOLONG: "give the row or the folder a shorter name",
}
"""What a user can do about an error of the operating system; about others, name another folder."""


def unwritable(path: Path, error: OSError) -> UserError:
    """The error for a file or folder that the operating system does not let us write."""
    advice = ADVICE.get(error.errno or 0, "name another file or folder")
    return UserError(f"cannot write to {path}: {error.strerror or error}; {advice}")
