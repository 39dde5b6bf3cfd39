"""Weights & Biases: follows runs, never stops one."""

import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from lightning.pytorch.loggers import Logger, WandbLogger
from typing_extensions import override

from benchmark.store.records import Record
from benchmark.tasks.base import Row
from datamodules.base import TaskData

PROJECT = "rnnreg"

CONNECT_SECONDS = 3
"""Waited for the server before a run is logged offline."""
FINISH_SECONDS = 20
"""Waited for the last of a run to arrive; what has not by then is on disk."""

TASK = "task"
"""Key of the task in a run's W&B configuration, besides the fields of its own."""
PAPER = "paper/"
"""Before a metric's name: the paper's value, the same at every step, which makes it a line among the curves."""


def final(metric: str) -> str:
    """Where a final metric stands in a run's W&B summary."""
    return f"final/{metric}"


class RunLogger(WandbLogger):
    """Lightning's logger for W&B, but that a failure of W&B's ends the logging and not the run."""

    broken = False
    paper: Mapping[str, float] = {}
    """The paper's values, logged with every metric."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.attempt(lambda: super(RunLogger, self).log_metrics({**metrics, **self.paper}, step))

    @override
    def log_hyperparams(self, params: Any) -> None:
        """Nothing: the configuration is given at the start, and a model's own parameters hold its vocabulary."""

    @override
    def finalize(self, status: str) -> None:
        self.attempt(lambda: super(RunLogger, self).finalize(status))

    def attempt(self, log: Callable[[], Any]) -> None:
        """Log something, unless it failed before."""
        if self.broken:
            return
        try:
            log()
        except Exception as error:  # whatever is wrong with W&B must not cost a run
            self.broken = True
            _warn("W&B is off for the rest of this run", error)


def log_record(logger: object, record: Record, folder: Path, data: TaskData) -> None:
    """Log what a finished run leaves: its final metrics, samples as a table with their pictures, its record.

    Args:
        logger: the run's; nothing is done where it is not W&B's.
        record: of the run.
        folder: of the run in its store.
        data: the run's data, which has the samples' pictures.
    """
    if not isinstance(logger, RunLogger):
        return

    def log() -> None:
        import wandb

        run = logger.experiment
        run.summary.update({final(name): value for name, value in record.metrics.items()})
        if samples := record.samples:
            pictures = [data.picture(sample) for sample in samples]
            columns: list[str | int] = [*samples[0], *(["image"] if any(pictures) else [])]
            table = wandb.Table(columns=columns)
            for sample, picture in zip(samples, pictures, strict=True):
                texts = [", ".join(value) if isinstance(value, list) else value for value in sample.values()]
                table.add_data(*texts, *([wandb.Image(picture)] if picture else []))
            run.log({"samples": table})
        artifact = wandb.Artifact(identifier(record.run), type="record", metadata=record.metrics)
        artifact.add_file(str(folder / "record.json"))
        run.log_artifact(artifact)

    logger.attempt(log)


def make_logger(mode: str, row: Row, seed: int, run: str, folder: Path) -> Logger | bool:
    """A W&B logger for one run, or False when W&B is off or cannot be had.

    Args:
        mode: auto (what WANDB_MODE says, else online when the user is logged in, else offline), online, offline or off.
        row: gives the group, the tags and the configuration.
        seed: part of the configuration.
        run: name of the run in its store; the W&B id follows from it, so that a resumed run goes on in its own curve.
        folder: takes the W&B files.
    """
    if mode == "off":
        return False
    os.environ.setdefault("WANDB_SILENT", "true")  # its hints would break the progress bars
    try:
        import wandb

        wandb.setup()  # takes the silence up
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        if mode == "disabled":
            return False
        if mode == "online" and not reachable():
            _warn("W&B is not reached, this run is logged offline", "`rnnreg dashboard --sync` uploads it later")
            mode = "offline"
        if mode == "online":
            try:
                return _start(row, seed, run, folder, "online")
            except Exception as error:  # such as a wrong key
                _warn("W&B refuses this run, it is logged offline", error)
                wandb.teardown()  # which otherwise takes the run to be open
        return _start(row, seed, run, folder, "offline")
    except Exception as error:  # whatever is wrong with W&B must not cost a run
        _warn("W&B is off for this run", error)
        return False


def _start(row: Row, seed: int, run: str, folder: Path, mode: Literal["online", "offline"]) -> RunLogger:
    """Start W&B now, where a failure can still be passed over."""
    import wandb

    logger = RunLogger(
        project=PROJECT,
        name=f"{row.name} seed {seed}",
        id=identifier(run),
        group=row.name,
        tags=[row.config.task, row.size, "dropout" if row.config.dropout else "no dropout", *row.profiles],
        save_dir=folder,
        offline=mode == "offline",
        config={**asdict(row.config), TASK: row.config.task, "seed": seed},
        settings=wandb.Settings(
            # Nothing of the machine or the user beyond the run itself; short limits, so that no network is no wait.
            mode=mode,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_save_requirements=False,
            program="rnnreg",  # not where it is installed
            host="not logged",
            silent=True,
            init_timeout=20,
            finish_timeout=FINISH_SECONDS,
        ),
    )
    if row.published and not row.published.on:
        logger.paper = {PAPER + name: value for name, value in row.published.metrics.items()}
    _ = logger.experiment
    return logger


def identifier(run: str) -> str:
    """What W&B calls a run: its name in the store, in the letters that W&B allows."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", run)[-128:]


def logged_in() -> bool:
    """Whether this machine has W&B credentials; asks nobody and no network."""
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.errors.UsageError:
        return False


def reachable() -> bool:
    """Whether W&B's server takes a connection, so that a run need not wait to find out."""
    import wandb

    address = urlsplit(str(wandb.setup().settings.base_url))
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        socket.create_connection((address.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        return bool(proxy_for(address.scheme))  # behind a proxy it is the proxy's to say
    return True


def proxy_for(scheme: str) -> str:
    """The proxy that the environment names for a scheme, empty if none."""
    return getproxies().get(scheme, "")


def finish() -> None:
    """Close the W&B run of this process, if there is one."""
    if wandb := sys.modules.get("wandb"):
        try:
            wandb.finish()
        except Exception as error:
            _warn("W&B could not finish", error)


def _warn(what: str, error: Exception | str) -> None:
    lines = str(error).splitlines()
    logging.getLogger("rnnreg").warning("%s: %s", what, lines[0] if lines else type(error).__name__)
