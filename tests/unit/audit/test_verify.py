"""Faults planted in copies of committed records: each is found, and by the check that is for it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.audit.history import History
from benchmark.audit.verify import Audit, verify
from benchmark.reports.audit import junit, markdown
from benchmark.store.evaluations import EvaluationRecord, write_evaluation
from benchmark.store.records import checksum_arrays, read_record
from benchmark.store.tunings import Tuning, write_tuning
from benchmark.tasks import registry
from models.metrics import corpus_bleu

RECORDS = Path(__file__).parents[3] / "results" / "records"
LM, OTHER_SEED, ENSEMBLE = "sotu-small/seed-1-", "sotu-small/seed-2-", "sotu-small-average-2/seed-0-"
SPEECH, TRANSLATION, CAPTIONS = "espeak-small/seed-1-", "bible-small/seed-1-", "openmoji-dropout/seed-1-"
HISTORY = History()

Content = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one run of each task, a second seed of one, and an ensemble of both."""
    root = tmp_path_factory.mktemp("original")
    for name in (LM, OTHER_SEED, ENSEMBLE, SPEECH, TRANSLATION, CAPTIONS):
        (folder,) = RECORDS.glob(f"{name}*")
        shutil.copytree(folder, root / folder.relative_to(RECORDS))
    return root


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "store")


def folder_of(store: Path, name: str) -> Path:
    (folder,) = store.glob(f"{name}*")
    return folder


