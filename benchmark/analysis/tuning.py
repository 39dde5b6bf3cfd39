"""What the trials of a row's settings show: the best one, and how good the best of fewer would have been."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.analysis import same_data
from benchmark.store.records import Record, Store
from benchmark.store.tunings import Tuning, read_tunings
from benchmark.tasks import registry
from benchmark.tasks.base import Config, Metric

RESAMPLES = 1000
"""Bootstrap samples of the trials that a band is made of, always the same ones."""
BAND = (2.5, 97.5)
"""Percentiles of the bootstrap samples that a band lies between."""


@dataclass(frozen=True)
class Tuned:
    """A tuning with the records of its trials."""

    tuning: Tuning
    records: Mapping[str, Record]
    """Record of each trial that has one, by its fingerprint."""

    @property
    def metric(self) -> Metric:
        """The validation metric by which trials are judged."""
        return registry.config_class(self.tuning.task).validation_metric()

    @property
    def missing(self) -> int:
        """Trials that have neither a record nor diverged, so that the tuning is not complete."""
        return sum(one not in self.records and one not in self.tuning.diverged for one in self.tuning.fingerprints)

    @cached_property
    def values(self) -> list[float | None]:
        """The metric of each trial after its last epoch, None without a record."""
        records = [self.records.get(fingerprint) for fingerprint in self.tuning.fingerprints]
        return [record.metrics[self.metric.name] if record else None for record in records]

    @property
    def judged(self) -> list[float]:
        """The metric of each trial that has ended; one that diverged counts as the worst of the others."""
        found = [value for value in self.values if value is not None]
        if not found:
            return []
        worst = max(found) if self.metric.better == "lower" else min(found)
        return [*found, *[worst] * len(self.tuning.diverged)]

    @property
    def order(self) -> list[int]:
        """Places of the trials that have a record, from the best to the worst."""
        found = [(value, place) for place, value in enumerate(self.values) if value is not None]
        sign = 1 if self.metric.better == "lower" else -1
        return [place for _, place in sorted((sign * value, place) for value, place in found)]

    @property
    def best(self) -> int | None:
        """Place of the trial with the best metric, the first of several; None if no trial has a record."""
        return next(iter(self.order), None)

    @property
    def winner(self) -> dict[str, Any]:
        """The settings of the best trial; none if there is none."""
        return {} if self.best is None else self.tuning.settings[self.best]

    @property
    def core_hours(self) -> float:
        """Hours of cores that the trials took which have a record, or hours of GPUs if they ran on any."""
        seconds = (record.wall_seconds * _cores(record) for record in self.records.values())
        return sum(seconds) / 3600

    def is_of(self, config: Config) -> bool:
        """Whether a configuration has the best trial's settings, and all else as the trials had it."""
        if self.best is None or config.task != self.tuning.task:
            return False
        trial = registry.configuration_of(self.records[self.tuning.fingerprints[self.best]])
        return replace(trial, validation_only=False) == config

    @property
    def curve(self) -> np.ndarray:
        """The expected best metric of 1, 2, ... trials [trials]; see `expected_best`."""
        return expected_best(np.array(self.judged), self.metric.better == "lower")

    @property
    def expected(self) -> list[tuple[int, float]]:
        """Points of the curve for a table: of 1, 2, 4, ... and of all trials."""
        count = len(self.judged)
        shown = [2**power for power in range(count.bit_length()) if 2**power < count]
        return [(number, float(self.curve[number - 1])) for number in (*shown, count)]

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the curve lies in 95 % of bootstrap samples of the trials: lower and upper end [trials].

        It shows how much the curve hangs on single trials, and is no confidence band: no sample has a better trial
        than the best one, so that at all trials it holds the true expected best in about half of repetitions.
        """
        values = np.array(self.judged)
        drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
        curves = [expected_best(values[sample], self.metric.better == "lower") for sample in drawn]
        low, high = np.percentile(curves, BAND, axis=0)
        return low, high


def _cores(record: Record) -> int:
    """Cores or GPUs that a run used, as far as its record tells."""
    return int(record.stretches[-1].get("threads", 1)) if record.device.startswith("CPU") else 1


def expected_best(values: np.ndarray, lower: bool) -> np.ndarray:
    """The expected best of n values drawn from these with replacement, for n from 1 to their number.

    With the values in order from the worst to the best, the i-th of B is the best of n draws with a probability of
    (i / B)^n - ((i - 1) / B)^n (Dodge et al. 2019, equation 6).

    Args:
        values: metric of each trial [trials].
        lower: whether lower values are better.
    """
    count = len(values)
    ordered = np.sort(values)[::-1] if lower else np.sort(values)
    below = (np.arange(count + 1) / count) ** np.arange(1, count + 1)[:, None]
    expected: np.ndarray = np.diff(below, axis=1) @ ordered
    return expected


def read_tuned(folder: Path, skipped: list[str] | None = None) -> list[Tuned]:
    """The tunings of a folder with the records of their trials; a folder that does not exist has none.

    A trial's record is one of the data that the tuning is of, as the text may have been edited between two tunings.

    Args:
        folder: the folder of tunings, which is the store of their trials.
        skipped: a list to which a line is added for each corrupt file, which is skipped; None raises instead.

    Raises:
        CorruptRecord: a file cannot be trusted and `skipped` is None.
    """
    of_trials: dict[str, list[Record]] = {}
    for record in sorted(Store(folder).records(skipped), key=lambda record: record.finished):
        of_trials.setdefault(record.fingerprint, []).append(record)
    return [Tuned(tuning, _records_of(tuning, of_trials)) for tuning in read_tunings(folder, skipped)]


def _records_of(tuning: Tuning, of_trials: Mapping[str, Sequence[Record]]) -> dict[str, Record]:
    """The record of each trial, by its fingerprint: that of the tuning's data, the newest of several."""
    run = [one for one in tuning.fingerprints if one in of_trials]
    keys = {one: registry.configuration_of(of_trials[one][0]).data_key for one in run}
    older: dict[tuple[Any, ...], list[Record]] = {}
    for fingerprint, key in keys.items():
        older.setdefault(key, []).extend(of_trials[fingerprint])
    found: dict[str, Record] = {}
    for fingerprint, key in keys.items():
        data = tuning.data_of(fingerprint) or same_data.choose(older[key])
        if own := [record for record in of_trials[fingerprint] if record.data_sha256 == data]:
            found[fingerprint] = own[-1]
    return found
