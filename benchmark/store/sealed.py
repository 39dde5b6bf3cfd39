"""Files of JSON with a checksum in them: records of runs and of evaluations."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from benchmark.files import replacing
from datamodules.errors import UserError, in_one_line, require_file
from datamodules.mistaken import mistaken
from datamodules.sealed import checksum_of
from datamodules.text import parse_json

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

    Nobody is told to delete a file: it may be that of a later version, or of other data than was meant.

    Args:
        path: the file.
        build: the dataclass of what the file holds, made of its fields by name.
        wrong: what is said of a file that holds something else.
        right: how it is made anew.

    Raises:
        CorruptRecord: the file is not JSON, has missing or unknown fields, or was altered since it was written.
    """
    right = f"put the file back as it was written, or move it away and {right}"
    content = _fields(path, wrong, right)
    checksum = content.pop("sha256")
    if checksum != checksum_of(content):
        raise CorruptRecord(f"{path} was altered after it was written (checksum differs); {right}")
    if other := _other_fields(build, content):
        raise CorruptRecord(f"{path} was written by another version of the suite ({other}); update the suite")
    try:
        return build(**content)
    except Exception as error:  # what the fields may hold is known to their class
        raise CorruptRecord(f"{path} {wrong} ({in_one_line(error)}); {right}") from error


def _fields(path: Path, wrong: str, right: str) -> dict[str, Any]:
    """The fields of a file, its checksum among them, which is not verified."""
    try:
        require_file(path)
        written = path.read_bytes()
    except (OSError, UserError) as error:
        raise CorruptRecord(f"{path} cannot be read ({in_one_line(error)})") from error
    try:
        content = parse_json(written, path)
    except UserError as error:
        if what := mistaken(written):
            raise CorruptRecord(f"{path} {what}") from error
        raise CorruptRecord(f"{path} {wrong} ({str(error).removeprefix(f'{path}: ')}); {right}") from error
    if not isinstance(content, dict) or "sha256" not in content:
        raise CorruptRecord(f"{path} {wrong} (it has no checksum of its fields); {right}")
    return content


def _other_fields(build: Callable[..., Any], content: dict[str, Any]) -> str:
    """The fields that a file has beside those of a dataclass, or lacks, in words; empty if there are none."""
    own = {one.name: one for one in fields(build)}  # type: ignore[arg-type]
    needed = {name for name, one in own.items() if one.default is MISSING and one.default_factory is MISSING}
    more, less = sorted(content.keys() - own.keys()), sorted(needed - content.keys())
    both = [("unknown", more), ("without", less)]
    return "; ".join(f"{word} {'fields' if names[1:] else 'field'} {', '.join(names)}" for word, names in both if names)
