"""The check's arithmetic and its verdicts, on made-up runs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scipy import stats
from support.factories import make_record, reference

from benchmark.analysis import references
from benchmark.analysis.references import Expected
from benchmark.analysis.regression import Report, compare_all, prediction_interval
from benchmark.analysis.results import gather
from benchmark.commands.check import baseline, check
from benchmark.reports.check import junit
from benchmark.store.records import Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from datamodules.errors import UserError

ROW = registry.find("sotu-medium-dropout")
SPREAD = (100.0, 101.0, 99.0, 100.5, 99.5)


def runs(*values: float, row: Row = ROW, train: float = 50.0, **changes) -> list[Record]:
    return [
        make_record(
            row,
            seed,
            metrics={"validation_perplexity": value + 5, "test_perplexity": value},
            curve=[{"epoch": 1, "train_perplexity": train + value / 100}],
            **changes,
        )
        for seed, value in enumerate(values, 1)
    ]


def expect(records: Sequence[Record]) -> dict[str, Expected]:
    return {
        ROW.name: Expected(
            tuple(reference(record, ROW) for record in records), ({"reason": "r", "commit": "c", "when": "w"},)
        )
    }


def compare(new: list[Record], old: Sequence[Record] | None = None) -> Report:
    return compare_all(gather([ROW], new), expect(runs(*SPREAD) if old is None else old), 0.99)


def test_prediction_interval_by_hand() -> None:
    """Mean 100, sd sqrt(2.5 / 4); two new runs; 99 % shared out among three."""
    half = stats.t.ppf(1 - 0.01 / 6, 4) * math.sqrt(2.5 / 4) * math.sqrt(1 / 2 + 1 / 5)
    assert prediction_interval(SPREAD, 2, 0.99, 3) == pytest.approx((100 - half, 100 + half))


def test_a_share_of_fault_free_checks_passes_that_is_the_level() -> None:
    """Coverage of the interval itself, by simulation: 90 % of means of two draws lie within."""
    generator = stats.norm.rvs(size=(4000, 7), random_state=1)
    inside = 0
    for draws in generator:
        low, high = prediction_interval(draws[:5], 2, 0.9, 1)
        inside += low <= draws[5:].mean() <= high
    assert inside / 4000 == pytest.approx(0.9, abs=0.02)


def test_as_expected_worse_and_better() -> None:
    assert compare(runs(100.2, 99.9)).code == 0
    worse = compare(runs(130, 131))
    assert worse.code == 1
    assert {one.metric.name: one.outcome for one in worse.comparisons}["test_perplexity"] == "worse"
    better = compare(runs(70, 71))
    assert better.code == 1
    assert {one.metric.name: one.outcome for one in better.comparisons}["test_perplexity"] == "better"


def test_the_training_metric_counts_too() -> None:
    report = compare(runs(100.2, 99.9, train=70))
    assert [one.outcome for one in report.comparisons] == ["worse", "passed", "passed"]


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        (runs(100, 100), runs(*SPREAD[:4]), "4 reference runs, needs 5"),
        (runs(100), runs(*SPREAD), "1 new runs, needs 2"),
        (runs(100, 100, data_sha256="e" * 64), runs(*SPREAD), "other data than the references"),
        (
            runs(100, 100),
            runs(*SPREAD, fingerprint="other"),
            "configuration or protocol differs from that of the references",
        ),
    ],
)
def test_what_cannot_be_decided_says_why(new: list[Record], old: list[Record], reason: str) -> None:
    report = compare(new, old)
    assert report.code == 2
    assert all(reason in one.message for one in report.comparisons)


def test_bits_are_compared_on_the_same_platform_only() -> None:
    assert compare(runs(*SPREAD[:2])).bits[ROW.name] == "2 of 2 runs match their reference bit for bit"
    assert compare(runs(100, 100.9)).bits[ROW.name] == "1 of 2 runs match their reference bit for bit"
    other_tokens = compare(runs(*SPREAD[:2], log_probabilities_sha256="other")).bits[ROW.name]
    assert other_tokens == "0 of 2 runs match their reference bit for bit"
    elsewhere = compare(runs(*SPREAD[:2], device="another")).bits[ROW.name]
    assert elsewhere == "no reference run of these seeds on this platform, so bits are not compared"


def test_junit_has_a_case_for_each_comparison() -> None:
    suite = ElementTree.fromstring(junit(compare(runs(130, 131))))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "3", "0")
    assert suite.find("testcase/failure") is not None
    undecided = ElementTree.fromstring(junit(compare(runs(100))))
    assert undecided.get("errors") == "3"


def test_a_baseline_is_updated_with_a_reason_and_keeps_its_history(tmp_path: Path, capsys) -> None:
    store, file = Store(tmp_path / "runs"), tmp_path / "baseline.json"
    for record in runs(*SPREAD):
        store.write(record, {})
    update = {"only": ROW.name, "store": store.root, "baseline": file}
    with pytest.raises(UserError, match="--reason"):
        baseline("update", **update)
    baseline("update", reason="first", **update)
    baseline("update", reason="second", store=store.root, baseline=file)
    (expected,) = references.read(file).values()
    assert [one["reason"] for one in expected.accepted] == ["first", "second"]
    assert expected.references == tuple(reference(record, ROW) for record in runs(*SPREAD))
    baseline("show", baseline=file)
    assert "second" in capsys.readouterr().out


def test_a_baseline_needs_five_runs_and_to_be_there_and_whole(tmp_path: Path) -> None:
    store, file = Store(tmp_path / "runs"), tmp_path / "baseline.json"
    for record in runs(*SPREAD[:4]):
        store.write(record, {})
    with pytest.raises(UserError, match="a reference needs 5"):
        baseline("update", only=ROW.name, reason="r", store=store.root, baseline=file)
    with pytest.raises(UserError, match="there is no baseline"):
        references.read(file)
    for text in ("{", "[]", json.dumps({"row": {"references": [{"seed": 1}], "accepted": []}})):
        file.write_text(text)
        with pytest.raises(UserError, match="is not a baseline of this suite"):
            references.read(file)


def test_check_of_trained_runs_writes_junit_and_the_job_summary(tmp_path: Path, monkeypatch, capsys) -> None:
    store, file = Store(tmp_path / "runs"), tmp_path / "baseline.json"
    references.write(expect(runs(*SPREAD)), file)
    for record in runs(140, 141):
        store.write(record, {})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    options = Options(store=store.root)
    code = check(options, trained=True, baseline=file, junit=tmp_path / "new" / "junit.xml")
    assert code == 1
    assert "a metric has moved" in capsys.readouterr().out
    assert "| worse |" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "new" / "junit.xml").read_text().startswith("<?xml")
    with pytest.raises(UserError, match="has no reference runs of ptb-small") as mistake:
        check(options, only="ptb-small", trained=True, baseline=file)
    assert mistake.value.exit_code == 2  # as 1 says that a metric has moved


class Stopped(UserError):
    exit_code = 130


def test_an_interrupted_check_keeps_its_exit_code(tmp_path: Path, monkeypatch) -> None:
    def stop(*_, **__):
        raise Stopped("interrupted")

    references.write(expect(runs(*SPREAD)), tmp_path / "baseline.json")
    monkeypatch.setattr("benchmark.grid.grid.run_grid", stop)
    with pytest.raises(Stopped, match="interrupted"):
        check(Options(store=tmp_path), baseline=tmp_path / "baseline.json")
