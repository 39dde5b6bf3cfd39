"""The share of the way from one model to an ensemble that one regularized model goes (paper Table 4)."""

from dataclasses import dataclass

from benchmark.analysis.effects import item_influences, over_items
from benchmark.analysis.intervals import Component, Interval, difference, interval, jackknife, seeds, seeds_and_items
from benchmark.analysis.results import RowResults
from benchmark.analysis.subsets import ensemble_gain
from benchmark.tasks.base import Metric


@dataclass(frozen=True)
class Share:
    """A share of the way, 1 where the regularized model is as good as the ensemble, and its errors."""

    value: float
    over_seeds: Component | None
    """None where runs have no spread: see Sample.spread."""
    over_items: Component | None
    """None where the runs have not kept what they gave for each test item."""

    def interval(self, confidence: float) -> Interval | None:
        """Interval over seeds, on this test set."""
        return interval(self.value, self.over_seeds, confidence) if self.over_seeds else None

    def interval_with_items(self, confidence: float) -> Interval | None:
        """Interval over seeds and test items."""
        if not (self.over_seeds and self.over_items):
            return None
        return interval(self.value, seeds_and_items(self.over_seeds, self.over_items), confidence)


def share_of_the_way(single: RowResults, regularized: RowResults, ensemble: RowResults, metric: Metric) -> Share | None:
    """The share of one metric; None where a row has no runs, or the ensemble is no better or worse than one model.

    Of perplexity the jackknife over the members gives the error of both ends of the way.

    Raises:
        CorruptRecord: what a run has kept is damaged.
    """
    one, ours, ten = (results.sample(metric.name) for results in (single, regularized, ensemble))
    if not (one and ours and ten) or one.mean == ten.mean:
        return None
    arrays = single.log_probabilities(metric.split)
    if metric.name != f"{metric.split}_perplexity" or len(arrays) < ensemble.row.members:
        return _of_means(single, regularized, ensemble, metric)
    gain = ensemble_gain(arrays, ensemble.row.members)
    moved = (gain.influences[0][None], item_influences(regularized, metric), gain.influences[1][None])
    weights = slopes(gain.single, ours.mean, gain.mean)
    ends = jackknife([(alone - ours.mean) / (alone - many) for alone, many in gain.without_each])
    known = ours.spread and not one.diverged
    over_seeds = difference(ends, _scaled(seeds(ours.values), weights[1])) if known else None
    value = (gain.single - ours.mean) / (gain.single - gain.mean)
    return Share(value, over_seeds, over_items(moved, weights))


def _of_means(single: RowResults, regularized: RowResults, ensemble: RowResults, metric: Metric) -> Share:
    """The share by the means of runs, to first order.

    An ensemble is one value: over seeds it is taken to move as much as the mean of its members, and both ends of the
    way in the direction that moves the share more, so that the interval is rather too wide than too narrow.
    """
    rows = (single, regularized, ensemble)
    one, ours, ten = (sample for results in rows if (sample := results.sample(metric.name)))
    weights = slopes(one.mean, ours.mean, ten.mean)
    over_seeds = None
    if one.spread and ours.spread:
        ends = _scaled(seeds(one.values), abs(weights[0]) + abs(weights[2]))
        over_seeds = difference(ends, _scaled(seeds(ours.values), weights[1]))
    value = (one.mean - ours.mean) / (one.mean - ten.mean)
    return Share(value, over_seeds, over_items([item_influences(results, metric) for results in rows], weights))


def slopes(one: float, ours: float, ten: float) -> tuple[float, float, float]:
    """Derivatives of the share (one - ours) / (one - ten) by each of its three means."""
    way = one - ten
    return (ours - ten) / way**2, -1 / way, (one - ours) / way**2


def _scaled(error: Component, factor: float) -> Component:
    return Component(error.variance * factor**2, error.degrees)
