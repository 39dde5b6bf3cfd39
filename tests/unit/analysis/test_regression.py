"""The check's arithmetic and its verdicts, on made-up runs."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats
from support.factories import diverge, make_record, reference

from benchmark.analysis import references
from benchmark.analysis.references import Expected
from benchmark.analysis.regression import Report, compare_all
from benchmark.analysis.regression import _expect as expect_metric
from benchmark.analysis.results import gather
from benchmark.analysis.verdicts import POWER
from benchmark.commands.check import baseline, check
from benchmark.reports.check import junit
from benchmark.store.records import Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from datamodules.errors import UserError

ROW = registry.find("sotu-medium-dropout")
REPETITIONS = 1000
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


def test_the_band_over_seeds_by_hand() -> None:
    """Mean 100, sd sqrt(2.5 / 4); two new runs; 99 % shared out among three comparisons."""
    found = compare(runs(100.2, 99.9)).comparisons[-1]
    half = stats.t.ppf(1 - 0.01 / 6, 4) * math.sqrt(2.5 / 4) * math.sqrt(1 / 2 + 1 / 5)
    assert found.band == pytest.approx((100 - half, 100 + half))
    assert found.basis == "5 reference runs"
    assert found.detectable == pytest.approx(half * (1 + stats.t.ppf(0.8, 4) / stats.t.ppf(1 - 0.01 / 6, 4)))


def on_two_platforms(*noise: float, level: float = 100.0) -> list[Record]:
    """Five seeds that differ by 10 from each other, and their repetition elsewhere, which differs by the noise."""
    values = [level + 10 * number for number in range(5)]
    there = [value + change for value, change in zip(values, noise, strict=True)]
    return [*runs(*values), *runs(*there, device="another")]


def test_the_band_over_platforms_by_hand() -> None:
    """Differences 2, -2, 2, -2, 1 within seeds: variance (2 + 2 + 2 + 2 + 0.5) / 5 of a run; two new runs."""
    report = compare(runs(100, 110, device="third"), on_two_platforms(2, -2, 2, -2, 1))
    found = report.comparisons[-1]
    half = stats.t.ppf(1 - 0.01 / 6, 5) * math.sqrt(8.5 / 5 * (1 + 1 / 2) / 2)
    assert found.band == pytest.approx((105 - half, 105 + half))  # of the seeds 1 and 2 on both platforms
    assert found.basis == "runs of the same seeds on 2 platforms"


def test_runs_of_the_same_seeds_find_what_all_seeds_would_hide() -> None:
    old = on_two_platforms(0.2, -0.2, 0.1, -0.1, 0.1)
    assert compare(runs(103, 113, device="third"), old).comparisons[-1].outcome == "worse"
    alone = compare(runs(103, 113, device="third"), old[:5]).comparisons[-1]
    assert alone.outcome == "passed"
    assert alone.detectable is not None
    assert alone.detectable > 20


def test_a_seed_without_a_reference_is_compared_by_the_spread_of_seeds() -> None:
    old = on_two_platforms(0.2, -0.2, 0.1, -0.1, 0.1)
    new = [replace(record, seed=record.seed + 10) for record in runs(100, 110, device="third")]
    assert compare(new, old).comparisons[-1].basis == "5 reference runs"


def test_a_run_without_the_metric_does_not_lend_its_seed_to_another() -> None:
    new, old = runs(*SPREAD), on_two_platforms(0.1, 0.1, -0.1, 0.2, -0.2)
    new[0] = replace(new[0], metrics={"validation_perplexity": 105.0})
    (test,) = [one for one in compare(new, old).comparisons if one.metric.name == "test_perplexity"]
    (low, high) = test.band
    by_seed = {one.seed: one.metrics["test_perplexity"] for one in old}
    assert (low + high) / 2 == pytest.approx(np.mean([by_seed[seed] for seed in (2, 3, 4, 5)]), abs=0.2)


@pytest.mark.parametrize("platforms", [1, 2])
def test_checks_of_unchanged_code_pass_as_often_as_the_level_says_and_find_shifts_as_promised(platforms: int) -> None:
    """By simulation: a seed's own value, and on each platform a deviation from it."""
    generator = np.random.default_rng(0)
    passed, found = 0, 0
    for _ in range(REPETITIONS):
        seeds = 100 + generator.normal(0, 1, 5)
        old = [
            reference(record, ROW)
            for platform in range(platforms)
            for record in runs(*(seeds + generator.normal(0, 0.3, 5)), device=str(platform))
        ]
        new = seeds[:2] if platforms > 1 else 100 + generator.normal(0, 1, 2)
        values = new + generator.normal(0, 0.3, 2)
        middle, error, _ = expect_metric("test_perplexity", [1, 2], old)
        half = stats.t.ppf(0.95, error.degrees) * math.sqrt(error.variance)
        detectable = half + stats.t.ppf(POWER, error.degrees) * math.sqrt(error.variance)
        passed += abs(values.mean() - middle) <= half
        found += abs(values.mean() + detectable - middle) > half
    assert passed / REPETITIONS == pytest.approx(0.9, abs=0.03)
    assert found / REPETITIONS == pytest.approx(POWER, abs=0.06)


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
        (runs(130, 130), runs(*SPREAD, precision="bf16-mixed"), "in another precision than the references"),
        (runs(130, 130, precision="bf16-mixed"), runs(*SPREAD), "in another precision than the references"),
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
    more = [replace(one, metrics={**one.metrics, "new": 1.0}) for one in runs(*SPREAD[:2])]
    assert compare(more).bits[ROW.name] == "2 of 2 runs match their reference bit for bit"  # by what references have
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


