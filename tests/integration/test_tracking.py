"""Runs logged to W&B, read back from the files of offline runs; and failures of W&B, which never stop a run."""

import getpass
import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import WandbLogger
from support import wandb_files
from support.corpora import RATE, write_corpus
from support.factories import TINY_TRANSLATION

from benchmark.grid.grid import silent
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.training import callbacks
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from models.language_model import LanguageModel


def options(tmp_path: Path) -> Options:
    return Options(data=tmp_path / "data", store=tmp_path / "runs", accelerator="cpu", threads=1, wandb="offline")


def kinds(records: list[Any], kind: str) -> list[Any]:
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def history(records: list[Any]) -> dict[str, list[Any]]:
    """Each metric's values in order."""
    found: dict[str, list[Any]] = {}
    for entry in kinds(records, "history"):
        for item in entry.item:
            found.setdefault("/".join(item.nested_key) or item.key, []).append(json.loads(item.value_json))
    return found


def test_what_a_run_logs(tiny_row: Row, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(callbacks, "STEPS_BETWEEN_LOGS", 10)
    record = train(tiny_row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    records = wandb_files.read(tmp_path / "runs")
    run = kinds(records, "run")[0]
    assert run.run_group == tiny_row.name
    assert run.run_id == record.run.replace("/", "-")
    assert {"language-modeling", "no dropout", "small", "standard"} <= set(run.tags)
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert {**record.configuration, "seed": 1}.items() <= config.items()
    logged = history(records)
    for name in ("train_perplexity", "validation_perplexity"):
        assert logged[name][: len(record.curve)] == [point[name] for point in record.curve]
    assert logged["lr"] == [point["lr"] for point in record.curve]
    assert logged["throughput"] == [point["throughput"] for point in record.curve]
    steps = len(logged["training_loss"])
    assert 1 < steps < 100
    assert all(loss > 0 for loss in logged["training_loss"])
    assert {artifact.type for artifact in kinds(records, "artifact")} == {"record", "run_table"}
    (table,) = (tmp_path / "runs").rglob("*.table.json")
    assert json.loads(table.read_text())["data"] == [[record.details["samples"][0]["text"]]]


def test_nothing_of_the_machine_or_its_user_is_logged(tiny_row: Row, tmp_path: Path) -> None:
    train(tiny_row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    for record in wandb_files.read(tmp_path / "runs"):
        if record.WhichOneof("record_type") == "run":
            assert record.run.host == "not logged"
            assert not record.run.git.remote_url
        if record.WhichOneof("record_type") not in ("artifact", "run"):  # the staging place of a file, not uploaded
            for private in (f'"{socket.gethostname()}"', str(Path.home()), str(tmp_path), f'"{getpass.getuser()}"'):
                assert private not in str(record), record


def test_a_resumed_run_goes_on_in_its_own_curve(tiny_row: Row, tmp_path: Path, monkeypatch) -> None:
    step, calls = LanguageModel.training_step, []

    def interrupted(self, batch, index):
        calls.append(index)
        if calls.count(0) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, index)

    monkeypatch.setattr(LanguageModel, "training_step", interrupted)
    with pytest.raises(Interrupted):
        train(tiny_row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    monkeypatch.setattr(LanguageModel, "training_step", step)
    record = train(tiny_row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    files = sorted((tmp_path / "runs").rglob("run-*.wandb"))
    assert len(files) == 2
    assert {path.name for path in files} == {f"run-{record.run.replace('/', '-')}.wandb"}


def test_pictures_stand_beside_their_captions(picture_folder: Path, tmp_path: Path) -> None:
    row = registry.find("openmoji").variant(
        "tiny", source=str(picture_folder), hidden_size=8, epochs=1, batch_size=8, min_count=1
    )
    record = train(row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    (table,) = (tmp_path / "runs").rglob("*.table.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["picture", "references", "caption", "image"]
    assert len(content["data"]) == len(record.details["samples"])
    tables = [one for one in kinds(wandb_files.read(tmp_path / "runs"), "artifact") if one.type == "run_table"]
    stored = [entry.path for entry in tables[0].manifest.contents]
    shown = {
        (picture_folder / "Images" / line[0]).read_bytes() for line in content["data"]
    }  # the same one is kept once
    assert sum(path.endswith(".png") for path in stored) == len(shown)


def test_translations_and_confusions_are_samples_too(translation_folder: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "tones", labels=True)
    shape = {"hidden_size": 8, "batch_size": 2, "unroll": 40, "epochs": 1, "flat_epochs": 1, "sample_rate": RATE}
    translator = registry.find("phrases-small").variant(
        "tiny", **{**TINY_TRANSLATION, "source": str(translation_folder)}
    )
    listener = registry.find("espeak-small-dropout").variant("tiny", source=str(corpus), **shape)
    columns_of = ["source", "reference", "translation"], ["state", "taken for", "of its frames"]
    for row, columns in zip((translator, listener), columns_of, strict=True):
        here = replace(options(tmp_path), store=tmp_path / row.config.task)
        record = train(row, 1, here, progress=silent)
        wandb_files.finish()
        (table,) = here.store.rglob("*.table.json")
        content = json.loads(table.read_text())
        assert content["columns"] == columns
        assert content["data"] == [list(sample.values()) for sample in record.details["samples"]]
        (run,) = kinds(wandb_files.read(here.store), "run")[:1]
        assert {row.config.task, "dropout" if row.config.dropout else "no dropout", "quick"} <= set(run.tags)


def test_wandb_failing_in_the_middle_ends_the_logging_and_not_the_run(
    tiny_row: Row, tmp_path: Path, monkeypatch, caplog
) -> None:
    calls = []

    def full(self, metrics, step=None) -> None:
        calls.append(metrics)
        raise OSError("no space left on device")

    monkeypatch.setattr(WandbLogger, "log_metrics", full)
    record = train(tiny_row, 1, options(tmp_path), progress=silent)
    wandb_files.finish()
    assert record.metrics["test_perplexity"] > 1
    assert len(calls) == 1
    assert caplog.text.count("W&B is off for the rest of this run: no space left on device") == 1
