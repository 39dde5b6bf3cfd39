"""Files that commands write: never over what they read, nor over a part of a run."""

from collections.abc import Iterable
from pathlib import Path

from benchmark.store.records import CHECKPOINT, ITEMS, LOG_PROBABILITIES, RECORD
from datamodules.errors import UserError


def refuse_lost(option: str, output: Path | None, inputs: Iterable[Path | str | None] = ()) -> None:
    """Refuse an output in whose place something lies that would be lost.

    Args:
        option: the option that names the output.
        output: the output; None if none is asked for.
        inputs: files and folders that the command reads, as far as they are there.

    Raises:
        UserError: the output is one of the inputs, lies in one of them or is linked from there, or is a part of a run.
    """
    if output is None or not output.exists():
        return
    for one in inputs:
        place = Path(one) if one else None
        if place and place.exists() and _holds(place, output):
            raise UserError(f"{option} {output}: would be written over what is read from {place}; name a new file")
    if output.name in (RECORD, LOG_PROBABILITIES, ITEMS, CHECKPOINT):
        raise UserError(f"{option} {output}: is a part of a run, which would be lost; name a new file")


def _holds(place: Path, output: Path) -> bool:
    """Whether a file is a place, or lies in it, by whatever links."""
    linked = (path for path in place.rglob("*") if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1))
    return any(
        output.resolve().is_relative_to(one.resolve()) or (one.exists() and output.samefile(one))
        for one in (place, *linked)
    )
