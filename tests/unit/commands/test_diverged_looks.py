"""Seeds until claims are decided: what a run that fails, diverges or does not count ends."""

from pathlib import Path

import pytest
from support.factories import diverge, make_record

from benchmark.commands.until_decided import run_until_decided
from benchmark.store.records import Store
from benchmark.tasks import registry
from benchmark.training.options import Options
from datamodules.errors import UserError

ROWS = [registry.find(f"sotu-{name}") for name in ("medium", "medium-dropout", "large-dropout")]
MEANS = dict(zip((row.name for row in ROWS), (140.0, 110.0, 100.0), strict=True))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch) -> list[list[str]]:
    """The runs of each grid; all of them end at once, but for the second one of the large row, which diverges."""
    grids: list[list[str]] = []

    def run_grid(grid, reason: str, *_) -> dict[str, int]:
        grids.append([run.label for run in grid])
        failures = {}
        for run in grid:
            metrics = {"test_perplexity": MEANS[run.row.name] + run.seed / 10}
            record = make_record(run.row, run.seed, metrics=metrics)
            if (run.row, run.seed) == (ROWS[2], 2):
                failures[f"{run.label}: {reason}"] = 1
                diverge(tmp_path, record)
            else:
                Store(tmp_path).write(record, {})
        return failures

    monkeypatch.setattr("benchmark.grid.grid.run_grid", run_grid)
    return grids


def until_decided(store: Path, reason: str) -> dict[str, int]:
    options = Options(store=store, data=store / "no data")  # not what a user has downloaded
    return run_until_decided(ROWS, options, 20, lambda _: reason, 0, None)


def test_a_run_that_diverges_ends_its_own_comparison_only(tmp_path: Path, asked, capsys) -> None:
    reason = "training diverged in epoch 1: {}"
    assert until_decided(tmp_path, reason) == {f"sotu-large-dropout seed 2: {reason}": 1}
    out = capsys.readouterr().out
    assert "undecided with 3 seeds, as runs diverged: sotu, medium → large, both with dropout" in out
    assert "reproduced with 3 seeds: sotu, medium, test perplexity" in out
    assert sum(map(len, asked)) == 9
    assert until_decided(tmp_path, reason) == {}  # another time there is nothing left to run
    assert sum(map(len, asked)) == 9


def test_a_run_that_fails_otherwise_ends_the_procedure(tmp_path: Path, asked) -> None:
    assert until_decided(tmp_path, "its process died") == {"sotu-large-dropout seed 2: its process died": 1}


def test_a_run_that_does_not_count_ends_the_procedure(tmp_path: Path, asked, monkeypatch) -> None:
    monkeypatch.setattr("benchmark.grid.grid.data_at_hand", lambda folder: lambda row: "of other data")
    with pytest.raises(UserError, match=r"sotu-.* seed 1 has been made and does not count: its data are others than"):
        until_decided(tmp_path, "")
    assert len(asked) == 1
