"""Checkpoints after and within epochs, from which a run goes on as if it had not been stopped."""

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from benchmark.store.checkpoints import RUN, read_checkpoint, write_checkpoint
from benchmark.store.locks import RunLock
from benchmark.training.callbacks import Progress, position
from benchmark.training.endings import Interrupted, Request
from datamodules.base import TaskData
from datamodules.errors import UserError
from models.base import TaskModel

WITHIN = "within_epoch"
"""Key under which a checkpoint has what Lightning does not keep of an unfinished epoch, for each device."""

VALIDATION = "epoch_loop.val_loop.batch_progress"
BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
NOTHING = dict.fromkeys(BEGUN, 0)
"""Progress of a validation that was stopped in its first step, from which Lightning validates the whole set."""


SOME = 1e-9
"""Epochs kept where nobody knows how many batches an epoch has."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes and reads the files of checkpoints as store/checkpoints.py says."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    @override
    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))


class StateKeeper(Checkpoint):
    """Keeps the state of a run after each epoch, every few minutes within one, and when a signal asks it to end.

    Lightning saves weights, optimizer, schedule and the progress of its loops, and resumes within an epoch. Added here
    is what else the next step depends on: random numbers, sums of metrics, and what the model carries from one batch to
    the next. ModelCheckpoint is not used, since it also saves after the last batch of an epoch, and from there
    Lightning resumes without the validation.

    Args:
        path: the checkpoint's file.
        run: name of the run.
        request: notes a signal that asks the run to end.
        minutes: minutes between two checkpoints within an epoch.
        lock: takes the progress of the run.
        progress: called after each epoch, once it is kept.
    """

    def __init__(
        self, path: Path, run: str, request: Request, minutes: float, lock: RunLock, progress: Progress | None
    ) -> None:
        self.path, self.run, self.request, self.minutes = path, run, request, minutes
        self.lock, self.progress = lock, progress
        self._saved = 0.0
        self._resumed: dict[str, Any] | None = None
        """State within an epoch of the checkpoint that the run goes on from."""
        self._within: dict[str, Any] | None = None
        """State to be saved with a checkpoint within an epoch."""

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.request.keep_listening()  # Lightning has taken SIGTERM
        self._saved = time.monotonic()
        if self._resumed:
            restore(pl_module, self._resumed)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._resumed and batch_idx:  # the first batch of an epoch has been given random numbers of its own
            restore_random_numbers(self._resumed["random"])
        self._resumed = None

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:  # validation and the epoch's own checkpoint follow
            return
        due = time.monotonic() - self._saved > 60 * self.minutes
        stop, due = self._agree(trainer, due)
        if stop or due:
            self._within = capture(pl_module)
            self._save(trainer, position(trainer, batch_idx + 1))
        self._end(stop)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._within = capture(pl_module)  # validation changes sums and carried state

    @override
    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        stop, _due = self._agree(trainer, False)
        if stop:
            self._save(trainer, position(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.ready))
        self._end(stop)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._within = None
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        self._save(trainer, done)
        if trainer.is_global_zero and self.progress:
            self.progress(done, epochs)
        self._end(self._agree(trainer, False)[0])

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.request.keep_listening()  # Lightning has taken it once more

    @override
    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._end(self._agree(trainer, False)[0])

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[RUN] = self.run
        checkpoint[WITHIN] = self._within and on_all_devices(trainer, self._within)
        if trainer.validating:
            checkpoint["loops"]["fit_loop"][VALIDATION] = {
                "total": dict(BEGUN), "current": dict(NOTHING), "is_last_batch": False,
            }  # fmt: skip

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if states := checkpoint[WITHIN]:
            if len(states) != trainer.world_size:
                raise UserError(
                    f"{self.path} was kept within an epoch on {len(states)} devices, and cannot go on with "
                    f"{trainer.world_size}; rerun it with --devices {len(states)}, or delete it"
                )
            self._resumed = states[trainer.global_rank]

    def _agree(self, trainer: Trainer, due: bool) -> tuple[int, bool]:
        """The signal that any device has got, and whether a checkpoint is due on any."""
        if trainer.world_size == 1:
            return self.request.number, due
        both = torch.tensor([self.request.number, int(due)], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
        number, due_anywhere = both.tolist()
        return number, bool(due_anywhere)

    def _save(self, trainer: Trainer, epochs_done: float) -> None:
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()
        if trainer.is_global_zero:
            self.lock.report_progress(epochs_done, trainer.max_epochs or 0, kept=max(epochs_done, SOME))

    def _end(self, number: int) -> None:
        if number:
            raise Interrupted(number=number)


def capture(model: LightningModule) -> dict[str, Any]:
    """What the next training step depends on besides what Lightning saves, in tensors of its own."""
    assert isinstance(model, TaskModel)
    metrics = {
        name: {"state": module.metric_state, "updates": module.update_count}
        for name, module in model.named_modules()
        if isinstance(module, Metric)
    }
    random = {"cpu": torch.get_rng_state()}
    if model.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(model.device)
    state = {"metrics": metrics, "carried": {name: getattr(model, name) for name in model.carried}, "random": random}
    copied: dict[str, Any] = apply_to_collection(state, Tensor, lambda tensor: tensor.detach().clone())
    return copied


def restore(model: LightningModule, state: dict[str, Any]) -> None:
    """Give a model back what `capture` took, except for random numbers."""
    state = apply_to_collection(state, Tensor, lambda tensor: tensor.to(model.device))
    for name, kept in state["metrics"].items():
        metric: Any = model.get_submodule(name)
        for part, value in kept["state"].items():
            setattr(metric, part, value)
        metric._update_count = kept["updates"]
    for name, value in state["carried"].items():
        setattr(model, name, value)


def restore_random_numbers(random: dict[str, Tensor]) -> None:
    """Go on with the random numbers that `capture` found."""
    torch.set_rng_state(random["cpu"])
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"])


def on_all_devices(trainer: Trainer, own: dict[str, Any]) -> list[dict[str, Any]]:
    """The state of each device of a run, on the CPU, in the order of their ranks."""
    own = apply_to_collection(own, Tensor, Tensor.cpu)
    if trainer.world_size == 1:
        return [own]
    every: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(every, own)
    return every


class Resuming:
    """A training data loader whose first pass leaves out the batches that a resumed epoch has had.

    Args:
        loader: the data loader.
        had: number of batches.
    """

    def __init__(self, loader: Iterable[Any], had: int) -> None:
        self.loader, self.had = loader, had

    def __iter__(self) -> Iterator[Any]:
        return self._batches(iter(self.loader))

    def _batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        had, self.had = self.had, 0  # as the first batch is asked for: Lightning tries before whether it can iterate
        yield from itertools.islice(batches, had, None)

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        """Its sampler, to which Lightning tells the epoch, and all else that it has."""
        return getattr(self.loader, name)


def resume_within_epochs(data: TaskData) -> None:
    """Make the training data begin where the epoch that is resumed was stopped, whatever loader the task has."""
    loader = data.train_dataloader

    def resuming() -> Resuming:
        batches = data.trainer.fit_loop.epoch_loop.batch_progress if data.trainer else None
        # Of an epoch that was stopped in its validation no batch is asked for any more.
        within = data.trainer and data.trainer.fit_loop.restarting and batches and not batches.is_last_batch
        return Resuming(loader(), batches.current.ready if batches and within else 0)

    data.train_dataloader = resuming  # type: ignore[method-assign]
