"""Training of one run: a row and a seed become a record."""

import datetime
import logging
import multiprocessing
import os
import statistics
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.loggers import Logger

from benchmark.files import writable
from benchmark.store.checkpoints import forget_checkpoint_before, newest_checkpoint
from benchmark.store.diverged import Diverged, keep_diverged, require_finite
from benchmark.store.locks import RunLock
from benchmark.store.provenance import keep_freed_memory, rebuild_command, write_configuration
from benchmark.store.records import CHECKPOINT, CONFIGURATION, Record, Store, checksum_arrays, run_name
from benchmark.tasks.base import Row
from benchmark.tasks.models import build_model
from benchmark.tracking.logger import log_record, make_logger
from benchmark.training.averaging import averaging_callbacks
from benchmark.training.callbacks import CurveRecorder, EpochLines, Progress
from benchmark.training.checkpoints import CheckpointFiles, StateKeeper, resume_within_epochs
from benchmark.training.devices import check_devices, on_devices, rank, started_together
from benchmark.training.endings import Interrupted, Request, interrupted, interrupts_reported, noted
from benchmark.training.first_steps import FirstSteps
from benchmark.training.options import Options, require_at_most
from benchmark.training.precision import on_gpu, precision_plugin, require_precision
from benchmark.training.quiet import quieten
from datamodules.base import TaskData
from datamodules.cache import share_of_cores
from datamodules.order import mix
from models.base import TaskModel


def train(
    row: Row, seed: int, options: Options, *, progress: Progress | None = None, command: str | None = None
) -> Record:
    """Train and evaluate one run, or return its record when the store has it already.

    A run that was stopped resumes from its last checkpoint and ends as if it had not been stopped.

    Args:
        row: the row to train.
        seed: seed of initialization, dropout masks and data order.
        options: where and how to run.
        progress: called after each epoch; without it the run shows a progress bar, or in a log one line an epoch.
        command: the command line that trains the run again, for the record.

    Raises:
        RunLocked: another process is training it.
        CorruptRecord: the store has a record of it that cannot be trusted.
        Interrupted: a signal stopped it; its state is kept.
        DataError: the data is missing or unusable.
        UserError: the output folder or the checkpoint is unusable, the number of devices is impossible, or the training
            diverged.
    """
    require_at_most("--seed", seed)
    require_at_most("--threads", options.threads)
    check_devices(options.devices, options.num_nodes, row.config.batch_size, options.accelerator)
    lock = RunLock(options.store, row.name, seed, row.config.fingerprint())
    command = command or rebuild_command(row.name, seed)
    arguments = (row, seed, options, lock, progress, command)
    with lock.held() if rank() == 0 else nullcontext():
        if options.devices == 1 or started_together():
            return train_locked(*arguments)
        row.config.datamodule(options.data).prepare_data()  # once, not by every process
        try:
            return on_devices(options.devices, train_locked, *arguments)
        except Interrupted as stop:
            raise interrupted(lock, stop.number) from stop


def train_locked(
    row: Row, seed: int, options: Options, lock: RunLock, progress: Progress | None, command: str
) -> Record:
    """Do the work of `train` under its lock, in the only process of the run or in each of several."""
    configure(options)
    data = set_up_data(row, seed, options)
    run = run_name(row.name, seed, lock.fingerprint, data.sha256)
    store = Store(options.store)
    if record := store.find(run):
        require_precision(record, options.precision)
        forget_checkpoint_before(options.store / run)  # a process that was killed here could not
        return record
    alone = multiprocessing.parent_process() is None and not started_together()  # else signals may come twice
    with noted(insist=alone) as request, interrupts_reported(lock):
        training = build(row, seed, options, lock, progress, data, run, request)
        if rank() == 0:
            how = {"precision": options.precision, **arithmetic(training)}
            write_configuration(training.folder / CONFIGURATION, command, asdict(row.config), how)
        if progress is None and rank() == 0:
            say_what_was_read(data)
        try:
            fit(training)
            metrics, seconds = evaluate(training)
        except Diverged as end:
            if rank() == 0:
                keep_diverged(
                    options.store, row=row.name, seed=seed, fingerprint=lock.fingerprint, data_sha256=data.sha256,
                    epoch=end.epoch, precision=options.precision,
                )  # fmt: skip
            raise
    arrays = log_probabilities(training.model)
    record = make_record(training, metrics, seconds, checksum_arrays(arrays), command)
    if training.trainer.is_global_zero:
        store.write(record, arrays, training.model.items)
        forget_checkpoint_before(training.folder)
        lock.clear_progress()
        log_record(training.logger, record, training.folder, data, options.wandb_model)
    return record


def say_what_was_read(data: TaskData) -> None:
    """Print what the data is, before anything is trained on it."""
    if data.summary:
        print(data.summary, flush=True)


@dataclass(frozen=True)
class Training:
    """One run that has been built: everything that it takes to fit, evaluate and record it."""

    row: Row
    lock: RunLock
    folder: Path
    """Folder of the run in its store."""
    data: TaskData
    model: TaskModel
    curve: CurveRecorder
    first_steps: FirstSteps
    logger: Logger | bool
    trainer: Trainer
    checkpoint: Path | None
    """Checkpoint to resume from; None for a run that begins."""


