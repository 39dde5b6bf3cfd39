"""One run: a row and a seed become a record."""

import ctypes
import datetime
import logging
import pickle
import platform
import shlex
import statistics
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from typing_extensions import override

from benchmark import UserError
from benchmark.configs import Row
from benchmark.records import Record, Store, checksum_arrays, run_name
from benchmark.tracking import log_record, make_logger
from datamodules.base import TaskData
from models.base import TaskModel

CHECKPOINT = "last.ckpt"

STEPS_BETWEEN_LOGS = 50
"""Of the training loss; all else is logged once an epoch."""

Progress = Callable[[int, int], None]
"""Called after each epoch with the number of epochs done and the number in all."""


class Interrupted(UserError):
    """The user stopped a run; its state is kept and the message says how to go on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how to run, which does not change what is trained."""

    data: Path = Path("data")
    """Folder that holds the data, one folder per source."""
    store: Path = Path("runs")
    """Folder that takes records, checkpoints and logs."""
    accelerator: str = "auto"
    """Device kind, as Lightning names it: auto, cpu, gpu."""
    threads: int | None = None
    """CPU threads of one run; as many as there are cores if not given."""
    wandb: str = "auto"
    """Weights & Biases: auto (online when logged in, else offline), online, offline or off."""


def train(
    row: Row, seed: int, options: Options, *, progress: Progress | None = None, command: str | None = None
) -> Record:
    """Train and evaluate one run, or return its record when the store has it already.

    A run that was stopped goes on after its last finished epoch.

    Args:
        row: what to train.
        seed: seed of initialisation, dropout masks and data order.
        options: where and how.
        progress: told of each epoch; without it the run shows a progress bar, or in a log one line an epoch.
        command: what rebuilds the run, for the record.

    Raises:
        UserError: bad data, an unusable output folder or checkpoint, a diverged training, an interrupt.
    """
    warnings.filterwarnings("ignore", ".*does not have many workers.*|.*exists and is not empty.*")
    warnings.filterwarnings("ignore", ".*was called on a metric that|.*`isinstance\\(treespec, LeafSpec\\)`.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    on_terminal = progress is None and sys.stderr.isatty()
    if progress is None and not on_terminal:
        progress = print_epoch
    if options.threads:
        torch.set_num_threads(options.threads)
    keep_freed_memory()

    data = row.config.datamodule(options.data)
    data.prepare_data()
    data.seed = seed
    data.setup("fit")
    fingerprint = row.config.fingerprint()
    run = run_name(row.name, seed, fingerprint, data.sha256)
    store = Store(options.store)
    if record := store.find(run):
        return record
    folder = writable(options.store / run)
    torch.manual_seed(mix(seed, 0))
    model = build_model(row, data)
    resume = check_checkpoint(folder / CHECKPOINT, model)
    curve = CurveRecorder(seed, data.units_per_epoch, progress)
    logger = make_logger(options.wandb, row, seed, run, folder)
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=1,
        max_epochs=row.config.epochs,
        gradient_clip_val=row.config.clip,
        callbacks=[curve, ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)],
        logger=logger,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=on_terminal,
        enable_model_summary=False,
    )
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
        begin = time.perf_counter()
        trainer.test(model, datamodule=data, verbose=False)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C, after it has shut down in order
        done = len(curve.epochs)
        raise Interrupted(
            f"interrupted after epoch {done} of {row.config.epochs}, which is kept; the same command goes on from there"
        ) from stop
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    arrays = {split: values.cpu().numpy().astype(np.float16) for split, values in model.log_probabilities.items()}

    record = Record(
        row=row.name,
        task=row.config.task,
        seed=seed,
        configuration=asdict(row.config),
        fingerprint=fingerprint,
        protocol=row.config.protocol,
        data_sha256=data.sha256,
        metrics=metrics,
        curve=curve.epochs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        throughput=statistics.median(epoch["throughput"] for epoch in curve.epochs),
        unit=row.config.unit,
        wall_seconds=sum(epoch["seconds"] for epoch in curve.epochs) + time.perf_counter() - begin,
        device=describe_device(trainer),
        versions=describe_versions(),
        commit=describe_commit(),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command or rebuild_command(row.name, seed),
        log_probabilities_sha256=checksum_arrays(arrays),
        details={**data.details, **model.details},
    )
    store.write(record, arrays)
    log_record(logger, record, folder, data)
    return record


