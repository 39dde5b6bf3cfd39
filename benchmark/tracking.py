"""Weights & Biases: follows runs, never stops one."""

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path

from lightning.pytorch.loggers import Logger, WandbLogger

from benchmark import UserError
from benchmark.configs import Row

MODES = ("auto", "online", "offline", "off")

PROJECT = "rnnreg"


def make_logger(mode: str, row: Row, seed: int, run: str, folder: Path) -> Logger | bool:
    """A W&B logger for one run, or False when W&B is off or cannot be had.

    Args:
        mode: auto (online when the user is logged in, offline otherwise), online, offline or off.
        row: gives the group, the tags and the configuration.
        seed: part of the configuration.
        run: name of the run in its store; the W&B id follows from it, so that a resumed run goes on in its own curve.
        folder: takes the W&B files.

    Raises:
        UserError: there is no such mode.
    """
    if mode not in MODES:
        raise UserError(f"--wandb {mode}: must be one of {', '.join(MODES)}")
    if mode == "off":
        return False
    os.environ.setdefault("WANDB_SILENT", "true")  # its hints would break the progress bars
    try:
        import wandb

        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        logger = WandbLogger(
            project=PROJECT,
            name=f"{row.name} seed {seed}",
            id=run.replace("/", "-"),
            group=row.name,
            tags=[row.config.task, row.size, "dropout" if row.config.dropout else "no dropout", *row.profiles],
            save_dir=folder,
            offline=mode != "online",
            config={**asdict(row.config), "seed": seed},
            settings=wandb.Settings(
                # Nothing of the machine or the user beyond the run itself; short limits, so that no network is no wait.
                mode="online" if mode == "online" else "offline",
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                silent=True,
                init_timeout=20,
                finish_timeout=60,
            ),
        )
        _ = logger.experiment  # starts W&B now, where a failure can still be passed over
    except Exception as error:  # whatever is wrong with W&B must not cost a run
        logging.getLogger("rnnreg").warning(
            "W&B is off for this run: %s", str(error).splitlines()[0] if str(error) else error
        )
        return False
    return logger


def logged_in() -> bool:
    """Whether this machine has W&B credentials; asks nobody and no network."""
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.errors.UsageError:
        return False


def finish() -> None:
    """Close the W&B run of this process, if there is one."""
    if wandb := sys.modules.get("wandb"):
        try:
            wandb.finish()
        except Exception as error:
            logging.getLogger("rnnreg").warning("W&B could not finish: %s", error)
