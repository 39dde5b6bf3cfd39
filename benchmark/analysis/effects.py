"""The effect of changing one row into another on a metric, with a confidence interval by scipy."""

import statistics
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmark.analysis.results import RowResults, Sample, plain, sizes
from benchmark.tasks.base import Metric, Size

CONFIDENCE = 0.95

BOOTSTRAP_FROM = 5
"""Fewest runs on each side for a bootstrap: the interval of two or three runs would be far too narrow."""


@dataclass(frozen=True)
class Effect:
    """The difference that a change makes in the mean of a metric over runs."""

    metric: Metric
    """The metric that is compared."""
    before: Sample
    """Runs without the change."""
    after: Sample
    """Runs with it."""
    interval: tuple[float, float] | None
    """Confidence interval of the difference; None if a side has a single run."""
    method: str
    """The method of the interval."""

    @property
    def change(self) -> float:
        """Mean after minus mean before."""
        return self.after.mean - self.before.mean

    @property
    def gain(self) -> tuple[float, float] | None:
        """The interval with its sign chosen so that above zero is better."""
        if self.interval is None or self.metric.better == "higher":
            return self.interval
        return -self.interval[1], -self.interval[0]

    @property
    def runs(self) -> int:
        """Number of runs on the side that has fewer."""
        return min(len(self.before.values), len(self.after.values))

    def show(self) -> str:
        """The change and its interval, for a table cell."""
        digits = self.metric.digits
        if self.interval is None:
            return f"{self.change:+.{digits}f}"
        low, high = self.interval
        return f"{self.change:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


@dataclass(frozen=True)
class Pair:
    """The plain rows of one size: without dropout and with it."""

    size: Size
    without: RowResults | None
    """None if there is no such row."""
    regularized: RowResults | None

    def effect(self, metric: Metric) -> Effect | None:
        """The effect of dropout on a metric; None if one of the rows has not been run."""
        if self.without is None or self.regularized is None:
            return None
        return compare(self.without, self.regularized, metric)


def pairs(group: Sequence[RowResults]) -> Iterator[Pair]:
    """The pairs of one source, in the order of its sizes."""
    for size in sizes(group):
        yield Pair(size, plain(group, size, regularized=False), plain(group, size, regularized=True))


def dropout_effects(group: Sequence[RowResults]) -> Iterator[tuple[Pair, Effect]]:
    """The effect of dropout at each size that has been run without it and with it, for each primary metric."""
    for pair in pairs(group):
        for metric in group[0].row.config.primary_metrics():
            if effect := pair.effect(metric):
                yield pair, effect


def compare(before: RowResults, after: RowResults, metric: Metric) -> Effect | None:
    """The effect of changing one row into another; None if one of them has not been run.

    Runs are paired by seed if both rows have the same seeds, start from the same weights and see the same data in the
    same order. Otherwise the interval is a bootstrap of the difference of means, or Welch's if there are too few runs.
    """
    one, other = before.sample(metric.name), after.sample(metric.name)
    if not one or not other:
        return None
    interval, method = None, ""
    if min(len(one.values), len(other.values)) > 1:
        if _paired(before, after):
            interval, method = _student(np.subtract(other.values, one.values)), "paired by seed"
        elif min(len(one.values), len(other.values)) >= BOOTSTRAP_FROM:
            interval, method = _bootstrap(one.values, other.values), "bootstrap"
        else:
            interval, method = _welch(one.values, other.values), "Welch"
    return Effect(metric, one, other, interval, method)


def against(results: RowResults, value: float, metric: Metric) -> Effect | None:
    """The effect of a row over a given value, such as that of an ensemble; None if the row has not been run."""
    sample = results.sample(metric.name)
    if not sample:
        return None
    interval = _student(np.subtract(sample.values, value)) if len(sample.values) > 1 else None
    return Effect(metric, Sample((value,) * len(sample.values)), sample, interval, "one sample")


def _paired(before: RowResults, after: RowResults) -> bool:
    """Whether runs of the same seed have the same initial weights and the same order of data."""
    shape = ("source", "hidden_size", "layers", "batch_size", "init_range", "cell", "backbone")
    same = all(getattr(before.row.config, name) == getattr(after.row.config, name) for name in shape)
    return same and [record.seed for record in before.records] == [record.seed for record in after.records]


def _student(differences: Sequence[float] | np.ndarray) -> tuple[float, float]:
    with _values_may_be_alike():
        found = stats.ttest_1samp(differences, 0.0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def _welch(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    with _values_may_be_alike():
        found = stats.ttest_ind(after, before, equal_var=False).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


@contextmanager
def _values_may_be_alike() -> Iterator[None]:
    """Suppresses scipy's warning about runs that give the very same figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _bootstrap(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    if statistics.pvariance(before) == statistics.pvariance(after) == 0:
        return (after[0] - before[0],) * 2
    found = stats.bootstrap(
        (after, before),
        lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(0),  # the same records give the same interval
    ).confidence_interval
    return float(found.low), float(found.high)
