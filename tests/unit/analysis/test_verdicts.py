"""Verdicts at every place an interval can lie, and power against simulation."""

import numpy as np
import pytest
from support.intervals import welch

from benchmark.analysis.intervals import Interval
from benchmark.analysis.verdicts import POWER, decide, decide_at_least, detectable, power, runs_needed

REPETITIONS = 4000


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ((0.5, 3.0), "reproduced"),  # above zero, and may be as large as is of interest
        ((1.5, 3.0), "reproduced"),
        ((-0.5, 3.0), "undecided"),
        ((-3.0, 3.0), "undecided"),
        ((-3.0, 0.5), "contradicted"),  # as large as is of interest it is not, and may be a loss
        ((-3.0, -2.0), "contradicted"),
        ((-0.5, 0.5), "equivalent"),
        ((0.2, 0.8), "equivalent"),  # an effect, but none of interest
        ((-0.8, -0.2), "equivalent"),
        (None, "undecided"),
    ],
)
def test_the_verdict_follows_from_where_the_interval_lies(gain: Interval | None, verdict: str) -> None:
    assert decide(gain, smallest=1.0) == verdict


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        (None, "undecided"),
        ((0.001, 0.0806), "undecided"),  # its middle is far below half of the paper's 0.161
        ((0.081, 0.3), "reproduced"),
        ((0.001, 0.080), "contradicted"),
    ],
)
def test_an_ensembles_gain_is_held_against_half_of_the_papers(ends: Interval | None, verdict: str) -> None:
    assert decide_at_least(ends, 0.161 / 2) == verdict


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 3.0)])
@pytest.mark.parametrize("runs", [(3, 3), (8, 8), (10, 4)])
def test_power_is_the_share_of_repetitions_that_are_reproduced(
    runs: tuple[int, int], spreads: tuple[float, float]
) -> None:
    generator, effect = np.random.default_rng(0), 2.0
    found = []
    for _ in range(REPETITIONS):
        before = generator.normal(0, spreads[0], runs[0])
        found.append(decide(welch(before, generator.normal(effect, spreads[1], runs[1])), smallest=0.01))
    assert np.mean([one == "reproduced" for one in found]) == pytest.approx(power(effect, spreads, runs), abs=0.03)


def test_as_many_runs_as_needed_have_the_power_and_one_fewer_has_not() -> None:
    needed = runs_needed(1.0, (1.0, 1.0))
    assert needed == 17  # of a two-sided t-test of d = 1, as in every table of power
    assert power(1.0, (1.0, 1.0), needed) >= POWER > power(1.0, (1.0, 1.0), needed - 1)
    assert runs_needed(0.0, (1.0, 1.0)) is None


def test_what_is_detectable_is_found_with_the_power_promised() -> None:
    smallest = detectable((1.0, 2.0), 10)
    assert power(smallest, (1.0, 2.0), 10) == pytest.approx(POWER, abs=0.01)


def test_if_the_paper_is_exactly_right_it_is_hardly_ever_contradicted() -> None:
    """The smallest effect of interest is half of the paper's; the rows differ by the paper's own."""
    generator, paper = np.random.default_rng(1), 0.8
    for runs in (3, 5, 10):
        found = [
            decide(welch(generator.normal(0, 1, runs), generator.normal(paper, 1.5, runs)), smallest=paper / 2)
            for _ in range(REPETITIONS)
        ]
        assert np.mean([one == "contradicted" for one in found]) <= 0.05
