"""Warnings of Lightning that would only disturb: what they are about is meant so."""

import logging
import warnings


def quieten() -> None:
    """Silence warnings of Lightning about things that are as they should be."""
    for message in (
        ".*does not have many workers.*|.*exists and is not empty.*",
        ".*was called on a metric that|.*`isinstance\\(treespec, LeafSpec\\)`.*",
        ".*`srun` command is available.*",
        ".*sync_dist=True.*",  # metrics are computed over all devices before they are logged
        ".*your dataloader is not resumable.*",  # see Resuming
    ):
        warnings.filterwarnings("ignore", message)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
