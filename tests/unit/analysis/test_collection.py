"""Trials and runs on parts of a text are collected as their store has them, without checkpoints."""

from dataclasses import replace

from support.factories import make_record

from benchmark.analysis.collection import collect
from benchmark.grid.surface import runs_of as parts_of
from benchmark.grid.tuning import plan, runs_of
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
