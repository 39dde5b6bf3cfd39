"""What counts as a platform of reference runs: copies of another one do not, and a precision does."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.factories import make_record, reference

from benchmark.analysis import references
from benchmark.analysis.references import Expected
from benchmark.analysis.regression import _expect as expect_metric
from benchmark.analysis.regression import compare_all
from benchmark.analysis.results import gather
from benchmark.store.records import Record
from benchmark.tasks import registry
from datamodules.errors import UserError

ROW = registry.find("sotu-medium-dropout")
REPETITIONS = 500
SPREAD = (100.0, 101.0, 99.0, 100.5, 99.5)


def runs(*values: float, **changes) -> list[Record]:
    return [
        make_record(ROW, seed, metrics={"test_perplexity": value}, curve=[], **changes)
        for seed, value in enumerate(values, 1)
    ]


def expect(*groups: list[Record]) -> dict[str, Expected]:
    expected: dict[str, Expected] = {}
    for group in groups:
        expected = references.update(expected, gather([ROW], group), "r", add=True)
    return expected


def test_platforms_of_other_versions_that_compute_the_same_count_once() -> None:
    """By simulation: seeds on two kinds of processor, one of them with four versions of a package."""
    generator, passed = np.random.default_rng(0), 0
    for _ in range(REPETITIONS):
        seeds = 100 + generator.normal(0, 1, 5)
        here, there = (runs(*(seeds + generator.normal(0, 0.3, 5)), device=name) for name in ("here", "there"))
        copies = [replace(one, versions={"lightning": f"2.6.{minor}"}) for minor in range(4) for one in here]
        old = [reference(record, ROW) for record in (*there, *copies)]
        middle, error, basis = expect_metric("test_perplexity", [1, 2], old)
        assert (error.degrees, basis) == (5, "runs of the same seeds on 2 platforms")
        values = seeds[:2] + generator.normal(0, 0.3, 2)
        passed += abs(values.mean() - middle) <= stats.t.ppf(0.95, error.degrees) * math.sqrt(error.variance)
    assert passed / REPETITIONS == pytest.approx(0.9, abs=0.04)


def test_references_that_all_compute_the_same_are_compared_by_the_spread_of_seeds() -> None:
    expected = expect(runs(*SPREAD), runs(*SPREAD, versions={"lightning": "2.6.7"}))
    assert len(expected[ROW.name].references) == 10
    (found,) = compare_all(gather([ROW], runs(100.2, 99.9)), expected, 0.99).comparisons
    assert (found.outcome, found.basis) == ("passed", "5 reference runs")


@pytest.mark.parametrize("precisions", [("32", "bf16-mixed"), ("bf16-mixed", "32")])
def test_runs_of_another_precision_are_neither_compared_with_references_nor_added(precisions: tuple[str, str]) -> None:
    old, new = (runs(*SPREAD, precision=precision) for precision in precisions)
    expected = expect(old)
    report = compare_all(gather([ROW], new), expected, 0.99)
    assert {one.message for one in report.comparisons} == {"in another precision than the references"}
    assert (report.code, report.bits) == (2, {})
    with pytest.raises(UserError, match="another configuration or precision or of other data than its reference runs"):
        references.update(expected, gather([ROW], new), "r", add=True)
    replaced = references.update(expected, gather([ROW], new), "r")[ROW.name].references
    assert {one.precision for one in replaced} == {precisions[1]}


def test_references_are_in_one_precision() -> None:
    first, *others = runs(*SPREAD, precision="bf16-mixed")
    mixed = [replace(first, precision="32"), *others]
    with pytest.raises(UserError, match="in the store are in precisions 32 and bf16-mixed; references are in one"):
        expect(mixed)


def test_the_precision_is_part_of_a_platform_and_older_references_are_in_float32(tmp_path: Path) -> None:
    half, full = (reference(runs(100, precision=name)[0], ROW) for name in ("bf16-mixed", "32"))
    assert (half.platform, full.platform) == ("CPU; ; precision bf16-mixed", "CPU; ")
    expected, file = expect(runs(*SPREAD)), tmp_path / "baseline.json"
    references.write(expected, file)
    content = json.loads(file.read_text())
    for one in content[ROW.name]["references"]:
        del one["precision"]
    file.write_text(json.dumps(content))
    assert references.read(file)[ROW.name].references == expected[ROW.name].references
