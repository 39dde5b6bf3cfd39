"""Runs that diverged count: tables name them, and what the others show decides nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import diverge, make_record

from benchmark.analysis.claims import judge
from benchmark.analysis.effects import compare
from benchmark.analysis.ensemble_findings import ensembles_gain
from benchmark.analysis.power import plans
from benchmark.analysis.results import RowResults, read_store
from benchmark.reports.tables import effect_table, results_table
from benchmark.store.diverged import read_diverged
from benchmark.store.records import Store, checksum_arrays
from benchmark.tasks import registry

WITHOUT, DROPOUT = registry.find("sotu-medium"), registry.find("sotu-medium-dropout")


def read(store: Path, ended: dict[str, int], lost: dict[str, int]) -> list[RowResults]:
    """Two rows with so many runs that ended and that diverged, as a store gives them."""
    for row in (WITHOUT, DROPOUT):
        for seed in range(1, ended.get(row.name, 0) + 1):
            value = 120.0 - 20 * bool(row.config.dropout) + seed / 10
            Store(store).write(make_record(row, seed, metrics={"test_perplexity": value}), {})
        for seed in range(11, 11 + lost.get(row.name, 0)):
            diverge(store, make_record(row, seed))
    return read_store([WITHOUT, DROPOUT], store)


def test_the_survivors_of_a_row_decide_nothing(tmp_path: Path) -> None:
    whole = read(tmp_path / "whole", {WITHOUT.name: 4, DROPOUT.name: 4}, {})
    metric = WITHOUT.config.primary_metrics()[0]
    assert compare(*whole, metric).interval is not None  # type: ignore[union-attr]

    table = read(tmp_path / "some", {WITHOUT.name: 4, DROPOUT.name: 2}, {DROPOUT.name: 2})
    assert table[1].diverged == (11, 12)
    effect = compare(*table, metric)
    assert effect is not None
    assert (effect.interval, effect.runs) == (None, "4 and 2 runs, 2 more diverged")
    assert [line[2] for line in results_table(table).body] == ["4", "2, 2 more diverged"]
    assert "2 more diverged" in effect_table(table).body[0][-1]
    verdicts = {f.verdict for one in judge(table) for f in one.findings if DROPOUT.name in f.rows and f.effect}
    assert verdicts == {"undecided"}
    assert {plan.needed_in_words for plan in plans(judge(table)) if plan.finding.effect} == {
        "not known where runs diverge"
    }


def test_a_row_whose_runs_all_diverged_is_not_one_that_was_not_run(tmp_path: Path) -> None:
    table = read(tmp_path, {WITHOUT.name: 2}, {DROPOUT.name: 3})
    assert results_table(table).body[1][2:4] == ("3 diverged", "diverged")
    figures = {f.figures for one in judge(table) for f in one.findings if f.rows == (WITHOUT.name, DROPOUT.name)}
    assert figures == {f"all 3 runs of {DROPOUT.name} diverged"}


@pytest.mark.parametrize("change", [{"fingerprint": "f" * 64}, {"data_sha256": "e" * 64}])
def test_those_of_another_configuration_or_other_data_do_not_count(tmp_path: Path, change: dict[str, str]) -> None:
    diverge(tmp_path, replace(make_record(DROPOUT, 5), **change))
    assert not read(tmp_path, {WITHOUT.name: 2, DROPOUT.name: 2}, {})[1].diverged


def test_a_run_that_has_ended_since_is_no_longer_lost(tmp_path: Path) -> None:
    record = make_record(DROPOUT, 1)
    diverge(tmp_path, record)
    assert len(list(read_diverged(tmp_path))) == 1
    Store(tmp_path).write(record, {})
    assert not list(read_diverged(tmp_path))


def test_a_file_that_was_altered_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = make_record(DROPOUT, 1)
    diverge(tmp_path, record)
    path = tmp_path / record.run / "diverged.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    assert not read_store([DROPOUT], tmp_path)[0].diverged
    assert f"{path} was altered after it was written" in capsys.readouterr().err


def test_an_ensemble_of_the_survivors_decides_nothing(tmp_path: Path) -> None:
    small, pair = registry.find("sotu-small"), registry.find("sotu-small-average-2")
    for seed in range(1, 5):  # each model is sure of a token of its own
        arrays = {"test": np.where(np.arange(16) == seed, -0.5, -4.0 - seed / 100).astype(np.float16)}
        record = make_record(small, seed, log_probabilities_sha256=checksum_arrays(arrays))
        Store(tmp_path).write(record, arrays)
    (whole,) = ensembles_gain(read_store([small, pair], tmp_path), 0.95)
    assert whole.verdict == "reproduced"
    diverge(tmp_path, make_record(small, 11))
    (some,) = ensembles_gain(read_store([small, pair], tmp_path), 0.95)
    assert (some.verdict, some.figures[-12:]) == ("undecided", "; 1 diverged")
