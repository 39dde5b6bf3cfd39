"""Checkpoints: two of each run, of which the newest whole one counts."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.files import replacing
from benchmark.store.records import CHECKPOINT
from datamodules.errors import UserError, in_one_line
from datamodules.runs import RUN as RUN
from datamodules.tensor_files import load_tensors, save_tensors

BEFORE = "before.ckpt"
"""The checkpoint before the newest one, in the same folder."""

DAMAGED = "damaged.ckpt"
"""A checkpoint that was found damaged, out of the way of the next one."""


class DamagedCheckpoint(UserError):
    """A checkpoint that is not as it was written; the message names it."""


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a run's newest checkpoint; the one that was it becomes the one before.

    It is written beside the other two, so that neither a full disk nor a sudden end leaves less than a whole one.

    Raises:
        UserError: the disk is full, or cannot be written for another reason.
    """
    with replacing(path) as scratch:
        save_tensors(content, scratch)
        if path.exists():
            path.replace(path.with_name(BEFORE))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, on the CPU, and verify it by its checksum.

    Raises:
        DamagedCheckpoint: it is not as it was written.
        UserError: it is of another run than its folder.
    """
    try:
        content: dict[str, Any] = load_tensors(path)
        run = (
            content[RUN] and content["model"] and content["state_dict"] and content["hyper_parameters"] and content[RUN]
        )
    except Exception as error:  # a damaged file may raise anything
        raise DamagedCheckpoint(f"{path} is not a whole checkpoint ({in_one_line(error)})") from error
    if run != (own := "/".join(path.absolute().parts[-3:-1])):
        raise UserError(f"{path} is of another run, {run}, not {own}; move it away to train this run anew")
    return content


def newest_checkpoint(folder: Path, said: list[str]) -> Path | None:
    """The newest whole checkpoint of a run; None if there is none at all.

    Args:
        folder: the run's folder.
        said: takes a line for a damaged one, which is moved out of the way.

    Raises:
        DamagedCheckpoint: there is none but damaged ones.
        UserError: the checkpoint is of another run.
    """
    damaged = None
    for path in (folder / CHECKPOINT, folder / BEFORE):
        if not path.exists():
            continue
        try:
            read_checkpoint(path)
        except DamagedCheckpoint as error:
            damaged = damaged or error
            continue
        if damaged:
            with suppress(FileNotFoundError):  # another process of the run has done it
                (folder / CHECKPOINT).replace(folder / DAMAGED)
            said.append(f"{damaged}; it is kept as {DAMAGED}, and the run goes on from the one before it")
        return path
    if damaged:
        raise DamagedCheckpoint(f"{damaged}; delete it to train this run from the start") from damaged
    return None


def forget_checkpoint_before(folder: Path) -> None:
    """Delete the checkpoint before the last one of a run that has a record, which nobody goes on from."""
    with suppress(OSError):
        (folder / BEFORE).unlink()
