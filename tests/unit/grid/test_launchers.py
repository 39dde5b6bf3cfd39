"""How launchers spread runs over devices, and in which order."""

import os
import re
import signal
import sys
from concurrent.futures import Future

import pytest
import torch

from benchmark.grid.grid import Run, Specification, _outcome, in_order, work
from benchmark.grid.launchers import make_launcher
from benchmark.grid.launchers.base import WorkerDied
from benchmark.grid.launchers.local import Local
from benchmark.tasks import registry
from benchmark.training.endings import Interrupted
from benchmark.training.options import Options
from datamodules.cache import share_of_cores
from datamodules.errors import UserError


def options(**changes) -> Options:
    return Options(accelerator="cpu", **changes)


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int, visible: str | None) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def environment(_: object) -> tuple[int, str]:
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.parametrize(
    ("count", "visible", "devices", "per_device", "jobs", "expected"),
    [
        (2, None, 1, 1, None, ["0", "1"]),
        (2, "5,7", 1, 1, None, ["5", "7"]),
        (2, "5,7", 1, 2, None, ["5", "5", "7", "7"]),
        (4, None, 2, 1, None, ["0,1", "2,3"]),
        (3, None, 2, 1, None, ["0,1"]),
        (4, None, 1, 1, 3, ["0", "1", "2"]),
    ],
)
def test_each_gpu_or_group_of_them_has_its_runs(monkeypatch, count, visible, devices, per_device, jobs, expected):
    with_gpus(monkeypatch, count, visible)
    launcher = Local(Options(devices=devices, threads=1), jobs, per_device)
    assert launcher.slots == len(expected)
    assert sorted(slot.environment["CUDA_VISIBLE_DEVICES"] for slot in launcher._slots) == expected
    launcher.close(abort=True)


@pytest.mark.parametrize(("devices", "accelerator", "gpus"), [(1, "gpu", 0), (2, "gpu", 1), (2, "auto", 1)])
def test_a_grid_without_its_gpus_is_refused_before_it_begins(monkeypatch, devices, accelerator, gpus) -> None:
    with_gpus(monkeypatch, gpus, None)
    with pytest.raises(UserError, match=f"--devices {devices}: this machine has {gpus} GPU"):
        Local(Options(devices=devices, accelerator=accelerator))


def test_free_slots_take_the_next_run_each_in_its_own_environment(monkeypatch) -> None:
    with_gpus(monkeypatch, 2, "3,4")
    launcher = Local(Options(threads=1))
    done = [future.result() for future in launcher.launch(environment, range(6))]
    launcher.close(abort=False)
    assert {visible for _, visible in done} == {"3", "4"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"  # this process's own is as it was
    assert len({process for process, _ in done}) == 2


def test_on_a_cpu_cores_are_shared_out(monkeypatch) -> None:
    for place in ("benchmark.grid.launchers.local", "datamodules.cache"):
        monkeypatch.setattr(f"{place}.cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    for given, jobs, runs, slots, threads in (
        (options(), None, None, 8, 1),
        (options(), None, 20, 8, 1),
        (options(), None, 3, 3, 2),
        (options(), 2, 20, 2, 4),
        (options(), 2, 1, 1, 8),
        (options(threads=4), None, 20, 2, 4),
        (options(threads=1), None, 3, 3, 1),
        (options(devices=2), None, 20, 4, 1),
        (options(devices=2), None, 1, 1, 4),
    ):
        launcher = Local(given, jobs, runs=runs)
        assert (launcher.slots, launcher.options.threads) == (slots, threads)
        launcher.close(abort=True)


def test_no_run_takes_more_threads_than_the_environment_grants(monkeypatch) -> None:
    monkeypatch.setattr("datamodules.cache.cores", lambda: 8)
    for granted, shares, threads in (
        ("1", 1, 1), ("3", 2, 3), ("3", 4, 2), ("16", 1, 8), ("1", 16, 1), ("0", 2, 4), ("4,2", 2, 4), ("", 2, 4),
    ):  # fmt: skip
        monkeypatch.setenv("OMP_NUM_THREADS", granted)
        assert share_of_cores(shares) == threads


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        (1, ["ptb-medium seed 1", "ptb-large seed 1", "ptb-medium seed 2", "ptb-large seed 2"]),
        (2, ["ptb-large seed 1", "ptb-large seed 2", "ptb-medium seed 1", "ptb-medium seed 2"]),
        (None, ["ptb-large seed 1", "ptb-large seed 2", "ptb-medium seed 1", "ptb-medium seed 2"]),
    ],
)
def test_runs_begin_as_asked_for_one_at_a_time_and_the_longest_first_side_by_side(slots, expected) -> None:
    runs = [Run(registry.find(name), seed, "") for seed in (1, 2) for name in ("ptb-medium", "ptb-large")]
    assert [run.label for run in in_order(runs, slots, {"ptb-medium": 1.0, "ptb-large": 2.0})] == expected


@pytest.mark.parametrize(
    ("kind", "changes", "slurm", "message"),
    [
        ("local", {"num_nodes": 2}, None, "--num-nodes is for `rnnreg run`"),
        ("local", {}, {"timeout_min": 5}, "--slurm is of no use to --launcher local"),
        ("ray", {}, None, "--launcher ray needs Ray: pip install -e '.[ray]'"),
        ("slurm", {}, None, "--launcher slurm needs submitit: pip install -e '.[slurm]'"),
    ],
)
def test_a_launcher_that_cannot_be_had_is_said_in_one_line(monkeypatch, kind, changes, slurm, message) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=re.escape(message)):
        make_launcher(kind, options(**changes), 4, slurm=slurm)


def test_slurm_without_its_commands_or_with_unknown_parameters_is_said_in_one_line(monkeypatch, tmp_path) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--launcher slurm: "):
        make_launcher("slurm", options(store=tmp_path), 4)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (Interrupted(number=signal.SIGTERM), "Interrupted: interrupted"),
        (WorkerDied("its process was killed"), "its process was killed"),
        (ValueError(), "ValueError"),
    ],
)
def test_however_a_worker_ends_its_run_is_tried_again_or_listed(error, failure) -> None:
    future = Future()
    future.set_exception(error)
    outcome = _outcome(future)
    assert outcome.crashed
    assert outcome.failure.startswith(failure)


def test_a_worker_that_is_asked_to_end_says_so(tiny_row, tmp_path, monkeypatch) -> None:
    def end(*_, **__):
        raise Interrupted(number=signal.SIGTERM)

    monkeypatch.setattr("benchmark.grid.grid.train", end)
    outcome = work(Specification("ptb-small", 1, ""), options(store=tmp_path), None)
    assert (outcome.crashed, outcome.failure) == (True, "its process was asked to end (SIGTERM)")


def test_more_jobs_than_make_sense_are_refused() -> None:
    with pytest.raises(UserError, match="--jobs: expected at most 1,024, got 1000000000"):
        Local(options(), 10**9)
