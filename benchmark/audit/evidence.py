"""What two sides differ in: settings, metrics, learning curves and first steps, each measured once."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from benchmark.analysis.findings import POINTS_OF_INTEREST, RELATIVE_INTEREST
from benchmark.analysis.intervals import Component
from benchmark.analysis.verdicts import decide, shift_found
from benchmark.audit.sides import Side, end_of
from benchmark.store.records import Record
from benchmark.tasks.base import Config
from benchmark.tasks.metrics import kind_of

CONFIDENCE = 0.99
"""Share of repetitions in which two sides that differ by chance alone are found to, over all metrics or epochs."""
USUAL_SPREAD = {"perplexity": 0.02, "accuracy": 0.01, "bleu": 0.2}
"""Relative standard deviation over seeds that is assumed where no runs tell it, by kind of metric.

Three of four rows of the suite with three runs or more have less, and by BLEU all of them.
"""
CURVES = ("train_perplexity", "validation_perplexity", "train_frame_accuracy", "validation_frame_accuracy")
"""Metrics of an epoch that are compared."""
SAME = 1e-6
"""Relative change below which two figures are the same, but for the order in which numbers were added."""


@dataclass(frozen=True)
class Cause:
    """A likely cause of a difference."""

    name: str
    """The cause in a few words, for a list."""
    sentence: str
    """What is likely different, in a sentence."""
    reasons: tuple[str, ...]
    weight: int
    """How much the evidence speaks for this cause and no other, up to 100."""


@dataclass(frozen=True)
class Difference:
    """A setting that the sides differ in."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class MetricDifference:
    """A metric of both sides."""

    name: str
    a: float
    b: float
    runs: tuple[int, int]
    half_width: float
    """By how much means of such runs differ by chance, at CONFIDENCE."""
    is_assumed: bool
    """Whether the spread over seeds behind it is the usual one, as no runs tell it."""
    detectable: float
    """The smallest shift that such runs find with a power of 80 %."""

    @property
    def by_chance(self) -> bool:
        """Whether seeds alone may explain the difference."""
        return abs(self.b - self.a) <= self.half_width

    @property
    def is_equivalent(self) -> bool:
        """Whether it is known that no difference is as large as the smallest of interest."""
        interest = RELATIVE_INTEREST * self.a if kind_of(self.name) == "perplexity" else POINTS_OF_INTEREST
        ends = (self.b - self.a - self.half_width, self.b - self.a + self.half_width)
        return not self.is_assumed and decide(ends, interest) == "equivalent"


