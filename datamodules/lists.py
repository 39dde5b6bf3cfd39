"""Lists of files: a header is known by its titles, and a file by its name in any of Unicode's normal forms."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from datamodules.errors import DataError, damaged
from datamodules.text import inside


def header_fields(row: Sequence[str], titles: Mapping[str, str], needed: Sequence[str], place: str) -> list[str] | None:
    """The field of each column if the first line of a list is a header, or None if it is an item.

    It is a header if it begins with a title of the first field that is needed, or has two titles anywhere.

    Args:
        row: cells of the line.
        titles: field by title, in lower case.
        needed: fields that a header must name, the name of the file first.
        place: file and line in messages.

    Raises:
        DataError: a header has a title that is not known, names a field twice, or lacks one that is needed.
    """
    fields = [titles.get(cell.strip().lower(), "") for cell in row]
    if fields[0] != needed[0] and sum(map(bool, fields)) < 2:
        return None
    right = f"the titles {' and '.join(needed)} are needed, and known are {', '.join(titles)}"
    if "" in fields:
        raise DataError(f"{place}: the header has a column {row[fields.index('')]!r}; {right}")
    if len(set(fields)) < len(fields) or not set(needed) <= set(fields):
        raise DataError(f"{place}: the header has the columns {', '.join(row)}; {right}, each field once")
    return fields


def only_one(folder: Path, there: Iterable[Path], what: str) -> Path | None:
    """The one that is there of several files or folders of which any would do; None if none is.

    Args:
        folder: folder that they lie in.
        there: those that are there; two names of one file are one.
        what: what each of them would hold, in messages.

    Raises:
        DataError: there are several, so that all but one would be passed over in silence.
    """
    found: dict[tuple[int, int], Path] = {}
    for path in there:
        with damaged(path):
            found.setdefault((path.stat().st_dev, path.stat().st_ino), path)
    if len(found) > 1:
        names = " and ".join(str(path.relative_to(folder)) for path in found.values())
        raise DataError(f"{folder} has {what} in {names}; leave there the one to be read")
    return next(iter(found.values()), None)


def not_named(folder: Path, suffixes: Collection[str], named: Collection[Path]) -> list[str]:
    """Names of the files in a folder, and in those within it, that a list does not name, hidden ones apart.

    Args:
        folder: the folder.
        suffixes: ends of names, in lower case, of the files that count.
        named: the files that the list names.
    """
    with damaged(folder):
        rest = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path not in named]
        names = sorted(path.relative_to(folder).as_posix() for path in rest if path.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]


class NamedFiles:
    """The files of a folder by the names that a list gives them; folders are listed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[Path, dict[str, str]] = {}

    def find(self, name: str, place: str) -> Path:
        """The path of a file, whether or not it is there; its name may have another normal form on the disk.

        Raises:
            DataError: the name leads out of the folder, is too long, or is that of two files in different forms.
        """
        path = inside(self.folder, name, place)
        with damaged(place):
            if path.exists() or name.isascii():
                return path
        found = self.folder
        for part in path.relative_to(self.folder).parts:
            found /= self._listing(found).get(unicodedata.normalize("NFC", part), part)
        return found

    def _listing(self, folder: Path) -> dict[str, str]:
        """The name on the disk of each entry of a folder, by its name in normal form C."""
        if folder not in self._listings:
            found: dict[str, str] = {}
            with damaged(folder):
                for entry in folder.iterdir() if folder.is_dir() else ():
                    if (other := found.setdefault(unicodedata.normalize("NFC", entry.name), entry.name)) != entry.name:
                        raise DataError(f"{folder} has two files that are named {other}, in two Unicode forms")
            self._listings[folder] = found
        return self._listings[folder]
