"""Intervals: hand computations, and the share of simulated repetitions in which they hold the truth."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from support.intervals import welch

from benchmark.analysis.intervals import (
    Component,
    difference,
    interval,
    items,
    perplexity_influences,
    prediction,
    rate_influences,
    seeds,
    seeds_and_items,
)

REPETITIONS = 4000
SIMULATION_ERROR = 3 * math.sqrt(0.95 * 0.05 / REPETITIONS)
"""Three standard errors of a share of 95 % among the repetitions: one percentage point."""


def test_the_error_of_a_mean_over_seeds() -> None:
    assert seeds([1.0, 2.0, 3.0]) == Component(variance=1 / 3, degrees=2)


def test_two_equal_errors_add_and_so_do_their_degrees() -> None:
    assert difference(Component(2.0, 4), Component(2.0, 4)) == Component(4.0, 8.0)
    assert difference(Component(2.0, 4), Component(0.0, 1)) == Component(2.0, 4.0)


def test_seeds_and_items_have_the_degrees_of_what_varies_most() -> None:
    over_seeds = Component(3.0, 2)
    assert seeds_and_items(over_seeds, Component(1.0, 50)) == Component(4.0, pytest.approx(4 / 1.52), over_seeds)
    assert seeds_and_items(over_seeds, Component(0.0, 50)) == Component(3.0, 2.0, over_seeds)


def test_nothing_is_surer_with_more_sources_of_error() -> None:
    over_seeds = Component(1.0, 1)
    both = seeds_and_items(over_seeds, Component(1.0, 50))
    assert Component(both.variance, both.degrees).half_width(0.95) < over_seeds.half_width(0.95)
    assert interval(0, both) == interval(0, over_seeds)
    assert both.p_beyond(10) == over_seeds.p_beyond(10)
    assert both.p_beyond(over_seeds.half_width(0.95)) == pytest.approx(0.05)
    assert seeds_and_items(over_seeds, Component(1e4, 50)).half_width(0.95) > over_seeds.half_width(0.95)


def test_two_runs_of_unequal_spreads_and_items_that_add_little() -> None:
    def make(generator: np.random.Generator) -> tuple[float, tuple[float, float]]:
        before, after = generator.normal(0, 1, 2), generator.normal(0, 5, 2)
        of_items = Component(1.3 * generator.chisquare(99) / 99, 99)  # beside 13 over seeds
        error = seeds_and_items(difference(seeds(list(before)), seeds(list(after))), of_items)
        return 0.0, interval(after.mean() - before.mean() + generator.normal(0, math.sqrt(1.3)), error)

    assert share_that_holds(make) >= 0.94


def test_a_text_of_articles_that_each_have_an_effect() -> None:
    """As long as the Penn Treebank's, and as in that, with blocks of 200 tokens the error is half of what it is."""
    generator, held, repetitions = np.random.default_rng(0), 0, 300
    for _ in range(repetitions):
        lengths = generator.lognormal(math.log(400), 0.7, 400).astype(int)
        losses = 5 + np.repeat(generator.normal(0, 0.1, 400), lengths)[:82_429]
        losses += generator.standard_normal(len(losses))
        error = items([perplexity_influences(-losses)[None]])
        low, high = interval(math.exp(losses.mean()), error)
        held += low <= math.exp(5) <= high
    assert held / repetitions >= 0.89


def test_welch_is_scipys() -> None:
    before, after = [10.0, 12.0, 11.0], [9.0, 9.5, 7.0]
    expected = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert welch(before, after) == pytest.approx(tuple(expected))


def test_runs_that_are_all_alike_have_an_interval_of_no_width() -> None:
    assert welch([3.0, 3.0], [2.0, 2.0]) == (-1.0, -1.0)


def test_the_prediction_of_one_run_by_hand() -> None:
    values = [100.0, 102.0, 104.0]
    half = stats.t.ppf(0.975, 2) * 2.0 * math.sqrt(1 + 1 / 3)
    assert prediction(values) == pytest.approx((102 - half, 102 + half))
    half = stats.t.ppf(0.975, 2) * 2.0 * math.sqrt(1 / 2 + 1 / 3)
    assert prediction(values, runs=2) == pytest.approx((102 - half, 102 + half))


def test_the_influence_of_a_block_is_the_derivative_of_perplexity_by_its_weight() -> None:
    log_probabilities = np.log(np.array([0.5, 0.25, 0.1, 0.2, 0.4]))
    found = perplexity_influences(log_probabilities, tokens_per_block=2)
    step, losses = 1e-6, -log_probabilities
    for block, tokens in enumerate(([0, 1], [2, 3], [4])):
        weights = np.ones(5)
        weights[tokens] += step
        changed = np.exp((weights * losses).sum() / weights.sum())
        assert found[block] == pytest.approx((changed - np.exp(losses.mean())) / step, rel=1e-4)
    assert found.sum() == pytest.approx(0)


