"""Preparations of a source, which are computed once, by all cores, and kept on disk."""

import multiprocessing
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from datamodules.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

WHOLE = "about.json"
"""File that every preparation has, and that is written last."""


def prepared(name: str, data: Path, compute: Callable[[Path], None]) -> Path:
    """Folder of a preparation, which is computed now unless a process has done so before.

    Args:
        name: name of the folder: a checksum of all that decides its content.
        data: folder of the data; the folder is in DATA/prepared or, where that cannot be written, ~/.cache/rnnreg.
        compute: fills an empty folder, WHOLE among its files.

    Raises:
        DataError: neither place can be written; and whatever compute raises.
    """
    places = [data / "prepared", Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnreg"]
    for place in places:
        if (place / name / WHOLE).is_file():
            return place / name
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place))
            break
        except OSError as error:
            refusal = error
    else:
        raise DataError(f"cannot write to {places[0]} ({refusal.strerror}); name another folder with --data")
    try:
        compute(scratch)
        try:
            scratch.rename(place / name)
        except OSError:  # another process was faster, and has made the same
            if not (place / name / WHOLE).is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place / name


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item with the value of the function, in order, computed a few items ahead.

    Args:
        function: function of a module, or a partial of one, that can be pickled.
        items: items, which are read as they are needed, so that they may be more than memory holds.
    """
    waiting: deque[Any] = deque()
    with ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn")) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > 3 * cores():
                first, value = waiting.popleft()
                yield first, value.result()
        for first, value in waiting:
            yield first, value.result()
