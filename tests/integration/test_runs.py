"""One run at a time: its record, the same numbers again, resuming, and files that are broken."""

import os
import re
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import WandbLogger
from support.factories import TINY

from benchmark.grid.grid import silent
from benchmark.store.checkpoints import BEFORE
from benchmark.store.locks import RunLock
from benchmark.store.records import Store
from benchmark.tasks import language_modeling
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from datamodules.errors import UserError
from models.language_model import LanguageModel


def options(tmp_path: Path, **changes) -> Options:
    return Options(store=tmp_path / "runs", accelerator="cpu", threads=1, **{"wandb": "off", **changes})


def test_run_leaves_a_whole_record_and_does_not_train_it_again(run_tiny, tmp_path, text_folder) -> None:
    record = run_tiny("--seed", 3)
    assert record.row.startswith("ptb-small+")
    assert record.seed == 3
    assert record.configuration == {**asdict(language_modeling.PTB_SMALL.config), "source": str(text_folder), **TINY}
    assert [point["epoch"] for point in record.curve] == [1, 2]
    assert [point["lr"] for point in record.curve] == [1.0, 0.5]
    assert set(record.metrics) == {
        "validation_perplexity",
        "test_perplexity",
        "validation_perplexity_authors_convention",
        "train_perplexity_without_dropout",
    }
    assert record.curve[-1]["validation_perplexity"] == pytest.approx(record.metrics["validation_perplexity"])
    assert record.throughput > 0
    assert record.versions["torch"] == torch.__version__.split("+")[0]
    assert "--hidden_size=8" in record.command
    arrays = Store(tmp_path / "runs").log_probabilities(record)
    assert {name: len(values) for name, values in arrays.items()} == {"validation": 30 * 5 - 1, "test": 31 * 5 - 1}
    perplexity = torch.tensor(arrays["test"]).double().neg().mean().exp().item()
    assert perplexity == pytest.approx(record.metrics["test_perplexity"], rel=1e-3)

    before = next(tmp_path.glob("runs/*/*/record.json")).with_name(BEFORE)
    before.touch()  # as if the process had been killed after its record
    assert run_tiny("--seed", 3) == record
    assert not before.exists()
    assert run_tiny("--seed", 4) != record


def test_its_configuration_trains_the_same_run_again(run_tiny, rnnreg, tmp_path) -> None:
    record = run_tiny("--seed", 3, "--tied", "--input-dropout", 0.1, "--precision", "bf16-mixed")
    path = tmp_path / "runs" / record.run / "config.yaml"
    code, _, err = rnnreg("run", "--config", path, "--store", tmp_path / "again", "--wandb", "off", "--accelerator=cpu")
    assert code == 0, err
    (again,) = Store(tmp_path / "again").records()
    for field in ("run", "configuration", "fingerprint", "precision", "command", "metrics", "log_probabilities_sha256"):
        assert getattr(again, field) == getattr(record, field)
    assert (tmp_path / "again" / record.run / "config.yaml").read_text() == path.read_text()


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tiny_row, tmp_path) -> None:
    first = train(tiny_row, 1, options(tmp_path / "a"), progress=silent)
    again = train(tiny_row, 1, options(tmp_path / "b"), progress=silent)
    other = train(tiny_row, 2, options(tmp_path / "c"), progress=silent)
    assert first.metrics == again.metrics
    assert first.metrics != other.metrics


def test_a_run_in_bfloat16_is_near_that_in_float32_and_never_passes_for_it(tiny_row, tmp_path) -> None:
    exact = train(tiny_row, 1, options(tmp_path / "a"), progress=silent)
    mixed = train(tiny_row, 1, options(tmp_path / "b", precision="bf16-mixed"), progress=silent)
    assert (exact.precision, mixed.precision) == ("32", "bf16-mixed")
    assert mixed.command.endswith("--precision bf16-mixed")
    assert 0 < abs(mixed.metrics["test_perplexity"] / exact.metrics["test_perplexity"] - 1) < 0.02
    with pytest.raises(UserError, match="its record is of precision bf16-mixed, not 32"):
        train(tiny_row, 1, options(tmp_path / "b"), progress=silent)


def test_validating_less_often_changes_no_figure_but_those_that_it_leaves_out(tiny_row, tmp_path) -> None:
    row = tiny_row.variant("three-epochs", epochs=3)
    always = train(row, 1, options(tmp_path / "a"), progress=silent)
    seldom = train(row, 1, options(tmp_path / "b", validate_every=2), progress=silent)
    assert seldom.metrics == always.metrics
    assert ["validation_perplexity" in point for point in seldom.curve] == [False, True, False]
    for point, whole in zip(seldom.curve, always.curve, strict=True):
        kept = {name: value for name, value in whole.items() if name in point}
        assert {name: point[name] for name in kept if "perplexity" in name} == {
            name: value for name, value in kept.items() if "perplexity" in name
        }
        assert point["throughput"] > 0


