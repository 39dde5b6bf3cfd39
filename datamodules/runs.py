"""The folders of runs: their names, and whether the checkpoint and the record in one of them are of the same training.

It stands here because two rooms that know nothing of each other need it: the store, and models that are loaded.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from datamodules.errors import UserError
from datamodules.sealed import checksum_of
from datamodules.text import read_json

RECORD = "record.json"
CHECKPOINT = "last.ckpt"
"""Names of files in the folder of a run."""

RUN = "run"
"""Key under which a checkpoint has the name of its run; older ones have none."""
CURVE = "CurveRecorder"
"""Callback whose state in a checkpoint has the learning curve."""

FOLDER = re.compile(r"seed-(\d+)-([0-9a-f]{8})")
"""Name of a run's folder, which lies in a folder of the row's name: seed, and checksum of configuration and data."""


def run_name(row: str, seed: int, fingerprint: str, data_sha256: str) -> str:
    """Folder of a run in a store, <row>/seed-<seed>-<checksum of configuration and data>, the same for the same run."""
    return f"{row}/seed-{seed}-{hashlib.sha256((fingerprint + data_sha256).encode()).hexdigest()[:8]}"


def read_sealed_record(path: Path) -> dict[str, Any]:
    """The fields of a record, of whatever version of the suite.

    Raises:
        UserError: it is missing or no record, or was altered since it was written.
    """
    found = read_json(path)
    if not isinstance(found, dict) or "sha256" not in found:
        raise UserError(f"{path} is not a record of this suite; put the run's own in its place, or move it away")
    if found["sha256"] != checksum_of(found):
        raise UserError(
            f"{path} was altered after it was written (checksum differs); put the run's own in its place, or train the "
            "run again"
        )
    return found


def record_beside(path: Path, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The record in the folder of a checkpoint, of the very training that the checkpoint is of.

    The run is known by the fields of the record, since folders may have been renamed.

    Args:
        path: the checkpoint's file.
        checkpoint: what it holds.

    Returns:
        The record's fields; none if the run has not finished.

    Raises:
        UserError: the record was altered, or checkpoint, record and folder are not of the same training.
    """
    run, folder = checkpoint.get(RUN), path.absolute().parent.name
    if run is not None and FOLDER.fullmatch(folder) and folder != str(run).rpartition("/")[2]:
        raise UserError(
            f"{path} is of another run, {run}, than its folder has the name of; put this run's own in its place, or "
            "give the folder the name of its run"
        )
    place = path.with_name(RECORD)
    if not place.exists():
        return {}
    record = read_sealed_record(place)
    try:
        own = run_name(record["row"], record["seed"], record["fingerprint"], record["data_sha256"])
        expected = record["curve"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{place} is not the record of a run; put the run's own in its place") from error
    if run not in (None, own):
        raise UserError(
            f"{path} is of another run, {run}, than the record beside it, which is of {own}; put together what belongs "
            "together, or train the run again"
        )
    _require_curve(path, checkpoint, expected)
    return record


def _require_curve(path: Path, checkpoint: dict[str, Any], expected: list[Any]) -> None:
    """Refuse a checkpoint that was not kept at the end of the training that a record is of."""
    state = checkpoint.get("callbacks", {}).get(CURVE)
    if state is None or state["epochs"] == expected:
        return
    if (done := len(state["epochs"])) != len(expected):
        raise UserError(
            f"{path} was kept after {done} of the {len(expected)} epochs of the record beside it; put back the last "
            "one of the run, or train it again"
        )
    raise UserError(
        f"{path} is of another training of its run than the record beside it, as their learning curves differ; put "
        "together what belongs together, or train the run again"
    )
