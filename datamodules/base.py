"""The interface of every task's data."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from lightning import LightningDataModule
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from typing_extensions import override

IGNORE_INDEX = -100
"""Target of a step after the end of a shorter sequence, which counts neither in the loss nor in a metric."""

NAMED = 5
"""Most items left out that are named before training; a record names more."""


class TaskData(LightningDataModule):
    """A LightningDataModule that knows which data it is and how much of it an epoch holds."""

    source: str = "this data"
    """Name of the source, or the user's own folder."""

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
        """Facts about the data that a reader of the record must know, as JSON.

        Four keys are shown before training as well: `read`, for each split the number of sentences, words and so on;
        `unknown_words`, the share of its tokens that are unknown; `left_out`, the number of items for each reason;
        `notes`, lines about whatever was not taken as it stands.
        """
        return {}

    @property
    def summary(self) -> str:
        """A few lines that say what was read, what was left out and why; empty where `details` says nothing of it."""
        details = self.details
        lines = []
        for split, read in details.get("read", {}).items():
            facts = [f"{count:,} {name}" for name, count in read.items()]
            if (share := details.get("unknown_words", {}).get(split)) is not None:
                facts.append(f"{share:.1%} of the tokens are unknown words")
            lines.append(f"  {split}: {', '.join(facts)}")
        lines += [f"  {remark}" for remark in remarks(details)]
        return "\n".join([f"read from {self.source}:", *lines]) if lines else ""

    def picture(self, sample: Mapping[str, Any]) -> Any:
        """The picture that a sample of the model's output describes; None where it describes none."""
        return None

    @property
    @abstractmethod
    def units_per_epoch(self) -> int:
        """Tokens or frames trained on in an epoch, for throughput."""


def remarks(details: Mapping[str, Any]) -> list[str]:
    """Lines that say what of some data was left out and why, and what was not taken as it stands; see TaskData."""
    lines = []
    if left_out := ", ".join(f"{count:,} ({reason})" for reason, count in details.get("left_out", {}).items()):
        lines.append(f"left out: {left_out}")
    if names := [*details.get("left_out_pictures", ()), *details.get("left_out_utterances", ())][:NAMED]:
        lines.append(f"such as {', '.join(names)}")
    return [*lines, *details.get("notes", ())]
