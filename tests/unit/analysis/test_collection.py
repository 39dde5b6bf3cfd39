"""Trials and runs on parts of a text are collected as their store has them; what is left out is named."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
from support.factories import diverge, make_record

from benchmark.analysis.collection import collect
from benchmark.analysis.results import read_store
from benchmark.grid.surface import runs_of as parts_of
from benchmark.grid.tuning import plan, runs_of
from benchmark.store.diverged import read_diverged
from benchmark.store.evaluations import EvaluationRecord, read_evaluations, write_evaluation
from benchmark.store.records import Store, checksum_arrays
from benchmark.store.tunings import Tuning, read_tunings, write_tuning
from benchmark.tasks import registry
from benchmark.tasks.base import Row


def test_trials_and_surfaces_are_collected_once_and_only_from_committed_code(tmp_path) -> None:
    store, into = tmp_path / "runs", tmp_path / "kept"
    row = registry.find("sotu-none")
    study = plan(row, row.space, 2, 1)
    nothing = {"log_probabilities_sha256": checksum_arrays({})}
    clean, changed = (make_record(run.row, 0, **nothing) for run in runs_of(row, study, None))
    changed = replace(changed, commit="c" * 40 + "-dirty")
    (part, _) = (make_record(run.row, 1, **nothing) for run in parts_of([row], [0.5], [0.0, 0.5], 1, None))
    for folder, records in (("tuning", (clean, changed)), ("surface", (part,))):
        for record in records:
            Store(store / folder).write(record, {})
            (store / folder / record.run / "last.ckpt").write_text("weights")
    write_tuning(study, store / "tuning")

    outcome = collect([], store, into)
    assert (outcome.copied, outcome.unclean) == ([clean, part], [changed])
    assert list(Store(into / "tuning").records()) == [clean]
    assert list(Store(into / "surface").records()) == [part]
    assert list(read_tunings(into / "tuning")) == []
    assert outcome.left_out == ["the tuning of sotu-none: 1 of its 2 trials have not been copied and did not diverge"]
    assert not list(into.rglob("*.ckpt"))
    assert list(Store(into).records()) == []
    assert collect([], store, into).copied == []

    write_tuning(replace(study, diverged=[changed.fingerprint]), store / "tuning")
    collect([], store, into)
    assert [one.settings for one in read_tunings(into / "tuning")] == [study.settings]


def test_a_run_that_was_trained_again_with_other_numbers_is_named_and_not_taken(tmp_path) -> None:
    store, into, row = tmp_path / "runs", tmp_path / "kept", registry.find("ptb-small")
    nothing = {"log_probabilities_sha256": checksum_arrays({})}
    first = make_record(row, 1, **nothing)
    later = replace(first, finished="2026-06-01T00:00:00+00:00")
    other = replace(later, metrics={"validation_perplexity": 99.0, "test_perplexity": 95.0})

    def collected(record) -> tuple[list, list[str]]:
        Store(store).write(record, {})
        outcome = collect(read_store(registry.ROWS, store), store, into)
        return outcome.copied, outcome.left_out

    assert collected(first) == ([first], [])
    assert collected(later) == ([], [])  # the same numbers
    line = f"{first.run}: has other numbers than {into / first.run}, which stays"
    assert collected(other) == ([], [line])
    more = replace(other, metrics={**other.metrics, "test_perplexity_known_words": 90.0})
    assert collected(more) == ([], [line])
    assert list(Store(into).records()) == [first]
    more = replace(later, metrics={**later.metrics, "test_perplexity_known_words": 90.0})
    assert collected(more) == ([more], [])  # the same numbers, and one that is not there


def test_a_run_with_another_ones_arrays_is_not_collected(tmp_path) -> None:
    """As it would make every command on the collection fail."""
    store, into, row = tmp_path / "runs", tmp_path / "kept", registry.find("ptb-small")
    for seed in (1, 2):
        arrays = {"test": np.full(20, -seed, np.float16)}
        record = make_record(row, seed, log_probabilities_sha256=checksum_arrays(arrays))
        Store(store).write(record, arrays)
    one, other = sorted(store.glob("*/*/log_probabilities.npz"))
    other.write_bytes(one.read_bytes())
    outcome = collect(read_store(registry.ROWS, store), store, into)
    assert [record.seed for record in outcome.copied] == [1]
    assert outcome.corrupt == [f"{other} is not what its record was written with; delete the run and train it again"]
    assert [record.seed for record in Store(into).records()] == [1]


def tuned(store: Path, row: Row, trials: int, seed: int = 1, **changes: object) -> Tuning:
    """A tuning in a store, whose trials have all ended."""
    study = plan(row, row.space, trials, seed)
    for run in runs_of(row, study, None):
        record = make_record(run.row, 0, log_probabilities_sha256=checksum_arrays({}))
        Store(store / "tuning").write(replace(record, data_sha256=str(changes.get("data", "d" * 64))), {})
    study = replace(study, data=[str(changes["data"])] * trials) if changes else study
    write_tuning(study, store / "tuning")
    return study


def test_a_tuning_is_replaced_only_by_one_that_goes_on_from_it(tmp_path) -> None:
    into, row = tmp_path / "kept", registry.find("sotu-none")
    whole = tuned(tmp_path / "first", row, 4)
    assert collect([], tmp_path / "first", into).left_out == []
    tuned(tmp_path / "smaller", row, 2)
    tuned(tmp_path / "another", row, 8, seed=2)
    tuned(tmp_path / "elsewhere", row, 8, data="e" * 64)
    for store, lines in (("smaller", ["2 trials with --seed 1"]), ("another", ["8 trials with --seed 2"] + 8 * [""]),
                         ("elsewhere", ["is of other data"] + 8 * [""])):  # fmt: skip
        outcome = collect([], tmp_path / store, into)
        assert (outcome.copied, len(outcome.left_out)) == ([], len(lines))
        assert lines[0] in outcome.left_out[0]
        assert all("is a trial of no tuning that is collected" in line for line in outcome.left_out[1:])
        assert list(read_tunings(into / "tuning")) == [whole]
    larger = tuned(tmp_path / "larger", row, 8)
    outcome = collect([], tmp_path / "larger", into)
    assert (len(outcome.copied), outcome.left_out) == (4, [])
    assert list(read_tunings(into / "tuning")) == [larger]


def test_studies_of_rows_that_are_not_shipped_are_left_out(tmp_path) -> None:
    """A row of another name, and one of a shipped name in another configuration, as in a rows file of old."""
    store, shipped = tmp_path / "runs", registry.find("sotu-none")
    own, edited = replace(shipped, name="own"), shipped.variant(shipped.name, embedding_size=7)
    nothing = {"log_probabilities_sha256": checksum_arrays({})}
    for row in (own, edited):
        tuned(store, row, 2)
        (part, _) = (make_record(run.row, 1, **nothing) for run in parts_of([row], [0.5], [0.0, 0.5], 1, None))
        Store(store / "surface").write(part, {})
        Store(store / "precision").write(make_record(row, 1, precision="bf16-mixed", **nothing), {})
    outcome = collect([], store, tmp_path / "kept")
    assert (outcome.copied, len(outcome.left_out)) == ([], 2 + 4 + 2 + 2)
    assert not (tmp_path / "kept").exists()
    Store(store / "precision").write(make_record(shipped, 1, precision="bf16-mixed", **nothing), {})
    assert [record.row for record in collect([], store, tmp_path / "kept").copied] == ["sotu-none"]


def alter(path: Path) -> Path:
    content = json.loads(path.read_text())
    content["row"] += "-better"
    path.write_text(json.dumps(content))
    return path


def test_what_is_left_out_is_named_and_what_was_altered_fails_the_command(rnnreg, tmp_path) -> None:
    store, into = tmp_path / "runs", tmp_path / "kept"
    row, searched = registry.find("sotu-small"), registry.find("sotu-none")
    record = make_record(row, 1, log_probabilities_sha256=checksum_arrays({}))
    names = {one.name for one in fields(EvaluationRecord)}
    common = {name: value for name, value in asdict(record).items() if name in names}
    common |= {"method": "temperature", "chosen": [], "plain": {}, "seconds": 1.0}
    kept, dirty, other, altered = (
        EvaluationRecord(**{**common, "settings": {"temperature": number}, **change})
        for number, change in enumerate(({}, {"commit": "d" * 40 + "-dirty"}, {"fingerprint": "0" * 64}, {}))
    )
    for evaluation in (kept, dirty, other):
        write_evaluation(evaluation, store)
    words = ("collect", "--store", store, "--into", into)
    code, out, err = rnnreg(*words)
    assert (code, "1 evaluation copied" in out) == (0, True)
    assert sorted(err.splitlines()) == sorted(
        (
            f"rnnreg: left out: {dirty.name}: ran from uncommitted code ({dirty.commit})",
            f"rnnreg: left out: {other.name}: is of no shipped row, or of another configuration of it",
        )
    )
    study = plan(searched, searched.space, 2, 1)
    trial = make_record(runs_of(searched, study, None)[0].row, 0, log_probabilities_sha256=checksum_arrays({}))
    Store(store).write(record, {})
    Store(store / "tuning").write(trial, {})
    changed = [
        alter(store / record.run / "record.json"),
        alter(write_evaluation(altered, store)),
        alter(store / "tuning" / trial.run / "record.json"),
        alter(write_tuning(study, store / "tuning")),
    ]
    code, _, err = rnnreg(*words)
    assert code == 1
    for path in changed:
        assert err.count(f"rnnreg: left out: {path} was altered after it was written (checksum differs)") == 1
    assert f"4 files of {store} cannot be trusted" in err.splitlines()[-1]
    assert list(read_evaluations(into)) == [kept]
    assert list(Store(into / "tuning").records()) == []


def test_runs_of_studies_that_diverged_are_collected_by_the_same_filter(tmp_path) -> None:
    """Without them the others would be all that there seems to be, and would decide."""
    store, into = tmp_path / "runs", tmp_path / "kept"
    row = registry.find("sotu-small")
    nothing = {"log_probabilities_sha256": checksum_arrays({})}
    parts = [make_record(run.row, run.seed, **nothing) for run in parts_of([row], [1 / 3], [0.0, 0.5], 2, None)]
    odd = [make_record(run.row, run.seed, **nothing) for run in parts_of([row], [0.123456789], [0.5], 2, None)]
    other = make_record(row.variant("own-text-0.5-dropout-0.5", dropout=0.5), 1)
    changed = replace(parts[2], commit="c" * 40 + "-dirty")
    half = make_record(row, 2, precision="bf16-mixed")
    for record in (parts[0], odd[0]):
        Store(store / "surface").write(record, {})
    for lost in (parts[1], parts[3], changed, odd[1], other):
        diverge(store / "surface", lost)
    diverge(store / "precision", half)
    study = plan(registry.find("sotu-none"), registry.find("sotu-none").space, 2, 1)
    trials = [make_record(run.row, 0) for run in runs_of(registry.find("sotu-none"), study, None)]
    for trial in trials:
        diverge(store / "tuning", trial)
    write_tuning(replace(study, settings=study.settings[:1], fingerprints=study.fingerprints[:1],
                         diverged=study.fingerprints[:1]), store / "tuning")  # fmt: skip
    outcome = collect([], store, into)
    assert {run.run for run in read_diverged(into / "surface")} == {parts[1].run, parts[3].run, odd[1].run}
    assert [run.run for run in read_diverged(into / "precision")] == [half.run]
    assert [run.run for run in read_diverged(into / "tuning")] == [trials[0].run]
    another = "which diverged: is of no shipped row, or of another configuration of it"
    assert sorted(outcome.left_out) == sorted([
        f"surface/{changed.run}, which diverged: ran from uncommitted code ({changed.commit})",
        f"surface/{other.run}, {another}",
        f"tuning/{trials[1].run}, which diverged: is a trial of no tuning that is collected",
    ])  # fmt: skip
    assert collect([], store, into).copied == []
