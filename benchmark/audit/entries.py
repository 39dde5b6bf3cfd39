"""The runs of a store that nobody vouches for, read so that nothing in it is executed and nothing in it is believed."""

import json
import math
import types
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from benchmark.store.records import LOG_PROBABILITIES, RECORD, Record, read_record
from benchmark.store.sealed import CorruptRecord
from datamodules.errors import UserError

Content = TypeVar("Content")

LARGEST_RECORD = 100_000_000
LARGEST_ARRAYS = 2_000_000_000
"""Bytes beyond which a record, or what its arrays unpack to, is not read."""

LONGEST_QUOTE = 200
"""Characters that are quoted of what somebody else wrote."""

IN_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    dict: "an object of such values",
    list: "a list",
    tuple: "a list",
}
"""The types of a record's fields, in a reader's words."""

UNREADABLE = (
    OSError, ValueError, TypeError, KeyError, EOFError, MemoryError, OverflowError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What reading a damaged or hostile file may raise."""


@dataclass(frozen=True)
class Entry:
    """One run's folder of a store."""

    folder: Path
    name: str
    """The folder relative to the store."""
    record: Record | None
    """The record; None if it cannot be read."""
    fault: str = ""
    """Why the record cannot be read or trusted; empty if it is as it was written."""

    def has(self, name: str) -> bool:
        """Whether a file of that name lies beside the record."""
        return (self.folder / name).is_file()

    def arrays(self, name: str = LOG_PROBABILITIES) -> dict[str, np.ndarray]:
        """The arrays of a file beside the record, by their names.

        Raises:
            UserError: it is missing or damaged.
        """
        if not self.has(name):
            raise UserError(f"{name} is missing; it is sent along with the record")
        path = self.folder / name
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > LARGEST_ARRAYS:
                raise ValueError(f"unpacks to {size:,} bytes, more than {LARGEST_ARRAYS:,}")
            with np.load(path, allow_pickle=False) as file:
                return {key: np.asarray(file[key]) for key in file.files}
        except UNREADABLE as error:
            raise UserError(f"{name} cannot be read: {quoted(error)}") from error


def read_entries(root: Path) -> list[Entry]:
    """Every folder of a store that has a record, in the order of their names.

    Raises:
        UserError: there is no such folder, or it holds no runs.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such store; name a folder of runs or a certificate")
    found = [read_entry(path, root) for path in sorted(root.glob(f"*/*/{RECORD}"))]
    if not found:
        raise UserError(f"{root} has no records; a store holds <row>/seed-<seed>-<checksum>/{RECORD}")
    return found


def read_entry(path: Path, root: Path) -> Entry:
    """One folder of a store, from the path of its record."""
    name = quoted(path.parent.relative_to(root) if path.is_relative_to(root) else path.parent)
    try:
        record = record_of(parse(path))
    except UserError as error:
        return Entry(path.parent, name, None, str(error))
    try:
        read_record(path)
    except CorruptRecord:
        fault = "the record was altered after it was written (its checksum differs); take the file as it was written"
        return Entry(path.parent, name, record, fault)
    return Entry(path.parent, name, record)


def parse(path: Path) -> Any:
    """The content of a JSON file that somebody else wrote.

    Raises:
        UserError: it is no file, too large, or not JSON.
    """
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if (size := path.stat().st_size) > LARGEST_RECORD:
            raise ValueError(f"it has {size:,} bytes, more than {LARGEST_RECORD:,}")
        return json.loads(path.read_text(encoding="utf-8"))
    except (*UNREADABLE, RecursionError) as error:
        raise UserError(f"{path.name} cannot be read as JSON: {quoted(error)}") from error


def record_of(content: Any) -> Record:
    """A record from the JSON of its file; see content_of."""
    return content_of(content, Record, "a record")


def content_of(content: Any, kind: type[Content], title: str) -> Content:
    """What the JSON of a file holds, as a value of a dataclass; its checksum is not looked at.

    Args:
        content: the JSON.
        kind: the dataclass.
        title: what the file is, with its article.

    Raises:
        UserError: a field is missing, unknown or of another type.
    """
    if not isinstance(content, dict):
        raise UserError(f"not {title}: it is not a JSON object")
    own = {name: value for name, value in content.items() if name != "sha256"}
    known = fields(kind)  # type: ignore[arg-type]
    required = {one.name for one in known if one.default is MISSING and one.default_factory is MISSING}
    if missing := sorted((required | {"sha256"}) - content.keys()):
        raise UserError(f"half {title}: it lacks {', '.join(missing)}")
    hints = get_type_hints(kind)
    if unknown := sorted(own.keys() - {one.name for one in known}):
        raise UserError(
            f"{title} with fields that this version does not know ({quoted(', '.join(unknown))}); "
            "verify it with the version that wrote it"
        )
    for name, value in own.items():
        if wrong := next(misfits(value, hints[name], name), None):
            raise UserError(wrong)
    return kind(**own)


def misfits(value: Any, hint: Any, where: str) -> Iterator[str]:
    """The places where a value of JSON is not of a type of `Record`, each in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        yield from not_finite(value, where)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from misfits(item, arguments[1], f"{where}.{quoted(key)}")
    elif origin in (list, tuple) and isinstance(value, list):
        for place, item in enumerate(value):
            yield from misfits(item, arguments[0], f"{where}[{place}]")
    elif origin is types.UnionType:
        if all(next(misfits(value, one, where), None) for one in arguments):
            yield f"{where} is {quoted(repr(value))}, not {' or '.join(IN_WORDS.get(one, 'none') for one in arguments)}"
    elif origin or not _is(value, hint):
        yield f"{where} is {quoted(repr(value))}, not {IN_WORDS[origin or hint]}"


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def not_finite(value: Any, where: str) -> Iterator[str]:
    """The places of a JSON value where a number is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{where} is {value}, not a finite number"
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from not_finite(item, f"{where}.{quoted(key)}")


def quoted(text: object) -> str:
    """What somebody else wrote, on one line, without control characters, cut to a length that can be read."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(str(text).split()))
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "..."
