"""The paper's values in W&B stand beside what we measure in the same way, and beside nothing else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.tasks import registry
from benchmark.tasks.base import Config
from benchmark.tracking import logger
from benchmark.tracking.dashboard import Maker
from benchmark.tracking.logger import PAPER, final

TASKS = {row.config.task: row.config for row in registry.ROWS}


def panels(config: Config) -> list[list[str]]:
    """The keys of each panel of a task."""
    reports = SimpleNamespace(
        LinePlot=lambda *, y, **_: y, BarPlot=lambda *, metrics, **_: metrics, WeavePanelSummaryTable=lambda **_: []
    )
    return list(Maker(None, reports, "me", "project").panels(config))


@pytest.mark.parametrize("task", TASKS)
def test_a_papers_value_is_drawn_beside_the_metric_of_its_name(task: str) -> None:
    config = TASKS[task]
    otherwise = {metric.name for metric in config.headline if metric.as_published}
    for keys in panels(config):
        paper = [key.removeprefix(PAPER) for key in keys if key.startswith(PAPER)]
        ours = [key.removeprefix(final("")) for key in keys if not key.startswith(PAPER)]
        assert paper in ([], ours)
        assert not otherwise & set(paper)
    shown = {key for keys in panels(config) for key in keys}
    assert {final(metric.name) for metric in config.primary_metrics()} <= shown
    assert {PAPER + metric.papers_name for metric in (*config.headline, config.training) if metric.primary} <= shown


def test_what_is_measured_otherwise_has_panels_of_its_own() -> None:
    exact, convention = "validation_perplexity", "validation_perplexity_authors_convention"
    assert [exact] in panels(TASKS["language-modeling"])
    assert [final(convention), PAPER + convention] in panels(TASKS["language-modeling"])
    assert [final("test_bleu")] in panels(TASKS["translation"])
    tokenized = "test_bleu_tokenized"
    assert [final(tokenized), PAPER + tokenized] in panels(TASKS["translation"])


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ("ptb-small", {"validation_perplexity_authors_convention": 120.7, "test_perplexity": 114.5}),
        ("wmt14-large", {"test_perplexity": 5.8, "test_bleu_tokenized": 25.9}),
        ("mscoco", None),
        ("espeak-large", {}),
    ],
)
def test_the_papers_values_are_logged_by_the_name_of_what_is_measured_alike(
    row: str, right: dict[str, float] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Started(logger.RunLogger):
        def __init__(self, **_: Any) -> None: ...

        experiment = None

    monkeypatch.setattr(logger, "RunLogger", Started)
    found = logger._start(registry.find(row), 1, "run", tmp_path, "offline").paper
    published = registry.find(row).published
    expected = right if right is not None else dict(published.metrics) if published else {}
    assert found == {PAPER + name: value for name, value in expected.items()}
