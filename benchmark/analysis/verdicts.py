"""What an interval says of a claim, and how many runs would say more."""

import math
from typing import Literal

import numpy as np
from scipy import stats

from benchmark.analysis.intervals import CONFIDENCE, Interval

Verdict = Literal["reproduced", "contradicted", "equivalent", "undecided"]

POWER = 0.8
"""The chance of finding an effect that a number of runs is asked to have."""

MOST_RUNS = 1000
"""Runs of a row beyond which nobody will wait."""

DRAWS = 20_000
"""Repetitions drawn to find a power, whose standard error is then 0.3 points."""


def decide(gain: Interval | None, smallest: float) -> Verdict:
    """The verdict on a claim that one row is better than another.

    Args:
        gain: interval of the difference, turned so that above zero is as the claim says; None where there is none yet.
        smallest: smallest difference of interest, above zero.

    Returns:
        "equivalent" where the whole interval is within the smallest difference of interest, whichever side of zero;
        "contradicted" where all of it lies below that difference otherwise; "reproduced" where all of it is above
        zero; "undecided" in all other cases.
    """
    if gain is None:
        return "undecided"
    low, high = gain
    if high < smallest:
        return "equivalent" if low > -smallest else "contradicted"
    return "reproduced" if low > 0 else "undecided"


def power(effect: float, spreads: tuple[float, float], runs: int, confidence: float = CONFIDENCE) -> float:
    """The chance that Welch's interval over seeds lies above zero.

    It is found by drawing means and variances, always the same ones: the degrees of freedom are themselves estimated
    from the runs, which the noncentral t distribution leaves out (at three runs it promises nine points too much).

    Args:
        effect: true difference of the two rows, above zero as the claim says.
        spreads: standard deviation over seeds of either row.
        runs: of each row, two at least.
        confidence: of the interval.
    """
    generator = np.random.default_rng(0)
    true = [spread**2 / runs for spread in spreads]
    change = effect + math.sqrt(sum(true)) * generator.standard_normal(DRAWS)
    before, after = (variance * generator.chisquare(runs - 1, DRAWS) / (runs - 1) for variance in true)
    variance = np.maximum(before + after, np.finfo(float).tiny)
    degrees = (runs - 1) * variance**2 / np.maximum(before**2 + after**2, np.finfo(float).tiny)
    return float(np.mean(change > stats.t.ppf((1 + confidence) / 2, degrees) * np.sqrt(variance)))


def runs_needed(effect: float, spreads: tuple[float, float], confidence: float = CONFIDENCE) -> int | None:
    """The fewest runs of each row that find an effect with a power of 80 %; None where MOST_RUNS are not enough."""
    if power(effect, spreads, MOST_RUNS, confidence) < POWER:
        return None
    low, high = 1, MOST_RUNS  # the answer is above low and at most high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, spreads, middle, confidence) >= POWER else (middle, high)
    return high


def detectable(spreads: tuple[float, float], runs: int, confidence: float = CONFIDENCE) -> float:
    """The smallest effect that this many runs of each row find with a power of 80 %."""
    low, high = 0.0, 1.0
    while power(high, spreads, runs, confidence) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, spreads, runs, confidence) >= POWER else (middle, high)
    return high
