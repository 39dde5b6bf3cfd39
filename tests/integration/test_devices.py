"""One run on two devices is the run that one device would have done: two CPU processes, for each task."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.stats import ks_2samp
from support.devices import fail_beside_a_death, interrupt_after_one, raise_on_the_second, train_each
from support.factories import TASKS, TINY, tiny_flags, tiny_rows

from benchmark.grid.grid import silent
from benchmark.store.locks import RunLock, RunLocked
from benchmark.store.records import RECORD, Record, Store
from benchmark.store.sealed import CorruptRecord
from benchmark.tasks import language_modeling
from benchmark.training.devices import check_devices, on_devices
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from datamodules.errors import DataError, UserError
from datamodules.order import mix

SAID = ("text", "translation", "caption")
AVERAGED = {
    "averaging": "exponential", "averaging_decay": 0.9, "tied": True, "activation_regularization": 1.0,
    "temporal_activation_regularization": 1.0,
}  # fmt: skip


def options(folder: Path, store: str, devices: int = 1) -> Options:
    return Options(
        data=folder / "data", store=folder / store, accelerator="cpu", threads=1, devices=devices, wandb="off"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def both(folder: Path) -> dict[str, tuple[list, list, Record, Record]]:
    """For each task, and for averaged weights, the steps and the record of one device, and of two."""
    rows = tiny_rows(folder)
    rows["averaged"] = rows["language-modeling"].variant("averaged", **AVERAGED)
    for count in (1, 2):
        (folder / f"steps-{count}").mkdir()
        arguments = (list(rows.values()), 1, options(folder, f"on-{count}", count), folder / f"steps-{count}")
        train_each(*arguments) if count == 1 else on_devices(2, train_each, *arguments)
    found = {}
    for task, row in rows.items():
        steps = [json.loads((folder / f"steps-{count}" / f"{row.name}-0.json").read_text()) for count in (1, 2)]
        records = [record for count in (1, 2) for record in Store(folder / f"on-{count}").records()]
        found[task] = (*steps, *(record for record in records if record.row == row.name))
    return found


@pytest.mark.parametrize("task", [*TASKS, "averaged"])
def test_every_step_is_that_of_one_device(both, task) -> None:
    """Loss, gradient, clipping and update, and how many of them there are."""
    one, two, *_ = both[task]
    assert len(one) == len(two) > 10
    for of_one, of_two in zip(one, two, strict=True):
        assert of_two["loss"] == pytest.approx(of_one["loss"], rel=1e-4)
        assert of_two["norm"] == pytest.approx(of_one["norm"], rel=1e-4, abs=1e-5)
        torch.testing.assert_close(
            torch.tensor(of_two["parameters"]), torch.tensor(of_one["parameters"]), atol=1e-5, rtol=1e-4
        )
    assert any(abs(step["own loss"] - step["loss"]) > 0.1 * step["loss"] for step in two)  # it was split


@pytest.mark.parametrize("task", [*TASKS, "averaged"])
def test_the_record_is_that_of_one_device(both, folder, task) -> None:
    *_, one, two = both[task]
    assert one.metrics.keys() == two.metrics.keys()
    for name, value in one.metrics.items():
        assert two.metrics[name] == pytest.approx(value, rel=1e-4), name
    for of_one, of_two in zip(one.curve, two.curve, strict=True):
        for name in of_one.keys() - {"seconds", "throughput"}:
            assert of_two[name] == pytest.approx(of_one[name], rel=1e-4), name
    steps = [record.details.pop("first_steps") for record in (one, two)]
    for of_one, of_two in zip(*steps, strict=True):
        assert of_two == pytest.approx(of_one, rel=1e-4)
    assert two.details == one.details
    samples = [text for sample in one.details["samples"] for name, text in sample.items() if name in SAID]
    assert all(samples), "what a model says that has learned nothing shows no difference"
    assert two.device.startswith("2 x CPU")
    assert two.command == f"{one.command} --devices 2"
    saved = [Store(folder / f"on-{count}").log_probabilities(record) for count, record in ((1, one), (2, two))]
    assert saved[0].keys() == saved[1].keys()
    for split, values in saved[0].items():
        torch.testing.assert_close(torch.tensor(saved[1][split]), torch.tensor(values), atol=1e-2, rtol=1e-2)


def test_dropout_on_two_devices_is_drawn_from_the_same_distribution(folder) -> None:
    """A text that repeats, and steps so small that nothing is learned: only the masks differ from step to step."""
    text = folder / "same"
    text.mkdir()
    for name, lines in (("train", 800), ("valid", 9), ("test", 9)):
        (text / f"{name}.txt").write_text("a b c\n" * lines)
    tiny = {**TINY, "batch_size": 4, "epochs": 1, "lr": 1e-12, "init_range": 1.0}
    row = language_modeling.PTB_SMALL.variant("masks", source=str(text), dropout=0.5, **tiny)
    (folder / "masks").mkdir()
    on_devices(2, train_each, [row], 1, options(folder, "masks-2", 2), folder / "masks")
    first, second = (json.loads((folder / "masks" / f"masks-{rank}.json").read_text()) for rank in (0, 1))
    assert all(mine["own loss"] != other["own loss"] for mine, other in zip(first, second, strict=True))
    train_each([row], 1, options(folder, "masks-1"), folder / "masks")
    alone = json.loads((folder / "masks" / "masks-0.json").read_text())
    for figure in ("loss", "norm"):
        samples = [[step[figure] for step in steps] for steps in (alone, first)]
        assert len(samples[0]) == len(samples[1]) > 150
        assert ks_2samp(*samples).pvalue > 1e-4, figure


def test_each_device_draws_its_own_masks_in_each_epoch() -> None:
    assert len({mix(seed, epoch, rank) for seed in (1, 2) for epoch in (0, 1, 2) for rank in (0, 1, 2)}) == 18


def test_a_killed_rank_ends_the_run_with_a_message_and_the_run_goes_on(text_folder, tmp_path, monkeypatch) -> None:
    row = language_modeling.PTB_SMALL.variant(
        "mortal", source=str(text_folder), backbone="support.devices.Mortal", dropout=0.5, **{**TINY, "unroll": 40}
    )
    whole = train(row, 1, options(tmp_path, "whole", 2), progress=silent)
    fate = tmp_path / "fate"
    fate.touch()
    monkeypatch.setenv("FATE", str(fate))
    with pytest.raises(UserError, match=r"process 1 of 2 was killed \(SIGKILL\); its last checkpoint is kept"):
        train(row, 1, options(tmp_path, "killed", 2), progress=silent)
    assert not fate.exists()
    assert not list(Store(tmp_path / "killed").records())
    resumed = train(row, 1, options(tmp_path, "killed", 2), progress=silent)
    assert resumed.metrics == whole.metrics
    assert resumed.log_probabilities_sha256 == whole.log_probabilities_sha256


def test_two_machines_under_torchrun_make_one_run(text_folder, tmp_path) -> None:
    """Both here: two agents with a process each; both print the record that one of them wrote."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = ["-m", "benchmark", "run", "ptb-small", *tiny_flags(text_folder), "--store", tmp_path / "runs", "--wandb"]
    words += ["off", "--accelerator", "cpu", "--threads", 1, "--num-nodes", 2]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    meeting = ["--master-addr=localhost", f"--master-port={port}"]
    agents = [
        subprocess.Popen(
            [*torchrun, *meeting, f"--node-rank={node}", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for node in (0, 1)
    ]
    printed = [agent.communicate(timeout=200) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], printed
    assert [out.count("record: ") for out, _ in printed] == [1, 0]
    record = next(Store(tmp_path / "runs").records())
    assert re.fullmatch("2 x CPU .*, 1 thread", record.device)
    row = language_modeling.PTB_SMALL.variant("tiny", source=str(text_folder), **TINY)
    assert record.metrics == pytest.approx(train(row, 1, options(tmp_path, "one"), progress=silent).metrics, rel=1e-5)


@pytest.mark.parametrize("error", [DataError, RunLocked])
def test_a_mistake_on_one_device_arrives_as_its_own_class(error) -> None:
    with pytest.raises(UserError, match=r"^wrong on 1: as it was said$") as raised:
        on_devices(2, raise_on_the_second, error)
    assert type(raised.value) is error
    assert raised.value.exit_code == 1


def test_an_unknown_error_on_one_device_is_one_line_that_says_how_to_resume() -> None:
    with pytest.raises(UserError, match=r"^process 1 of 2 failed: ValueError: wrong on 1: .*; rerun the same command"):
        on_devices(2, raise_on_the_second, ValueError)


def test_a_death_is_named_and_not_what_another_process_failed_of() -> None:
    with pytest.raises(UserError, match=r"^process 1 of 2 was killed \(SIGKILL\); its last checkpoint is kept"):
        on_devices(2, fail_beside_a_death)


def test_a_corrupt_record_on_several_devices_is_named(tiny_row, tmp_path) -> None:
    where = options(tmp_path, "runs", 2)
    record = train(tiny_row, 1, where, progress=silent)
    path = where.store / record.run / RECORD
    path.write_text("{}")
    with pytest.raises(CorruptRecord, match=f"^{path} is not a record of this suite"):
        train(tiny_row, 1, where, progress=silent)


def test_a_locked_run_on_several_devices_says_who_trains_it(tiny_row, tmp_path) -> None:
    where = options(tmp_path, "runs", 2)
    lock = RunLock(where.store, tiny_row.name, 1, tiny_row.config.fingerprint())
    with lock.held():
        lock.report_progress(0, 2)
        with pytest.raises(RunLocked, match=r"^tiny seed 1 is being trained by process \d+ on "):
            train(tiny_row, 1, where, progress=silent)


def test_an_interrupt_on_several_devices_says_what_is_kept(tiny_row, tmp_path) -> None:
    with pytest.raises(Interrupted, match=r"^interrupted in epoch 2 of 2; its state is kept; rerun ") as stop:
        train(tiny_row, 1, options(tmp_path, "runs", 2), progress=interrupt_after_one)
    assert stop.value.exit_code == 130


def test_what_is_wrong_on_every_device_is_said_once_in_one_line(text_folder, tmp_path) -> None:
    row = language_modeling.PTB_SMALL.variant("wild", source=str(text_folder), **{**TINY, "lr": 1e30, "clip": 1e30})
    with pytest.raises(UserError, match=r"^training diverged in epoch 1: .*; a smaller lr or clip may help$"):
        train(row, 1, options(tmp_path, "runs", 2), progress=silent)


@pytest.mark.parametrize(
    ("devices", "nodes", "accelerator", "message"),
    [
        (21, 1, "cpu", "a batch has 20 sequences, too few for 21 devices"),
        (4, 6, "cpu", "a batch has 20 sequences, too few for 24 devices"),
        (2, 2, "cpu", "--num-nodes 2: start it on every node, by `srun --nodes 2 --ntasks-per-node 2 rnnreg run"),
    ],
)
def test_what_cannot_be_split_is_said_in_one_line(devices, nodes, accelerator, message) -> None:
    with pytest.raises(UserError, match=message):
        check_devices(devices, nodes, 20, accelerator)


def test_more_gpus_than_there_are_is_said_in_one_line(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for accelerator in ("gpu", "auto"):
        with pytest.raises(UserError, match="--devices 2: this machine has 1 GPU;"):
            check_devices(2, 1, 20, accelerator)
    check_devices(2, 1, 20, "cpu")
