"""Acoustic model (paper section 4.2): a regularized LSTM that names the acoustic state of every frame."""

import math
from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix
from typing_extensions import override

from datamodules.base import IGNORE_INDEX
from models.backbone import BackboneArguments, build_backbone, initialize_uniform
from models.base import TaskModel

KEPT_FRAMES = 100_000
"""Validation frames whose log-probabilities are kept at most: of a larger set every n-th frame, for one n."""


class AcousticModel(TaskModel):
    """Frame classifier p(s_t | x_1 ... x_{t+d}) with an output delay of d frames.

    Args:
        features: values of a frame.
        states: names of the acoustic states, in the order of their ids.
        init_range: every parameter starts in U(-init_range, init_range).
        output_delay: the output at frame t + output_delay stands for frame t (Sak et al. 2014).
        lr: SGD learning rate, for a loss averaged over the frames of a batch.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: what the learning rate is divided by before each later epoch.
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
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay)
        self.save_hyperparameters()
        self.output_delay = output_delay
        self.backbone = build_backbone(features, **arguments)
        self.output = nn.Linear(arguments["hidden_size"] if arguments["layers"] else features, len(states))
        initialize_uniform(self, init_range)

        self.train_accuracy = frame_accuracy(len(states))
        self.validation_accuracy = frame_accuracy(len(states))
        self.test_accuracies: Any = nn.ModuleList(frame_accuracy(len(states)) for _ in range(2))
        self._confusion: Any = MulticlassConfusionMatrix(len(states), ignore_index=IGNORE_INDEX)
        self._collected: list[Tensor] = []

    def forward(self, features: Tensor) -> Tensor:
        """Logits [time, batch, states] of frames [time + output_delay, batch, features]."""
        outputs, _ = self.backbone(features)
        return self.output(outputs[self.output_delay :])

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
        self._collected = []

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """One batch of the final evaluation, of the data loader in SpeechData.test_dataloader's order."""
        features, states = batch
        logits = self(features)
        count(self.test_accuracies[dataloader_idx], logits, states)
        if dataloader_idx == 1:
            count(self._confusion, logits, states)
            loss = F.cross_entropy(logits.flatten(0, 1), states.flatten(), ignore_index=IGNORE_INDEX, reduction="none")
            by_utterance = loss.view_as(states).T  # frames of one utterance together, whatever the batches
            self._collected.append(-by_utterance[states.T != IGNORE_INDEX])

    @override
    def on_test_epoch_end(self) -> None:
        names = ("train_frame_accuracy_without_dropout", "validation_frame_accuracy")
        for name, accuracy in zip(names, self.test_accuracies, strict=True):
            self.log(name, 100 * accuracy.compute())
            accuracy.reset()
        true = torch.cat(self.gather_in_order(self._collected))
        self.log_probabilities = {"validation": true[:: math.ceil(len(true) / KEPT_FRAMES)]}
        self._collected = []
        self.details = {"samples": confusions(self._confusion.compute(), self.hparams["states"])}
        self._confusion.reset()


def confusions(counts: Tensor, states: Sequence[str], shown: int = 10) -> list[dict[str, str]]:
    """The commonest mistakes.

    Args:
        counts: frames, [true state, state taken for it].
        states: names of the states.
        shown: how many of them.
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
