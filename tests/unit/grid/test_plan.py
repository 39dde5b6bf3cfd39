"""Estimates of how long runs take, and the plan of a grid."""

import re
import shutil
from pathlib import Path

import pytest
from support.factories import TINY, make_record

from benchmark.grid.estimates import estimate_of, shares
from benchmark.grid.grid import Run, silent
from benchmark.grid.plan import plan
from benchmark.tasks import registry
from benchmark.training.options import Options
from benchmark.training.train import train


def options(**changes) -> Options:
    return Options(accelerator="cpu", **changes)


def test_what_rows_cost_is_in_seconds_of_records_and_else_by_work() -> None:
    small, large, other = (registry.find(name) for name in ("sotu-small", "sotu-large", "ptb-small"))
    records = [make_record(small, wall_seconds=30.0)]
    costs = shares([small, large, other], records)
    second = small.config.relative_cost / 30.0
    assert costs["sotu-small"] == 30.0
    assert costs["sotu-large"] == pytest.approx(large.config.relative_cost / second)
    assert costs["ptb-small"] == pytest.approx(other.config.relative_cost / second)
    assert shares([other], []) == {"ptb-small": other.config.relative_cost}


def test_estimates_come_from_the_rows_own_records_or_by_cost_from_its_neighbor() -> None:
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


def test_a_plan_of_runs_that_nobody_can_estimate_gives_no_time(tiny_row, tmp_path) -> None:
    words = plan([Run(tiny_row, 1, "")], options(store=tmp_path / "runs"), 2)[1]
    assert words == ["1 run to do", "not counted, as no record tells how long they take: tiny"]


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
    assert re.search(r"^53 runs to do, \d\.\d\d device hours, about .* with 4 at a time$", out, re.M)
    assert not (tmp_path / "runs").exists()
