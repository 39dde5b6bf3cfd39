"""The command that removes what killed processes have left."""

import sys
from collections.abc import Mapping
from pathlib import Path

from jsonargparse.typing import NonNegativeFloat

from benchmark.formatting import size
from benchmark.training.options import DATA, STORE
from datamodules.errors import UserError
from datamodules.scratch import IDLE_MINUTES


def clean(
    store: Path = STORE,
    data: Path = DATA,
    idle_minutes: NonNegativeFloat = IDLE_MINUTES,
    dry_run: bool = False,
) -> int:
    """Remove what killed processes have left: half-written files, scratch folders, locks and progress of no run.

    Records, checkpoints and data stay: a run that was killed still resumes from its last checkpoint.

    Args:
        store: Folder of the runs.
        data: Folder of the data; scratch folders in the user's cache and of the system are looked through as well.
        idle_minutes: Minutes for which nothing must have changed in a file or folder, since it may be of a process that
            still lives, perhaps on another machine. Locks tell this by themselves.
        dry_run: Remove nothing; say what would be removed.
    """
    import shutil

    from benchmark.store.leftovers import idle, leftovers, of_another_user, remove_lock

    _name_missing({"--store": (store, STORE), "--data": (data, DATA)})
    found = list(leftovers(store, data))
    ended = []
    for one in found:
        if of_another_user(one.path):
            reason = ", left alone: of another user"
        elif not idle(one, idle_minutes):
            reason = f", left alone: changed in the last {idle_minutes:g} minutes"
        else:
            reason = ""
            ended.append(one)
        print(f"{one.path}: {size(one.size)}{reason}", flush=True)
    whole = size(sum(one.size for one in ended))
    if dry_run:
        print(f"{len(ended)} files and folders, {whole}, would be removed")
        return 0
    refused = []
    for one in ended:
        try:
            if one.path.suffix == ".lock":
                remove_lock(one.path)
            elif one.path.is_dir():
                shutil.rmtree(one.path)
            else:
                one.path.unlink(missing_ok=True)
        except OSError as error:
            refused.append(f"{one.path}: {error.strerror}")
    if refused:
        raise UserError(f"cannot remove {'; '.join(refused)}")
    print(f"{len(ended)} files and folders removed, {whole}")
    return 0


def _name_missing(folders: Mapping[str, tuple[Path, Path]]) -> None:
    """Say which folders are not there, the usual ones apart, which may not have been made yet."""
    for option, (folder, usual) in folders.items():
        if folder != usual and not folder.is_dir():
            print(f"rnnreg: {option} {folder}: there is no such folder", file=sys.stderr)
