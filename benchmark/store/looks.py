"""What a store keeps of `rnnreg reproduce --until_decided`: that looks have decided how many runs there are."""

import json
from pathlib import Path

from benchmark.files import write_text
from datamodules.errors import DataError
from datamodules.text import read_json

LOOKS_FILE = "until-decided.json"
_MOST = "max_seeds"


def note_looks(store: Path, most: int) -> None:
    """Keep that a procedure of at most so many seeds adds runs to a store, or the larger number of an earlier one.

    Raises:
        DataError: what an earlier one has kept is damaged.
        UserError: it cannot be written.
    """
    store.mkdir(parents=True, exist_ok=True)
    write_text(store / LOOKS_FILE, json.dumps({_MOST: max(most, most_seeds(store) or 0)}) + "\n")


def most_seeds(store: Path) -> int | None:
    """The most seeds of a row that looks were planned for; None if the runs of a store were not made by looks.

    Raises:
        DataError: what is kept of it is damaged.
    """
    path = store / LOOKS_FILE
    if not path.is_file():
        return None
    right = "remove it, and give --until_decided again"
    found = read_json(path, right)
    if not (isinstance(found, dict) and type(found.get(_MOST)) is int and found[_MOST] > 0):
        raise DataError(f"{path} has no {_MOST} above 0; {right}")
    return int(found[_MOST])
