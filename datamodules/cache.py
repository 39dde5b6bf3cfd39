"""Preparations of a source, which are computed once, by all cores, and kept on disk."""

import itertools
import logging
import multiprocessing
import os
import shutil
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from datamodules.errors import DataError
from datamodules.scratch import PREFIX
from datamodules.sources import flush, sha256_of

Item = TypeVar("Item")
Result = TypeVar("Result")

WHOLE = "SHA256SUMS"
"""File that every preparation has, and that is written last: checksums of the others, as `sha256sum` writes them."""

logger = logging.getLogger(__name__)

_checked: set[Path] = set()
"""Preparations whose checksums this process has checked."""


def prepared(identify: Callable[[], str], source: str, data: Path, compute: Callable[[Path], None]) -> Path:
    """Folder of a preparation, which is computed now unless a process has done so before.

    A preparation whose files are not as they were written is computed again. One whose source changes while it is
    computed is not kept: it would be found under the checksum of what the source was before.

    Args:
        identify: gives the name of the folder, a checksum of all that decides its content, of the source as it then is.
        source: name of the source in messages.
        data: folder of the data; the folder is in DATA/prepared or, where that cannot be written, ~/.cache/rnnreg.
        compute: fills an empty folder.

    Raises:
        DataError: neither place can be written, or has room, or the source changes meanwhile; and whatever compute and
            identify raise.
    """
    name = identify()
    places = [data / "prepared", *user_cache()]
    for place in places:
        if is_whole(place / name):
            return place / name
    refusal: OSError | None = None
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            for leftover in leftovers(place):
                shutil.rmtree(leftover, ignore_errors=True)
            if (place / name).exists():  # it is damaged
                shutil.rmtree(place / name)
            scratch = _make_scratch(place, name)
        except OSError as error:
            refusal = refusal or error
            continue

        def compute_and_compare(scratch: Path) -> None:
            compute(scratch)
            if identify() != name:
                raise DataError(f"{source} changed while it was prepared; leave it as it is, and run the command again")

        return _compute(scratch, place / name, compute_and_compare)
    reason = refusal.strerror if refusal else "no such place"
    raise DataError(f"cannot write to {places[0]} ({reason}); name another folder with --data")


def user_cache() -> list[Path]:
    """The folder of the user's own cache; none for a user without a home."""
    with suppress(RuntimeError):
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnreg"]
    return []


def _compute(scratch: Path, folder: Path, compute: Callable[[Path], None]) -> Path:
    try:
        compute(scratch)
        seal(scratch)
        try:
            scratch.rename(folder)
        except OSError:  # another process was faster, and has made the same
            if not is_whole(folder):
                raise
    except OSError as error:
        raise DataError(
            f"cannot write to {folder.parent}: {error.strerror or error}; nothing is left of this try; "
            "make room there, or name another folder with --data"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _checked.add(folder)
    return folder


def seal(folder: Path) -> None:
    """Write down the checksums of a folder's files, once all of them are on the disk."""
    files = sorted(path for path in folder.iterdir() if path.name != WHOLE)
    for path in files:
        flush(path)
    (folder / WHOLE).write_text("".join(f"{sha256_of(path)}  {path.name}\n" for path in files), encoding="ascii")
    flush(folder / WHOLE)


def is_whole(folder: Path) -> bool:
    """Whether a preparation is there, can be read, and has all its files as they were written."""
    if folder in _checked and folder.is_dir():
        return True
    try:
        lines = (folder / WHOLE).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        lines = []
    try:
        whole = bool(lines) and all(sha256_of(folder / line[66:]) == line[:64] for line in lines)
    except (OSError, ValueError, DataError):
        whole = False
    if whole:
        _checked.add(folder)
    else:
        logger.warning("%s is damaged or cannot be read: it is made again", folder)
    return whole


def _make_scratch(place: Path, name: str) -> Path:
    """An empty folder of this process, with the rights that the umask gives, as tempfile would not give them.

    Its name is one of datamodules.scratch.FOLDER, by which `rnnreg clean` knows it.
    """
    for number in itertools.count():
        with suppress(FileExistsError):
            scratch = place / f"{PREFIX}{name}.{socket.gethostname()}-{number}.{os.getpid():08d}"
            scratch.mkdir()
            break
    return scratch


def leftovers(place: Path) -> list[Path]:
    """Scratch folders of preparations on this machine whose process has died."""
    host = socket.gethostname()
    found = []
    for scratch in place.glob(f"{PREFIX}*.{host}-*.*"):
        process = scratch.name.rpartition(".")[2]
        if process.isdecimal() and not _is_alive(int(process)):
            found.append(scratch)
    return found


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_of_cores(shares: int) -> int:
    """Threads that each of so many processes side by side may use: at least one, at most `OMP_NUM_THREADS` if set."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores() // shares)
    return min(share, int(most)) if most.isascii() and most.isdigit() and int(most) else share


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
