"""What the suite adds to Lightning's loop: a learning curve, random numbers an epoch, checkpoints that are whole."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from typing_extensions import override

from benchmark.store.locks import RunLock
from datamodules.errors import UserError

STEPS_BETWEEN_LOGS = 50
"""Of the training loss; all else is logged once an epoch."""

SECONDS_BETWEEN_TELLS = 5.0
"""How often a run says how far it is within an epoch, which may take hours."""

Progress = Callable[[int, int], None]
"""Called after each epoch with the number of epochs done and the number in all."""


class CurveRecorder(Checkpoint):
    """Keeps the learning curve, and gives each epoch its own random numbers, so that a resumed run is the same run.

    A Checkpoint to Lightning, so that it is called after the model has logged the epoch and before it is saved.

    Args:
        seed: of the run.
        units_per_epoch: what throughput counts.
        lock: is told how far the run is, within an epoch too.
        progress: told of each epoch.
    """

    def __init__(self, seed: int, units_per_epoch: int, lock: RunLock, progress: Progress | None) -> None:
        self.seed, self.units_per_epoch, self.lock, self.progress = seed, units_per_epoch, lock, progress
        self.epochs: list[dict[str, float]] = []
        self._lr = self._begin = self._trained = self._told = 0.0

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]
        self._begin = self._told = time.perf_counter()

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:  # not at the start of the epoch: a fresh data loader draws a number, a resumed one does not
            torch.manual_seed(mix(self.seed, trainer.current_epoch + 1, trainer.global_rank))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.loggers and trainer.global_step % STEPS_BETWEEN_LOGS == 0:
            # Of several devices the first one's part of the loss, scaled to the whole.
            self._log(trainer, {"training_loss": float(outputs["loss"]) * trainer.world_size})
        if trainer.is_global_zero and (now := time.perf_counter()) - self._told > SECONDS_BETWEEN_TELLS:
            self._told = now
            part = (batch_idx + 1) / (trainer.num_training_batches + 1)  # its validation, and its checkpoint, are left
            self.lock.report_progress(trainer.current_epoch + part, trainer.max_epochs or 0)

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
        if trainer.is_global_zero:
            self.lock.report_progress(len(self.epochs), trainer.max_epochs or 0)
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


class WholeCheckpoints(TorchCheckpointIO):
    """Replaces a checkpoint by a whole one only: what a full disk cuts short leaves the last one as it was."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        scratch = Path(path).with_suffix(".part")
        try:
            super().save_checkpoint(checkpoint, scratch, storage_options)
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)


def mix(seed: int, epoch: int, rank: int = 0) -> int:
    """A seed for one epoch of one run on one of its devices, unrelated to any other; epoch 0 is the initialisation."""
    return int(np.random.SeedSequence([seed, epoch, *([rank] if rank else [])]).generate_state(1, np.uint64)[0] >> 1)
