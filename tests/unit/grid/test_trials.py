"""Trials: their draws, their identity, and what becomes of those that diverge."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.grid import tuning
from benchmark.grid.tuning import draw, plan, runs_of
from benchmark.store.tunings import read_tunings
from benchmark.tasks import registry
from benchmark.tasks.spaces import Choice, Range
from benchmark.training.options import Options
from datamodules.errors import UserError

SPACE = {"lr": Range(0.1, 10.0, log=True), "dropout": Range(0.0, 0.5), "epochs": Choice((2, 3))}


def test_draws_depend_on_row_space_and_seed_only() -> None:
    first = draw("a", SPACE, 5, 1)
    assert first == draw("a", dict(reversed(SPACE.items())), 5, 1)
    assert first[:3] == draw("a", SPACE, 3, 1)
    assert draw("a", SPACE, 16, 1)[:5] == first
    others = (draw("b", SPACE, 5, 1), draw("a", SPACE, 5, 2), draw("a", {**SPACE, "dropout": Range(0.0, 0.6)}, 5, 1))
    assert all(first != other for other in others)


def test_draws_fill_every_setting_evenly() -> None:
    """Of 16 points of a Sobol sequence one lies in each sixteenth of each setting."""
    drawn = draw("a", SPACE, 16, 3)
    assert sorted(int(one["dropout"] / 0.5 * 16) for one in drawn) == list(range(16))
    assert sorted(one["epochs"] for one in drawn) == [2] * 8 + [3] * 8
    assert sum(one["lr"] < 1 for one in drawn) == 8


def test_a_trial_is_no_run_of_the_row_and_its_command_trains_it_again(tiny_row) -> None:
    study = plan(tiny_row, SPACE, 2, 1)
    first, second = runs_of(tiny_row, study, None)
    assert (first.row.name, second.row.name, first.seed) == ("tiny-trial-1", "tiny-trial-2", 0)
    assert [first.fingerprint, second.fingerprint] == study.fingerprints
    settings = study.settings[0]
    assert first.row.config == replace(tiny_row.config, **settings, validation_only=True)
    assert first.fingerprint != replace(tiny_row.config, **settings).fingerprint()
    assert first.specification == ("tiny", 0, first.command, "tiny-trial-1", {**settings, "validation_only": True})
    assert "--seed 0 " in first.command
    assert first.command.endswith(f"--lr={settings['lr']} --validation_only")


def test_an_impossible_space_is_one_line(tiny_row) -> None:
    with pytest.raises(UserError, match=r"tiny: its space gives what is not possible: dropout: .* is out of range"):
        plan(tiny_row, {"dropout": Range(1.5, 2.0)}, 2, 1)
    with pytest.raises(UserError, match="epochs: expected a whole number"):
        plan(tiny_row, {"epochs": Range(1.5, 2.5)}, 2, 1)


def test_a_trial_that_diverged_is_kept_and_not_run_again(tiny_row, tmp_path, monkeypatch) -> None:
    study = plan(tiny_row, SPACE, 4, 1)
    asked = []

    def run_grid(runs, *_) -> dict[str, int]:
        asked.append([run.row.name for run in runs])
        return {"tiny-trial-2 seed 0: training diverged in epoch 1": 1, "tiny-trial-3 seed 0: its process died": 1}

    class Launcher:
        options = Options(store=tmp_path)

    monkeypatch.setattr(tuning, "run_grid", run_grid)
    (found,), failures = tuning.tune([(tiny_row, study)], Launcher(), 0, None)
    assert found.diverged == [study.fingerprints[1]]
    assert failures == {"tiny-trial-3 seed 0: its process died": 1}
    assert list(read_tunings(tmp_path)) == [found]
    tuning.tune([(tiny_row, study)], Launcher(), 0, None)
    assert asked[1] == ["tiny-trial-1", "tiny-trial-3", "tiny-trial-4"]
    text = Path(tiny_row.config.source) / "valid.txt"
    text.write_text(text.read_text() * 2)
    tuning.tune([(tiny_row, study)], Launcher(), 0, None)
    assert asked[2] == [f"tiny-trial-{number}" for number in range(1, 5)]  # on other data it may converge
    (kept,) = read_tunings(tmp_path)
    assert not set(kept.data) & set(found.data)


def test_two_trials_of_the_same_settings_that_diverge_are_no_failures(tiny_row, tmp_path, monkeypatch) -> None:
    class Launcher:
        options = Options(store=tmp_path)

    def run_grid(runs, *_) -> dict[str, int]:
        return {f"{run.label}: training diverged in epoch 1": 1 for run in runs if run.row.config.lr == 9.0}

    monkeypatch.setattr(tuning, "run_grid", run_grid)
    study = plan(tiny_row, {"lr": Choice((0.5, 9.0))}, 4, 1)
    wild = [one for one, settings in zip(study.fingerprints, study.settings, strict=True) if settings["lr"] == 9.0]
    (found,), failures = tuning.tune([(tiny_row, study)], Launcher(), 0, None)
    assert (len(wild), len(set(wild))) == (2, 1)
    assert (found.diverged, failures) == (wild, {})


def test_another_draw_does_not_replace_a_tuning(tiny_row, tmp_path, monkeypatch) -> None:
    class Launcher:
        options = Options(store=tmp_path)

    monkeypatch.setattr(tuning, "run_grid", lambda *_: {})
    for trials in (3, 3, 4):
        tuning.tune([(tiny_row, plan(tiny_row, SPACE, trials, 1))], Launcher(), 0, None)
    others = (plan(tiny_row, SPACE, 2, 1), plan(tiny_row, SPACE, 4, 2), plan(tiny_row, {"lr": SPACE["lr"]}, 4, 1))
    for other in others:
        with pytest.raises(UserError, match=r"tiny has a tuning of 4 trials with --seed 1 .* --trials 4 or more"):
            tuning.tune([(tiny_row, other)], Launcher(), 0, None)
    assert len(next(read_tunings(tmp_path)).settings) == 4


def test_no_grid_of_rows_has_the_seed_of_trials() -> None:
    from benchmark.commands.reproduce import _grid

    rows = [registry.find("sotu-none")]
    assert tuning.TRIAL_SEED not in {run.seed for run in _grid(rows, registry.ROWS, 3, None)}
