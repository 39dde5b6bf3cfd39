"""Logging to Weights & Biases (W&B), whose failures never stop a run."""

import logging
import os
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from lightning.pytorch.loggers import Logger, WandbLogger
from typing_extensions import override

from benchmark.store.records import CHECKPOINT, RECORD, Record
from benchmark.tasks.base import Row
from datamodules.base import TaskData

PROJECT = "rnnreg"

CONNECT_SECONDS = 3
"""Time to wait for the server before a run is logged offline."""
FINISH_SECONDS = 20
"""Time to wait for the end of a run to be uploaded; it is on disk in any case."""

TASK = "task"
"""Key of the task in a run's W&B configuration, beside the fields of the run's own configuration."""
PAPER = "paper/"
"""Prefix of a metric's name for the paper's value, which is logged at every step to be a line among the curves.

The name is that of our metric that is measured in the same way.
"""


def final(metric: str) -> str:
    """Key of a final metric in a run's W&B summary."""
    return f"final/{metric}"


class RunLogger(WandbLogger):
    """Lightning's logger for W&B, except that a failure of W&B ends the logging and not the run."""

    broken = False
    paper: Mapping[str, float] = {}
    """The paper's values, which are logged with all metrics."""
    lines: "Lines | None" = None
    """What earlier sittings of the run have logged, which is not logged again."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.lines is None or step is None or self.lines.is_new(step):
            self.attempt(lambda: super(RunLogger, self).log_metrics({**metrics, **self.paper}, step))

    @override
    def log_hyperparams(self, params: Any) -> None:
        """Log nothing: W&B gets the configuration at the start, and a model's parameters hold its vocabulary."""

    @override
    def finalize(self, status: str) -> None:
        self.attempt(lambda: super(RunLogger, self).finalize(status))

    def attempt(self, log: Callable[[], Any]) -> None:
        """Call a function that logs something, unless W&B failed before."""
        if self.broken:
            return
        try:
            log()
        except Exception as error:  # W&B failures never stop a run
            self.broken = True
            _warn("W&B is off for the rest of this run", error)


class Lines:
    """The lines of a run's curve that have been logged, kept between sittings.

    A run that is stopped within an epoch resumes at the beginning of that epoch and passes the same steps once more,
    with the same values.

    Args:
        path: file of the step of each line, one a line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: Counter[str] = Counter()
        self.now: Counter[str] = Counter()
        with suppress(OSError):  # without the file, the lines of an epoch may be logged twice
            self.before.update(path.read_text().split())

    def is_new(self, step: int) -> bool:
        """Whether the next line, of this step, has not been logged before; it counts as logged from now on."""
        self.now[str(step)] += 1
        if self.now[str(step)] <= self.before[str(step)]:
            return False
        with suppress(OSError), self.path.open("a") as file:
            file.write(f"{step}\n")
        return True


def log_record(logger: object, record: Record, folder: Path, data: TaskData, with_model: bool = False) -> None:
    """Log the results of a finished run: its final metrics, its samples as a table with pictures, its record.

    Args:
        logger: logger of the run; without W&B nothing is done.
        record: record of the run.
        folder: folder of the run in its store.
        data: data of the run, which has the samples' pictures.
        with_model: whether the checkpoint is logged too, as an artifact of type model.
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
        artifact.add_file(str(folder / RECORD))
        run.log_artifact(artifact)
        if with_model:
            model = wandb.Artifact(f"{identifier(record.run)}-model", type="model", metadata=record.metrics)
            model.add_file(str(folder / CHECKPOINT))
            model.add_file(str(folder / RECORD))  # `models.load` takes the folder that holds both
            run.log_artifact(model, aliases=["latest", identifier(record.row), f"seed-{record.seed}"])

    logger.attempt(log)


def make_logger(mode: str, row: Row, seed: int, run: str, folder: Path) -> Logger | bool:
    """A W&B logger for one run, or False if W&B is off or fails.

    Falls back to offline logging if W&B rejects the API key or cannot be reached.

    Args:
        mode: auto (WANDB_MODE if set, else online if the user is logged in, else offline), online, offline or off.
        row: row of the run, which gives the group, the tags and the configuration.
        seed: seed of the run, part of the configuration.
        run: name of the run in its store; the W&B id follows from it, so that a resumed run continues its own curve.
        folder: folder for the files of W&B.
    """
    if mode == "off":
        return False
    os.environ.setdefault("WANDB_SILENT", "true")  # its hints would break the progress bars
    try:
        import wandb

        wandb.setup()  # reads WANDB_SILENT
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        if mode == "disabled":
            return False
        if mode == "online" and not reachable():
            _warn("W&B cannot be reached, this run is logged offline", "`rnnreg dashboard --sync` uploads it later")
            mode = "offline"
        if mode == "online":
            try:
                return _start(row, seed, run, folder, "online")
            except Exception as error:  # such as a wrong key
                _warn("W&B rejects this run, it is logged offline", error)
                wandb.teardown()  # else it takes the run to be open
        return _start(row, seed, run, folder, "offline")
    except Exception as error:  # W&B failures never stop a run
        _warn("W&B is off for this run", error)
        return False


def _start(row: Row, seed: int, run: str, folder: Path, mode: Literal["online", "offline"]) -> RunLogger:
    """Start W&B now, while a failure can still be handled."""
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
            # Nothing about the machine or the user beyond the run itself; short limits, so that runs do not wait.
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
        figures = row.published.by_our_names(row.config.shown_metrics())
        logger.paper = {PAPER + name: value for name, value in figures.items()}
    _ = logger.experiment
    logger.lines = Lines(folder / "wandb" / "logged-steps")
    return logger


def identifier(run: str) -> str:
    """W&B's id of a run: its name in the store, in the characters that W&B allows."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", run)[-128:]


def logged_in() -> bool:
    """Whether this machine has W&B credentials, found without a prompt or the network."""
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.errors.UsageError:
        return False


def reachable() -> bool:
    """Whether W&B's server accepts a connection, found out faster than by starting a run."""
    import wandb

    address = urlsplit(str(wandb.setup().settings.base_url))
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        socket.create_connection((address.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        return bool(proxy_for(address.scheme))  # behind a proxy only the proxy knows
    return True


def proxy_for(scheme: str) -> str:
    """The proxy that the environment names for a URL scheme, empty if there is none."""
    return getproxies().get(scheme, "")


def finish() -> None:
    """Close the W&B run of this process, if there is one."""
    if wandb := sys.modules.get("wandb"):
        try:
            wandb.finish()
        except Exception as error:
            _warn("W&B could not finish", error)


def _warn(message: str, reason: Exception | str) -> None:
    lines = str(reason).splitlines()
    logging.getLogger("rnnreg").warning("%s: %s", message, lines[0] if lines else type(reason).__name__)