def sign(content: Content) -> Content:
    """The content with the checksum that a forger would give it."""
    content.pop("sha256", None)
    return {**content, "sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def change(store: Path, name: str, edit: Callable[[Content], Any]) -> None:
    path = folder_of(store, name) / "record.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(sign(content)))


def change_arrays(store: Path, name: str, edit: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Change the log-probabilities, and the checksum in the record with them."""
    path = folder_of(store, name) / "log_probabilities.npz"
    arrays = dict(np.load(path))
    edit(arrays)
    np.savez(path, **arrays)
    change(store, name, lambda content: content.update(log_probabilities_sha256=checksum_arrays(arrays)))


def audit(store: Path) -> Audit:
    return verify(store, registry.ROWS, HISTORY)


def found(store: Path) -> list[tuple[str, str]]:
    """Check and message of each fault."""
    return [(fault.check, fault.message) for fault in audit(store).faults]


def test_records_as_they_were_written_have_no_faults(store: Path) -> None:
    outcome = audit(store)
    assert outcome.faults == ()
    assert len(outcome.runs) == 6
    assert not any(check == "scores" for check, _ in outcome.reasons)  # all of them are recomputed


def test_trials_and_parts_of_the_text_are_verified_with_their_store(store: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    for part in ("tuning", "surface", "precision"):
        shutil.copytree(store, outer / part)
    alone = audit(outer)  # a store of trials alone is one
    assert len(alone.runs) == 18
    shutil.copytree(store, outer, dirs_exist_ok=True)
    change(outer / "tuning", LM, lambda content: content["metrics"].update(test_perplexity=90.0))
    outcome = audit(outer)
    assert len(outcome.runs) == 24
    (fault,) = outcome.faults
    assert fault.run.startswith("tuning/sotu-small/seed-")
    assert fault.check == "perplexity"


def with_studies(store: Path) -> tuple[Path, Path]:
    """An evaluation of a run of a store, and a tuning with one trial that is there and one that diverged."""
    record = read_record(folder_of(store, LM) / "record.json")
    evaluation = EvaluationRecord(
        row=record.row, seed=record.seed, fingerprint=record.fingerprint, data_sha256=record.data_sha256,
        log_probabilities_sha256=record.log_probabilities_sha256, method="temperature", settings={"temperature": 1.1},
        chosen=["temperature"], metrics={"test_perplexity": 130.0},
        plain={"test_perplexity": record.metrics["test_perplexity"]}, seconds=1.0, device="CPU", versions={},
        commit=record.commit, finished=record.finished, command="rnnreg evaluate",
    )  # fmt: skip
    shutil.copytree(folder_of(store, LM), store / "tuning" / record.run)
    tuning = Tuning(
        row="sotu-small", task=record.task, source="sotu", size="small", label="", seed=1, space={}, settings=[{}, {}],
        fingerprints=[record.fingerprint, "f" * 64], diverged=["f" * 64],
    )  # fmt: skip
    return write_evaluation(evaluation, store), write_tuning(tuning, store / "tuning")


def test_evaluations_and_tunings_are_verified_and_counted(store: Path) -> None:
    with_studies(store)
    outcome = audit(store)
    assert (outcome.faults, outcome.counts) == ((), "7 records, 1 evaluation, 1 tuning")
    assert "| evaluations | 1 | 0 | – |" in markdown(outcome)
    shutil.rmtree(store / "tuning" / "sotu-small")  # a tuning whose trials are all gone
    assert [fault.message for fault in audit(store).faults] == [
        "1 of its 2 trials have no record; `rnnreg tune` runs what is missing"
    ]
    shutil.rmtree(folder_of(store, LM))
    assert ("evaluations", "the very run that was evaluated is not in the store") in audit(store).reasons


ALTERED: list[tuple[int, bool, Callable[[Content], Any], str]] = [
    (0, False, lambda c: c["metrics"].update(test_perplexity=65.0), "an evaluation that was altered after it was"),
    (0, True, lambda c: c["plain"].update(test_perplexity=200.0), "test_perplexity is 200; the record of the run has"),
    (0, True, lambda c: c.update(commit="1" * 40 + "-dirty"), "ran from code that is not committed"),
    (0, True, lambda c: c.update(chosen=[]), "the content gives the name sotu-small-seed-1-temperature-"),
    (0, True, lambda c: c["metrics"].update(test_perplexity="65"), "metrics.test_perplexity is '65', not a finite"),
    (0, True, lambda c: c.pop("plain"), "half an evaluation: it lacks plain"),
    (1, False, lambda c: c["settings"].pop(), "a tuning that was altered after it was written"),
    (1, True, lambda c: c.update(diverged=[]), "1 of its 2 trials have no record; `rnnreg tune` runs what is missing"),
    (1, True, lambda c: c["settings"].pop(), "has settings of 1 trials and fingerprints of 2"),
    (1, True, lambda c: c["fingerprints"].pop(), "1 diverged that are no trials of it"),
    (1, True, lambda c: c.update(row="sotu-none"), "is the tuning of sotu-none, whose file is sotu-none.json"),
]


@pytest.mark.parametrize(("which", "signed", "edit", "message"), ALTERED, ids=[f"{a[3][:25]}" for a in ALTERED])
def test_an_altered_evaluation_or_tuning_is_found(store: Path, which: int, signed: bool, edit, message: str) -> None:
    path = with_studies(store)[which]
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(sign(content) if signed else content))
    outcome = audit(store)
    faults = [fault for fault in outcome.faults if fault.check == ("evaluations", "tunings")[which]]
    assert any(message in fault.message for fault in faults), outcome.faults
    assert {fault.run for fault in faults} == {str(path.relative_to(store))}
    assert faults[0].run in junit(outcome)


FAULTS: list[tuple[str, str, Callable[[Content], Any], str]] = [
    (LM, "identity", lambda c: c.update(seed=7), "give sotu-small/seed-7-"),
    (LM, "identity", lambda c: c.update(command="rnnreg run sotu-small --seed 5"), "another seed than 1"),
    (LM, "fingerprint", lambda c: c.update(fingerprint="0" * 64), "is not the configuration's, which is"),
    (LM, "fingerprint", lambda c: c["configuration"].update(lr=2.0), "lr is 2.0, in the row 1.0"),
    (LM, "fingerprint", lambda c: c["configuration"].update(width=2), "the configuration is none of language-modeling"),
    (LM, "fingerprint", lambda c: c.update(task="chess"), "there is no task chess"),
    (LM, "fingerprint", lambda c: c.update(unit="frames"), "throughput of language-modeling counts tokens"),
    (LM, "data", lambda c: c.update(data_sha256="1" * 64), "are not the published sotu"),
    (LM, "log probabilities", lambda c: c.update(log_probabilities_sha256="2" * 64), "the record says 2222"),
    (LM, "perplexity", lambda c: c["metrics"].update(test_perplexity=90.0), "test_perplexity is 90; the log-prob"),
    (CAPTIONS, "bounds", lambda c: c["metrics"].update(test_bleu=101.0), "test_bleu is 101, which is not between"),
    (SPEECH, "bounds", lambda c: c["metrics"].pop("validation_frame_accuracy"), "lacks the metric validation_frame"),
    (LM, "curve", lambda c: c["curve"].pop(), "the curve has 7 epochs"),
    (LM, "curve", lambda c: c["curve"][5].update(lr=1.0), "epoch 6 was trained at learning rate 1"),
    (TRANSLATION, "curve", lambda c: c["curve"][-1].update(lr=0.5), "the configuration gives"),
    (SPEECH, "curve", lambda c: c["curve"][-1].update(validation_frame_accuracy=50.0), "after the last epoch"),
    (LM, "speed", lambda c: c.update(throughput=1.0), "the median of the curve is"),
    (LM, "speed", lambda c: c.update(wall_seconds=1.0), "took 1.0 s in all"),
    (LM, "parameters", lambda c: c.update(parameters=402_090), "402,090 parameters; the configuration gives 402,089"),
    (SPEECH, "parameters", lambda c: c.update(parameters=1), "the configuration gives 93,636"),
    (TRANSLATION, "parameters", lambda c: c.update(parameters=1), "has 1 parameters"),
    (CAPTIONS, "parameters", lambda c: c.update(parameters=1), "the configuration gives 504,027"),
    (ENSEMBLE, "ensembles", lambda c: c.update(parameters=1), "its members have 804,178"),
    (ENSEMBLE, "ensembles", lambda c: c["metrics"].update(test_perplexity=1.5), "its members' log-probabilities give"),
    (ENSEMBLE, "ensembles", lambda c: c["details"].update(members_sha256=""), "made of other runs than those"),
    (LM, "commit", lambda c: c.update(commit="3" * 40), "commit 333333333333 is not in the history"),
    (LM, "commit", lambda c: c.update(commit=c["commit"] + "-dirty"), "ran from code that is not committed"),
    (LM, "commit", lambda c: c.update(sittings=[{"commit": "4" * 40}, {"commit": c["commit"]}]), "commit 444444444444"),
    (LM, "commit", lambda c: c.update(finished="2020-01-01T00:00:00+00:00"), "before its commit"),
    (LM, "provenance", lambda c: c["versions"].pop("torch"), "does not name the version of torch"),
    (LM, "provenance", lambda c: c.update(precision="bf16-mixed"), "its precision is not that of its last sitting"),
    (LM, "provenance", lambda c: c["versions"].pop("processor"), "does not name its processor"),
    (LM, "provenance", lambda c: c.update(device="NVIDIA H100"), "does not name the version of CUDA"),
    (LM, "provenance", lambda c: c.update(finished="yesterday"), "which is no time with its zone"),
    (LM, "record", lambda c: c.pop("metrics"), "half a record: it lacks metrics"),
    (LM, "record", lambda c: c.update(gpus=4), "fields that this version does not know (gpus)"),
    (LM, "record", lambda c: c["metrics"].update(test_perplexity=float("nan")), "test_perplexity is nan, not a finite"),
    (LM, "record", lambda c: c.update(seed="1"), "seed is '1', not a whole number"),
    (LM, "record", lambda c: c["curve"].append(3), "curve[8] is 3, not an object"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "check", "edit", "message"), FAULTS, ids=[f"{f[1]}-{f[3][:20]}" for f in FAULTS])
def test_a_forged_record_is_found(store, run: str, check: str, edit: Callable[[Content], Any], message: str) -> None:
    change(store, run, edit)
    faults = [fault for fault in audit(store).faults if fault.check == check]
    assert any(message in fault.message for fault in faults), faults
    assert faults[0].run.startswith(run)


def test_an_ensemble_of_runs_on_a_gpu_is_averaged_wherever_it_is(store: Path) -> None:
    change(store, ENSEMBLE, lambda content: content.update(device="NVIDIA H100"))
    assert found(store) == []


def test_a_single_run_in_the_place_of_an_ensemble_is_found(store: Path) -> None:
    shutil.copytree(folder_of(store, LM), folder_of(store, ENSEMBLE), dirs_exist_ok=True)
    change(store, ENSEMBLE, lambda content: content.update(row="sotu-small-average-2"))
    messages = [message for check, message in found(store) if check == "ensembles"]
    assert messages == ["is a single run, but its row is an ensemble of sotu-small, which is not trained"]


def test_a_record_that_was_only_edited_is_found_by_its_checksum(store: Path) -> None:
    path = folder_of(store, LM) / "record.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed":  1').replace('"tokens"', '"tokens"'))
    assert found(store) == []  # the same content
    path.write_text(path.read_text().replace('"wall_seconds": ', '"wall_seconds": 1'))
    assert [check for check, _ in found(store)] == ["record"]


def test_log_probabilities_that_are_not_the_runs_are_found(store: Path) -> None:
    def drop_the_last_window(arrays: dict[str, np.ndarray]) -> None:
        arrays["test"] = arrays["test"][:-7]

    change_arrays(store, LM, drop_the_last_window)
    assert any("tokens, other runs on these data have" in message for _, message in found(store))
    change_arrays(store, SPEECH, lambda arrays: arrays.update(validation=-arrays["validation"]))
    assert any("not all finite numbers up to 0" in message for _, message in found(store))
    (folder_of(store, CAPTIONS) / "log_probabilities.npz").write_bytes(b"no archive")
    assert any("log_probabilities.npz cannot be read" in message for _, message in found(store))


def test_a_run_that_is_copied_under_another_seed_or_trained_on_two_texts_is_found(store: Path) -> None:
    other = folder_of(store, OTHER_SEED)
    change(store, LM, lambda content: content.update(seed=9))
    (store / "sotu-small" / other.name.replace("seed-2", "seed-9")).mkdir()
    shutil.copytree(
        folder_of(store, LM), store / "sotu-small" / other.name.replace("seed-2", "seed-9"), dirs_exist_ok=True
    )
    change(store, LM, lambda content: content.update(seed=1))
    messages = [message for check, message in found(store) if check == "seeds"]
    assert len(messages) == 1
    assert "is the same run as" in messages[0]


def test_nothing_of_a_foreign_store_is_executed_or_believed(store: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('was executed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    change(store, LM, lambda content: content["configuration"].update(backbone="evil.LSTM"))
    change(store, SPEECH, lambda content: content["details"].update(members=5, states={}))
    change(store, OTHER_SEED, lambda content: content.update(row="../../elsewhere"))
    (folder_of(store, TRANSLATION) / "record.json").write_text("[" * 100_000)
    objects = np.empty(1, dtype=object)
    np.savez(folder_of(store, CAPTIONS) / "log_probabilities.npz", test=objects)
    outcome = audit(store)
    assert ("fingerprint", "its backbone evil.LSTM is code that is not loaded") in outcome.reasons
    said = {fault.run.split("/")[0]: fault.message for fault in outcome.faults}
    assert "cannot be read as JSON" in said["bible-small"]
    assert "cannot be read: Object arrays" in " ".join(fault.message for fault in outcome.faults)
    assert all("\n" not in fault.message for fault in outcome.faults)


def change_items(store: Path, name: str, **items: np.ndarray) -> None:
    np.savez(folder_of(store, name) / "items.npz", **items)
    change(store, name, lambda content: content.update(items_sha256=checksum_arrays(items)))


def test_scores_are_recomputed_from_the_counts_of_their_items(store: Path) -> None:
    counts = corpus_bleu(["the cat sat on the mat"] * 2, [["the cat sat on the mat"]] * 2).counts
    change_items(store, CAPTIONS, test_bleu=counts)
    change_items(store, SPEECH, validation_frame_accuracy=np.array([[3, 5], [4, 5]]))
    messages = [message for check, message in found(store) if check == "scores"]
    assert [message.split("; ")[1] for message in sorted(messages)] == [
        "the counts of its items give 100", "the counts of its items give 70",
    ]  # fmt: skip
    np.savez(folder_of(store, SPEECH) / "items.npz", validation_frame_accuracy=np.array([[5, 5]]))
    assert "items" in [check for check, _ in found(store)]
