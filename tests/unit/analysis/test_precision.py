"""Runs in another precision are compared with those in float32, and are in no other table."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats
from support.factories import diverge, make_record

from benchmark.analysis.precision import comparisons
from benchmark.analysis.results import read_store
from benchmark.reports import tables, write
from benchmark.store.records import Store
from benchmark.tasks import registry

ROW = registry.find("sotu-small")
IN_32 = (100.0, 100.4, 99.6)


def keep(store: Path, values: tuple[float, ...], precision: str, **changes) -> None:
    for seed, value in enumerate(values, 1):
        record = make_record(ROW, seed, metrics={"test_perplexity": value, "validation_perplexity": value + 5})
        Store(store).write(replace(record, precision=precision, **changes), {})


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((100.0, 100.4, 99.6), "equivalent"),
        ((102.1, 102.5, 101.7), "different"),
        ((101.0, 104.0, 98.0), "undecided"),
        ((100.1,), "undecided"),
    ],
)
def test_the_interval_of_welch_decides(tmp_path: Path, values, verdict: str) -> None:
    keep(tmp_path, IN_32, "32")
    keep(tmp_path / "precision", values, "bf16-mixed")
    (found,) = comparisons(read_store([ROW], tmp_path), tmp_path)
    assert (found.row, found.precision, found.verdict) == ("sotu-small", "bf16-mixed", verdict)
    if len(values) > 1:
        right = stats.ttest_ind(values, IN_32, equal_var=False).confidence_interval(0.95)
        assert found.effect.interval == pytest.approx((right.low, right.high))


@pytest.mark.parametrize("side", [".", "precision"])
def test_where_runs_of_a_side_diverged_nothing_is_decided(tmp_path: Path, side: str) -> None:
    keep(tmp_path, IN_32, "32")
    keep(tmp_path / "precision", IN_32, "bf16-mixed")
    for seed in range(4, 9):
        diverge(tmp_path / side, make_record(ROW, seed, precision="32" if side == "." else "bf16-mixed"))
    diverge(tmp_path / "precision", make_record(ROW, 9, precision="16-mixed"))  # nor does one of a third precision
    diverge(tmp_path / side, make_record(ROW, 9, data_sha256="e" * 64))  # of other data, which does not count
    (found,) = comparisons(read_store([ROW], tmp_path), tmp_path)
    assert (found.verdict, found.effect.interval) == ("undecided", None)
    page = write.tables_and_figures(read_store([ROW], tmp_path), tmp_path, tmp_path)[tmp_path / "precision.md"]
    assert "| +0.0 |  | 3 runs each, 5 more diverged | undecided |" in page


def test_a_row_whose_runs_all_diverged_is_named(tmp_path: Path) -> None:
    keep(tmp_path, IN_32, "32")
    diverge(tmp_path / "precision", make_record(ROW, 1, precision="bf16-mixed"))
    page = write.tables_and_figures(read_store([ROW], tmp_path), tmp_path, tmp_path)[tmp_path / "precision.md"]
    assert page.endswith("\n\nAll runs in another precision diverged: sotu-small.\n")


def test_the_table_has_them_and_the_table_of_rows_does_not(tmp_path: Path) -> None:
    keep(tmp_path, IN_32, "32")
    keep(tmp_path / "precision", IN_32, "bf16-mixed")
    files = write.tables_and_figures(read_store([ROW], tmp_path), tmp_path, tmp_path)
    line = "| sotu-small | bf16-mixed | test perplexity | 100.0 ± 0.4 | 100.0 ± 0.4 | +0.0 (-0.9 to +0.9) |"
    assert f"{line} -0.91 to +0.91 | 3 runs each | equivalent |" in files[tmp_path / "precision.md"]
    assert "bf16" not in files[tmp_path / "table.md"]


def test_runs_of_other_data_or_without_others_beside_them_are_not_compared(tmp_path: Path) -> None:
    keep(tmp_path, IN_32, "32")
    keep(tmp_path / "precision", IN_32, "bf16-mixed", data_sha256="e" * 64)
    table = read_store([ROW], tmp_path)
    assert comparisons(table, tmp_path) == []
    assert tmp_path / "precision.md" not in write.tables_and_figures(table, tmp_path, tmp_path)


def test_runs_of_older_data_do_not_hide_those_that_can_be_compared(tmp_path: Path) -> None:
    keep(tmp_path, IN_32, "32")
    keep(tmp_path / "precision", IN_32, "bf16-mixed")
    keep(tmp_path / "precision", (*IN_32, 100.0), "bf16-mixed", data_sha256="e" * 64)
    (found,) = comparisons(read_store([ROW], tmp_path), tmp_path)
    assert found.effect.after.values == IN_32


def test_runs_in_tf32_are_named_and_are_no_float32(tmp_path: Path) -> None:
    """`--precision 32` is TF32 on a GPU, by the versions that a record keeps."""
    cuda = {"cuda": "13.0, LSTM in TF32, other products in TF32"}
    keep(tmp_path, IN_32, "32", versions=cuda)
    keep(tmp_path / "precision", IN_32, "bf16-mixed")
    table = read_store([ROW], tmp_path)
    assert comparisons(table, tmp_path) == []
    assert "3 runs on CPU in TF32: " in tables.markdown(table)
