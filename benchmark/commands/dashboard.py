"""The command that makes the W&B workspace and report."""

import importlib
import os
from pathlib import Path

from datamodules.errors import UserError


def dashboard(
    entity: str = "", project: str = "rnnreg", store: Path = Path("runs"), sync: bool = False, base_url: str = ""
) -> int:
    """Make the W&B workspace and report of the suite, or bring those that were made before up to date.

    For each task: learning curves with the paper's value as a line, what dropout does, throughput, samples.

    Args:
        entity: W&B user or team; the account's own if not given.
        project: W&B project of the runs.
        store: folder of the runs.
        sync: first upload the runs of the store that were logged offline.
        base_url: of a W&B server of your own.
    """
    from benchmark.tracking.dashboard import _panels, _remember, _remembered, _report, _tasks, _workspace, upload

    if base_url:
        os.environ["WANDB_BASE_URL"] = base_url
    os.environ.setdefault("WANDB_SILENT", "true")
    failed = upload(store, entity, project) if sync else []
    try:
        import wandb

        workspaces = importlib.import_module("wandb_workspaces.workspaces")
        reports = importlib.import_module("wandb_workspaces.reports.v2")
    except ImportError as error:
        raise UserError(f"needs wandb-workspaces ({error}): pip install -e '.[dashboard]'") from error
    try:
        entity = entity or str(wandb.Api().default_entity or "")
        if not entity:
            raise UserError("W&B says no default user or team; give one with --entity")
        api = wandb.Api()
        if project not in {found.name for found in api.projects(entity)}:
            api.create_project(project, entity)
        made = _remembered(store, entity, project)
        panels = {task: list(_panels(config, reports)) for task, config in _tasks().items()}
        for kind, make in (("workspace", _workspace), ("report", _report)):
            made[kind] = make(workspaces, reports, entity, project, panels, made.get(kind))
            _remember(store, entity, project, made)
            print(f"{kind}: {made[kind]}")
    except UserError:
        raise
    except Exception as error:  # network, key, permission: all of them the user's to set right
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"W&B: {reason[:300]}; `wandb login` sets the key, runs stay where they are") from error
    if failed:
        raise UserError(f"not uploaded, and kept: {'; '.join(failed)}")
    return 0