@dataclass(frozen=True)
class Evidence:
    """All that is known of two sides of one row."""

    a: Side
    b: Side
    references: Sequence[Record] = field(default=())
    """Further runs of A's row, whose spread over seeds is used where A has one run."""
    config: Config | None = None
    """A's configuration, where it can be made."""
    commits: tuple[str, ...] | None = None
    """The commits between the sides that touch what the row runs, each as a line; None where that is not known."""

    @cached_property
    def settings(self) -> list[Difference]:
        """Settings that the sides differ in, as records name them; none for a published log."""
        if not (self.a.records and self.b.records):
            return []
        one, other = ([_settings(record) for record in side.records] for side in (self.a, self.b))
        names = dict.fromkeys(name for of_run in (*one, *other) for name in of_run)
        found = []
        for name in names:
            before, after = (sorted({of_run.get(name, "–") for of_run in side}) for side in (one, other))
            if before != after:
                found.append(Difference(name, ", ".join(before), ", ".join(after)))
        return found

    def setting(self, name: str) -> Difference | None:
        """The difference in one setting."""
        return next((one for one in self.settings if one.name == name), None)

    @property
    def fields(self) -> list[Difference]:
        """The fields of the configuration that differ."""
        return [one for one in self.settings if one.name.startswith("configuration.")]

    @cached_property
    def pairs(self) -> list[tuple[Record, Record]]:
        """Runs of the same seed on both sides."""
        others = {record.seed: record for record in self.b.records}
        return [(record, others[record.seed]) for record in self.a.records if record.seed in others]

    @cached_property
    def is_identical(self) -> bool:
        """Whether there are runs of the same seeds, and all of these agree to the last bit."""
        return bool(self.pairs) and all(same_bits(*pair) for pair in self.pairs)

    @cached_property
    def last_epoch(self) -> int | None:
        """The epoch at which metrics are compared if B is a published log: the last that both sides have.

        None for the end of each run, which is compared where both sides are runs, or A has no learning curve.
        """
        return self.epochs[-1] if not self.b.records and self.epochs else None

    @cached_property
    def metrics(self) -> list[MetricDifference]:
        """The metrics that both sides have."""
        names = dict.fromkeys(name for record in self.a.records for name in end_of(record))
        names.update(dict.fromkeys(name for curve in (*self.a.curves, *self.b.curves) for name in curve[-1]))
        shared = [
            name
            for name in names
            if kind_of(name) and self.a.values(name, self.last_epoch) and self.b.values(name, self.last_epoch)
        ]
        found = []
        for name in shared:
            one, other = self.a.values(name, self.last_epoch), self.b.values(name, self.last_epoch)
            ends = [end_of(record, self.last_epoch).get(name) for record in self.references]
            reference = [value for value in ends if value is not None]
            by_chance = chance(one, other, reference, len(shared), name)
            runs = (len(one), len(other))
            found.append(MetricDifference(name, statistics.fmean(one), statistics.fmean(other), runs, *by_chance))
        return found

    def metric(self, name: str) -> MetricDifference | None:
        """One metric of both sides; None if one lacks it."""
        return next((one for one in self.metrics if one.name == name), None)

    @property
    def by_chance(self) -> bool:
        """Whether seeds alone may explain every difference of a metric."""
        return all(one.by_chance for one in self.metrics)

    @property
    def is_equivalent(self) -> bool:
        """Whether they do, as no metric differs by as much as is of interest."""
        return self.by_chance and all(one.is_equivalent for one in self.metrics)

    @cached_property
    def epochs(self) -> list[int]:
        """Epochs that both sides have."""
        numbers = [{point["epoch"] for curve in side.curves for point in curve} for side in (self.a, self.b)]
        return sorted(int(epoch) for epoch in numbers[0] & numbers[1])

    def ratios(self, metric: str) -> dict[int, float]:
        """Logarithm of B's mean over A's, by epoch, where both have the metric; of the same seeds if there are any."""
        found = {}
        for epoch in self.epochs:
            if self.pairs:
                both = [(_at(one, metric, epoch), _at(other, metric, epoch)) for one, other in self.pairs]
                logs = [math.log(after / before) for before, after in both if before and after]
            else:
                one, other = self.a.at_epoch(metric, epoch), self.b.at_epoch(metric, epoch)
                values = [*one, *other]
                logs = (
                    [math.log(statistics.fmean(other) / statistics.fmean(one))] if one and other and all(values) else []
                )
            if logs:
                found[epoch] = statistics.fmean(logs)
        return found

    def first_beyond_chance(self, metric: str) -> int | None:
        """The first epoch in which the curves are out of each other's band; None if there is none."""
        for epoch in self.epochs:
            one, other = self.a.at_epoch(metric, epoch), self.b.at_epoch(metric, epoch)
            reference = [value for record in self.references if (value := _at(record, metric, epoch)) is not None]
            if one and other:
                by_chance = chance(one, other, reference, len(self.epochs), metric)
                if abs(statistics.fmean(other) - statistics.fmean(one)) > by_chance.half_width:
                    return epoch
        return None

    def first_difference(self, metric: str) -> int | None:
        """The first epoch in which the curves of the same seeds differ at all; None if there is none."""
        return next((epoch for epoch, ratio in self.ratios(metric).items() if abs(ratio) > 1e-12), None)

    @cached_property
    def steps(self) -> list[list[tuple[dict[str, float], dict[str, float]]]]:
        """The first steps of runs of the same seeds, step by step."""
        both = [(one.first_steps, other.first_steps) for one, other in self.pairs]
        return [list(zip(one, other, strict=False)) for one, other in both if one and other]

    def step_change(self, name: str, step: int) -> float | None:
        """Largest relative change of a figure at one of the first steps; None where it is not known."""
        changes = [
            abs(steps[step][1][name] / steps[step][0][name] - 1)
            for steps in self.steps
            if step < len(steps) and steps[step][0][name]
        ]
        return max(changes, default=None)


