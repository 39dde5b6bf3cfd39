"""Intervals of the suite: of a difference over seeds, over seeds and test items, and of a single new run.

An estimate has independent sources of random error, each a `Component`: the seeds of either side, the items of the
test set. Their variances add, and the interval is Student's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

Interval = tuple[float, float]
"""Lower and upper end."""

TOKENS_PER_BLOCK = 200
"""Fewest tokens of a text that are one unit of its sampling error, since neighboring tokens are not independent."""

MOST_BLOCKS = 20
"""Most units that a text is cut into: its articles are longer than TOKENS_PER_BLOCK, and each has an effect of its own.

In blocks of 200 tokens the error of the Penn Treebank is half of that between sixths of the text, and an interval at
95 % over articles of about 400 tokens holds in 71 % of repetitions; in 20 blocks it holds in 93 %.
"""

FEWEST_ITEMS = 10
"""Items of a test set from which on their spread says something of other test sets."""


@dataclass(frozen=True)
class Component:
    """A source of random error of an estimate."""

    variance: float
    """Squared standard error that it adds."""
    degrees: float
    """Degrees of freedom of that variance."""
    part: "Component | None" = None
    """An error that this one contains: nothing is surer with more sources of error than with fewer."""

    def half_width(self, confidence: float) -> float:
        """Half of the width of Student's interval, which is at least that of the part alone."""
        quantile = float(stats.t.ppf((1 + confidence) / 2, self.degrees)) if self.variance else 0.0
        return max(quantile * math.sqrt(self.variance), self.part.half_width(confidence) if self.part else 0.0)

    def p_beyond(self, distance: float) -> float:
        """The smallest error at which half of the width is below a distance (Student's two-sided test)."""
        own = float(2 * stats.t.sf(abs(distance) / math.sqrt(self.variance), self.degrees)) if self.variance else 0.0
        return max(own, self.part.p_beyond(distance) if self.part else 0.0)


def seeds(values: Sequence[float]) -> Component:
    """The error of a mean over runs that differ in their seed.

    Args:
        values: the metric of each run, two at least.
    """
    return Component(float(np.var(values, ddof=1)) / len(values), len(values) - 1)


def jackknife(estimates: Sequence[float]) -> Component:
    """The error of an estimate made of some models, from the estimates without each of them in turn."""
    count = len(estimates)
    return Component((count - 1) * float(np.var(estimates)), count - 1)


def items(influences: Sequence[np.ndarray]) -> Component:
    """The error of a sum of means over runs that comes from having tested on these items and not on others of the kind.

    A run is also better on some items and worse on others by chance. The spread over seeds has that already, so it is
    taken off here: of each item's squared influence its variance over runs, divided by their number (crossed random
    effects, Cornfield & Tukey 1956). Counted twice it makes an interval too wide: that of BLEU, with three runs of 100
    sentences, holds the truth in 98 % of repetitions.

    Args:
        influences: of each mean [runs, items], the amount by which each item moves each run's part of the sum; see
            `perplexity_influences`. Those of the row that is subtracted in a difference are negative.
    """
    count = influences[0].shape[1]
    squares = np.square(sum(each.mean(axis=0) for each in influences)).sum()
    of_runs = sum(each.var(axis=0, ddof=1).sum() / len(each) for each in influences if len(each) > 1)
    return Component(float(max(squares - of_runs, 0.0)) * count / (count - 1), count - 1)


def of_median(values: Sequence[float]) -> Interval | None:
    """The interval of a median from order statistics: of nine values from the second to the eighth.

    It holds in 95 % of repetitions or more, whatever the distribution (Thompson 1936). None of fewer than six values,
    whose whole range holds less often.
    """
    beyond = int(stats.binom.ppf((1 - CONFIDENCE) / 2, len(values), 0.5))  # the most that may lie below the interval
    if stats.binom.cdf(beyond, len(values), 0.5) > (1 - CONFIDENCE) / 2:
        beyond -= 1
    ordered = sorted(values)
    return (ordered[beyond], ordered[-1 - beyond]) if beyond >= 0 else None


def difference(before: Component, after: Component) -> Component:
    """The error of the difference of two independent means (Welch 1947); see `welch_degrees`."""
    if before.variance and after.variance:
        variances = before.variance, after.variance
        return Component(sum(variances), float(welch_degrees(variances, (before.degrees, after.degrees))))
    return next((side for side in (before, after) if side.variance), Component(0.0, math.inf))


