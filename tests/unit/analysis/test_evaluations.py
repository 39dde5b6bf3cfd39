"""Evaluations by other methods: kept, read, grouped and shown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.analysis.collection import collect
from benchmark.analysis.evaluations import by_method
from benchmark.reports.evaluations import markdown
from benchmark.reports.write import evaluations
from benchmark.store.evaluations import EvaluationRecord, read_evaluations, write_evaluation
from benchmark.store.records import Store
from benchmark.store.sealed import CorruptRecord
from benchmark.tasks import registry

ROW = registry.find("sotu-small")


def make(seed: int, test: float, plain: float = 130.0, **changes: object) -> EvaluationRecord:
    record = EvaluationRecord(
        row=ROW.name,
        seed=seed,
        fingerprint=ROW.config.fingerprint(),
        data_sha256="d" * 64,
        log_probabilities_sha256=str(seed),
        method="temperature",
        settings={"temperature": 1.1 + 0.1 * (seed > 1)},
        chosen=["temperature"],
        metrics={"validation_perplexity": test - 10, "test_perplexity": test},
        plain={"validation_perplexity": plain - 10, "test_perplexity": plain},
        seconds=1.0,
        device="CPU",
        versions={},
        commit="c" * 40,
        finished="2026-01-01T00:00:00+00:00",
        command="rnnreg evaluate sotu-small --seed=1",
    )
    return replace(record, **changes)


def test_what_is_written_is_read_and_runs_do_not_see_it(tmp_path: Path) -> None:
    path = write_evaluation(make(1, 120.0), tmp_path)
    assert list(read_evaluations(tmp_path)) == [make(1, 120.0)]
    assert list(Store(tmp_path).records()) == []
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "metrics": {"test_perplexity": 1.0}}))
    with pytest.raises(CorruptRecord, match="was altered after it was written"):
        list(read_evaluations(tmp_path))
    skipped: list[str] = []
    assert list(read_evaluations(tmp_path, skipped)) == []
    assert len(skipped) == 1


def test_the_change_is_of_the_same_models_with_students_interval() -> None:
    """Changes -10 and -20: mean -15, and 12.706 (t of one degree) times 10 / 2 on either side."""
    (found,) = by_method([make(1, 120.0), make(2, 115.0, plain=135.0)])
    mean, interval = found.change("test_perplexity")
    assert mean == -15.0
    assert interval == pytest.approx((-15 - 12.7062 * 5, -15 + 12.7062 * 5), abs=1e-3)
    text = markdown([found])
    assert "| sotu-small | plain, as in the paper |  | 2 | 122.5 | 132.5 | – |" in text
    assert "|  | temperature | chosen: temperature 1.1 or 1.2 | 2 | 107.5 | 117.5 | -15.0 (-78.5 to +48.5) |" in text


def test_evaluations_by_other_settings_or_of_other_data_do_not_mix() -> None:
    given = make(1, 121.0, chosen=[], settings={"temperature": 1.3})
    other = make(1, 122.0, data_sha256="e" * 64)
    again = make(1, 119.0, finished="2026-02-01T00:00:00+00:00")
    groups = by_method([make(1, 120.0), given, other, again])
    assert [[one.metrics["test_perplexity"] for one in group.records] for group in groups] == [
        [119.0],
        [121.0],
        [122.0],
    ]


def test_models_of_one_name_stand_under_the_plain_evaluation_of_their_own() -> None:
    edited = make(1, 90.0, plain=95.0, fingerprint="f" * 64, method="dynamic", settings={"rate": 1.0}, chosen=[])
    elsewhere = replace(edited, data_sha256="e" * 64)
    mine = ROW.config.fingerprint()[:8]
    lines = markdown(by_method([make(1, 120.0), edited, elsewhere])).splitlines()[6:]
    assert lines == [
        f"| sotu-small (configuration {mine}, data dddddddd) | plain, as in the paper |  | 1 | 120.0 | 130.0 | – |",
        "|  | temperature | chosen: temperature 1.1 | 1 | 110.0 | 120.0 | -10.0 |",
        "| sotu-small (configuration ffffffff, data dddddddd) | plain, as in the paper |  | 1 | 85.0 | 95.0 | – |",
        "|  | dynamic | rate 1 | 1 | 80.0 | 90.0 | -5.0 |",
        "| sotu-small (configuration ffffffff, data eeeeeeee) | plain, as in the paper |  | 1 | 85.0 | 95.0 | – |",
        "|  | dynamic | rate 1 | 1 | 80.0 | 90.0 | -5.0 |",
    ]


def test_only_what_can_be_repeated_is_collected_and_a_store_without_any_has_no_table(tmp_path: Path) -> None:
    assert evaluations(tmp_path, tmp_path) == {}
    for record in (make(1, 120.0), make(2, 120.0, commit="c-dirty"), make(3, 120.0, fingerprint="f")):
        write_evaluation(record, tmp_path / "runs")
    outcome = collect([], tmp_path / "runs", tmp_path / "kept")
    assert outcome.evaluations == list(read_evaluations(tmp_path / "kept")) == [make(1, 120.0)]
    assert list(evaluations(tmp_path / "kept", tmp_path)) == [tmp_path / "evaluations.md"]
