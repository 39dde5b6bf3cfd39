"""Speech rows through the commands, on tones."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.corpora import RATE, write_corpus

from benchmark.audit.training_causes import update_ratios
from benchmark.grid.grid import silent
from benchmark.store.records import Store
from benchmark.tasks import speech
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from datamodules.sources import sha256_of
from datamodules.speech.features import Audio, log_mel
from datamodules.speech.recorded import FolderCorpus
from models.acoustic_model import AcousticModel

TINY = {"hidden_size": 8, "batch_size": 2, "unroll": 40, "epochs": 3, "flat_epochs": 1, "sample_rate": RATE}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "tones", labels=True)


@pytest.fixture
def tiny(corpus: Path):
    return speech.ROWS[1].variant("tiny-dropout", source=str(corpus), dropout=0.5, **TINY)


def options(tmp_path: Path, store: str) -> Options:
    return Options(data=tmp_path / "data", store=tmp_path / store, accelerator="cpu", threads=1, wandb="off")


def test_an_interrupted_run_sees_the_batches_and_masks_of_an_undisturbed_one(tiny, tmp_path, monkeypatch) -> None:
    seen, step = [], AcousticModel.training_step
    limit = -1

    def recorded_step(self, batch, batch_idx):
        seen.append(float(batch[0].sum()))
        if len(seen) == limit:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(AcousticModel, "training_step", recorded_step)
    whole = train(tiny, 1, options(tmp_path, "whole"), progress=silent)
    undisturbed = list(seen)
    per_epoch = len(undisturbed) // 3
    assert len(set(undisturbed)) > 3
    assert undisturbed[:per_epoch] != undisturbed[per_epoch : 2 * per_epoch]

    for stop_in in (1, 2):
        seen.clear()
        limit = per_epoch * stop_in + 2
        with pytest.raises(Interrupted, match=f"interrupted in epoch {stop_in + 1} of 3"):
            train(tiny, 1, options(tmp_path, f"stopped-{stop_in}"), progress=silent)
        seen.clear()
        limit = -1
        resumed = train(tiny, 1, options(tmp_path, f"stopped-{stop_in}"), progress=silent)
        assert seen == undisturbed[per_epoch * stop_in + 2 :]
        assert resumed.metrics == whole.metrics
        assert resumed.log_probabilities_sha256 == whole.log_probabilities_sha256

    seen.clear()
    other = train(tiny, 2, options(tmp_path, "other"), progress=silent)
    assert other.log_probabilities_sha256 != whole.log_probabilities_sha256
    assert seen[:per_epoch] != undisturbed[:per_epoch]


def test_a_run_reads_the_manifest_once_and_hashes_no_file_needlessly(tiny, corpus, tmp_path, monkeypatch) -> None:
    """The first run, which prepares the data and looks once more whether it has changed, and a later one."""
    hashed: list[str] = []
    manifests: list[Path] = []
    read = FolderCorpus.read_utterances
    monkeypatch.setattr("datamodules.speech.corpus.sha256_of", lambda path: hashed.append(path.name) or sha256_of(path))
    monkeypatch.setattr(FolderCorpus, "read_utterances", lambda self: manifests.append(self.folder) or read(self))
    files = sorted(["transcripts.tsv", *(f"{index}.{end}" for index in range(11) for end in ("wav", "txt"))])
    for seed, times in ((1, 2), (2, 1)):
        train(tiny, seed, options(tmp_path, "runs"), progress=silent)
        assert sorted(hashed) == sorted(times * files)
        assert manifests == [corpus]
        hashed.clear()
        manifests.clear()


def test_a_record_has_the_accuracies_the_baseline_and_what_was_left_out(rnnreg, corpus, tmp_path) -> None:
    with (corpus / "transcripts.tsv").open("a") as file:
        file.write("gone.wav\tabc\t\ttrain\n")
    flags = [f"--{name}={value}" for name, value in {**TINY, "source": corpus, "batch_size": 6}.items()]
    where = ["--store", tmp_path / "runs", "--data", tmp_path / "data", "--wandb", "off", "--accelerator", "cpu"]
    code, out, err = rnnreg("run", "espeak-small-dropout", *flags, *where)
    assert code == 0, err
    assert re.search(r"validation frame accuracy \(%\) \d", out)
    (record,) = Store(tmp_path / "runs").records()
    expected = ("train_frame_accuracy_without_dropout", "validation_frame_accuracy", "test_frame_accuracy")
    assert set(record.metrics) == set(expected)
    assert "train_frame_accuracy" in record.curve[-1]
    assert record.unit == "frames"
    assert record.details["utterances"] == {"train": 6, "validation": 3, "test": 2}
    assert record.details["left_out"] == {"audio is missing": 1}
    assert list(record.details["left_out_utterances"]) == ["gone.wav"]
    assert 0 < record.details["baselines"]["majority class"]["validation_frame_accuracy"] < 100
    arrays = Store(tmp_path / "runs").log_probabilities(record)
    frames = record.details["frames"]
    assert {name: len(values) for name, values in arrays.items()} == {name: frames[name] for name in arrays}
    right, counted = Store(tmp_path / "runs").items(record)["test_frame_accuracy"].sum(axis=0)
    assert (100 * right / counted, counted) == (pytest.approx(record.metrics["test_frame_accuracy"]), frames["test"])
    assert np.all(arrays["validation"] <= 0)
    rates = [step["lr"] for step in record.first_steps]  # of all three epochs
    assert sorted(set(rates), reverse=True) == [point["lr"] for point in record.curve]
    assert update_ratios(record) == pytest.approx([1] * len(rates), abs=0.01)


def test_a_missing_source_costs_its_own_rows_only_and_tables_show_the_baselines(rnnreg, corpus, tmp_path) -> None:
    path = tmp_path / f"rows_{abs(hash(str(tmp_path)))}.py"
    path.write_text(
        "from benchmark.tasks import speech\n"
        f"TINY = speech.ROWS[1].variant('tiny', source={str(corpus)!r}, **{TINY!r})\n"
        "ROWS = [TINY, TINY.variant('tiny-linear', 'a baseline', layers=0, output_delay=0),"
        " TINY.variant('gone', source='nowhere')]\n"
    )
    code, out, err = rnnreg(
        "reproduce", "--only", "gone,tiny,tiny-linear", "--seeds", 1, "--jobs", 1, "--rows_file", path,
        "--store", tmp_path / "runs", "--data", tmp_path / "data", "--wandb", "off", "--accelerator", "cpu",
    )  # fmt: skip
    assert code == 1
    assert out.count("FAILED") == 1
    assert "FAILED, 1 run on nowhere: nowhere/transcripts.tsv is missing; a speech folder holds" in out
    assert "1 of 3 runs failed, the others are kept: nowhere: nowhere/transcripts.tsv is missing" in err
    assert sorted({record.row for record in Store(tmp_path / "runs").records()}) == ["tiny", "tiny-linear"]
    assert re.search(
        r"^\| majority class \| none \| – \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| no model \|$", out, re.MULTILINE
    )
    assert "a baseline" in out


def test_when_no_source_is_there_nothing_runs_and_one_line_says_why(rnnreg, tmp_path) -> None:
    code, out, err = rnnreg(
        "reproduce", "--only", "asterisk-en-small,samromur", "--seeds", 1,
        "--store", tmp_path / "runs", "--data", tmp_path / "data", "--wandb", "off",
    )  # fmt: skip
    assert code == 1
    assert not out
    assert err.count("\n") == 1
    assert "asterisk-en/transcripts.tsv is missing; unpack" in err
    assert "samromur/metadata.tsv is missing; unpack" in err


def test_data_command_knows_the_folders(rnnreg, tmp_path) -> None:
    code, out, _ = rnnreg("data", "--data", tmp_path)
    assert code == 0
    assert re.search(r"^asterisk-en +speech +no ", out, re.MULTILINE)
    (tmp_path / "asterisk-en").mkdir()
    (tmp_path / "asterisk-en" / "transcripts.tsv").touch()
    code, out, _ = rnnreg("data", "verify", "asterisk-en", "--data", tmp_path)
    assert code == 0
    assert "asterisk-en is there; what it holds is checked when it is read" in out


@pytest.mark.parametrize("rate", [3900, 11_025, 22_050, 16_001])
def test_a_rate_of_which_10_ms_are_no_whole_samples_is_refused_in_one_line(rnnreg, rate: int) -> None:
    """Frames would come every 9.98 ms, while labels stand for 10."""
    code, _, err = rnnreg("run", "espeak-small", f"--sample_rate={rate}")
    assert code == 1
    assert err.count("\n") == 1
    assert f"sample_rate: {rate} is out of range, must be at least 4000 and a multiple of 100" in err
    assert "such as 8000, 16000 or 44100" in err


def test_rates_that_are_named_give_a_frame_every_10_ms() -> None:
    audio = Audio(np.zeros(60 * 8000, np.int16), 8000)
    for rate in (8000, 16_000, 44_100):
        config = replace(speech.ESPEAK_SMALL, sample_rate=rate)
        assert len(log_mel(audio, config.sample_rate)) == 1 + (60_000 - 25) // 10
    assert all(row.config.sample_rate % 100 == 0 for row in speech.ROWS)


def test_identity_is_of_content_not_of_place(tiny, corpus, tmp_path) -> None:
    data = tiny.config.datamodule(tmp_path / "data")
    data.prepare_data()
    data.setup()
    corpus.rename(tmp_path / "moved")
    moved = tiny.variant("moved", source=str(tmp_path / "moved")).config.datamodule(tmp_path / "elsewhere")
    moved.setup()
    assert moved.sha256 == data.sha256
    assert json.dumps(moved.details) == json.dumps(data.details)