def welch_degrees(variances: Sequence[float | np.ndarray], degrees: Sequence[float]) -> np.ndarray:
    """Degrees of freedom of the difference of two independent means, by Satterthwaite (1946) where they hold.

    Of two runs beside ten, Satterthwaite's interval misses the truth in 10 % of repetitions rather than 5 %: where the
    two happen to be alike, all degrees seem to be those of the ten. Hence there are at most 1 + a/b times the fewer
    degrees a, which for sides of equal numbers is the most there can be, and less the further the numbers are apart.

    Args:
        variances: of either mean, numbers or arrays above 0.
        degrees: of either variance.
    """
    fewer, more = sorted(degrees)
    shares = sum(variance**2 / count for variance, count in zip(variances, degrees, strict=True))
    found = np.square(sum(variances)) / np.maximum(shares, np.finfo(float).tiny)
    return np.minimum(found, fewer * (1 + fewer / more))


def seeds_and_items(over_seeds: Component, over_items: Component) -> Component:
    """The error over seeds and over test items, which are independent.

    The degrees of freedom are the harmonic mean of both, weighted by their variances. Satterthwaite's formula would
    cover as little as 90 % of repetitions with two runs on each side, since a variance that two runs happen to
    underestimate then also counts for less; this one covers 93 % to 97 % (tests/unit/analysis/test_intervals.py).
    With two runs on each side more degrees would often make the interval narrower than that over seeds alone, and hold
    in 92 % of repetitions where the spreads are 1 to 5 and items add little; it is never narrower.
    """
    variance = over_seeds.variance + over_items.variance
    spread = over_seeds.variance / over_seeds.degrees + over_items.variance / over_items.degrees
    return Component(variance, variance / spread if spread else math.inf, over_seeds)


def interval(estimate: float, error: Component, confidence: float = CONFIDENCE) -> Interval:
    """Student's interval of an estimate.

    Args:
        estimate: the middle of the interval.
        error: of the estimate.
        confidence: share of repetitions in which the interval holds the true value.
    """
    half = error.half_width(confidence)
    return estimate - half, estimate + half


def prediction(values: Sequence[float], runs: int = 1, confidence: float = CONFIDENCE) -> Interval:
    """Where the mean of some more runs lies, if they are of the same kind as these.

    Args:
        values: the metric of each run that is known, two at least.
        runs: how many more runs.
        confidence: share of repetitions in which their mean is inside.
    """
    known = seeds(values)
    wider = Component(known.variance * (1 + len(values) / runs), known.degrees)
    return interval(float(np.mean(values)), wider, confidence)


def perplexity_influences(log_probabilities: np.ndarray, tokens_per_block: int | None = None) -> np.ndarray:
    """The amount by which each block of tokens moves the perplexity of a text, to first order; they sum to zero.

    Args:
        log_probabilities: natural log-probabilities of the true tokens [tokens], in the order of the text.
        tokens_per_block: length of a block, of which the last one may be shorter; if not given TOKENS_PER_BLOCK, or as
            many as make MOST_BLOCKS of them.

    Returns:
        [blocks], in units of perplexity.
    """
    losses = -log_probabilities.astype(np.float64)
    mean = losses.mean()
    length = tokens_per_block or max(TOKENS_PER_BLOCK, math.ceil(len(losses) / MOST_BLOCKS))
    begins = np.arange(0, len(losses), length)
    influences: np.ndarray = np.exp(mean) * np.add.reduceat(losses - mean, begins) / len(losses)
    return influences


def rate_influences(right: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The amount by which each group, such as an utterance, moves a rate of successes; they sum to zero.

    Args:
        right: successes of each group [groups], such as its frames classified correctly.
        counted: trials of each group [groups], such as its frames.

    Returns:
        [groups], in percentage points.
    """
    influences: np.ndarray = 100 * (right - right.sum() / counted.sum() * counted) / counted.sum()
    return influences


def bleu_influences(counts: np.ndarray) -> np.ndarray | None:
    """The amount by which each sentence moves the BLEU of a corpus, to first order; they sum to zero.

    Args:
        counts: of each sentence, see models.metrics.CorpusBleu [sentences, 10].

    Returns:
        [sentences], in points of BLEU. None where no four words in a row are right, as BLEU is then smoothed or 0, and
        tells nothing of other sentences.
    """
    each = counts.astype(np.float64)
    correct, total, found, true = each[:, :4], each[:, 4:8], each[:, 8], each[:, 9]
    if not correct.sum(axis=0).all():
        return None
    precision = (correct / correct.sum(axis=0) - total / total.sum(axis=0)).mean(axis=1)
    ratio = true.sum() / found.sum()
    brevity = ratio * (found / found.sum() - true / true.sum()) if ratio > 1 else 0.0
    score = 100 * np.exp(np.log(correct.sum(axis=0) / total.sum(axis=0)).mean() + min(0.0, 1 - ratio))
    influences: np.ndarray = score * (precision + brevity)
    return influences
