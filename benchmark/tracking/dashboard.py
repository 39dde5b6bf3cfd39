"""W&B workspace and report as code, and the upload of what was logged offline."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.tasks import registry
from benchmark.tasks.base import Config
from benchmark.tracking.logger import PAPER, TASK, final
from datamodules.errors import UserError

TITLE = "Recurrent Neural Network Regularization"
MEMORY = "dashboard.json"
"""In the store: where workspace and report were made, so that the next time updates them."""


def upload(store: Path, entity: str, project: str) -> list[str]:
    """Upload runs that were logged offline; W&B marks those that arrived.

    Returns:
        One line for each that did not.
    """
    folders = [path.parent for path in sorted(store.rglob("offline-run-*/run-*.wandb"))]
    waiting = [folder for folder in folders if not list(folder.glob("*.synced"))]
    failed = []
    for number, folder in enumerate(waiting, 1):
        where = [*(["--entity", entity] if entity else []), "--project", project]
        command = [sys.executable, "-m", "wandb", "sync", *where, str(folder.resolve())]
        logs = {**os.environ, "WANDB_DIR": str(store.resolve())}
        done = subprocess.run(command, capture_output=True, text=True, env=logs)
        name = folder.parent.parent.relative_to(store)
        arrived = done.returncode == 0 and list(folder.glob("*.synced"))
        print(f"[{number}/{len(waiting)}] {name}: {'uploaded' if arrived else 'FAILED'}", flush=True)
        if not arrived:
            said = (done.stderr or done.stdout).strip().splitlines()
            failed.append(f"{name}: {said[-1] if said else 'wandb sync gave no reason'}")
    if not waiting:
        print("nothing to upload")
    return failed


def _tasks() -> dict[str, Config]:
    """A configuration of each task."""
    return {row.config.task: row.config for row in registry.ROWS}


def _panels(config: Config, reports: Any) -> Iterator[Any]:
    """The panels of one task, the same in the workspace and in the report."""
    by_row = {"groupby": "Group", "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
    validation = config.validation_metric()
    lower = validation.better == "lower"
    for metric in (config.training, validation):
        lines = [metric.name, PAPER + metric.name]
        yield reports.LinePlot(title=metric.label, x="epoch", y=lines, log_y=lower, **by_row)
    for metric in config.primary_metrics():
        bars = [final(metric.name), PAPER + metric.name]
        yield reports.BarPlot(title=f"{metric.label}, the paper's beside it", metrics=bars, **by_row)
    yield reports.LinePlot(title=f"{config.unit} per second", x="epoch", y=["throughput"], **by_row)
    yield reports.WeavePanelSummaryTable(table_name="samples")


def _workspace(
    workspaces: Any, reports: Any, entity: str, project: str, panels: dict[str, list[Any]], url: str | None
) -> str:
    sections = [workspaces.Section(name=task, panels=several, is_open=True) for task, several in panels.items()]
    if url:
        workspace = workspaces.Workspace.from_url(url)
        workspace.sections = sections
    else:
        workspace = workspaces.Workspace(entity=entity, project=project, name=TITLE, sections=sections)
    workspace.save()
    return str(workspace.url)


def _report(
    workspaces: Any, reports: Any, entity: str, project: str, panels: dict[str, list[Any]], url: str | None
) -> str:
    blocks = [
        reports.MarkdownBlock(
            "Dropout on the non-recurrent connections of LSTMs (arXiv:1409.2329). Lines are means over seeds, bands go "
            "from the lowest run to the highest. Made by `rnnreg dashboard`."
        )
    ]
    for task, several in panels.items():
        runs = reports.Runset(entity=entity, project=project, name=task, filters=f"Config('{TASK}') = '{task}'")
        blocks += [reports.H2(task), reports.PanelGrid(runsets=[runs], panels=several)]
    if url:
        report = reports.Report.from_url(url)
        report.blocks = blocks
    else:
        report = reports.Report(entity=entity, project=project, title=TITLE, blocks=blocks)
    report.save()
    return str(report.url)


def _remembered(store: Path, entity: str, project: str) -> dict[str, str]:
    try:
        return dict(json.loads((store / MEMORY).read_text()).get(_place(entity, project), {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember(store: Path, entity: str, project: str, made: dict[str, str]) -> None:
    path = store / MEMORY
    try:
        known = json.loads(path.read_text()) if path.exists() else {}
        store.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**known, _place(entity, project): made}, indent=1) + "\n")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {path} ({error}); the next time makes a second dashboard") from error


def _place(entity: str, project: str) -> str:
    return f"{os.environ.get('WANDB_BASE_URL', '')}/{entity}/{project}"