class Chance(NamedTuple):
    """What chance alone does to the difference of two means."""

    half_width: float
    """By how much they differ by chance."""
    is_assumed: bool
    """Whether the spread over seeds behind it is the usual one, as no runs tell it."""
    detectable: float
    """The smallest shift that is found with a power of 80 %."""


def chance(
    one: Sequence[float],
    other: Sequence[float],
    reference: Sequence[float] = (),
    comparisons: int = 1,
    metric: str = "perplexity",
) -> Chance:
    """By how much the means of two groups of runs differ by chance, at CONFIDENCE over all comparisons (Bonferroni).

    If only chance tells the groups apart, their spread is the same, so that it is pooled (Student). The reference runs
    tell it where they are more. Where no runs do, it is assumed to be the usual one of such a metric, and to be known.
    """
    usual = Component((USUAL_SPREAD[kind_of(metric) or "perplexity"] * statistics.fmean([*one, *other])) ** 2, math.inf)
    known = _spread(one, other, reference)
    spread = known or usual
    error = Component(spread.variance * (1 / len(one) + 1 / len(other)), spread.degrees)
    confidence = 1 - (1 - CONFIDENCE) / comparisons
    return Chance(error.half_width(confidence), known is None, shift_found(error, confidence))


def _spread(one: Sequence[float], other: Sequence[float], reference: Sequence[float]) -> Component | None:
    """The variance over seeds that runs tell, see `chance`; None of single runs and of those that are all alike."""
    groups = [reference] if len(reference) > len(one) + len(other) else [one, other]
    degrees = sum(len(group) - 1 for group in groups)
    squares = sum(float(np.var(group)) * len(group) for group in groups if len(set(group)) > 1)
    return Component(squares / degrees, degrees) if squares else None


def same_bits(one: Record, other: Record) -> bool:
    """Whether two runs have the same metrics, learning curve and log-probabilities to the last bit."""
    if one.metrics != other.metrics or one.log_probabilities_sha256 != other.log_probabilities_sha256:
        return False
    return timeless(one) == timeless(other)


def timeless(run: Record) -> list[dict[str, float]]:
    """The learning curve of a run, without what tells of its speed."""
    return [
        {name: value for name, value in point.items() if name not in ("seconds", "throughput")} for point in run.curve
    ]


def _settings(record: Record) -> dict[str, str]:
    """Everything of a record that may decide its numbers, by name, as text."""
    threads = re.search(r", (\d+) threads?", record.device)
    device = re.sub(r", \d+ threads?", "", record.device)
    return {
        "task": record.task,
        **{f"configuration.{name}": str(value) for name, value in record.configuration.items()},
        "protocol": str(record.protocol),
        "data": record.data_sha256[:12],
        "seed": str(record.seed),
        "precision": record.precision,
        "device": device,
        "threads": threads[1] if threads else "–",
        **{f"version of {name}" if name != "processor" else name: value for name, value in record.versions.items()},
        "commit": record.commit[:12] + ("-dirty" if record.commit.endswith("-dirty") else ""),
    }


def _at(record: Record, metric: str, epoch: int) -> float | None:
    return next((point.get(metric) for point in record.curve if point["epoch"] == epoch), None)
