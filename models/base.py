"""What every task's model gives the suite."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor


class TaskModel(LightningModule):
    """A LightningModule that logs its metrics once an epoch, and whose test loop is the final evaluation.

    Args:
        lr: learning rate of plain SGD.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: what the learning rate is divided by before each later epoch.
    """

    log_probabilities: dict[str, Tensor]
    """Of the true tokens, natural logarithm, [tokens] for each split that ensembles are evaluated on."""
    details: dict[str, Any]
    """What the final evaluation found besides its metrics, as JSON: samples, the signature of a score."""

    def __init__(self, lr: float, flat_epochs: float, decay: float) -> None:
        super().__init__()
        self.lr, self.flat_epochs, self.decay = lr, flat_epochs, decay
        self.log_probabilities, self.details = {}, {}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in the checkpoint whose it is."""
        checkpoint["model"] = type(self).__name__

    def configure_optimizers(self) -> Any:
        """SGD at lr for flat_epochs epochs, divided by decay before each epoch after those (paper section 4.1)."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda finished: self.decay ** -max(0, finished + 1 - self.flat_epochs)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
