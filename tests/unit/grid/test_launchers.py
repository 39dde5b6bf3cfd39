"""How a grid is spread over devices, what a plan says of it, and how far it is."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from support.factories import TINY, make_record

from benchmark.grid.estimates import estimate_of, shares
from benchmark.grid.grid import Run, in_order, silent
from benchmark.grid.launchers import make_launcher
from benchmark.grid.launchers.local import Local
from benchmark.grid.plan import plan
from benchmark.grid.progress import View
from benchmark.store.locks import RunLock
from benchmark.tasks import registry
from benchmark.training.options import Options
from benchmark.training.train import train
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
    with pytest.raises(UserError, match=f"--devices {devices}: this machine has {gpus} GPUs"):
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
    monkeypatch.setattr("benchmark.grid.launchers.local.cores", lambda: 8)
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
        ("ray", {}, None, "--launcher ray needs Ray: pip install 'rnnreg[ray]'"),
        ("slurm", {}, None, "--launcher slurm needs submitit: pip install 'rnnreg[slurm]'"),
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


def test_the_view_follows_the_claims_of_all_and_tells_the_time_left(tmp_path, monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    locks = {name: RunLock(tmp_path, name, 1, "abcdef0123") for name in "abc"}
    with locks["c"].held():
        locks["c"].report_progress(2, 4)  # half of it was done by an earlier grid
    view = View({name: (float(work), locks[name]) for name, work in zip("abc", (100, 200, 100), strict=True)})
    assert view.remaining() == "ETA unknown"
    locks["a"].report_progress(1, 2)
    now[0] = 10.0
    view.look()
    assert view.remaining() == "ETA 60 s"  # 50 of 350 done in 10 s
    locks["c"].report_progress(3, 4)
    view.finished("a", "perplexity 80", 12.0)
    now[0] = 25.0
    view.look()
    assert view.remaining() == "ETA 45 s"  # 125 of 350 done in 25 s
    view.failed("b", "no luck")
    view.finished("c", "perplexity 90", 12.0)
    assert view.failures == ["b: no luck"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[1/3] a: perplexity 80, 12 s; ETA 25 s"
    assert printed[1] == "[2/3] b: FAILED: no luck; ETA 5 s"
    assert printed[2] == "[3/3] c: perplexity 90, 12 s; all done"


def test_an_epoch_that_a_stopped_run_begins_again_is_not_counted_as_done_now(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    lock = RunLock(tmp_path, "a", 1, "abcdef0123")
    with lock.held():
        lock.report_progress(1.9, 4)
    view = View({"a": (400.0, lock)})
    now[0] = 10.0
    view.look()
    assert view.summary() == "0 of 1 runs, ETA unknown"
    lock.report_progress(1.5, 4)
    now[0] = 20.0
    view.look()
    assert view.summary() == "0 of 1 runs, ETA 2 min"  # half of an epoch in 20 s, 2.5 are left


def test_a_log_has_a_line_of_long_runs_now_and_then(tmp_path, monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    locks = {name: RunLock(tmp_path, name, 1, "abcdef0123") for name in "abc"}
    with locks["a"].held():
        view = View({name: (100.0, lock) for name, lock in locks.items()})
        for now[0] in range(0, 1000, 10):  # 500 s an epoch
            locks["a"].report_progress(now[0] / 500, 39)
            view.look()
    assert capsys.readouterr().out.splitlines() == [
        "0 of 3 runs, ETA 16.2 h; under way: a at epoch 0.6 of 39",
        "0 of 3 runs, ETA 16.1 h; under way: a at epoch 1.2 of 39",
        "0 of 3 runs, ETA 16.0 h; under way: a at epoch 1.9 of 39",
    ]


def test_what_rows_cost_is_in_seconds_of_records_and_else_by_work() -> None:
    small, large, other = (registry.find(name) for name in ("sotu-small", "sotu-large", "ptb-small"))
    records = [make_record(small, wall_seconds=30.0)]
    costs = shares([small, large, other], records)
    second = small.config.relative_cost / 30.0
    assert costs["sotu-small"] == 30.0
    assert costs["sotu-large"] == pytest.approx(large.config.relative_cost / second)
    assert costs["ptb-small"] == pytest.approx(other.config.relative_cost / second)
    assert shares([other], []) == {"ptb-small": other.config.relative_cost}


def test_estimates_come_from_the_rows_own_records_or_by_its_work_from_its_neighbour() -> None:
    small, large = registry.find("sotu-small"), registry.find("sotu-large")
    records = [make_record(small, wall_seconds=seconds) for seconds in (10.0, 30.0, 20.0)]
    assert estimate_of(small, records).seconds == 20.0
    ratio = large.config.relative_cost / small.config.relative_cost
    estimate = estimate_of(large, records)
    assert estimate.seconds == pytest.approx(20.0 * ratio)
    assert estimate.basis.startswith("sotu-small, by its work; 3 records: ")
    assert estimate_of(registry.find("ptb-small"), records).seconds is None  # other data, another vocabulary


def test_a_plan_counts_what_is_done_under_way_and_left(tiny_row, tmp_path) -> None:
    where = options(store=tmp_path / "runs", threads=1, wandb="off")
    record = train(tiny_row, 1, where, progress=silent)
    grid = [Run(row, seed, "") for row in (tiny_row, tiny_row.variant("twice", hidden_size=16)) for seed in (1, 2, 3)]
    with grid[1].lock(where.store).held():
        grid[1].lock(where.store).report_progress(1.7, 2)  # stopped now, it would go on after one epoch
        table, words = plan(grid, where, 2)
    assert table[1][:4] == ("tiny", "3", "1", "1")
    assert table[2][:4] == ("twice", "3", "0", "0")
    assert "by its work" in table[2][-1]
    ratio = grid[3].row.config.relative_cost / tiny_row.config.relative_cost
    hours = record.wall_seconds * (1.5 + 3 * ratio) / 3600
    assert words[0].startswith(f"5 runs to do, {hours:.2f} device hours, about ")
    assert words[0].endswith(" with 2 at a time")
    assert TINY["epochs"] == 2
    assert not list(Path(where.store).glob("twice*"))


def test_runs_whose_data_is_gone_are_planned_again_and_the_others_are_not(tiny_row, tmp_path) -> None:
    where = options(store=tmp_path / "runs", threads=1, wandb="off")
    gone = tiny_row.variant("gone", source=str(shutil.copytree(tiny_row.config.source, tmp_path / "copy")))
    grid = [Run(row, 1, "") for row in (gone, tiny_row)]
    for run in grid:
        train(run.row, run.seed, where, progress=silent)
    shutil.rmtree(tmp_path / "copy")
    table, _ = plan(grid, where, 1)
    assert [line[:3] for line in table[1:]] == [("gone", "1", "0"), ("tiny", "1", "1")]


def test_the_grid_is_planned_and_not_run(rnnreg, tmp_path) -> None:
    code, out, err = rnnreg("reproduce", "--dry-run", "--store", tmp_path / "runs", "--launcher", "slurm", "--jobs", 4)
    assert code == 0, err
    assert re.search(r"^sotu-small +2 +0 +0 +\d+ s ", out, re.M)
    assert re.search(r"^54 runs to do, \d\.\d\d device hours, about .* with 4 at a time$", out, re.M)
    assert not (tmp_path / "runs").exists()
