"""What every task's model gives the suite."""

from typing import Any

from lightning import LightningModule
from torch import Tensor


class TaskModel(LightningModule):
    """A LightningModule that logs its metrics once an epoch, and whose test loop is the final evaluation."""

    log_probabilities: dict[str, Tensor]
    """Of the true tokens, natural logarithm, [tokens] for each split that ensembles are evaluated on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log_probabilities = {}
