"""The command that makes the W&B workspace and report."""

import os
from pathlib import Path

from benchmark.training.options import STORE
from datamodules.errors import UserError


def dashboard(
    entity: str = "", project: str = "rnnreg", store: Path = STORE, sync: bool = False, base_url: str = ""
) -> int:
    """Make or update the suite's W&B workspace and report.

    For each task they show learning curves with the paper's value as a line, the effect of dropout, throughput and
    samples.

    Args:
        entity: W&B user or team; by default the account's own.
        project: W&B project of the runs.
        store: Folder of the runs.
        sync: First upload the runs of the store that were logged offline.
        base_url: Address of a W&B server of your own.
    """
    from benchmark.tracking.dashboard import make_dashboard, upload

    if base_url:
        os.environ["WANDB_BASE_URL"] = base_url
    os.environ.setdefault("WANDB_SILENT", "true")
    failed = upload(store, entity, project) if sync else []
    kept = f"not uploaded, and kept: {'; '.join(failed)}"
    try:
        make_dashboard(entity, project, store)
    except UserError as error:
        raise UserError(f"{kept}; and {error}" if failed else str(error)) from error
    if failed:
        raise UserError(kept)
    return 0
