"""Runs of different data are never compared, and a table says of which data its runs are."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.factories import TASKS, make_record, tiny_rows

from benchmark.analysis.claims import judge
from benchmark.analysis.effects import compare
from benchmark.analysis.names import short_names
from benchmark.analysis.results import by_source, gather
from benchmark.analysis.same_data import differences
from benchmark.grid.grid import data_at_hand
from benchmark.reports import figures, tables
from benchmark.reports.footnotes import footnote
from benchmark.tasks import registry

BEFORE, AFTER = "a" * 64, "b" * 64
WITHOUT, DROPOUT = registry.find("sotu-medium"), registry.find("sotu-medium-dropout")


def runs(row, data: str, seeds: int, finished: str):
    when = f"2026-01-{finished}T00:00:00+00:00"
    return [make_record(row, seed, data_sha256=data, finished=when) for seed in range(1, seeds + 1)]


def test_two_arms_of_different_data_are_not_compared() -> None:
    warnings: list[str] = []
    records = [*runs(WITHOUT, BEFORE, 3, "01"), *runs(DROPOUT, AFTER, 3, "02")]
    without, regularized = gather([WITHOUT, DROPOUT], records, warnings)
    assert (len(without.records), len(regularized.records)) == (0, 3)  # as many runs: the newest
    assert compare(without, regularized, WITHOUT.config.primary_metrics()[0]) is None
    assert not any(one.is_run for one in judge([without, regularized]))
    (warning,) = warnings
    assert warning == (
        "sotu: 3 runs of data aaaaaaaa (sotu-medium); shown are 3 runs of data bbbbbbbb (sotu-medium-dropout), "
        "as runs of different data are not compared"
    )


@pytest.mark.parametrize(("name", "changes"), [("scenes", {"min_count": 25}), ("bible-large", {"target_words": 99})])
def test_rows_that_predict_other_words_are_not_compared(name: str, changes: dict[str, int]) -> None:
    without = registry.find(name)
    rows = [without, without.variant(f"{name}-dropout", dropout=0.5, **changes)]
    (field,) = changes
    values = [{metric.name: 50.0 for metric in without.config.primary_metrics()}] * 3
    records = [make_record(row, seed, metrics=values[seed - 1]) for row in rows for seed in (1, 2, 3)]
    table = gather(rows, records)
    why = f"{field} {getattr(without.config, field)} and {changes[field]}"
    for metric in without.config.primary_metrics():
        assert compare(*table, metric) is None
    found = [finding for judgment in judge(table) for finding in judgment.findings]
    assert {(finding.figures, finding.verdict) for finding in found} == {(f"not compared: {why}", "undecided")}
    assert not any(judgment.is_decided_here for judgment in judge(table))
    assert f"{name} and {name}-dropout are not compared, as their data differs: {why}." in footnote(table)


def test_two_tasks_on_one_folder_are_not_compared() -> None:
    shipped = ("ptb-small", "multi30k-small", "multi30k-small-dropout", "ptb-small-dropout")
    rows = [registry.find(name).variant(f"my-{name}", source="/my/folder") for name in shipped]
    table = gather(rows, [make_record(row, metrics={"test_perplexity": 5.0}) for row in rows])
    groups = by_source(table)
    assert {name: len(group) for name, group in groups.items()} == {"/my/folder": 2, "/my/folder-translation": 2}
    assert list(short_names(groups).values()) == ["folder", "folder-translation"]
    assert tables.markdown(table).count("### ") == 2
    assert [one.claim.task for one in judge(table) if one.source == "/my/folder-translation"] == ["translation"]
    assert {"folder", "folder-translation"} <= figures.draw(table).keys()
    task = "task language-modeling and translation"
    assert differences(rows[0].config, rows[1].config) == task
    own = [registry.find("ptb-small").variant("own", source="/my/folder-translation")]
    assert len(by_source([*table, *gather(own, [])])) == 3


def test_the_data_of_most_runs_are_shown_and_those_at_hand_before_any_other() -> None:
    records = [*runs(WITHOUT, BEFORE, 3, "01"), *runs(WITHOUT, AFTER, 2, "02"), *runs(DROPOUT, BEFORE, 2, "01")]

    def shown(here=None) -> list[set[str]]:
        return [{one.data_sha256 for one in found.records} for found in gather([WITHOUT, DROPOUT], records, here=here)]

    assert shown() == shown(lambda row: "c" * 64) == shown(lambda row: None) == [{BEFORE}, {BEFORE}]
    assert shown(lambda row: AFTER) == [{AFTER}, set()]


@pytest.mark.parametrize("newest", [BEFORE, AFTER])
def test_of_as_many_runs_the_newest_are_shown(newest: str) -> None:
    records = [run for data in (BEFORE, AFTER) for run in runs(WITHOUT, data, 2, "02" if data == newest else "01")]
    (found,) = gather([WITHOUT], records)
    assert [one.data_sha256 for one in found.records] == [newest, newest]


def test_a_copy_of_a_run_is_called_one_and_counts_once() -> None:
    warnings: list[str] = []
    old, new = runs(WITHOUT, BEFORE, 1, "01"), runs(WITHOUT, BEFORE, 1, "02")
    (found,) = gather([WITHOUT], [*new, *old], warnings)
    assert list(found.records) == new
    assert warnings == ["sotu-medium: 1 record of a seed that has a newer one"]


def test_rows_whose_settings_change_the_data_have_data_of_their_own() -> None:
    half = WITHOUT.variant("half", train_fraction=0.5)
    warnings: list[str] = []
    found = gather([WITHOUT, half], [*runs(WITHOUT, BEFORE, 2, "01"), *runs(half, AFTER, 2, "01")], warnings)
    assert [len(one.records) for one in found] == [2, 2]
    assert not warnings


CHANGED = {
    "language-modeling": {"train_fraction": 0.5},
    "speech": {"sample_rate": 8000},
    "translation": {"source_language": "fr", "target_language": "en"},
    "captioning": {"folds": 2},
}
"""A field of each task that changes its data."""


@pytest.mark.parametrize("task", TASKS)
def test_the_key_of_data_has_what_changes_their_checksum_and_nothing_else(task: str, tmp_path: Path) -> None:
    row = tiny_rows(tmp_path)[task]
    checksum = data_at_hand(tmp_path)
    other = replace(row.config, **CHANGED[task])
    model = replace(row.config, hidden_size=4, batch_size=2, dropout=0.5, validation_only=True)
    assert checksum(row) is not None
    assert other.data_key != row.config.data_key
    assert checksum(replace(row, config=other)) != checksum(row)
    assert model.data_key == row.config.data_key
    assert data_at_hand(tmp_path)(replace(row, config=model)) == checksum(row)