def configure(options: Options) -> None:
    """Set up this process: what it prints, how many threads it uses, how it keeps memory."""
    quieten()
    shared = options.devices > 1 and not on_gpu(options)
    if threads := options.threads or (share_of_cores(options.devices) if shared else None):
        torch.set_num_threads(threads)
        if options.processes > 1:
            os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning's DDP sets a number of its own
    if on_gpu(options):
        torch.set_float32_matmul_precision("high")  # TF32, as PyTorch has it for the LSTM by default
    keep_freed_memory()


def set_up_data(row: Row, seed: int, options: Options) -> TaskData:
    """Prepare and read the data of a run; its checksum is known afterward."""
    data = row.config.datamodule(options.data)
    data.prepare_data()
    data.seed = seed
    data.setup("fit")
    return data


def build(
    row: Row,
    seed: int,
    options: Options,
    lock: RunLock,
    progress: Progress | None,
    data: TaskData,
    run: str,
    request: Request | None = None,
) -> Training:
    """Build the model, initialized by the seed, and the trainer; find the checkpoint to resume from.

    A signal that `request` notes ends the training with its state kept.

    Raises:
        UserError: the run's folder cannot be written, the model cannot be built, or the checkpoint is of another run.
    """
    folder = writable(options.store / run)
    torch.manual_seed(mix(seed, 0))
    model = build_model(row, data)
    model.cuda_graphs = options.cuda_graphs
    said: list[str] = []
    checkpoint = newest_checkpoint(folder, said)
    for line in said:
        logging.getLogger("rnnreg").warning(line)
    resume_within_epochs(data)
    shows_bar = progress is None and sys.stderr.isatty() and rank() == 0
    if progress is None and not shows_bar:
        progress = EpochLines()
    curve = CurveRecorder(seed, data.units_per_epoch, lock, options.precision)
    keeper = StateKeeper(folder / CHECKPOINT, run, request or Request(), options.checkpoint_minutes, lock, progress)
    logger = make_logger(options.wandb, row, seed, run, folder) if rank() == 0 else False
    # A job of a cluster does not make a run one of several processes.
    environment = [] if options.processes > 1 else [LightningEnvironment()]
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy="ddp" if options.processes > 1 else "auto",
        plugins=[CheckpointFiles(), precision_plugin(options), *environment],
        use_distributed_sampler=False,  # TaskData splits each batch
        max_epochs=row.config.epochs,
        gradient_clip_val=row.config.clip,
        check_val_every_n_epoch=1 if row.config.validation_only else options.validate_every,
        # The keeper last, as it keeps the others' state.
        callbacks=[*averaging_callbacks(row.config, options), curve, first_steps := FirstSteps(), keeper],
        logger=logger,
        log_every_n_steps=1,  # CurveRecorder logs what there is within an epoch
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=shows_bar,
        enable_model_summary=False,
    )
    return Training(row, lock, folder, data, model, curve, first_steps, logger, trainer, checkpoint)


def fit(training: Training) -> None:
    """Train for the epochs that are left, with a validation and a checkpoint after each."""
    training.trainer.fit(training.model, datamodule=training.data, ckpt_path=training.checkpoint, weights_only=True)


def evaluate(training: Training) -> tuple[dict[str, float], float]:
    """The final metrics on validation and test data, and the seconds they take; without a test, the last epoch's."""
    if training.row.config.validation_only:
        last = training.curve.epochs[-1].items()
        return {name: value for name, value in last if name.startswith("validation_")}, 0.0
    begin = time.perf_counter()
    training.trainer.test(training.model, datamodule=training.data, verbose=False)
    metrics = {name: float(value) for name, value in training.trainer.callback_metrics.items()}
    require_finite(metrics, len(training.curve.epochs), "by the final evaluation")
    return metrics, time.perf_counter() - begin


def log_probabilities(model: TaskModel) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.float16]]"]:
    """Log-probabilities that the model gave the true tokens in the final evaluation, per split, as stored."""
    return {split: values.cpu().numpy().astype(np.float16) for split, values in model.log_probabilities.items()}


def arithmetic(training: Training) -> dict[str, Any]:
    """The options of a run on which its last digits depend, where they are not the defaults."""
    trainer, precision = training.trainer, training.curve.precision
    found = {"devices": trainer.num_devices, "num_nodes": trainer.num_nodes, "precision": precision}
    return {name: value for name, value in found.items() if value != getattr(Options, name)}


def make_record(
    training: Training, metrics: dict[str, float], seconds: float, log_probabilities_sha256: str, command: str
) -> Record:
    """Everything that is kept of a run that has been fitted and evaluated."""
    row, data, model, curve = training.row, training.data, training.model, training.curve
    last = curve.sittings[-1]
    return Record(
        row=row.name,
        task=row.config.task,
        seed=training.lock.seed,
        configuration=asdict(row.config),
        fingerprint=training.lock.fingerprint,
        protocol=row.config.protocol,
        data_sha256=data.sha256,
        metrics=metrics,
        curve=curve.epochs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        throughput=statistics.median(epoch["throughput"] for epoch in curve.epochs),
        unit=row.config.unit,
        wall_seconds=sum(epoch["seconds"] for epoch in curve.epochs) + seconds,
        device=last["device"],
        precision=last["precision"],
        versions=last["versions"],
        commit=last["commit"],
        sittings=curve.sittings,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=" ".join([command, *(f"--{name} {value}" for name, value in arithmetic(training).items())]),
        log_probabilities_sha256=log_probabilities_sha256,
        items_sha256=checksum_arrays(model.items) if model.items else "",
        details={**data.details, **model.details, "first_steps": training.first_steps.steps},
    )
