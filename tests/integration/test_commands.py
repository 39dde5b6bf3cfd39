"""Each command on tiny data, as a user calls it."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import WandbLogger
from support.factories import TINY, tiny_flags

from benchmark.grid.grid import silent
from benchmark.store.locks import RunLock
from benchmark.store.records import Record, Store
from benchmark.tasks import language_modeling, registry
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from datamodules.errors import UserError
from models.language_model import LanguageModel

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def run_tiny(rnnreg, text_folder, tmp_path):
    """`rnnreg run ptb-small` on the tiny text; gives its record."""

    def call(*words: object) -> Record:
        flags = [
            "--store",
            tmp_path / "runs",
            "--wandb",
            "off",
            "--accelerator",
            "cpu",
            *tiny_flags(text_folder),
            *words,
        ]
        code, out, err = rnnreg("run", "ptb-small", *flags)
        assert code == 0, err
        path = Path(out.splitlines()[-1].removeprefix("record: "))
        return next(
            record
            for record in Store(tmp_path / "runs").records()
            if path == tmp_path / "runs" / record.run / "record.json"
        )

    return call


def options(tmp_path: Path, **changes) -> Options:
    return Options(store=tmp_path / "runs", accelerator="cpu", threads=1, **{"wandb": "off", **changes})


def rows_file(tmp_path: Path, text_folder: Path) -> Path:
    """A rows file with two tiny rows, one with dropout."""
    path = tmp_path / f"rows_{abs(hash(str(tmp_path)))}.py"
    path.write_text(
        "from dataclasses import replace\nfrom benchmark.tasks import language_modeling\n"
        f"TINY = language_modeling.PTB_SMALL.variant('tiny', source={str(text_folder)!r}, **{TINY!r})\n"
        "ROWS = [replace(TINY, profiles=('quick',)), TINY.variant('tiny-dropout', dropout=0.2)]\n"
    )
    return path


def test_list_shows_every_row_and_its_published_target(rnnreg) -> None:
    code, out, _ = rnnreg("list")
    assert code == 0
    for row in registry.ROWS:
        assert re.search(rf"^{row.name} ", out, re.MULTILINE)
    assert "Table 1: 86.2 / 82.7" in out
    _, quick, _ = rnnreg("list", "--profile", "quick")
    assert "sotu-small" in quick
    assert "ptb-small" not in quick


def test_a_reader_that_has_enough_is_no_cause_for_a_traceback() -> None:
    """As in `rnnreg list | head -1`."""
    command = [sys.executable, "-m", "benchmark", "list"]
    lister = subprocess.Popen(command, cwd=README.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lister.stdout.close()
    assert lister.communicate()[1] == b""
    assert lister.returncode == 128 + signal.SIGPIPE


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
    }
    assert record.curve[-1]["validation_perplexity"] == pytest.approx(record.metrics["validation_perplexity"])
    assert record.throughput > 0
    assert record.versions["torch"] == torch.__version__.split("+")[0]
    assert "--hidden_size=8" in record.command
    arrays = Store(tmp_path / "runs").log_probabilities(record)
    assert {name: len(values) for name, values in arrays.items()} == {"validation": 30 * 5 - 1, "test": 31 * 5 - 1}
    perplexity = torch.tensor(arrays["test"]).double().neg().mean().exp().item()
    assert perplexity == pytest.approx(record.metrics["test_perplexity"], rel=1e-3)

    assert run_tiny("--seed", 3) == record
    assert run_tiny("--seed", 4) != record


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tiny_row, tmp_path) -> None:
    first = train(tiny_row, 1, options(tmp_path / "a"), progress=silent)
    again = train(tiny_row, 1, options(tmp_path / "b"), progress=silent)
    other = train(tiny_row, 2, options(tmp_path / "c"), progress=silent)
    assert first.metrics == again.metrics
    assert first.metrics != other.metrics


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
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(LanguageModel, "training_step", interrupted_step)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="interrupted after epoch 2 of 3; the last finished epoch is kept; rerun"):
        train(row, 1, options(tmp_path / "stopped"), progress=silent)
    signal.signal(signal.SIGINT, handler)

    steps.clear()
    limit = -1
    resumed = train(row, 1, options(tmp_path / "stopped"), progress=silent)
    assert len(steps) == len(per_epoch.train_dataloader())
    assert resumed.metrics == whole.metrics
    timing = {"seconds", "throughput"}
    for point, expected in zip(resumed.curve, whole.curve, strict=True):
        assert {name: point[name] for name in point.keys() - timing} == {
            name: expected[name] for name in point.keys() - timing
        }


def test_a_run_says_how_far_it_is_within_an_epoch_too(tiny_row, tmp_path, monkeypatch, capsys) -> None:
    told: list[float] = []
    monkeypatch.setattr("benchmark.training.callbacks.SECONDS_BETWEEN_TELLS", 0.0)
    monkeypatch.setattr(RunLock, "tell", lambda self, epoch, epochs: told.append(epoch))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    train(tiny_row, 1, options(tmp_path))
    data = tiny_row.config.datamodule(tmp_path)
    data.setup()
    steps = len(data.train_dataloader())
    within = [step / (steps + 1) for step in range(1, steps + 1)]
    assert told == pytest.approx([*within, 1, *(1 + part for part in within), 2])
    assert [re.sub(r"\d+ s$", "_ s", line) for line in capsys.readouterr().out.splitlines()] == [
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


def test_reproduce_fills_the_store_prints_the_table_and_goes_on_where_it_was(rnnreg, text_folder, tmp_path) -> None:
    path = rows_file(tmp_path, text_folder)
    command = ["reproduce", "--only", "tiny,tiny-dropout", "--seeds", 2, "--jobs", 2, "--rows_file", path]
    command += ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    code, out, err = rnnreg(*command)
    assert code == 0, err
    assert "4 runs, 2 at a time" in out
    assert len(re.findall(r"^\[\d/4\] tiny.* seed \d: validation perplexity \d", out, re.MULTILINE)) == 4
    assert re.search(r"^\| small \| 0.2 \| 2 \| \d", out, re.MULTILINE)
    records = list(Store(tmp_path / "runs").records())
    assert sorted((record.row, record.seed) for record in records) == [
        ("tiny", 1), ("tiny", 2), ("tiny-dropout", 1), ("tiny-dropout", 2),
    ]  # fmt: skip
    assert (tmp_path / "runs" / "text.svg").read_text().startswith("<?xml")

    assert rnnreg(*command)[0] == 0
    assert list(Store(tmp_path / "runs").records()) == records

    assert rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path)[0] == 0
    assert rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path, "--check")[:2] == (0, "up to date\n")
    (tmp_path / "runs" / "table.md").write_text("old")
    code, _, err = rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path, "--check")
    assert code == 1
    assert "stale: " in err


def test_one_failed_run_does_not_cost_the_others(rnnreg, text_folder, tmp_path) -> None:
    path = rows_file(tmp_path, text_folder)
    path.write_text(path.read_text() + "ROWS += [TINY.variant('wild', lr=1e30, clip=1e30)]\n")
    code, out, err = rnnreg(
        "reproduce", "--only", "wild,tiny", "--seeds", 1, "--jobs", 1, "--rows_file", path,
        "--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu",
    )  # fmt: skip
    assert code == 1
    assert "wild seed 1: FAILED: training diverged" in out
    assert "1 of 2 runs failed, the others are kept: wild seed 1" in err
    assert [record.row for record in Store(tmp_path / "runs").records()] == ["tiny"]


def test_sample_continues_the_prompt(run_tiny, rnnreg, tmp_path) -> None:
    record = run_tiny()
    code, out, err = rnnreg(
        "sample", record.row, "--store", tmp_path / "runs", "--prompt", "the dog meaning", "--words", 12
    )
    assert code == 0, err
    assert out.startswith("the dog meaning ")
    assert len(out.replace(".", " .").split()) == 15
    assert "read as <unk>, not in the vocabulary: meaning" in err
    _, without, _ = rnnreg(
        "sample", record.row, "--store", tmp_path / "runs", "--prompt", "the", "--exclude", "dog,<unk>"
    )
    assert "dog" not in without
    code, _, err = rnnreg("sample", "ptb-large", "--store", tmp_path / "runs")
    assert code == 1
    assert "has no trained ptb-large with seed 1; trained there: ptb-small+" in err


def test_collect_leaves_runs_of_uncommitted_code_and_of_changed_rows(run_tiny, rnnreg, tmp_path) -> None:
    run_tiny()
    code, out, _ = rnnreg("collect", "--store", tmp_path / "runs", "--into", tmp_path / "kept")
    assert (code, out.split(" records")[0]) == (0, "0")


def test_data_lists_and_verifies(rnnreg, tmp_path) -> None:
    code, out, _ = rnnreg("data", "--data", tmp_path)
    assert code == 0
    assert re.search(r"^ptb +language-modeling +no ", out, re.MULTILINE)
    listed = {line.split()[0] for line in out.splitlines()[1:]}
    assert listed == {row.config.source for row in registry.ROWS} - {"espeak"}  # which is made here
    code, _, err = rnnreg("data", "verify", "ptb", "--data", tmp_path)
    assert code == 1
    assert "ptb.train.txt is missing" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "ptb-smal"], 2, "there is no row 'ptb-smal'; did you mean ptb-small"),
        (["run", "ptb-small", "--hidden_size", "abc"], 2, "--hidden_size: expected int, got abc"),
        (["run", "ptb-small", "--dropout", "1.5"], 1, "dropout: 1.5 is out of range, must be at least 0 and below 1"),
        (["run", "ptb-small", "--nope", "1"], 2, "unrecognized arguments: --nope 1"),
        (["run", "ptb-small", "--seed", "-1"], 2, "--seed: expected a whole number >=0, got -1"),
        (["run", "ptb-small", "--backbone", "no.Such", "--source", "TEXT"], 1, "backbone: cannot load 'no.Such'"),
        (["run", "ptb-small", "--backbone", "torch.nn.ReLU", "--source", "TEXT"], 1, "cannot build the model"),
        (["run", "ptb-small", "--source", "EMPTY"], 1, "train.txt is missing; a text folder holds"),
        (["run", "ptb-small", "--store", "FILE/runs", "--source", "TEXT"], 1, "cannot write to"),
        (
            ["run", "ptb-small", "--data", "EMPTY/data", "--rows_file", "nope.py"],
            2,
            "--rows_file nope.py: there is no such file",
        ),
        (["run", "ptb-small", "--wandb", "maybe", "--source", "TEXT"], 2, "--wandb: expected one of ['auto', "),
        (["run", "ptb-small", "--accelerator", "gup", "--source", "TEXT"], 2, "expected one of ['auto', 'cpu', 'gpu']"),
        (["run"], 2, "the following arguments are required: row"),
        (["reproduce", "--seeds", "0"], 2, "--seeds: expected a whole number >0, got 0"),
        (["reproduce", "--jobs", "0"], 2, "--jobs: expected a whole number >0, got 0"),
        (["list", "--profile", "x"], 2, "--profile: expected one of ['quick', 'standard', 'paper'], got x"),
        (["list", "--rows_file", "ROWS"], 1, "its ROWS has 1, which is no benchmark.tasks.base.Row"),
        (["sample", "/etc"], 1, "has no trained /etc with seed 1"),
        (["collect", "--store", "nowhere"], 1, "--store nowhere: there is no such folder"),
        (["baseline", "update", "--reason", "new", "--baseline", "EMPTY/new.json"], 1, "name those to take up with"),
        (["table", "--store", "nowhere"], 1, "--store nowhere: there is no such folder"),
        (["data", "fetch", "nothing"], 1, "there is no source 'nothing'; there are sotu, ptb, "),
    ],
)
def test_bad_input_is_one_line_and_a_failure(rnnreg, text_folder, tmp_path, words, code, message) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "rows_of_numbers.py").write_text("ROWS = [1]\n")
    places = {"TEXT": text_folder, "EMPTY": tmp_path / "empty", "FILE": tmp_path / "file"}
    places["ROWS"] = tmp_path / "rows_of_numbers.py"
    for place, path in places.items():
        words = [word.replace(place, str(path)) for word in words]
    if words[0] == "run" and "--store" not in words and len(words) > 2:
        words += ["--store", str(tmp_path / "runs")]
    found, out, err = rnnreg(*words)
    assert found == code
    assert err.count("\n") == 1
    assert err.startswith("rnnreg: error: ")
    assert message in err
    assert not out


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


def test_the_readme_example_of_a_users_own_backbone_runs(rnnreg, text_folder, tmp_path) -> None:
    """The file in the README, through the same commands, with the row made tiny by overrides."""
    code = re.search(r"```python\n(# my_rows\.py\n.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    assert len(code[1].splitlines()) <= 25
    (tmp_path / "my_rows.py").write_text(code[1])
    here = ["--rows_file", tmp_path / "my_rows.py"]
    store = ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    assert "sotu-medium-gru" in rnnreg("list", *here)[1]
    result, _, err = rnnreg("run", "sotu-medium-gru", *here, *store, *tiny_flags(text_folder))
    assert result == 0, err
    record = next(Store(tmp_path / "runs").records())
    assert record.configuration["backbone"] == "my_rows.MyGRU"
    assert json.loads((tmp_path / "runs" / record.run / "record.json").read_text())["command"].count("--rows_file") == 1
