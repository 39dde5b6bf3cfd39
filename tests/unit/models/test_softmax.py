"""The softmax layer with its loss, against PyTorch's own in autograd."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.base import IGNORE_INDEX
from models.softmax import score_words

TIME, BATCH, WORDS = 7, 20, 300


def values_and_gradients(units: int, own: bool, weighted: bool = False) -> list[Tensor]:
    torch.manual_seed(0)
    layer = nn.Linear(units, WORDS)
    nn.init.uniform_(layer.weight, -0.5, 0.5)
    hidden = torch.randn(TIME, BATCH, units, requires_grad=True)
    targets = torch.randint(WORDS, (TIME, BATCH))
    targets[-2:, :3] = IGNORE_INDEX
    weights = torch.rand(TIME, BATCH) if weighted else torch.full((TIME, BATCH), 1 / BATCH)
    if own:
        found = score_words(layer, hidden, targets)
    else:
        logits = layer(hidden).flatten(0, 1).float()
        found = -F.cross_entropy(logits, targets.flatten(), reduction="none").view_as(targets)
    assert not found[-2:, :3].any()
    return [found.detach(), *torch.autograd.grad(-(found * weights).sum(), [hidden, *layer.parameters()])]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("units", [8, 200, 650])
def test_float32_is_pytorchs_bit_for_bit(units: int, weighted: bool) -> None:
    for own, other in zip(
        values_and_gradients(units, True, weighted), values_and_gradients(units, False, weighted), strict=True
    ):
        assert torch.equal(own, other)


@pytest.mark.parametrize("weighted", [False, True])
def test_bfloat16_is_as_near_as_its_digits(weighted: bool) -> None:
    exact = values_and_gradients(200, False, weighted)
    with torch.autocast("cpu", torch.bfloat16):
        own = values_and_gradients(200, True, weighted)
        torchs = values_and_gradients(200, False, weighted)
    for one, true, other in zip(own, exact, torchs, strict=True):
        assert one.dtype == torch.float32
        error, usual = (one - true).norm(), (other - true).norm()
        assert error <= 1.5 * usual + 1e-6
        assert error < 0.02 * true.norm()


def test_without_gradients_the_values_are_the_same() -> None:
    layer, hidden = nn.Linear(8, WORDS), torch.randn(TIME, BATCH, 8)
    targets = torch.randint(WORDS, (TIME, BATCH))
    trained = score_words(layer, hidden, targets)
    with torch.no_grad():
        assert torch.equal(score_words(layer, hidden, targets), trained)


def test_a_second_backward_pass_is_refused_as_the_tensor_holds_gradients_by_then() -> None:
    layer, hidden = nn.Linear(8, WORDS), torch.randn(TIME, BATCH, 8)
    loss = score_words(layer, hidden, torch.randint(WORDS, (TIME, BATCH))).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
