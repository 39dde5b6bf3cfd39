"""Acoustic model (paper section 4.2): a regularized LSTM that names the acoustic state of every frame."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix
from typing_extensions import override

from datamodules.base import IGNORE_INDEX
from models.backbone import BackboneArguments, build_backbone, initialize_uniform
from models.base import EVALUATIONS, TRAINING, TaskModel

KEPT_FRAMES = 100_000
"""Most frames of a split whose log-probabilities are kept; of a larger set it is every n-th frame."""


class Collected(NamedTuple):
    """Findings of the final evaluation about a batch of whole utterances."""

    log_probabilities: Tensor
    """Natural log-probabilities [frames] of the true states, utterance by utterance."""
    frames: Tensor
    """For each utterance, its frames that are classified correctly and all its frames [utterances, 2]."""


class AcousticModel(TaskModel):
    """Frame classifier p(s_t | x_1 ... x_{t+d}) with an output delay of d frames.

    Args:
        features: values of a frame.
        states: names of the acoustic states, in the order of their ids.
        init_range: every parameter starts in U(-init_range, init_range).
        output_delay: the output at frame t + output_delay stands for frame t (Sak et al. 2014).
        lr: SGD learning rate, for a loss averaged over the frames of a batch.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: divisor of the learning rate before each later epoch.
        weight_decay: see TaskModel.
        arguments: the recurrent stack; with no layers the model is a linear classifier of single frames.
    """

    def __init__(
        self,
        features: int,
        states: Sequence[str],
        init_range: float,
        output_delay: int,
        lr: float,
        flat_epochs: float,
        decay: float,
        weight_decay: float = 0.0,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay, weight_decay)
        self.save_hyperparameters()
        self.output_delay = output_delay
        self.backbone = build_backbone(features, **arguments)
        self.output = nn.Linear(arguments["hidden_size"] if arguments["layers"] else features, len(states))
        initialize_uniform(self, init_range)

        self.train_accuracy = frame_accuracy(len(states))
        self.validation_accuracy = frame_accuracy(len(states))
        self.dropout_off_accuracy = frame_accuracy(len(states))
        """Accuracy on the training set in the final evaluation."""
        self._confusion: Any = MulticlassConfusionMatrix(len(states), ignore_index=IGNORE_INDEX)
        self._collected: dict[str, list[Collected]] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Logits [time, batch, states] of frames [time + output_delay, batch, features]."""
        outputs, _ = self.backbone(features)
        logits: Tensor = self.output(outputs[self.output_delay :])
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of a batch, averaged over its frames."""
        features, states = batch
        logits = self(features)
        count(self.train_accuracy, logits.detach(), states)
        loss = F.cross_entropy(logits.flatten(0, 1), states.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
        return loss / self.all_reduce_sum((states != IGNORE_INDEX).sum())

    @override
    def on_train_epoch_end(self) -> None:
        self.log("train_frame_accuracy", 100 * self.train_accuracy.compute())
        self.train_accuracy.reset()

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        features, states = batch
        count(self.validation_accuracy, self(features), states)

    @override
    def on_validation_epoch_end(self) -> None:
        self.log("validation_frame_accuracy", 100 * self.validation_accuracy.compute(), prog_bar=True)
        self.validation_accuracy.reset()

    @override
    def on_test_epoch_start(self) -> None:
        self._collected = {split: [] for split in EVALUATIONS}

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """One batch of the final evaluation, of the data loader in SpeechData.test_dataloader's order."""
        features, states = batch
        logits = self(features)
        split = (*EVALUATIONS, TRAINING)[dataloader_idx]
        if split == TRAINING:
            count(self.dropout_off_accuracy, logits, states)
            return
        if split == "test":
            count(self._confusion, logits, states)
        loss = F.cross_entropy(logits.flatten(0, 1), states.flatten(), ignore_index=IGNORE_INDEX, reduction="none")
        by_utterance = loss.view_as(states).T  # frames of one utterance together, whatever the batches
        right, counted = (logits.argmax(dim=-1) == states).sum(dim=0), (states != IGNORE_INDEX).sum(dim=0)
        entry = Collected(-by_utterance[states.T != IGNORE_INDEX], torch.stack([right, counted], dim=1))
        self._collected[split].append(entry)

    @override
    def on_test_epoch_end(self) -> None:
        self.log("train_frame_accuracy_without_dropout", 100 * self.dropout_off_accuracy.compute())
        self.dropout_off_accuracy.reset()
        for split in EVALUATIONS:
            collected = self.gather_in_order(self._collected[split])
            true = torch.cat([entry.log_probabilities for entry in collected])
            self.log_probabilities[split] = true[:: math.ceil(len(true) / KEPT_FRAMES)]
            frames = torch.cat([entry.frames for entry in collected]).cpu()
            self.items[f"{split}_frame_accuracy"] = frames.numpy().astype(np.int32)
            right, counted = frames.sum(dim=0).tolist()
            self.log(f"{split}_frame_accuracy", 100 * right / counted)
        self._collected = {}
        self.details = {"samples": confusions(self._confusion.compute(), self.hparams["states"])}
        self._confusion.reset()


def confusions(counts: Tensor, states: Sequence[str], shown: int = 10) -> list[dict[str, str]]:
    """The commonest mistakes.

    Args:
        counts: frames, [true state, state taken for it].
        states: names of the states.
        shown: most mistakes that are returned.
    """
    wrong = counts.clone().fill_diagonal_(0)
    values, places = wrong.flatten().topk(min(shown, wrong.numel()))
    found = []
    for count, place in zip(values.tolist(), places.tolist(), strict=True):
        true, taken = divmod(place, len(states))
        if count:
            share = count / int(counts[true].sum())
            found.append({"state": states[true], "taken for": states[taken], "of its frames": f"{share:.0%}"})
    return found


def count(metric: Metric, logits: Tensor, states: Tensor) -> None:
    """Update a metric with logits [time, batch, states] and states [time, batch], of which there may be none."""
    if states.numel():  # a device's share of a small batch may be empty, which torchmetrics does not take
        metric.update(logits.flatten(0, 1), states.flatten())


def frame_accuracy(states: int) -> MulticlassAccuracy:
    """Share of frames whose most likely state is the true one, padding left out."""
    return MulticlassAccuracy(states, average="micro", ignore_index=IGNORE_INDEX)
