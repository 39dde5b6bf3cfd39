"""Additions to Lightning's loop: learning curve, random numbers for each epoch, progress."""

import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from benchmark.formatting import duration
from benchmark.store.diverged import require_finite
from benchmark.store.locks import RunLock
from benchmark.store.provenance import describe_sitting
from datamodules.errors import UserError
from datamodules.order import mix

STEPS_BETWEEN_LOGS = 50
"""Steps between two values of the training loss that are logged; all else is logged once an epoch."""

SECONDS_BETWEEN_REPORTS = 5.0
"""Seconds between two reports of progress within an epoch, which may take hours."""

Progress = Callable[[int, int], None]
"""Called after each epoch with the number of epochs done and the number in all."""


class EpochLines:
    """Progress for a log: one line an epoch, with the time left."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.before: int | None = None
        """Epochs that were done before an interruption."""

    def __call__(self, epoch: int, epochs: int) -> None:
        """Print the line of an epoch."""
        self.before = epoch - 1 if self.before is None else self.before
        left = (epochs - epoch) * (time.perf_counter() - self.begin) / (epoch - self.before)
        print(f"epoch {epoch} of {epochs}, {f'ETA {duration(left)}' if left else 'evaluating'}", flush=True)


class CurveRecorder(Checkpoint):
    """Keeps the learning curve, and seeds each epoch anew, so that a resumed run is the same run.

    It is a Checkpoint to Lightning, so that it is called after the model has logged the epoch and before it is saved.

    Args:
        seed: seed of the run.
        units_per_epoch: units that throughput counts in an epoch.
        lock: takes the progress of the run within epochs.
        precision: arithmetic of this sitting.
    """

    def __init__(self, seed: int, units_per_epoch: int, lock: RunLock, precision: str) -> None:
        self.seed, self.units_per_epoch, self.lock, self.precision = seed, units_per_epoch, lock, precision
        self.epochs: list[dict[str, float]] = []
        self.sittings: list[dict[str, Any]] = []
        """The stretches of training, this one last; see Record."""
        self._lr = self._begin = self._trained = self._reported = self._elapsed = 0.0

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.sittings and self.sittings[-1]["precision"] != self.precision:
            raise UserError(
                f"the run was begun with --precision {self.sittings[-1]['precision']}, which it must go on with"
            )
        self.sittings.append({**describe_sitting(trainer, self.precision), "epochs_before": len(self.epochs)})

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin = time.perf_counter() - self._elapsed  # of an epoch that is resumed

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]
        self._begin = self._reported = time.perf_counter()

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:  # not at the start of the epoch: a fresh data loader draws a number, a resumed one does not
            torch.manual_seed(mix(self.seed, trainer.current_epoch + 1, trainer.global_rank))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.loggers and trainer.global_step % STEPS_BETWEEN_LOGS == 0:
            # On several devices it is the first one's part of the loss, scaled to the whole batch.
            self._log(trainer, {"training_loss": float(outputs["loss"]) * trainer.world_size})
        if trainer.is_global_zero and (now := time.perf_counter()) - self._reported > SECONDS_BETWEEN_REPORTS:
            self._reported = now
            self.lock.report_progress(position(trainer, batch_idx + 1), trainer.max_epochs or 0)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training_ends()

    def _training_ends(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._trained = time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        validated = self._trained > self._begin
        if not validated:
            self._training_ends()
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if validated or not name.startswith("validation_")  # what an earlier epoch left
        }
        require_finite(metrics, trainer.current_epoch + 1, f"in epoch {trainer.current_epoch + 1}")
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

    def _log(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({**metrics, "epoch": trainer.current_epoch}, trainer.global_step)

    @override
    def state_dict(self) -> dict[str, Any]:
        now = self._trained if self._trained > self._begin else time.perf_counter()  # validation begins anew
        return {"epochs": self.epochs, "sittings": self.sittings, "lr": self._lr, "elapsed": now - self._begin}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs, self.sittings = state_dict["epochs"], state_dict["sittings"]
        self._lr, self._elapsed = state_dict["lr"], state_dict["elapsed"]


def position(trainer: Trainer, batches: int) -> float:
    """Epochs done after so many batches of this one, of which validation and checkpoint are a part too."""
    return trainer.current_epoch + batches / (trainer.num_training_batches + 1)
