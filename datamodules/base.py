"""What every task's data gives the suite."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from lightning import LightningDataModule
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from typing_extensions import override

IGNORE_INDEX = -100
"""Target that is not there, where a shorter sequence has ended: it counts neither in the loss nor in a metric."""


class TaskData(LightningDataModule):
    """A LightningDataModule that knows which data it is and how much of it an epoch holds."""

    sha256: str = ""
    """Checksum of the data as the model sees it, once set up: part of a run's identity."""

    seed: int = 0
    """Seed of the run."""

    @property
    def epoch(self) -> int:
        """Number of the epoch that is trained or trained next, from 0."""
        # Not trainer.current_epoch: where a run is resumed, Lightning opens the first data loader before it sets that.
        return self.trainer.fit_loop.epoch_progress.current.processed if self.trainer else 0  # type: ignore[attr-defined]

    @override
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """This device's share of a batch.

        Every device reads the same batches in the same order and keeps its own sequences, so that updates are those of
        one device. A batch of fewer sequences than devices leaves some with an empty share, which counts for nothing.
        """
        ranks = self.trainer.world_size if self.trainer else 1
        if ranks == 1:
            return batch
        rank, size = self.trainer.global_rank, self.size(batch)  # type: ignore[union-attr]
        return self.share(batch, slice(rank * size // ranks, (rank + 1) * size // ranks))

    def size(self, batch: Any) -> int:
        """Sequences of a batch; here of tensors [time, batch, ...]."""
        return int(batch[0].shape[1])

    def share(self, batch: Any, sequences: slice) -> Any:
        """Some sequences of a batch, maybe none; here of each tensor [time, batch, ...], anything else as it is."""
        return apply_to_collection(batch, Tensor, lambda tensor: tensor[:, sequences])

    @property
    def details(self) -> dict[str, Any]:
        """What the data's preparation found that a reader of the record must know, as JSON: what was left out."""
        return {}

    def picture(self, sample: Mapping[str, Any]) -> Any:
        """The picture that a sample of the model's is about; None where it is about none."""
        return None

    @property
    @abstractmethod
    def units_per_epoch(self) -> int:
        """Tokens or frames trained on in an epoch, for throughput."""
