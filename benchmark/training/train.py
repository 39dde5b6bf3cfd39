"""One run: a row and a seed become a record."""

import datetime
import logging
import os
import pickle
import statistics
import sys
import time
import warnings
import zipfile
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.environments import LightningEnvironment

from benchmark.files import writable
from benchmark.formatting import duration
from benchmark.store.locks import RunLock
from benchmark.store.provenance import (
    describe_commit,
    describe_device,
    describe_versions,
    keep_freed_memory,
    rebuild_command,
)
from benchmark.store.records import CHECKPOINT, Record, Store, checksum_arrays, run_name
from benchmark.tasks.base import Row
from benchmark.tasks.trained import build_model
from benchmark.tracking.logger import log_record, make_logger
from benchmark.training.callbacks import CurveRecorder, Progress, WholeCheckpoints, mix
from benchmark.training.devices import check_devices, on_devices, rank, started_together
from benchmark.training.options import Options
from datamodules.cache import cores
from datamodules.errors import UserError
from models.base import TaskModel


class Interrupted(UserError):
    """The user stopped a run; its state is kept and the message says how to go on."""


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
        RunLocked: another process is training it.
        UserError: bad data, an unusable output folder or checkpoint, a diverged training, an interrupt, a number of
            devices that cannot be.
    """
    check_devices(options.devices, options.num_nodes, row.config.batch_size, options.accelerator)
    lock = RunLock(options.store, row.name, seed, row.config.fingerprint())
    arguments = (row, seed, options, lock, progress, command)
    with lock.held() if rank() == 0 else nullcontext():
        if options.devices == 1 or started_together():
            return train_locked(*arguments)
        row.config.datamodule(options.data).prepare_data()  # once, not by every process
        try:
            return on_devices(options.devices, train_locked, *arguments)
        except KeyboardInterrupt as stop:
            epoch, epochs = lock.progress
            raise interrupted(int(epoch), epochs) from stop


def train_locked(
    row: Row, seed: int, options: Options, lock: RunLock, progress: Progress | None, command: str | None
) -> Record:
    """What `train` does once the run is its own, in one process or in each of several."""
    on_terminal = progress is None and sys.stderr.isatty() and rank() == 0
    if progress is None and not on_terminal:
        progress = EpochLines()
    quieten()
    alone = options.devices * options.num_nodes == 1
    on_cpu = options.accelerator == "cpu" or not torch.cuda.is_available()
    if threads := options.threads or (max(1, cores() // options.devices) if on_cpu and options.devices > 1 else None):
        torch.set_num_threads(threads)
        if not alone:
            os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning's DDP sets a number of its own
    keep_freed_memory()

    data = row.config.datamodule(options.data)
    data.prepare_data()
    data.seed = seed
    data.setup("fit")
    run = run_name(row.name, seed, lock.fingerprint, data.sha256)
    store = Store(options.store)
    if record := store.find(run):
        return record
    folder = writable(options.store / run)
    torch.manual_seed(mix(seed, 0))
    model = build_model(row, data)
    resume = check_checkpoint(folder / CHECKPOINT, model)
    curve = CurveRecorder(seed, data.units_per_epoch, lock, progress)
    logger = make_logger(options.wandb, row, seed, run, folder) if rank() == 0 else False
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy="auto" if alone else "ddp",
        # A job of a cluster does not make a run one of several processes.
        plugins=[WholeCheckpoints(), *([LightningEnvironment()] if alone else [])],
        use_distributed_sampler=False,  # TaskData splits each batch
        max_epochs=row.config.epochs,
        gradient_clip_val=row.config.clip,
        callbacks=[curve, ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)],
        logger=logger,
        log_every_n_steps=1,  # CurveRecorder logs what there is within an epoch
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=on_terminal,
        enable_model_summary=False,
    )
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
        begin = time.perf_counter()
        trainer.test(model, datamodule=data, verbose=False)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):  # a cluster's signal, which is its launcher's to answer
            raise
        # Lightning's answer to Ctrl-C, after it has shut down in order.
        raise interrupted(len(curve.epochs), row.config.epochs) from stop
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    arrays = {split: values.cpu().numpy().astype(np.float16) for split, values in model.log_probabilities.items()}

    record = Record(
        row=row.name,
        task=row.config.task,
        seed=seed,
        configuration=asdict(row.config),
        fingerprint=lock.fingerprint,
        protocol=row.config.protocol,
        data_sha256=data.sha256,
        metrics=metrics,
        curve=curve.epochs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        throughput=statistics.median(epoch["throughput"] for epoch in curve.epochs),
        unit=row.config.unit,
        wall_seconds=sum(epoch["seconds"] for epoch in curve.epochs) + time.perf_counter() - begin,
        device=describe_device(trainer),
        versions=describe_versions(trainer.strategy.root_device),
        commit=describe_commit(),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command or rebuild_command(row.name, seed),
        log_probabilities_sha256=checksum_arrays(arrays),
        details={**data.details, **model.details},
    )
    if trainer.is_global_zero:
        store.write(record, arrays)
        lock.clear_progress()
        log_record(logger, record, folder, data)
    return record


def quieten() -> None:
    """Silence what Lightning says of things that are as they should be."""
    for message in (
        ".*does not have many workers.*|.*exists and is not empty.*",
        ".*was called on a metric that|.*`isinstance\\(treespec, LeafSpec\\)`.*",
        ".*`srun` command is available.*",
        ".*sync_dist=True.*",  # metrics are computed over all devices before they are logged
    ):
        warnings.filterwarnings("ignore", message)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)


def interrupted(done: int, epochs: int) -> Interrupted:
    """What a user is told who has stopped a run."""
    return Interrupted(
        f"interrupted after epoch {done} of {epochs}, which is kept; the same command goes on from there"
    )


class EpochLines:
    """One line an epoch for a log, with the time left."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.before: int | None = None
        """Epochs of an earlier sitting."""

    def __call__(self, epoch: int, epochs: int) -> None:
        """Print the line of an epoch."""
        self.before = epoch - 1 if self.before is None else self.before
        left = (epochs - epoch) * (time.perf_counter() - self.begin) / (epoch - self.before)
        print(f"epoch {epoch} of {epochs}, {f'ETA {duration(left)}' if left else 'evaluating'}", flush=True)


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
