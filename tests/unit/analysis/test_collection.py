"""Trials and runs on parts of a text are collected as their store has them; what is left out is named."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

from support.factories import make_record

from benchmark.analysis.collection import collect
from benchmark.grid.surface import runs_of as parts_of
from benchmark.grid.tuning import plan, runs_of
from benchmark.store.evaluations import EvaluationRecord, read_evaluations, write_evaluation
from benchmark.store.records import Store, checksum_arrays
from benchmark.store.tunings import read_tunings, write_tuning
from benchmark.tasks import registry


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
    assert list(read_tunings(into / "tuning")) == [study]
    assert not list(into.rglob("*.ckpt"))
    assert list(Store(into).records()) == []
    assert collect([], store, into).copied == []


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
    assert (code, "1 evaluations copied" in out) == (0, True)
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
