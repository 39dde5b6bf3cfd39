"""Files that stand where another was meant to be, known by how they begin: the true cause, and what would be right."""

import re
from pathlib import Path

from datamodules.errors import DataError

BEGIN = 1 << 16
"""Bytes that are enough to know one by."""

_CONFLICT = re.compile(rb"^(?:<<<<<<< |>>>>>>> )", re.MULTILINE)
_LFS = b"version https://git-lfs.github.com/"
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE)


def mistaken(content: bytes) -> str:
    """What a file that could not be read is, after its name, and what would be right; empty where nobody knows.

    Args:
        content: the file, or its first BEGIN bytes.
    """
    if content.startswith(_LFS):
        return "is a pointer of Git LFS in place of the file; `git lfs pull` gets the file itself"
    if _CONFLICT.search(content):
        return "has the marks of a merge conflict; resolve it, or check out the file of one side"
    if _PAGE.match(content):
        return "is a web page, as servers send in place of a file that they do not give; download the file again"
    return ""


def refuse_mistaken(text: str, place: Path | str) -> None:
    """Refuse a text that could not be read if it is known what it is.

    Raises:
        DataError: it is; the message says what would be right.
    """
    if what := mistaken(text.encode()):
        raise DataError(f"{place} {what}")
