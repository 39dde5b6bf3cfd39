"""What a run keeps of its first steps, from which two runs can be told apart that a curve of epochs cannot."""

import math
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import override

from benchmark.store.diverged import require_finite

STEPS = 8
"""Steps that are kept."""


class FirstSteps(Callback):
    """Keeps of each of the first steps its loss, its learning rate, and the norms of its gradient and its update.

    The gradient is that before clipping. The update of plain SGD is lr * min(norm, clip) long, so that these tell the
    scale of the loss, the learning rate, clipping and initialization apart. An epoch may have fewer steps than that;
    how many it has is kept too, where that is known, and tells a longer window. Nothing of the training changes.
    """

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._norm = self._lr = 0.0
        self._before: Tensor | None = None

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if len(self.steps) < STEPS:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            self._norm = float(torch.cat(gradients).norm())
            self._lr = optimizer.param_groups[0]["lr"]
            self._before = _parameters(pl_module)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._before is not None:
            loss = pl_module.all_reduce_sum(outputs["loss"].detach())  # type: ignore[operator]
            update = float((_parameters(pl_module) - self._before).norm())
            step = {"loss": float(loss), "gradient_norm": self._norm, "update_norm": update, "lr": self._lr}
            if math.isfinite(count := float(trainer.num_training_batches)):  # a stream of pairs has no length
                step["steps_of_epoch"] = count
            # An infinite norm clips the whole gradient to nothing, after which all metrics may be finite.
            epoch = trainer.current_epoch + 1
            require_finite({"step": len(self.steps) + 1, **step}, epoch, f"in epoch {epoch}")
            self.steps.append(step)
            self._before = None

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]


def _parameters(module: LightningModule) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
