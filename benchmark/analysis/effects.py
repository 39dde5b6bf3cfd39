"""The effect of changing one row into another on a metric, with its intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmark.analysis.intervals import (
    CONFIDENCE,
    FEWEST_ITEMS,
    Component,
    Interval,
    bleu_influences,
    difference,
    interval,
    items,
    perplexity_influences,
    rate_influences,
    seeds,
    seeds_and_items,
)
from benchmark.analysis.results import RowResults, plain, sizes
from benchmark.analysis.same_data import differences
from benchmark.analysis.samples import Sample
from benchmark.formatting import count, with_diverged
from benchmark.tasks.base import Metric, Size

Outcome = Literal["better", "worse", "no difference shown", "too low to tell", "no interval"]


@dataclass(frozen=True)
class Effect:
    """The difference that a change makes in the mean of a metric over runs."""

    metric: Metric
    """The metric that is compared."""
    before: Sample
    """Runs without the change."""
    after: Sample
    """Runs with it."""
    over_items: Component | None = None
    """Error of the change over test items; None if the runs do not keep what they give for each item."""
    confidence: float = CONFIDENCE
    """Confidence of the intervals."""

    @property
    def change(self) -> float:
        """Mean after minus mean before."""
        return self.after.mean - self.before.mean

    @property
    def over_seeds(self) -> Component | None:
        """Error of the change over seeds; None if a side has no spread: see Sample.spread."""
        if self.before.spread is None or self.after.spread is None:
            return None
        return difference(seeds(self.before.values), seeds(self.after.values))

    @property
    def interval(self) -> Interval | None:
        """Welch's interval over seeds, on this test set; None if there is no error over seeds."""
        return interval(self.change, self.over_seeds, self.confidence) if self.over_seeds else None

    @property
    def interval_with_items(self) -> Interval | None:
        """The interval over seeds and test items: on other test sets of the same kind."""
        if not (self.over_seeds and self.over_items):
            return None
        return interval(self.change, seeds_and_items(self.over_seeds, self.over_items), self.confidence)

    def gain(self, ends: Interval | None) -> Interval | None:
        """An interval with its sign chosen so that above zero is better."""
        if ends is None or self.metric.better == "higher":
            return ends
        return -ends[1], -ends[0]

    @property
    def is_at_floor(self) -> bool:
        """Whether both sides are so low that the metric says nothing of them."""
        return self.metric.is_at_floor(self.before.mean, self.after.mean)

    @property
    def outcome(self) -> Outcome:
        """What the interval over seeds says of the change."""
        gain = self.gain(self.interval)
        if gain is None:
            return "no interval"
        if self.is_at_floor:
            return "too low to tell"
        if gain[0] <= 0 <= gain[1]:
            return "no difference shown"
        return "better" if gain[0] > 0 else "worse"

    @property
    def diverged(self) -> int:
        """Further runs of either side that diverged."""
        return self.before.diverged + self.after.diverged

    @property
    def runs(self) -> str:
        """Number of runs on both sides, in words, and why they have no spread or are not all, if so."""
        before, after = len(self.before.values), len(self.after.values)
        runs = f"{before} and {after} runs" if before != after else f"{count(before, 'run')} each"
        alike = ", all alike on a side" if 0.0 in (self.before.sd, self.after.sd) else ""
        return with_diverged(runs + alike, self.diverged)

    def show(self) -> str:
        """The change and its interval over seeds, for a table cell."""
        change = f"{self.change:+.{self.metric.digits}f}"
        return f"{change} ({self.show_interval(self.interval)})" if self.interval else change

    def show_interval(self, ends: Interval | None) -> str:
        """An interval of the change, for a table cell; empty if there is none."""
        digits = self.metric.digits
        return f"{ends[0]:+.{digits}f} to {ends[1]:+.{digits}f}" if ends else ""


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


def dropout_effects(
    group: Sequence[RowResults], metrics: Sequence[Metric] | None = None
) -> Iterator[tuple[Pair, Effect]]:
    """The effect of dropout at each size that has been run without it and with it.

    Args:
        group: the rows of one source.
        metrics: what it is measured by; the primary metrics if None.
    """
    for pair in pairs(group):
        for metric in group[0].row.config.primary_metrics() if metrics is None else metrics:
            if effect := pair.effect(metric):
                yield pair, effect


def known_words(group: Sequence[RowResults]) -> list[Metric]:
    """The primary perplexities of a group without unknown words, which runs have where there are many of these."""
    return [
        replace(metric, name=f"{metric.name}_known_words", label=f"{metric.label}, known words")
        for metric in group[0].row.config.primary_metrics()
        if metric.kind == "perplexity"
    ]


def compare(before: RowResults, after: RowResults, metric: Metric, confidence: float = CONFIDENCE) -> Effect | None:
    """The effect of changing one row into another; None if one of them has not been run or is of other data.

    Runs of the same seed are not paired: their metrics are hardly correlated, and pairing would cost half of the
    degrees of freedom.
    """
    one, other = before.sample(metric.name), after.sample(metric.name)
    if not one or not other or differences(before.row.config, after.row.config):
        return None
    moved = [item_influences(results, metric) for results in (before, after)]
    return Effect(metric, one, other, over_items(moved, (-1, 1)), confidence)


def item_influences(results: RowResults, metric: Metric) -> np.ndarray | None:
    """The amount by which each test item moves a metric of each of a row's runs [runs, items].

    Items are blocks of tokens for perplexity, sentences or pictures for BLEU, utterances for frame accuracy. None where
    a run has not kept what it gave for each of them, or these do not tell it.

    Raises:
        CorruptRecord: what a run has kept is damaged.
    """
    found: list[np.ndarray | None]
    if metric.name == f"{metric.split}_perplexity":
        found = [perplexity_influences(array) for array in results.log_probabilities(metric.split)]
    elif metric.kind == "bleu":
        found = [bleu_influences(counts) for counts in results.items(metric.name)]
    elif metric.kind == "accuracy":
        found = [rate_influences(right, counted) for right, counted in (each.T for each in results.items(metric.name))]
    else:
        return None
    known = [array for array in found if array is not None]
    if not known or len(known) < len(results.records) or len({array.shape for array in known}) > 1:
        return None
    return np.stack(known)


def over_items(influences: Sequence[np.ndarray | None], weights: Sequence[float]) -> Component | None:
    """The error over test items of a weighted sum of means over runs.

    Args:
        influences: those of each mean, see `item_influences`.
        weights: weight of each mean.

    Returns:
        None where one of them is not known, they are of different items, or there are too few to tell.
    """
    known = [each for each in influences if each is not None]
    if len(known) < len(influences) or len({each.shape[1] for each in known}) > 1 or known[0].shape[1] < FEWEST_ITEMS:
        return None
    return items([weight * each for weight, each in zip(weights, known, strict=True)])
