"""The interface of every task's model."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from lightning import LightningModule
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from typing_extensions import override

EVALUATIONS = ("validation", "test")
"""Splits that the final evaluation reads whole, in the order of its data loaders; others follow them."""

TRAINING = "training"
"""Name of the final evaluation's next data loader: the training set once more, with dropout off."""


@dataclass(frozen=True)
class Evaluation:
    """Findings of a final evaluation."""

    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    """See TaskModel.details."""
    items: dict[str, np.ndarray] = field(default_factory=dict)
    """See TaskModel.items."""


class TaskModel(LightningModule):
    """A LightningModule that logs its metrics once an epoch, and whose test loop is the final evaluation.

    On several devices each has a share of every batch (TaskData.on_before_batch_transfer). A training step returns its
    share's part of the loss, the sum over its sequences divided by what the whole batch holds: the parts add up to
    the loss of one device, and their gradients to its gradient.

    Args:
        lr: learning rate of plain SGD.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: divisor of the learning rate before each later epoch.
        weight_decay: factor of the weights that is added to their gradients.
    """

    cuda_graphs: bool = True
    """Whether training steps may be CUDA graphs, where the model has that."""
    carried: ClassVar[tuple[str, ...]] = ()
    """Attributes by which a training step depends on the one before, tensors in tuples or None: a checkpoint within an
    epoch keeps them."""
    log_probabilities: dict[str, Tensor]
    """Natural log-probabilities [tokens] of the true tokens, for each split that ensembles are evaluated on."""
    details: dict[str, Any]
    """Findings of the final evaluation besides its metrics, as JSON: samples, the signature of a score."""
    items: dict[str, np.ndarray]
    """Counts [items, counts] that a metric is made of, by the metric's name, and texts [items], for each sentence,
    picture or utterance of a split in its order: the metric can be computed from them again, and its error over items.
    """

    def __init__(self, lr: float, flat_epochs: float, decay: float, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.lr, self.flat_epochs, self.decay, self.weight_decay = lr, flat_epochs, decay, weight_decay
        self.log_probabilities, self.details, self.items = {}, {}, {}

    @property
    def world_size(self) -> int:
        """Devices trained on together."""
        return self.trainer.world_size if self._trainer else 1

    def all_reduce_sum(self, count: Tensor | int) -> Tensor | int:
        """The sum over all devices of a count of this one's share."""
        if self.world_size == 1:
            return count
        total = torch.as_tensor(count, device=self.device).clone()
        torch.distributed.all_reduce(total)
        return total

    def gather_in_order(self, collected: list[Any]) -> list[Any]:
        """Entries collected on all devices, one for each batch and share, on the CPU, in the order of one device."""
        if self.world_size == 1:
            return collected
        shares: list[Any] = [None] * self.world_size
        own = apply_to_collection(collected, Tensor, lambda tensor: tensor.clone().cpu())  # not what it is a part of
        torch.distributed.all_gather_object(shares, own)
        return [entry for of_batch in zip(*shares, strict=True) for entry in of_batch]

    @override
    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients of the whole batch: DDP averages over devices where the parts of the loss add up."""
        super().backward(loss * self.world_size if self.world_size > 1 else loss, *args, **kwargs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the name of the model's class into the checkpoint."""
        checkpoint["model"] = type(self).__name__

    def configure_optimizers(self) -> Any:
        """SGD at lr for flat_epochs epochs, divided by decay before each epoch after those (paper section 4.1)."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda finished: self.decay ** -max(0, finished + 1 - self.flat_epochs)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
