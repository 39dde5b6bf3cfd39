"""Runs that are cut anywhere, again and again: each ends as one that nobody disturbed, bit for bit."""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lightning.pytorch.trainer.connectors.logger_connector import _LoggerConnector
from support.factories import TASKS, tiny_rows

from benchmark.grid.grid import silent
from benchmark.store.checkpoints import DamagedCheckpoint, read_checkpoint
from benchmark.store.records import Record, Store
from benchmark.tasks.base import Row
from benchmark.training.endings import Interrupted
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.errors import UserError
from models.acoustic_model import AcousticModel
from models.captioner import Captioner
from models.language_model import LanguageModel
from models.translator import Translator

MODELS = dict(zip(TASKS, (LanguageModel, AcousticModel, Translator, Captioner), strict=True))
STEPS = ("training_step", "validation_step", "test_step")
OF_WEIGHTS = {
    "triggered": {"averaging": "triggered", "averaging_patience": 0, "decay": 1.2, "epochs": 4},
    "exponential": {"averaging": "exponential", "averaging_decay": 0.9, "layer_norm": True, "tied": True},
}
"""Language models that validation or the steps before decide on; at this rate validation gets worse at times."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, Row]:
    made = tiny_rows(tmp_path_factory.mktemp("data"))
    found = {task: row.variant(f"{row.name}-cut", dropout=0.3, epochs=3) for task, row in made.items()}
    unstable = {"lr": 4.0, "flat_epochs": 9, "decay_on_plateau": True, "unroll": 20, "layers": 1, "weight_drop": 0.3}
    for name, changes in OF_WEIGHTS.items():
        found[name] = found["language-modeling"].variant(name, **unstable, **changes)
    return found


def options(folder: Path, **changes) -> Options:
    return Options(store=folder, data=folder.parent / "data", accelerator="cpu", threads=1, wandb="off", **changes)


def content(record: Record) -> tuple:
    timing = {"seconds", "throughput"}
    curve = [{name: value for name, value in epoch.items() if name not in timing} for epoch in record.curve]
    return record.metrics, curve, record.log_probabilities_sha256, record.details


class Cut:
    """Does something in the n-th step of a training, of whatever kind the step is."""

    def __init__(self, patch: pytest.MonkeyPatch, model: type, do: Callable[[], None]) -> None:
        self.do, self.at, self.count = do, 0, 0
        for name in STEPS:
            patch.setattr(model, name, self._counting(getattr(model, name)))

    def _counting(self, step: Callable) -> Callable:
        def counted(*arguments, **named):
            self.count += 1
            if self.count == self.at:
                self.do()
            return step(*arguments, **named)

        return counted

    def train(self, row: Row, where: Options, at: int = 0) -> Record:
        self.at, self.count = at, 0
        return train(row, 1, where, progress=silent)


class Crash(Exception):
    """The end of a process in the middle of a step."""


def stop() -> None:
    os.kill(os.getpid(), random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))


def crash() -> None:
    raise Crash


@pytest.mark.parametrize(("do", "minutes"), [(stop, 10.0), (crash, 1e-9)], ids=["signals", "crashes"])
@pytest.mark.parametrize("task", [*TASKS, *OF_WEIGHTS])
def test_a_run_cut_at_random_steps_ends_as_an_uncut_one(task, do, minutes, rows, tmp_path, monkeypatch) -> None:
    """Signals leave a checkpoint; crashes do not, but there is one after each step."""
    cut = Cut(monkeypatch, MODELS.get(task, LanguageModel), do)
    whole = cut.train(rows[task], options(tmp_path / "whole"))
    if task in OF_WEIGHTS:
        assert whole.curve[-1]["lr"] < whole.curve[0]["lr"]  # before its last epoch validation had got worse
    steps, generator, cuts = cut.count, random.Random(task), 0
    where = options(tmp_path / "cut", checkpoint_minutes=minutes)
    while cuts < 8:
        try:
            record = cut.train(rows[task], where, at=generator.randint(1, steps // 3))
        except (Interrupted, Crash):
            cuts += 1
        else:
            assert cuts > 1
            break
    else:
        record = cut.train(rows[task], where)
    assert content(record) == content(whole)


def test_sigterm_is_taken_back_from_lightning_in_the_final_evaluation_too(rows, tmp_path, monkeypatch) -> None:
    """Lightning would end the process if the signal came after our look at a batch and before its own."""
    row, looked = rows["language-modeling"], _LoggerConnector.on_batch_end
    whole = train(row, 1, options(tmp_path / "whole"), progress=silent)

    def stop_in_test(connector: _LoggerConnector) -> None:
        looked(connector)
        if connector.trainer.testing:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(_LoggerConnector, "on_batch_end", stop_in_test)
        with pytest.raises(Interrupted, match="in the final evaluation; its state is kept") as stopped:
            train(row, 1, options(tmp_path / "cut"), progress=silent)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert content(train(row, 1, options(tmp_path / "cut"), progress=silent)) == content(whole)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(rows, tmp_path, monkeypatch, caplog) -> None:
    row = rows["language-modeling"]
    cut = Cut(monkeypatch, LanguageModel, stop)
    whole = cut.train(row, options(tmp_path / "whole"))
    with pytest.raises(Interrupted):
        cut.train(row, options(tmp_path / "cut"), at=cut.count // 2)
    (path,) = (tmp_path / "cut").glob("*/*/last.ckpt")
    written = bytearray(path.read_bytes())
    written[len(written) // 2] ^= 1
    path.write_bytes(written)
    assert content(cut.train(row, options(tmp_path / "cut"))) == content(whole)
    assert f"{path} is not a whole checkpoint" in caplog.text
    assert "the run goes on from the one before it" in caplog.text
    assert path.with_name("damaged.ckpt").read_bytes() == written


def test_a_flipped_bit_anywhere_is_seen(rows, tmp_path) -> None:
    record = train(rows["language-modeling"], 1, options(tmp_path / "runs"), progress=silent)
    path = tmp_path / "runs" / record.run / "last.ckpt"
    written, generator = path.read_bytes(), random.Random(0)
    for _ in range(100):
        flipped = bytearray(written)
        flipped[generator.randrange(len(flipped))] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(DamagedCheckpoint, match="is not a whole checkpoint"):
            read_checkpoint(path)


def test_a_checkpoint_of_another_seed_is_refused(rows, tmp_path, monkeypatch) -> None:
    row, where = rows["speech"], options(tmp_path / "runs")
    record = train(row, 1, where, progress=silent)
    cut = Cut(monkeypatch, AcousticModel, crash)
    cut.at = 2
    with pytest.raises(Crash):
        train(row, 2, where, progress=silent)
    (other,) = (tmp_path / "runs").glob("*/seed-2-*")
    (other / "last.ckpt").write_bytes((tmp_path / "runs" / record.run / "last.ckpt").read_bytes())
    with pytest.raises(UserError, match=rf"last.ckpt is of another run, {record.run}, not .*/seed-2-"):
        train(row, 2, where, progress=silent)
    assert [one.seed for one in Store(tmp_path / "runs").records()] == [1]


def test_a_record_lists_its_sittings_and_is_clean_only_if_all_are(rows, tmp_path, monkeypatch) -> None:
    commits = iter(["a" * 40 + "-dirty", "b" * 40])
    monkeypatch.setattr("benchmark.store.provenance.describe_commit", lambda: next(commits))
    row, where = rows["captioning"], options(tmp_path / "runs")
    cut = Cut(monkeypatch, Captioner, stop)
    with pytest.raises(Interrupted):
        cut.train(row, where, at=8)
    with pytest.raises(UserError, match="the run was begun with --precision 32, which it must go on with"):
        cut.train(row, replace(where, precision="bf16-mixed"))
    record = cut.train(row, where)
    assert [(one["commit"], one["epochs_before"]) for one in record.sittings] == [
        ("a" * 40 + "-dirty", 0),
        ("b" * 40, 1),
    ]
    assert {one["threads"] for one in record.sittings} == {1}
    assert (record.commit, record.uncommitted, record.is_clean) == ("b" * 40, ["a" * 40 + "-dirty"], False)
    assert replace(record, sittings=[]).is_clean  # as in records from before
    assert Store(where.store).find(record.run) == record