def test_what_is_left_of_a_row_whose_runs_diverged_passes_no_check_and_is_no_reference(tmp_path: Path, capsys) -> None:
    store, file = Store(tmp_path / "runs"), tmp_path / "baseline.json"
    references.write(expect(runs(*SPREAD)), file)
    for record in runs(*SPREAD):
        store.write(record, {})
    options = Options(store=store.root)
    assert check(options, trained=True, baseline=file) == 0
    for seed in (6, 7):
        diverge(store.root, make_record(ROW, seed))
    assert check(options, trained=True, baseline=file) == 2
    assert "2 of 7 new runs diverged" in capsys.readouterr().out
    with pytest.raises(UserError, match=rf"^2 of 7 runs of .*\({ROW.name}\) in the store diverged; .*$"):
        baseline("update", only=ROW.name, reason="r", store=store.root, baseline=file)


def test_runs_of_another_platform_join_the_reference_runs(tmp_path: Path) -> None:
    store, elsewhere, file = Store(tmp_path / "runs"), Store(tmp_path / "elsewhere"), tmp_path / "baseline.json"
    for record in runs(*SPREAD):
        store.write(record, {})
        elsewhere.write(replace(record, device="another"), {})
    update = {"only": ROW.name, "reason": "r", "baseline": file}
    baseline("update", store=store.root, **update)
    for _ in range(2):  # runs of one platform join once
        baseline("add", store=elsewhere.root, **update)
    (expected,) = references.read(file).values()
    assert len(expected.references) == 10
    changed = runs(*SPREAD, data_sha256="e" * 64)
    for record in changed:
        Store(tmp_path / "changed").write(record, {})
    with pytest.raises(UserError, match="another configuration or precision or of other data than its reference runs"):
        baseline("add", store=tmp_path / "changed", **update)


def test_a_metric_at_its_floor_is_not_compared() -> None:
    row = registry.find("bible-large")
    metrics = {"validation_perplexity": 30.0, "test_perplexity": 30.0, "test_bleu": 1.0}
    old = [make_record(row, seed, metrics=metrics) for seed in range(1, 6)]
    expected = {row.name: Expected(tuple(reference(record, row) for record in old), ())}
    report = compare_all(gather([row], old[:2]), expected, 0.99)
    assert "test_bleu" not in {one.metric.name for one in report.comparisons}
    well = tuple(replace(one, metrics={**metrics, "test_bleu": 20.0}) for one in expected[row.name].references)
    good = {row.name: Expected(well, ())}
    assert "test_bleu" in {one.metric.name for one in compare_all(gather([row], old[:2]), good, 0.99).comparisons}