def rebuild_command(
    row: str, seed: int, rows_file: Path | None = None, changes: Mapping[str, Any] | None = None
) -> str:
    """The command line that trains a run again: its row, seed, the user's rows file and overridden fields."""
    words = ["rnnreg", "run", row, "--seed", str(seed), *(["--rows_file", str(rows_file)] if rows_file else [])]
    return shlex.join([*words, *(f"--{name}={value}" for name, value in (changes or {}).items())])


def print_epoch(epoch: int, epochs: int) -> None:
    """One line for a log."""
    print(f"epoch {epoch} of {epochs}", flush=True)


class CurveRecorder(Checkpoint):
    """Keeps the learning curve, and gives each epoch its own random numbers, so that a resumed run is the same run.

    A Checkpoint to Lightning, so that it is called after the model has logged the epoch and before it is saved.
    """

    def __init__(self, seed: int, units_per_epoch: int, progress: Progress | None) -> None:
        self.seed, self.units_per_epoch, self.progress = seed, units_per_epoch, progress
        self.epochs: list[dict[str, float]] = []
        self._lr = self._begin = self._trained = 0.0

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]
        self._begin = time.perf_counter()

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:  # not at the start of the epoch: a fresh data loader draws a number, a resumed one does not
            torch.manual_seed(mix(self.seed, trainer.current_epoch + 1))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.loggers and trainer.global_step % STEPS_BETWEEN_LOGS == 0:
            self._log(trainer, {"training_loss": float(outputs["loss"])})

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._trained = time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not all(np.isfinite(list(metrics.values()))):
            raise UserError(
                f"training diverged in epoch {trainer.current_epoch + 1}: {metrics}; a smaller lr or clip may help"
            )
        self.epochs.append(
            {
                "epoch": trainer.current_epoch + 1,
                "lr": self._lr,
                **metrics,
                "seconds": time.perf_counter() - self._begin,
                "throughput": self.units_per_epoch / (self._trained - self._begin),
            }
        )
        self._log(trainer, {name: self.epochs[-1][name] for name in ("lr", "seconds", "throughput")})
        if self.progress:
            self.progress(len(self.epochs), trainer.max_epochs or 0)

    def _log(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, trainer.global_step)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]


def keep_freed_memory() -> None:
    """Have glibc keep the large blocks that each step frees, instead of giving them back to the system.

    Without it every step of a CPU run faults its logits in again page by page, which costs up to a third of its speed.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-2, 1 << 28)  # M_TOP_PAD
    except (OSError, AttributeError):
        return  # another C library: only the speed differs


def mix(seed: int, epoch: int) -> int:
    """A seed for one epoch of one run, unrelated to that of any other; epoch 0 is the initialisation."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def build_model(row: Row, data: TaskData) -> TaskModel:
    """The row's model.

    Raises:
        UserError: the row's backbone cannot be loaded, or not called as RegularizedLSTM is.
    """
    try:
        return row.config.model(data)
    except (ValueError, TypeError) as error:
        raise UserError(f"{row.name}: cannot build the model: {error}") from error


def check_checkpoint(path: Path, model: TaskModel) -> Path | None:
    """The checkpoint to resume from, None if there is none yet.

    Raises:
        UserError: it is there but is not a whole checkpoint, or one of another model or vocabulary.
    """
    if not path.exists():
        return None
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        saved = checkpoint["state_dict"] and checkpoint["hyper_parameters"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not a whole checkpoint ({type(error).__name__}); delete it to train this run from the start"
        ) from error
    own = dict(model.hparams)
    if other := [name for name in sorted({*own, *saved}) if own.get(name) != saved.get(name)]:
        raise UserError(f"{path} is of another run: its {', '.join(other)} differ; delete it to train this run anew")
    return path


def writable(folder: Path) -> Path:
    """Make a folder.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; name another folder with --store") from error
    return folder


def describe_device(trainer: Trainer) -> str:
    """What a run trains on, as a reader would name it."""
    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(trainer.strategy.root_device)
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU {name}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def describe_versions() -> dict[str, str]:
    """Python, the packages and the kind of processor that decide the numbers, to the last bit."""
    packages = ("torch", "lightning", "torchmetrics", "numpy")
    found = {"python": platform.python_version(), **{package: version(package) for package in packages}}
    return {**found, "processor": describe_processor()}


def describe_processor() -> str:
    """What tells processors apart that round differently: vendors sell several generations under one name."""
    fields = dict.fromkeys(("cpu family", "model", "stepping"), "?")
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = (part.strip() for part in line.partition(":"))
            if fields.get(name) == "?":
                fields[name] = value
    named = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{platform.machine()}, {named}, {torch.backends.cpu.get_cpu_capability()}"


def describe_commit() -> str:
    """The suite's own commit, marked when its working tree had changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("-dirty" if changed.strip() else "")
