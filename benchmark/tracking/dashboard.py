"""The W&B workspace and report as code, and the upload of runs that were logged offline."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.files import replacing
from benchmark.formatting import count
from benchmark.tasks import registry
from benchmark.tasks.base import Config
from benchmark.tracking.logger import PAPER, TASK, final, reachable
from datamodules.errors import UserError

TITLE = "Recurrent Neural Network Regularization"
MEMORY = "dashboard.json"
"""File in the store with the addresses of workspace and report, so that they are updated the next time."""


def make_dashboard(entity: str, project: str, store: Path) -> None:
    """Make the workspace and the report of the suite, or update those made before; print their addresses.

    Args:
        entity: W&B user or team; empty for the account's own.
        project: W&B project of the runs, which is made if there is none.
        store: folder of the runs, which remembers the addresses.

    Raises:
        UserError: wandb-workspaces is not installed, or W&B cannot be reached or rejects the key or the request.
    """
    workspaces, reports = _libraries()
    with _failures_in_one_line():
        import wandb

        api = wandb.Api()
        entity = entity or str(api.default_entity or "")
        if not entity:
            raise UserError("W&B says no default user or team; give one with --entity")
        if project not in {found.name for found in api.projects(entity)}:
            api.create_project(project, entity)
        maker = Maker(workspaces, reports, entity, project)
        addresses = _remembered(store, entity, project)
        for kind, make in (("workspace", maker.workspace), ("report", maker.report)):
            addresses[kind] = make(addresses.get(kind))
            _remember(store, entity, project, addresses)
            print(f"{kind}: {addresses[kind]}")


def upload(store: Path, entity: str, project: str) -> list[str]:
    """Upload runs that were logged offline; W&B marks what arrives.

    The sittings of a run that was stopped and resumed are sent together: W&B then sends them in the order of their
    start, each after the lines of those before it, so that they are one curve.

    Returns:
        A line for each run that did not arrive.
    """
    runs: dict[Path, list[Path]] = {}
    for path in sorted(store.rglob("offline-run-*/run-*.wandb")):
        if not list(path.parent.glob("*.synced")):
            runs.setdefault(path.parent.parent.parent, []).append(path.parent)
    if not runs:
        print("nothing to upload")
        return []
    if not reachable():  # `wandb sync` would try for minutes
        return [f"{count(len(runs), 'run')}: W&B's server cannot be reached"]
    failed = []
    for number, (run, sittings) in enumerate(runs.items(), 1):
        destination = [*(["--entity", entity] if entity else []), "--project", project]
        command = [sys.executable, "-m", "wandb", "sync", *destination, *map(str, sittings)]
        # Silenced, as this process is, it would not say why it fails.
        environment = {**os.environ, "WANDB_DIR": str(store.resolve()), "WANDB_SILENT": "false"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        name = run.relative_to(store)
        arrived = done.returncode == 0 and all(list(folder.glob("*.synced")) for folder in sittings)
        print(f"[{number}/{len(runs)}] {name}: {'uploaded' if arrived else 'FAILED'}", flush=True)
        if not arrived:
            failed.append(f"{name}: {_reason(done.stdout + done.stderr)}")
    return failed


def _reason(said: str) -> str:
    """The reason that `wandb sync` gives for a failure: its first error, not the place of its log that it ends with."""
    errors = [match[1] for match in re.finditer(r"^(?:wandb: )?(?:ERROR|Error:) +(.*)$", said, re.MULTILINE)]
    reasons = [error for error in errors if "error logs at" not in error]
    return (reasons or ["wandb sync gave no reason"])[0]


@dataclass(frozen=True)
class Maker:
    """Makes or updates the workspace and the report of one project.

    Args:
        workspaces: module wandb_workspaces.workspaces.
        reports: module wandb_workspaces.reports.v2.
        entity: W&B user or team.
        project: W&B project of the runs.
    """

    workspaces: Any
    reports: Any
    entity: str
    project: str

    def workspace(self, address: str | None) -> str:
        """Make the workspace, or update the one at an address; return its address."""
        sections = [
            self.workspaces.Section(name=task, panels=list(self.panels(config)), is_open=True)
            for task, config in _tasks().items()
        ]
        if address:
            workspace = self.workspaces.Workspace.from_url(address)
            workspace.sections = sections
        else:
            workspace = self.workspaces.Workspace(
                entity=self.entity, project=self.project, name=TITLE, sections=sections
            )
        workspace.save()
        return str(workspace.url)

    def report(self, address: str | None) -> str:
        """Make the report, or update the one at an address; return its address."""
        blocks = [
            self.reports.MarkdownBlock(
                "Dropout on the non-recurrent connections of LSTMs (arXiv:1409.2329). Lines are means over seeds; "
                "bands extend from the lowest run to the highest. Made by `rnnreg dashboard`."
            )
        ]
        for task, config in _tasks().items():
            runs = self.reports.Runset(
                entity=self.entity, project=self.project, name=task, filters=f"Config('{TASK}') = '{task}'"
            )
            grid = self.reports.PanelGrid(runsets=[runs], panels=list(self.panels(config)))
            blocks += [self.reports.H2(task), grid]
        if address:
            report = self.reports.Report.from_url(address)
            report.blocks = blocks
        else:
            report = self.reports.Report(entity=self.entity, project=self.project, title=TITLE, blocks=blocks)
        report.save()
        return str(report.url)

    def panels(self, config: Config) -> Iterator[Any]:
        """The panels of one task, the same in the workspace and in the report."""
        by_row = {"groupby": "Group", "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
        validation = config.validation_metric()
        lower = validation.better == "lower"
        for metric in (config.training, validation):
            # An epoch's metric is measured in our way; where the paper's is another, its line does not belong there.
            lines = [metric.name, *([PAPER + metric.name] if metric.papers_name == metric.name else [])]
            yield self.reports.LinePlot(title=metric.label, x="epoch", y=lines, log_y=lower, **by_row)
        for metric in config.primary_metrics():
            if metric.papers_name != metric.name:
                yield self.reports.BarPlot(title=metric.label, metrics=[final(metric.name)], **by_row)
        for metric in config.headline:
            if metric.primary or metric.papers_name != metric.name:
                bars = [final(metric.papers_name), PAPER + metric.papers_name]
                title = metric.label if metric.papers_name == metric.name else metric.papers_name.replace("_", " ")
                yield self.reports.BarPlot(title=f"{title}, the paper's beside it", metrics=bars, **by_row)
        yield self.reports.LinePlot(title=f"{config.unit} per second", x="epoch", y=["throughput"], **by_row)
        yield self.reports.WeavePanelSummaryTable(table_name="samples")


def _libraries() -> tuple[Any, Any]:
    """The modules of wandb-workspaces for workspaces and for reports."""
    try:
        workspaces = importlib.import_module("wandb_workspaces.workspaces")
        return workspaces, importlib.import_module("wandb_workspaces.reports.v2")
    except ImportError as error:
        raise UserError(f"needs wandb-workspaces ({error}): pip install -e '.[dashboard]'") from error


@contextmanager
def _failures_in_one_line() -> Iterator[None]:
    """Turn any failure of W&B into a UserError: network, key and permission are the user's to set right."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"W&B: {reason[:300]}; `wandb login` sets the key, the runs are kept") from error


def _tasks() -> dict[str, Config]:
    """A configuration of each task."""
    return {row.config.task: row.config for row in registry.ROWS}


def _remembered(store: Path, entity: str, project: str) -> dict[str, str]:
    try:
        return dict(json.loads((store / MEMORY).read_text()).get(_place(entity, project), {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember(store: Path, entity: str, project: str, addresses: dict[str, str]) -> None:
    path = store / MEMORY
    try:
        known = json.loads(path.read_text()) if path.exists() else {}
        store.mkdir(parents=True, exist_ok=True)
        with replacing(path) as scratch:
            scratch.write_text(json.dumps({**known, _place(entity, project): addresses}, indent=1) + "\n")
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"cannot write {path} ({error}); the next time makes a second dashboard") from error


def _place(entity: str, project: str) -> str:
    return f"{os.environ.get('WANDB_BASE_URL', '')}/{entity}/{project}"
