"""Files that killed processes have left behind: half-written ones, scratch folders, locks and progress of runs."""

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark.store.locks import UNDER_WAY
from datamodules.cache import user_cache
from datamodules.scratch import FILE, FOLDER, PREFIX


@dataclass(frozen=True)
class Leftover:
    """Something that nobody seems to need any more."""

    path: Path
    size: int
    """Bytes."""
    changed: float
    """Time of the last change in it."""


def leftovers(store: Path, data: Path) -> Iterator[Leftover]:
    """What killed processes may have left in a store, a data folder, the user's cache and the folder of scratch files.

    Only what has a name of the suite's own is taken for left behind, since users keep files of other names there.
    Whether the process still lives can be told for runs alone, by their locks; what is of a run under way is passed
    over.
    """
    for lock in sorted((store / UNDER_WAY).glob("*.lock")):
        if not _is_held(lock):
            yield from (leftover(path, 0.0) for path in (lock, lock.with_suffix(".json")) if path.exists())
    places = (
        (store, ""), (store / UNDER_WAY, ""), (store, "*/*/"), *((cache, "") for cache in user_cache()),
        (data, "*/"), (data / "features", "**/"), (Path(tempfile.gettempdir()), ""),
    )  # fmt: skip
    for path in sorted({path for folder, above in places for path in folder.glob(f"{above}{PREFIX}*")}):
        kind = FOLDER if path.is_dir() else FILE
        if kind.fullmatch(path.name) and not path.is_symlink():
            yield leftover(path)


def idle(found: Leftover, minutes: float) -> bool:
    """Whether nothing has changed in it for so many minutes: on other machines too its process has ended, then."""
    return time.time() - found.changed >= 60 * minutes


def of_another_user(path: Path) -> bool:
    """Whether only its owner, who is not this user, may remove it, as in a folder of scratch files that all share."""
    folder, user = path.parent.stat(), os.geteuid()
    return bool(folder.st_mode & stat.S_ISVTX) and user not in (0, folder.st_uid, path.lstat().st_uid)


def remove_lock(path: Path) -> None:
    """Remove a lock's file, unless a process has taken the lock meanwhile."""
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def leftover(path: Path, changed: float | None = None) -> Leftover:
    """What is at a path, with what is in it."""
    states = []
    for one in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):  # its process lives, after all
            states.append(one.lstat())
    size = sum(state.st_size for state in states if stat.S_ISREG(state.st_mode))
    return Leftover(path, size, max((state.st_mtime for state in states), default=0.0) if changed is None else changed)
