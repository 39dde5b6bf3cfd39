"""Evaluations of models by other methods than the paper's, beside the plain evaluation of the same models."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmark.analysis.intervals import Interval, interval, seeds
from benchmark.store.evaluations import EvaluationRecord

Model = tuple[str, str, str]
"""Name of the row, fingerprint of the configuration and checksum of the data, which models of several seeds share."""


@dataclass(frozen=True)
class MethodResults:
    """The evaluations of one row by one method with the same given settings, one for each seed."""

    records: tuple[EvaluationRecord, ...]
    """One per seed, in the order of the seeds."""

    @property
    def row(self) -> str:
        """Name of the row of the models."""
        return self.records[0].row

    @property
    def model(self) -> Model:
        """What the models of all seeds share."""
        return self.row, self.records[0].fingerprint, self.records[0].data_sha256

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.records[0].method

    @property
    def settings(self) -> dict[str, list[Any]]:
        """Each setting with its values over the seeds, each value once."""
        names = self.records[0].settings
        return {name: sorted({record.settings[name] for record in self.records}) for name in names}

    def mean(self, metric: str) -> float:
        """Mean of a metric by the method."""
        return statistics.fmean(record.metrics[metric] for record in self.records)

    def plain_mean(self, metric: str) -> float:
        """Mean of a metric of the same models by the plain evaluation."""
        return statistics.fmean(record.plain[metric] for record in self.records)

    def change(self, metric: str) -> tuple[float, Interval | None]:
        """Mean change from the plain evaluation of the same models, and its interval over seeds if these differ."""
        changes = [record.metrics[metric] - record.plain[metric] for record in self.records]
        mean = statistics.fmean(changes)
        return mean, interval(mean, seeds(changes)) if len(set(changes)) > 1 else None


def by_method(records: Iterable[EvaluationRecord]) -> list[MethodResults]:
    """Evaluations by row and method, in the order in which they come.

    Evaluations belong together if they are of one configuration on the same data, by one method with the same given
    settings; of one model the last is taken.
    """
    groups: dict[tuple[object, ...], dict[int, EvaluationRecord]] = {}
    for record in records:
        given = tuple(sorted((name, value) for name, value in record.settings.items() if name not in record.chosen))
        key = (record.row, record.fingerprint, record.data_sha256, record.method, given, tuple(record.chosen))
        of_group = groups.setdefault(key, {})
        known = of_group.get(record.seed)
        if known is None or record.finished >= known.finished:
            of_group[record.seed] = record
    return [MethodResults(tuple(of_group[seed] for seed in sorted(of_group))) for of_group in groups.values()]