def test_an_interrupted_run_resumes_and_ends_as_if_it_had_not_been(tiny_row, tmp_path, monkeypatch) -> None:
    row = tiny_row.variant("tiny-dropout", dropout=0.5, epochs=3)
    whole = train(row, 1, options(tmp_path / "whole"), progress=silent)

    steps, step = [], LanguageModel.training_step
    per_epoch = row.config.datamodule(tmp_path)
    per_epoch.setup()
    limit = len(per_epoch.train_dataloader()) * 2 + 3

    def interrupted_step(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == limit:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModel, "training_step", interrupted_step)
    with pytest.raises(Interrupted, match=r"^interrupted in epoch 3 of 3; its state is kept; rerun the same") as stop:
        train(row, 1, options(tmp_path / "stopped"), progress=silent)
    assert stop.value.exit_code == 130

    steps.clear()
    limit = -1
    resumed = train(row, 1, options(tmp_path / "stopped"), progress=silent)
    assert len(steps) == len(per_epoch.train_dataloader()) - 3
    assert resumed.metrics == whole.metrics
    timing = {"seconds", "throughput"}
    for point, expected in zip(resumed.curve, whole.curve, strict=True):
        assert {name: point[name] for name in point.keys() - timing} == {
            name: expected[name] for name in point.keys() - timing
        }


def test_a_run_says_how_far_it_is_within_an_epoch_too(tiny_row, tmp_path, monkeypatch, capsys) -> None:
    told: list[float] = []
    monkeypatch.setattr("benchmark.training.callbacks.SECONDS_BETWEEN_REPORTS", 0.0)
    monkeypatch.setattr(RunLock, "report_progress", lambda self, epoch, epochs, kept=None: told.append(epoch))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    train(tiny_row, 1, options(tmp_path))
    data = tiny_row.config.datamodule(tmp_path)
    data.setup()
    steps = len(data.train_dataloader())
    within = [step / (steps + 1) for step in range(1, steps + 1)]
    assert told == pytest.approx([*within, 1, *(1 + part for part in within), 2])
    shown = capsys.readouterr().out
    assert shown.startswith(data.summary)
    assert [re.sub(r"\d+ s$", "_ s", line) for line in shown.removeprefix(data.summary).splitlines() if line] == [
        "epoch 1 of 2, ETA _ s",
        "epoch 2 of 2, evaluating",
    ]


def test_checkpoints_load_without_running_code(tiny_row, tmp_path) -> None:
    record = train(tiny_row, 1, options(tmp_path), progress=silent)
    checkpoint = torch.load(tmp_path / "runs" / record.run / "last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]


def test_a_corrupt_checkpoint_or_record_is_refused_by_name(tiny_row, tmp_path) -> None:
    record = train(tiny_row, 1, options(tmp_path), progress=silent)
    folder = tmp_path / "runs" / record.run
    path = folder / "record.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match=re.escape(str(path))):
        train(tiny_row, 1, options(tmp_path), progress=silent)
    path.unlink()
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:1000])
    with pytest.raises(
        UserError, match=r"last.ckpt is not a whole checkpoint .*; delete it to train this run from the start"
    ):
        train(tiny_row, 1, options(tmp_path), progress=silent)


def test_a_diverged_training_is_said_in_one_line(tiny_row, tmp_path) -> None:
    with pytest.raises(UserError, match="training diverged in epoch 1"):
        train(tiny_row.variant("wild", lr=1e30, clip=1e30), 1, options(tmp_path), progress=silent)


def test_wandb_is_kept_offline_for_a_user_without_an_account(tiny_row, tmp_path, monkeypatch, recwarn) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))  # a user without an account
    record = train(tiny_row, 1, options(tmp_path, wandb="auto"), progress=silent)
    files = list((tmp_path / "runs" / record.run / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 1
    assert not [str(warning.message) for warning in recwarn]  # no hint of Lightning's among the progress bars


@pytest.mark.parametrize(("mode", "folders"), [("disabled", 0), ("offline", 1)])
def test_wandb_does_as_its_own_variable_says(tiny_row, tmp_path, monkeypatch, capfd, mode, folders) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    record = train(tiny_row, 1, options(tmp_path, wandb="auto"), progress=silent)
    assert len(list((tmp_path / "runs" / record.run).glob("wandb"))) == folders
    assert not capfd.readouterr().err


def test_wandb_failing_does_not_cost_the_run(tiny_row, tmp_path, monkeypatch, caplog) -> None:
    def broken(*_, **__):
        raise RuntimeError("no space left for W&B")

    monkeypatch.setattr(WandbLogger, "__init__", broken)
    record = train(tiny_row, 1, options(tmp_path, wandb="online"), progress=silent)
    assert record.metrics["test_perplexity"] > 1
    assert "W&B is off for this run: no space left for W&B" in caplog.text
