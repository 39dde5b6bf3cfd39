"""Files of JSON with a checksum in them: records of runs and of evaluations."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from benchmark.files import replacing
from datamodules.errors import UserError, in_one_line, require_file
from datamodules.sealed import checksum_of

Content = TypeVar("Content")


class CorruptRecord(UserError):
    """A record that cannot be trusted; the message names the file."""


def read_all(
    paths: Iterable[Path], read: Callable[[Path], Content], skipped: list[str] | None = None
) -> Iterator[Content]:
    """What several files hold.

    Args:
        paths: the files.
        read: reads one of them.
        skipped: a list to which a line is added for each corrupt one, which is skipped; None raises instead.

    Raises:
        CorruptRecord: one cannot be trusted and `skipped` is None.
    """
    for path in paths:
        try:
            yield read(path)
        except CorruptRecord as error:
            if skipped is None:
                raise
            skipped.append(str(error))


def write_sealed(content: dict[str, Any], path: Path) -> None:
    """Write fields as JSON, with a checksum of them."""
    text = json.dumps({**content, "sha256": checksum_of(content)}, indent=1, allow_nan=False) + "\n"
    with replacing(path) as scratch:
        scratch.write_bytes(text.encode())


def read_sealed(path: Path, build: Callable[..., Content], wrong: str, right: str) -> Content:
    """Read and verify what `write_sealed` has written.

    Args:
        path: the file.
        build: makes what the file holds of its fields, given by name.
        wrong: what is said of a file that holds something else.
        right: what to do then.

    Raises:
        CorruptRecord: the file is not JSON, has missing or unknown fields, or was altered since it was written.
    """
    try:
        require_file(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("sha256")
        built = build(**content)
    except Exception as error:  # a damaged file may raise anything
        raise CorruptRecord(f"{path} {wrong} ({in_one_line(error)}); {right}") from error
    if checksum != checksum_of(content):
        raise CorruptRecord(f"{path} was altered after it was written (checksum differs); {right}")
    return built
