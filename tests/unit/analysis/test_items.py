"""Errors over sentences, utterances and pictures: hand computations, and simulated repetitions."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from scipy import stats
from support.factories import make_record

from benchmark.analysis.effects import compare
from benchmark.analysis.ensemble_findings import one_is_as_good_as_ten
from benchmark.analysis.intervals import bleu_influences, difference, interval, items, seeds, seeds_and_items
from benchmark.analysis.results import RowResults, gather
from benchmark.analysis.samples import Sample
from benchmark.analysis.shares import share_of_the_way
from benchmark.store.records import Store, checksum_arrays
from benchmark.tasks import registry
from benchmark.tasks.base import Row

PLAIN, REGULARIZED, AVERAGE = (registry.find(f"flickr8k-1k{name}") for name in ("", "-dropout", "-average"))
BLEU_METRIC = next(metric for metric in PLAIN.config.headline if metric.name == "test_bleu")


def bleu(counts: np.ndarray) -> float:
    total = counts.sum(axis=0)
    return BLEU.compute_bleu(list(total[:4]), list(total[4:8]), int(total[8]), int(total[9])).score


def sentences(generator: np.random.Generator, rate: np.ndarray, words: int = 12, reference: int = 13) -> np.ndarray:
    """Counts of sentences of which each word is right with a probability of its own."""
    totals = np.broadcast_to(words - np.arange(4), (len(rate), 4))
    right = generator.binomial(totals, rate[:, None] ** np.arange(1, 5))
    lengths = np.broadcast_to([words, reference], (len(rate), 2))
    return np.concatenate([right, totals, lengths], axis=1)


@pytest.mark.parametrize("reference", [9, 15])
def test_the_influence_of_a_sentence_is_the_derivative_of_bleu_by_its_weight(reference: int) -> None:
    """With hypotheses that are longer than the references and with shorter ones."""
    counts = sentences(np.random.default_rng(0), np.array([0.9, 0.6, 0.4]), reference=reference)
    found = bleu_influences(counts)
    assert found.sum() == pytest.approx(0)
    many = 10**6
    for place in range(3):
        more = bleu(np.concatenate([counts * many, counts[place : place + 1]]))
        assert found[place] == pytest.approx((more - bleu(counts)) * many, rel=1e-3)


def test_a_corpus_without_four_right_words_in_a_row_has_no_influences() -> None:
    counts = sentences(np.random.default_rng(0), np.full(20, 0.5))
    counts[:, 3] = 0
    assert bleu_influences(counts) is None


def test_bleu_of_no_four_right_words_has_no_interval_over_items(tmp_path: Path) -> None:
    """Rather than one that says that other test sets change nothing."""
    store, generator = Store(tmp_path), np.random.default_rng(0)
    for row, rate in ((PLAIN, 0.3), (REGULARIZED, 0.6)):
        for seed in (1, 2):
            counts = sentences(generator, np.full(20, rate + seed / 100))
            if row is PLAIN and seed == 1:
                counts[:, 3] = 0
            kept(store, row, seed, "test_bleu", counts)
    before, after = gather([PLAIN, REGULARIZED], store.records(), store=store)
    effect = compare(before, after, BLEU_METRIC)
    assert effect is not None
    assert effect.interval is not None
    assert effect.over_items is None


@pytest.mark.parametrize("runs", [2, 5, 10])
def test_bleu_over_seeds_and_sentences_covers_what_it_says(runs: int) -> None:
    """Each sentence has a difficulty, dropout an effect of its own on it, each run an error."""
    count, repetitions = 100, 500
    generator = np.random.default_rng(1409_2329)

    def rates(tested: int) -> tuple[np.ndarray, np.ndarray]:
        difficulty = generator.normal(0.6, 0.1, tested)
        return difficulty, difficulty + generator.normal(0.02, 0.03, tested)

    def run(rate: np.ndarray) -> np.ndarray:
        return sentences(generator, np.clip(rate + generator.normal(0, 0.01), 0.05, 0.95))

    many = 20_000
    true = float(np.mean([bleu(run(after)) - bleu(run(before)) for before, after in (rates(many) for _ in range(100))]))
    held = 0
    for _ in range(repetitions):
        made = [[run(rate) for _ in range(runs)] for rate in rates(count)]
        found = [[bleu(counts) for counts in row] for row in made]
        before, after = (np.stack([bleu_influences(counts) for counts in row]) for row in made)
        error = seeds_and_items(difference(*map(seeds, found)), items([-before, after]))
        low, high = interval(float(np.mean(found[1]) - np.mean(found[0])), error)
        held += low <= true <= high
    simulation_error = math.sqrt(0.95 * 0.05 / repetitions)
    assert 0.94 - simulation_error <= held / repetitions <= 0.97 + simulation_error


def test_what_a_run_gets_right_by_chance_is_counted_once() -> None:
    """Influences of two runs of 3 and 1, then 1 and 3, on ten items: 2 squared on each, less a variance of 2 over 2."""
    influences = np.tile([[3.0, 1.0], [1.0, 3.0]], 5)
    assert items([influences]).variance == pytest.approx(10 * (4 - 1) * 10 / 9)
    assert items([influences, -influences[::-1]]).variance == 0
    assert items([influences[:1]]).variance == pytest.approx(5 * (9 + 1) * 10 / 9)


def kept(store: Store, row: Row, seed: int, name: str, counts: np.ndarray, **changes) -> None:
    arrays = {name: counts.astype(np.int32)}
    score = bleu(counts) if name == "test_bleu" else 100 * counts[:, 0].sum() / counts[:, 1].sum()
    record = make_record(row, seed, metrics={name: score}, items_sha256=checksum_arrays(arrays), **changes)
    store.write(record, {}, arrays)


def test_frame_accuracy_has_an_interval_over_utterances(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = [registry.find("espeak-large"), registry.find("espeak-large-dropout")]
    for row, right in zip(rows, (5, 6), strict=True):
        for seed in (1, 2):
            frames = np.full((12, 2), (right, 10))
            frames[0, 0] += 2 * (right - 5)  # dropout gains one frame in each utterance, and three in the first
            kept(store, row, seed, "test_frame_accuracy", frames)
    before, after = gather(rows, store.records(), store=store)
    (metric,) = before.row.config.primary_metrics()
    effect = compare(before, after, metric)
    assert effect is not None
    assert effect.change == pytest.approx(100 * 14 / 120)
    assert effect.over_items is not None
    moved = 100 * (np.array([3.0] + [1.0] * 11) - 14 / 12) / 120
    assert effect.over_items.variance == pytest.approx(np.square(moved).sum() * 12 / 11)
    assert effect.interval_with_items is None  # the runs of a row are all alike
    differing = replace(effect, before=Sample((50.0, 51.0), (1, 2)), after=Sample((61.0, 62.0), (1, 2)))
    assert differing.interval is not None
    assert differing.interval_with_items is not None
    assert differing.interval_with_items[0] < differing.interval[0]

    alone = replace(after, records=(*after.records, make_record(rows[1], 3, metrics={"test_frame_accuracy": 70.0})))
    assert compare(before, alone, metric).over_items is None  # type: ignore[union-attr]


def test_a_share_of_the_way_by_bleu_has_both_intervals(tmp_path: Path) -> None:
    store, generator = Store(tmp_path), np.random.default_rng(3)
    rate = generator.uniform(0.4, 0.8, 60)
    for seed in range(1, 11):
        kept(store, PLAIN, seed, "test_bleu", sentences(generator, rate))
        if seed < 7:
            kept(store, REGULARIZED, seed, "test_bleu", sentences(generator, rate + 0.03))
    details = {"members": list(range(1, 11))}
    kept(store, AVERAGE, 0, "test_bleu", sentences(generator, rate + 0.06), details=details, curve=[])
    rows: list[RowResults] = gather([PLAIN, REGULARIZED, AVERAGE], store.records(), store=store)
    share = share_of_the_way(*rows, BLEU_METRIC)
    assert share is not None
    one, ours, ten = (results.sample("test_bleu").mean for results in rows)  # type: ignore[union-attr]
    assert share.value == pytest.approx((ours - one) / (ten - one))
    narrow, wide = share.interval(0.95), share.interval_with_items(0.95)
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < share.value < narrow[1] < wide[1]
    assert share_of_the_way(rows[0], rows[1], rows[0], BLEU_METRIC) is None  # no way from one to the other


def of_bleu(row: Row, *values: float, **changes) -> RowResults:
    made = (make_record(row, seed, metrics={"test_bleu": value}, **changes) for seed, value in enumerate(values, 1))
    return RowResults(row, tuple(made))


def test_fiellers_interval_of_a_share_by_hand() -> None:
    """One model 20, its mean with variance 1/3; the regularized one 22, with 1/3; the ensemble 32, with 1.

    The ends of the way move by |1 - share| / sqrt(3) and by |share| together, so that at either end of the interval
    (2 - 12 share)^2 = t^2 (that^2 + 1/3), with Welch's degrees of freedom.
    """
    rows = (of_bleu(PLAIN, 19, 20, 21), of_bleu(REGULARIZED, 21, 22, 23), of_bleu(AVERAGE, 32))
    share = share_of_the_way(*rows, BLEU_METRIC)
    assert share is not None
    found = share.interval(0.95)
    assert found is not None
    for end in found:
        moved = (abs(1 - end) / math.sqrt(3) + abs(end)) ** 2
        degrees = (moved + 1 / 3) ** 2 / (moved**2 / 2 + 1 / 9 / 2)
        assert abs(2 - 12 * end) == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(moved + 1 / 3), rel=1e-6)
    assert found[0] < 2 / 12 < found[1]


@pytest.mark.parametrize("ensemble", [19.9, 20.1])
def test_where_the_ensemble_is_not_known_to_be_better_nothing_is_reproduced(ensemble: float) -> None:
    """A regularized model that is much worse is many times the way from one model to an ensemble that is worse, too."""
    members = {"details": {"members": list(range(1, 11))}}
    rows = (of_bleu(PLAIN, 19.9, 20, 20.1), of_bleu(REGULARIZED, 17, 17.1), of_bleu(AVERAGE, ensemble, **members))
    found = [one for one in one_is_as_good_as_ten(rows, 0.95) if one.comparison == BLEU_METRIC.label]
    assert [one.verdict for one in found] == ["undecided"]
    share = share_of_the_way(*rows, BLEU_METRIC)
    if ensemble < 20:
        assert share is None
        assert found[0].figures.endswith(": the ensemble is no better than one model")
    else:
        assert share is not None
        assert share.interval(0.95) is None
        assert found[0].figures.endswith("; no interval, as the ensemble is not known to be better than one model")


@pytest.mark.parametrize(("gain", "ours"), [(3.0, 14.0), (1.0, 11.0), (0.1, 9.0)])
def test_intervals_of_shares_hold_the_truth_however_short_the_way(gain: float, ours: float) -> None:
    generator, missed, times = np.random.default_rng(0), 0, 200
    blank = {row.name: make_record(row) for row in (PLAIN, REGULARIZED, AVERAGE)}

    def drawn(row: Row, mean: float, sd: float, runs: int) -> RowResults:
        values = generator.normal(mean, sd, runs)
        made = (replace(blank[row.name], seed=seed, metrics={"test_bleu": one}) for seed, one in enumerate(values))
        return RowResults(row, tuple(made))

    for _ in range(times):
        rows = (drawn(PLAIN, 11, 1, 10), drawn(REGULARIZED, ours, 1, 5), drawn(AVERAGE, 11 + gain, 0.3, 1))
        share = share_of_the_way(*rows, BLEU_METRIC)
        ends = share.interval(0.95) if share else None
        missed += ends is not None and not ends[0] <= (ours - 11) / gain <= ends[1]
    assert missed / times <= 0.08
