"""Averages of weights, and rates that validation decides on, of one weight whose every step is known."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmark.tasks.language_modeling import SOTU_SMALL
from benchmark.training.averaging import averaging_callbacks
from benchmark.training.options import Options
from datamodules.errors import UserError
from models.base import TaskModel

GRADIENTS = (1.0, -2.0, 0.5)
"""Of the steps of every epoch."""
LR = 0.1


class Walk(TaskModel):
    """One weight, which each step moves by -LR times a given number; validation finds given numbers."""

    def __init__(self, found: list[float], **arguments) -> None:
        super().__init__(**{"lr": LR, "flat_epochs": 99, "decay": 2.0, **arguments})
        self.weight = nn.Parameter(torch.ones(1))
        self.found = iter(found)
        self.walked: list[float] = []
        self.rates: list[float] = []
        self.validated: list[float] = []
        self.tested = 0.0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.weight * batch).sum()

    def on_train_batch_end(self, *_: object) -> None:
        self.walked.append(self.weight.item())
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validated.append(self.weight.item())
        self.log("validation_perplexity", next(self.found))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.tested = self.weight.item()


def walk(found: list[float], model: dict[str, float] | None = None, clip: float = 9.0, **changes) -> Walk:
    """Train an epoch for each number that validation finds, with a configuration changed so."""
    config, own = replace(SOTU_SMALL.config, **changes), Walk(found, **(model or {}))
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, max_epochs=len(found), gradient_clip_val=clip,
        callbacks=averaging_callbacks(config, Options(store=Path(), data=Path())),
    )  # fmt: skip
    once = DataLoader(torch.zeros(1))
    trainer.fit(own, DataLoader(torch.tensor(GRADIENTS)), once)
    trainer.test(own, once, verbose=False)
    return own


def by_hand(epochs: int) -> list[float]:
    """The weight after each step of plain SGD."""
    weight, weights = 1.0, []
    for gradient in GRADIENTS * epochs:
        weights.append(weight := weight - LR * gradient)
    return weights


@pytest.mark.parametrize(
    ("found", "patience", "begin"),
    [
        ([10, 9, 9.5, 9.4, 8, 8], 1, 4),  # 9.4 is worse than 9, of before the last epoch
        ([10, 9, 9.5, 8, 8, 8], 0, 3),
        ([10, 9, 9.5, 9.4, 9.3, 8], 2, 5),
        ([10, 9, 8, 8, 8, 8], 1, None),  # equal is not worse
        ([5, 9, 9, 9, 9, 9], 5, 6),  # only the last epoch is more than five after the first: too late to average
    ],
)
def test_nt_asgd_is_the_mean_of_all_steps_since_validation_got_worse(found, patience, begin) -> None:
    """Merity et al. 2018, algorithm 1: T is the step when v > min over all but the last n of the metrics before."""
    own = walk(found, averaging="triggered", averaging_patience=patience)
    weights = by_hand(len(found))
    assert own.walked == pytest.approx(weights)  # training goes on from the weights, not from their mean
    ends = [len(GRADIENTS) * epoch for epoch in range(1, len(found) + 1)]
    expected = []
    for epoch, end in enumerate(ends, 1):
        averaged = weights[len(GRADIENTS) * begin : end] if begin and epoch > begin else weights[end - 1 : end]
        expected.append(sum(averaged) / len(averaged))
    assert own.validated == pytest.approx(expected)
    assert own.tested == pytest.approx(expected[-1])


def test_an_exponential_average_by_hand() -> None:
    """m[1] = w[1], m[t] = d m[t-1] + (1 - d) w[t]."""
    own = walk([10, 11, 12], averaging="exponential", averaging_decay=0.9)
    weights = by_hand(3)
    mean, means = weights[0], []
    for weight in weights:
        mean = 0.9 * mean + 0.1 * weight
        means.append(mean)
    assert own.walked == pytest.approx(weights)
    assert own.validated == pytest.approx(means[2::3])
    assert own.tested == pytest.approx(means[-1])


def test_the_rate_is_divided_after_an_epoch_that_does_not_improve_on_the_best() -> None:
    own = walk([10, 9, 9, 9.5, 8, 8.5, 7], decay=4, decay_on_plateau=True)
    assert own.rates[::3] == pytest.approx([LR, LR, LR, LR / 4, LR / 16, LR / 16, LR / 64])
    assert own.rates[::3] == own.rates[2::3]


def test_a_plateau_comes_on_top_of_the_schedule() -> None:
    own = walk([10, 11, 9, 9], model={"flat_epochs": 2, "decay": 2.0}, decay=4, decay_on_plateau=True)
    assert own.rates[::3] == pytest.approx([LR, LR, LR / 8, LR / 16])


def test_weight_decay_adds_to_the_gradient_after_clipping() -> None:
    own = walk([1], model={"weight_decay": 0.3}, clip=0.75)
    weight = 1.0
    for gradient, after in zip(GRADIENTS, own.walked, strict=True):
        weight -= LR * (max(-0.75, min(0.75, gradient)) + 0.3 * weight)
        assert after == pytest.approx(weight, rel=1e-5)
    assert own.tested == own.walked[-1]


@pytest.mark.parametrize("changes", [{"averaging": "triggered"}, {"decay_on_plateau": True}], ids=str)
def test_rows_that_decide_by_validation_measure_it_after_each_epoch(changes) -> None:
    options = Options(store=Path(), data=Path(), validate_every=2)
    with pytest.raises(UserError, match="--validate_every 2: the row decides by the validation of each epoch"):
        averaging_callbacks(replace(SOTU_SMALL.config, **changes), options)
    assert not averaging_callbacks(SOTU_SMALL.config, options)
