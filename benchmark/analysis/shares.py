"""The share of the way from one model to an ensemble that one regularized model goes (paper Table 4)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import optimize

from benchmark.analysis.effects import item_influences, over_items
from benchmark.analysis.intervals import Component, Interval, difference, jackknife, seeds, seeds_and_items
from benchmark.analysis.results import RowResults
from benchmark.analysis.samples import Sample
from benchmark.analysis.subsets import EnsembleGain
from benchmark.tasks.base import Metric

Weights = tuple[float, float, float]
"""Weights of three means: of one model, of the regularized model and of the ensemble."""
ErrorOf = Callable[[Weights], Component]
"""The error of the sum of the three means with these weights."""

WAY: Weights = (1.0, 0.0, -1.0)
"""The way is one model's mean less the ensemble's."""
ENDLESS: Weights = (1.0, -1e-9, -1.0)
"""The way as a share beyond all bounds has it, with hardly any, and not none, of the regularized model's error."""


@dataclass(frozen=True)
class Share:
    """A share of the way, 1 where the regularized model is as good as the ensemble, and its errors.

    Its interval is Fieller's (1954): the shares by which the way may be multiplied so that it does not differ from what
    the regularized model gains. Where the way is not known to be other than zero, any share may be right, and there is
    no interval. The delta method would give one there too, which holds the truth in 85 % of repetitions only.
    """

    gain: float
    """One model's mean less the regularized model's."""
    way: float
    """One model's mean less the ensemble's."""
    over_seeds: ErrorOf | None
    """None where runs have no spread: see Sample.spread."""
    over_items: ErrorOf | None
    """None where the runs have not kept what they gave for each test item."""

    @property
    def value(self) -> float:
        """The share."""
        return self.gain / self.way

    def interval(self, confidence: float) -> Interval | None:
        """Interval over seeds, on this test set; None where their error is not known or the way may be none."""
        return self._fieller(self.over_seeds, confidence) if self.over_seeds else None

    def interval_with_items(self, confidence: float) -> Interval | None:
        """Interval over seeds and test items; None as that over seeds."""
        of_seeds, of_items = self.over_seeds, self.over_items
        if not (of_seeds and of_items):
            return None
        return self._fieller(lambda weights: seeds_and_items(of_seeds(weights), of_items(weights)), confidence)

    def _fieller(self, error_of: ErrorOf, confidence: float) -> Interval | None:
        def half(weights: Weights) -> float:
            return error_of(weights).half_width(confidence)

        def outside(share: float) -> float:
            """Above zero where a share is out of the interval."""
            return abs(self.gain - share * self.way) - half((1 - share, -1.0, share))

        if abs(self.way) <= half(ENDLESS):
            return None
        ends = []
        for side in (-1, 1):
            step = half((1 - self.value, -1.0, self.value)) / abs(self.way)
            if not step:
                ends.append(self.value)
                continue
            while outside(self.value + side * step) <= 0:
                step *= 2
            ends.append(float(optimize.brentq(outside, self.value, self.value + side * step)))
        return ends[0], ends[1]


def share_of_the_way(single: RowResults, regularized: RowResults, ensemble: RowResults, metric: Metric) -> Share | None:
    """The share of one metric; None where a row has no runs, or the ensemble is no better than one model.

    Of perplexity the jackknife over the members gives the error of both ends of the way.

    Raises:
        CorruptRecord: what a run has kept is damaged.
    """
    rows = (single, regularized, ensemble)
    one, ours, ten = (results.sample(metric.name) for results in rows)
    if not (one and ours and ten):
        return None
    gain, way, moved = one.mean - ours.mean, one.mean - ten.mean, [item_influences(row, metric) for row in rows]
    known, of_ends = one.spread and ours.spread, _of_means(one)
    of_perplexity = metric.name == f"{metric.split}_perplexity"
    if of_perplexity and (found := single.ensemble_gain(ensemble.row.members, metric.split)):
        gain, way = found.single - ours.mean, found.single - found.mean
        moved = [found.influences[0][None], moved[1], found.influences[1][None]]
        known, of_ends = ours.spread and not one.diverged, _of_members(found)
    if (way if metric.better == "lower" else -way) <= 0:
        return None
    over_seeds = _over_seeds(of_ends, ours) if known else None
    return Share(gain, way, over_seeds, _over_items(moved))


def _of_means(one: Sample) -> ErrorOf:
    """The error of both ends of the way by the spread of one model.

    An ensemble is one value. Over seeds it is taken to move as much as a single model, which is more than an average of
    models does, and both ends of the way in the direction that moves the sum more: the interval is rather too wide than
    too narrow.
    """
    models = math.sqrt(len(one.values))
    return lambda weights: _scaled(seeds(one.values), abs(weights[0]) + models * abs(weights[2]))


def _of_members(gain: EnsembleGain) -> ErrorOf:
    """The error of both ends of the way by the jackknife over the members."""
    return lambda weights: jackknife([weights[0] * one + weights[2] * many for one, many in gain.without_each])


def _over_seeds(of_ends: ErrorOf, ours: Sample) -> ErrorOf:
    return lambda weights: difference(of_ends(weights), _scaled(seeds(ours.values), weights[1]))


def _over_items(influences: Sequence[np.ndarray | None]) -> ErrorOf | None:
    if over_items(influences, WAY) is None:
        return None
    return lambda weights: cast("Component", over_items(influences, weights))


def _scaled(error: Component, factor: float) -> Component:
    return Component(error.variance * factor**2, error.degrees)
