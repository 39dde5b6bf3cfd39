"""What trials show: the best one, and the expected best of fewer."""

import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record

from benchmark.analysis.tuning import Tuned, expected_best, read_tuned
from benchmark.grid.tuning import plan, runs_of
from benchmark.reports import tuning as report
from benchmark.reports import tuning_figure
from benchmark.store.records import COMMITTED, Store
from benchmark.store.tunings import write_tuning
from benchmark.tasks import language_modeling, registry
from benchmark.tasks.spaces import Range

ROW = language_modeling.SOTU_SMALL
SPACE = {"lr": Range(0.1, 10.0, log=True)}


def tuned(values: list[float | None]) -> Tuned:
    """A tuning whose trials had these perplexities; None diverged."""
    study = plan(ROW, SPACE, len(values), 1)
    runs = runs_of(ROW, study, None)
    records = {
        run.fingerprint: make_record(run.row, 0, metrics={"validation_perplexity": value}, wall_seconds=1800.0)
        for run, value in zip(runs, values, strict=True)
        if value is not None
    }
    diverged = [one for one, value in zip(study.fingerprints, values, strict=True) if value is None]
    return Tuned(replace(study, diverged=diverged), records)


@pytest.mark.parametrize("lower", [True, False])
def test_expected_best_is_the_mean_over_all_draws(lower: bool) -> None:
    """Equation 6 of Dodge et al. 2019, against every choice of n values with replacement."""
    values = np.array([4.0, 1.0, 7.0, 2.0])
    best = min if lower else max
    for trials, found in enumerate(expected_best(values, lower), 1):
        draws = [best(chosen) for chosen in itertools.product(values, repeat=trials)]
        assert found == pytest.approx(np.mean(draws))


def test_the_best_trial_and_its_cost() -> None:
    one = tuned([120.0, 110.0, 115.0, 110.0])
    assert (one.best, one.order, one.missing) == (1, [1, 3, 2, 0], 0)
    assert one.winner == one.tuning.settings[1]
    assert one.core_hours == pytest.approx(2.0)
    low, high = one.band
    assert all(low <= one.curve)
    assert all(one.curve <= high)
    assert [number for number, _ in one.expected] == [1, 2, 4]


def test_the_spread_of_bootstrap_samples_is_no_confidence_band() -> None:
    """What atlas.md says of it: at all trials it holds the true expected best in about half of repetitions."""
    generator, covered, times = np.random.default_rng(0), 0, 40
    best = generator.normal(100, 1, (100_000, 12)).min(axis=1).mean()
    one = tuned([100.0] * 12)
    for values in generator.normal(100, 1, (times, 12)):
        drawn = replace(one)
        drawn.__dict__["values"] = values.tolist()
        low, high = (ends[-1] for ends in drawn.band)
        assert low >= min(values)
        covered += low <= best <= high
    assert covered / times == pytest.approx(0.5, abs=0.2)


def test_trials_of_another_precision_are_said() -> None:
    one = tuned([120.0, 110.0, 115.0])
    assert "precision" not in report.in_words(one)
    first = one.tuning.fingerprints[0]
    mixed = {first: replace(one.records[first], precision="bf16-mixed")}
    said = report.in_words(replace(one, records={**one.records, **mixed}))
    assert said.startswith("3 trials, 1 of them in precision bf16-mixed, 1.50 core hours; ")


def test_fresh_seeds_are_run_in_the_precision_of_the_best_trial() -> None:
    one = tuned([120.0, 110.0, 115.0])
    assert not report.as_text(one, Path("tuning"), None).endswith("bf16-mixed")
    mixed = {name: replace(record, precision="bf16-mixed") for name, record in one.records.items()}
    assert report.as_text(replace(one, records=mixed), Path("tuning"), None).endswith(" --precision bf16-mixed")


def test_a_diverged_trial_counts_as_the_worst_and_wins_nothing() -> None:
    one = tuned([None, 110.0, 130.0])
    assert one.best == 1
    assert sorted(one.judged) == [110.0, 130.0, 130.0]
    assert one.curve[0] == pytest.approx((110 + 130 + 130) / 3)
    nothing = tuned([None, None])
    assert (nothing.best, nothing.judged, nothing.winner) == (None, [], {})


def test_a_row_is_tuned_if_it_has_the_winners_settings_and_all_else_alike() -> None:
    one = tuned([120.0, 110.0])
    winner = ROW.variant("x", **one.winner).config
    assert one.is_of(winner)
    assert not one.is_of(replace(winner, hidden_size=65))
    assert not one.is_of(ROW.config)
    assert not tuned([None]).is_of(winner)


def test_committed_tunings_are_those_of_the_rows() -> None:
    """Rows of the atlas have the settings of their best trial, so that the atlas shows what their tuning cost."""
    for found in read_tuned(COMMITTED / "tuning"):
        row = registry.find(found.tuning.row)
        assert found.is_of(row.config), f"{row.name}: METHODS lacks the best trial, {found.winner}"


def test_a_folder_gives_each_tuning_its_records(tmp_path) -> None:
    one = tuned([120.0, None, 110.0])
    assert read_tuned(tmp_path) == []
    write_tuning(one.tuning, tmp_path)
    for record in one.records.values():
        Store(tmp_path).write(record, {})
    (found,) = read_tuned(tmp_path)
    assert found == one
    assert found.missing == 0


def test_a_perplexity_of_many_digits_is_written_short_and_drawn_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuning_figure.draw([tuned([1e81, 1e82])])
    one = tuned([1e81, 120.0])
    assert report.in_words(one).endswith("expected best validation perplexity of 1, 2 trials: 5e+80, 2e+80")
    lines = report.as_text(one, Path("tuning"), None).splitlines()
    assert max(map(len, lines)) < 200
    assert any("1e+81" in line.split() for line in lines)


def test_a_figure_tells_its_references_apart() -> None:
    one, other = tuned([130.0, 120.0]), tuned([125.0, 115.0])
    svg = tuning_figure.draw([one, other], [one, other])
    assert f"trials (gray, dashed: {ROW.name}, dotted: {ROW.name})" in svg
    assert "trials (" not in tuning_figure.draw([one])


@pytest.mark.parametrize("data", ["a", "b"])
def test_a_trials_record_is_of_the_tunings_data(tmp_path, data: str) -> None:
    study = plan(ROW, SPACE, 2, 1)
    for run in runs_of(ROW, study, None):
        for letter, value in (("a", 110.0), ("b", 130.0)):
            made = make_record(run.row, 0, metrics={"validation_perplexity": value}, data_sha256=64 * letter)
            Store(tmp_path).write(made, {})
    write_tuning(replace(study, data=[64 * data] * 2), tmp_path)
    (found,) = read_tuned(tmp_path)
    assert found.values == [{"a": 110.0, "b": 130.0}[data]] * 2
    write_tuning(replace(study, data=[64 * "c"] * 2), tmp_path)
    (found,) = read_tuned(tmp_path)
    assert found.missing == 2


def test_trials_of_an_older_tuning_are_of_one_data(tmp_path) -> None:
    first, second = runs_of(ROW, study := plan(ROW, SPACE, 2, 1), None)
    for run, letter in ((first, "a"), (second, "a"), (second, "b")):
        Store(tmp_path).write(make_record(run.row, 0, data_sha256=64 * letter), {})
    write_tuning(study, tmp_path)
    (found,) = read_tuned(tmp_path)
    assert {one.data_sha256 for one in found.records.values()} == {64 * "a"}