def test_the_influence_of_an_utterance_by_hand() -> None:
    # 8 of 20 frames are right, 40 %. The first utterance has 1 more than 40 % of its 5, the second 1 fewer.
    found = rate_influences(np.array([3, 5]), np.array([5, 15]))
    assert found.tolist() == pytest.approx([5.0, -5.0])
    assert items([found[None]]) == Component(variance=pytest.approx(100.0), degrees=1)  # type: ignore[arg-type]


def share_that_holds(make: Callable[[np.random.Generator], tuple[float, tuple[float, float]]]) -> float:
    """The share of repetitions whose interval holds the true value; `make` gives both."""
    generator = np.random.default_rng(1409_2329)
    found = (make(generator) for _ in range(REPETITIONS))
    return float(np.mean([low <= true <= high for true, (low, high) in found]))


SPREADS = [(1.0, 1.0), (1.0, 2.0), (1.0, 4.0)]


@pytest.mark.parametrize("spreads", SPREADS)
@pytest.mark.parametrize("runs", [2, 5, 10])
def test_welch_covers_what_it_says(runs: int, spreads: tuple[float, float]) -> None:
    def make(generator: np.random.Generator) -> tuple[float, tuple[float, float]]:
        before, after = (generator.normal(mean, sd, runs) for mean, sd in zip((100, 90), spreads, strict=True))
        return -10, welch(before, after)

    # Two runs of one spread on each side are the case in which Welch's interval is known to be too careful.
    most = 0.985 if runs == 2 else 0.97
    assert 0.94 - SIMULATION_ERROR <= share_that_holds(make) <= most


def test_degrees_are_bounded_where_numbers_of_runs_differ() -> None:
    before, after = Component(1e-9, 1), Component(1.0, 9)  # Satterthwaite has 9
    assert difference(before, after) == Component(pytest.approx(1.0), pytest.approx(1 + 1 / 9))
    assert difference(Component(0.0, math.inf), after) == after
    assert difference(Component(0.0, 1), Component(0.0, 9)) == Component(0.0, math.inf)


@pytest.mark.parametrize("runs", [(2, 10), (3, 10), (3, 20), (5, 10), (4, 5)])
@pytest.mark.parametrize("spreads", [(1.0, 1.0), (2.0, 1.0), (1.0, 3.0)])
def test_welch_with_unequal_numbers_misses_no_more_than_it_says(runs: tuple[int, int], spreads) -> None:
    def make(generator: np.random.Generator) -> tuple[float, tuple[float, float]]:
        each = zip((100, 90), spreads, runs, strict=True)
        before, after = (generator.normal(mean, sd, count) for mean, sd, count in each)
        return -10, welch(before, after)

    assert share_that_holds(make) >= 0.945 - SIMULATION_ERROR


@pytest.mark.parametrize("runs", [2, 5, 10])
def test_the_prediction_covers_one_more_run(runs: int) -> None:
    def make(generator: np.random.Generator) -> tuple[float, tuple[float, float]]:
        *known, new = generator.normal(100, 3, runs + 1)
        return new, prediction(known)

    assert 0.94 <= share_that_holds(make) <= 0.97


@pytest.mark.parametrize("spreads", SPREADS)
@pytest.mark.parametrize("runs", [2, 5, 10])
def test_seeds_and_items_cover_what_they_say(runs: int, spreads: tuple[float, float]) -> None:
    """Log-probabilities of a text: each block has a difficulty, each row its own gain on it, each run its own error."""
    blocks, gain = 20, 0.1

    def losses(generator: np.random.Generator, own: np.ndarray, mean: float, sd: float) -> list[np.ndarray]:
        return [mean + own + 0.01 * sd * generator.normal() + generator.normal(0, 0.05, blocks) for _ in range(runs)]

    def make(generator: np.random.Generator) -> tuple[float, tuple[float, float]]:
        difficulty, effect = generator.normal(0, 0.3, blocks), generator.normal(0, 0.1, blocks)
        rows = [
            losses(generator, own, mean, sd)
            for own, mean, sd in zip((difficulty, difficulty + effect), (4.0, 4.0 - gain), spreads, strict=True)
        ]
        found = [[np.exp(run.mean()) for run in row] for row in rows]
        per_run = [[perplexity_influences(-run, tokens_per_block=1) for run in row] for row in rows]
        moved = [-np.stack(per_run[0]), np.stack(per_run[1])]
        change = float(np.mean(found[1]) - np.mean(found[0]))
        # Perplexity of the whole kind of text: the mean of exp is that of a normal variable.
        run_variance = [(0.01 * sd) ** 2 + 0.05**2 / blocks for sd in spreads]
        text_variance = [0.3**2 / blocks, (0.3**2 + 0.1**2) / blocks]
        true = [
            math.exp(mean + (run + text) / 2)
            for mean, run, text in zip((4.0, 4.0 - gain), run_variance, text_variance, strict=True)
        ]
        return true[1] - true[0], interval(change, seeds_and_items(difference(*map(seeds, found)), items(moved)))

    assert 0.94 - SIMULATION_ERROR <= share_that_holds(make) <= 0.97 + SIMULATION_ERROR
