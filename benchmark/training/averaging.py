"""What is done with the weights and the learning rate on account of the validation set, after each epoch."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn
from typing_extensions import override

from benchmark.tasks.base import Config, Metric
from benchmark.training.options import Options
from datamodules.errors import UserError


def averaging_callbacks(config: Config, options: Options) -> list[Callback]:
    """The callbacks that a configuration asks for.

    Raises:
        UserError: they look at the validation set after each epoch, and it is measured less often.
    """
    metric = config.validation_metric()
    found: list[Callback] = []
    if config.averaging == "triggered":
        found.append(TriggeredAveraging(metric, config.averaging_patience))
    if config.averaging == "exponential":
        average: Any = get_ema_multi_avg_fn
        found.append(Averaging(multi_avg_fn=average(config.averaging_decay)))
    if config.decay_on_plateau:
        found.append(PlateauDecay(metric, config.decay))
    if options.validate_every > 1 and (config.decay_on_plateau or config.averaging == "triggered"):
        raise UserError(
            f"--validate_every {options.validate_every}: the row decides by the validation of each epoch; leave it at 1"
        )
    return found


class Averaging(WeightAveraging):
    """Lightning's average of the weights of all steps, which is what is validated, tested and kept as the model.

    With `get_ema_multi_avg_fn(d)` it is w' = d * w' + (1 - d) * w after each step. A checkpoint has the average in the
    place of the weights, and beside it the weights that training goes on with.
    """

    @property
    def has_begun(self) -> bool:
        """Whether any weights have been averaged."""
        return self._average_model is not None and bool(self._average_model.n_averaged)

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.has_begun:
            self._swap_models(pl_module)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.has_begun:
            self._swap_models(pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: a run that is resumed in its final evaluation does not come here."""

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.has_begun:
            self._copy_average_to_current(pl_module)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.has_begun:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)
            if trainer.validating:  # the two have been swapped
                one, other = checkpoint["state_dict"], checkpoint["current_model_state"]
                checkpoint["state_dict"], checkpoint["current_model_state"] = other, one

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class TriggeredAveraging(Averaging):
    """NT-ASGD: the mean of the weights of all steps since validation got worse (Merity et al. 2018, algorithm 1).

    It begins after the first epoch whose validation metric is worse than the best of all epochs before the last
    `patience` ones.

    Args:
        metric: metric of the validation set.
        patience: the last epochs before this one, which are not looked at.
    """

    def __init__(self, metric: Metric, patience: int) -> None:
        super().__init__()
        self.metric, self.patience = metric, patience
        self.history: list[float] = []
        """The metric after each epoch, lower being better."""
        self.triggered = False

    @override
    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return self.triggered and step_idx is not None

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = loss_of(trainer, self.metric)
        earlier = self.history[: max(0, len(self.history) - self.patience)]
        self.triggered = self.triggered or any(value > one for one in earlier)
        self.history.append(value)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "history": self.history, "triggered": self.triggered}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.history, self.triggered = state_dict["history"], state_dict["triggered"]


class PlateauDecay(Callback):
    """Divides the learning rate after an epoch that did not improve the best validation metric.

    Lightning's own way with ReduceLROnPlateau comes after the epoch's checkpoint, so that a resumed run would miss it.

    Args:
        metric: metric of the validation set.
        decay: divisor of the learning rate.
    """

    def __init__(self, metric: Metric, decay: float) -> None:
        self.metric, self.decay = metric, decay
        self.best = float("inf")

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = loss_of(trainer, self.metric)
        if value >= self.best:
            for schedule in trainer.lr_scheduler_configs:
                schedule.scheduler.base_lrs = [lr / self.decay for lr in schedule.scheduler.base_lrs]
            for group in trainer.optimizers[0].param_groups:
                group["lr"] /= self.decay
        self.best = min(value, self.best)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


def loss_of(trainer: Trainer, metric: Metric) -> float:
    """The validation metric that has just been measured, with its sign turned if higher is better."""
    value = float(trainer.callback_metrics[metric.name])
    return value if metric.better == "lower" else -value
