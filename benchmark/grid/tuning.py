"""Trials of a row's settings: drawn quasi-randomly, and run as a grid in a store of their own."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from benchmark.grid.grid import Run, data_at_hand, run_grid
from benchmark.grid.launchers.base import Launcher
from benchmark.store.diverged import tells_of
from benchmark.store.provenance import rebuild_command
from benchmark.store.tunings import Tuning, read_tunings, write_tuning
from benchmark.tasks.base import Row
from benchmark.tasks.spaces import Space, as_json, require_space, trial_changes
from datamodules.errors import UserError

TRIAL_SEED = 0
"""Seed of all trials. Grids give rows the seeds from 1 on, so what is reported of a winner is of fresh ones."""


def draw(name: str, space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of each trial: points of a scrambled Sobol sequence, which fill a space more evenly than random ones.

    They depend on the name of the row, the space and the seed only, and the first ones not on how many there are.
    """
    identity = json.dumps([name, as_json(space), seed], sort_keys=True)
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big"))
    points = qmc.Sobol(len(space), rng=generator).random_base2(math.ceil(math.log2(trials)))[:trials]
    names = sorted(space)
    return [{one: space[one].at(float(share)) for one, share in zip(names, point, strict=True)} for point in points]


def plan(row: Row, space: Space, trials: int, seed: int) -> Tuning:
    """The trials of a row, none of them run.

    Raises:
        UserError: the space is empty, or gives a configuration that is not possible.
    """
    require_space(row, space)
    drawn = draw(row.name, space, trials, seed)
    return Tuning(
        row=row.name,
        task=row.config.task,
        source=row.config.source,
        size=row.size,
        label=row.label,
        seed=seed,
        space=as_json(space),
        settings=drawn,
        fingerprints=[_trial(row, settings, row.name).config.fingerprint() for settings in drawn],
        diverged=[],
    )


def tune(
    studies: Sequence[tuple[Row, Tuning]], launcher: Launcher, retries: int, rows_file: Path | None
) -> tuple[list[Tuning], dict[str, int]]:
    """Run the trials that have no record yet, in the launcher's store.

    A trial that diverged is not run again on the same data: it would diverge again.

    Args:
        studies: rows with their trials.
        launcher: runs them; it is closed at the end.
        retries: see `run_grid`.
        rows_file: the user's file of rows.

    Returns:
        The tunings, with those of their trials that have diverged, and the other failures as `run_grid` gives them.

    Raises:
        UserError: a row has a tuning already which its trials do not go on from.
    """
    folder = launcher.options.store
    known = list(read_tunings(folder, skipped=[]))
    for _, tuning in studies:
        _require_extension(tuning, known, folder)
    studies = [(row, _with_data(row, tuning, launcher.options.data)) for row, tuning in studies]
    before = {(one, data) for other in known for one in other.diverged if (data := other.data_of(one))}
    for _, tuning in studies:
        write_tuning(_with_diverged(tuning, before), folder)
    trials = [(run, tuning) for row, tuning in studies for run in runs_of(row, tuning, rows_file)]
    runs = [run for run, tuning in trials if (run.fingerprint, tuning.data_of(run.fingerprint)) not in before]
    failures = run_grid(runs, launcher, retries, rows_file)
    lost = {line: run.fingerprint for run in runs for line in failures if tells_of(line, run.label)}
    tunings = []
    for row, tuning in studies:
        made = tuning if all(tuning.data) else _with_data(row, tuning, launcher.options.data)  # the grid may fetch it
        now = {(one, made.data_of(one)) for one in made.fingerprints if one in lost.values()}
        tunings.append(_with_diverged(made, before | now))
        write_tuning(tunings[-1], folder)
    return tunings, {line: count for line, count in failures.items() if line not in lost}


def _require_extension(tuning: Tuning, known: Sequence[Tuning], folder: Path) -> None:
    """Refuse to replace a tuning by another draw, so that a tuning tells all the trials that its winner was best of.

    Raises:
        UserError: there is a tuning of the row whose trials are not the first ones of this one.
    """
    for other in known:
        if other.row == tuning.row and not tuning.extends(other):
            count = len(other.settings)
            raise UserError(
                f"{tuning.row} has a tuning of {count} trials with --seed {other.seed} in {folder}, which these do not "
                f"go on from; take that seed and space with --trials {count} or more, or another --store"
            )


def runs_of(row: Row, tuning: Tuning, rows_file: Path | None) -> list[Run]:
    """A run for each trial."""
    runs = []
    for number, settings in enumerate(tuning.settings, 1):
        changes = trial_changes(row.config, settings)
        command = rebuild_command(row.name, TRIAL_SEED, rows_file, changes)
        trial = _trial(row, settings, f"{row.name}-trial-{number}")
        runs.append(Run(trial, TRIAL_SEED, command, row.name, changes))
    return runs


def _trial(row: Row, settings: Mapping[str, Any], name: str) -> Row:
    try:
        return row.variant(name, row.note, **trial_changes(row.config, settings))
    except ValueError as error:
        raise UserError(f"{row.name}: its space gives what is not possible: {error}") from error


def _with_data(row: Row, tuning: Tuning, folder: Path) -> Tuning:
    """A tuning of the data that its trials have in a folder now."""
    checksum = data_at_hand(folder)
    return replace(tuning, data=[checksum(_trial(row, settings, row.name)) or "" for settings in tuning.settings])


def _with_diverged(tuning: Tuning, diverged: set[tuple[str, str]]) -> Tuning:
    """A tuning with those of its trials that diverged on its data, of trials by fingerprint and data."""
    return replace(tuning, diverged=[one for one in tuning.fingerprints if (one, tuning.data_of(one)) in diverged])
