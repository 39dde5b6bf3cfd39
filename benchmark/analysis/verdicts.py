"""What an interval says of a claim, and how many runs would say more."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from benchmark.analysis.intervals import CONFIDENCE, Component, Interval, welch_degrees

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


def decide_at_least(ends: Interval | None, least: float) -> Verdict:
    """The verdict on a claim that an effect is at least so large, where all know that it is above zero.

    An ensemble is better than one of its models by Jensen's inequality, so that only its size is in question.

    Args:
        ends: interval of the effect; None where there is none yet.
        least: the least that the claim allows.

    Returns:
        "reproduced" where the whole interval is above it, "contradicted" where all of it is below, else "undecided".
    """
    if ends is None:
        return "undecided"
    if ends[0] > least:
        return "reproduced"
    return "contradicted" if ends[1] < least else "undecided"


def p_of_difference(change: float, error: Component) -> float:
    """The smallest error at which a two-sided interval of a change leaves out zero (Student's test)."""
    return error.p_beyond(change) if change else 1.0


def p_of_equivalence(change: float, error: Component, smallest: float) -> float:
    """The smallest error at which a two-sided interval of a change lies within `smallest` on either side of zero."""
    inside = smallest - abs(change)
    return error.p_beyond(inside) if inside > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests made so that in at most a part p of repetitions any true hypothesis gets one below p.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none is smaller than one before
    it (Holm 1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        found[place] = highest
    return found


def power(
    effect: float, spreads: tuple[float, float], runs: int | tuple[int, int], confidence: float = CONFIDENCE
) -> float:
    """The chance that Welch's interval over seeds lies above zero.

    It is found by drawing means and variances, always the same ones: the degrees of freedom are themselves estimated
    from the runs, which the noncentral t distribution leaves out (at three runs it promises nine points too much).

    Args:
        effect: true difference of the two rows, above zero as the claim says.
        spreads: standard deviation over seeds of either row.
        runs: of either row, or of each if they have as many; two at least.
        confidence: of the interval.
    """
    generator = np.random.default_rng(0)
    counts = np.broadcast_to(runs, 2)
    true = [spread**2 / count for spread, count in zip(spreads, counts, strict=True)]
    change = effect + math.sqrt(sum(true)) * generator.standard_normal(DRAWS)
    before, after = (
        variance * generator.chisquare(count - 1, DRAWS) / (count - 1)
        for variance, count in zip(true, counts, strict=True)
    )
    variance = np.maximum(before + after, np.finfo(float).tiny)
    degrees = welch_degrees((before, after), [count - 1 for count in counts])
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


def shift_found(error: Component, confidence: float = CONFIDENCE) -> float:
    """The smallest shift of an estimate with this error that its interval finds with a power of 80 %."""
    quantile = stats.t.ppf((1 + confidence) / 2, error.degrees) + stats.t.ppf(POWER, error.degrees)
    return float(quantile) * math.sqrt(error.variance)


def detectable(spreads: tuple[float, float], runs: int | tuple[int, int], confidence: float = CONFIDENCE) -> float:
    """The smallest effect that this many runs of each row, or of either, find with a power of 80 %."""
    low, high = 0.0, 1.0
    while power(high, spreads, runs, confidence) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, spreads, runs, confidence) >= POWER else (middle, high)
    return high
