"""What a run keeps of its first steps can be written down, or the run ends there."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmark.store.diverged import Diverged
from benchmark.training.first_steps import FirstSteps


def test_a_gradient_that_clipping_turns_to_nothing_ends_the_run() -> None:
    """Its norm is infinite, so that no weight moves, and no metric of the epoch would tell."""
    model = nn.Linear(2, 1)
    model.all_reduce_sum = lambda value: value  # type: ignore[assignment]
    trainer = SimpleNamespace(current_epoch=0, num_training_batches=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    kept = FirstSteps()
    for scale in (1.0, 1e38):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 3 * scale)
        kept.on_before_optimizer_step(trainer, model, optimizer)  # type: ignore[arg-type]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        end = (trainer, model, {"loss": torch.tensor(1.0)}, None, 0)
        if scale == 1.0:
            kept.on_train_batch_end(*end)  # type: ignore[arg-type]
    with pytest.raises(Diverged, match=r"diverged in epoch 1: .*'step': 2, .*'gradient_norm': inf, 'update_norm': 0.0"):
        kept.on_train_batch_end(*end)  # type: ignore[arg-type]
    assert len(kept.steps) == 1
