"""The softmax layer and its loss in one: log-probabilities of true words, without keeping gradients of logits apart.

The logits of a window are its largest tensor by far. PyTorch writes them, their logarithmic softmax, a gradient of
zeros but for the true words, and the gradient of the logits; here one tensor is all of these in turn.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.products import product_type, transposed_product

ROWS_AT_ONCE = 64
"""Rows of logits in bfloat16 that are taken to single precision at once, few enough for a processor's cache."""


def score_words(layer: nn.Linear, hidden: Tensor, targets: Tensor) -> Tensor:
    """Natural log-probabilities [time, batch] of targets, 0 where a target is ignored.

    On a CPU it is trained through a function that is faster than PyTorch's, and in float32 equal to it bit for bit.

    Args:
        layer: the softmax layer.
        hidden: its inputs [time, batch, units].
        targets: ids [time, batch] of the true words, or IGNORE_INDEX.
    """
    if torch.is_grad_enabled() and hidden.device.type == "cpu":
        flat = hidden.flatten(0, 1)
        found: Tensor = _TrueLogProbabilities.apply(  # type: ignore[no-untyped-call]
            flat, layer.weight, layer.bias, targets.flatten(), product_type(flat)
        )
        return found.view_as(targets)
    return true_log_probabilities(layer(hidden), targets)


def true_log_probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    """Natural log-probabilities [time, batch] of targets [time, batch] under logits [time, batch, words]."""
    return -F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


class _TrueLogProbabilities(torch.autograd.Function):
    """Log-probabilities [n] of targets [n] after hidden [n, units]; those of ignored targets, which are < 0, are 0."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        x, w = hidden.to(dtype), weight.to(dtype)
        scores = torch.addmm(bias.to(dtype), x, w.t())
        ids = targets.clamp(min=0)[:, None]
        if dtype == torch.bfloat16:
            parts = zip(torch.split(scores, ROWS_AT_ONCE), torch.split(ids, ROWS_AT_ONCE), strict=True)
            found = torch.cat([torch.log_softmax(part, 1, dtype=bias.dtype).gather(1, one) for part, one in parts])
            torch.softmax(scores, 1, out=scores)[torch.arange(len(ids)), ids[:, 0]] = found.expm1().squeeze(1).to(dtype)
        else:
            found = torch.log_softmax(scores, 1, out=scores).gather(1, ids)
        found = found.squeeze(1).masked_fill(targets < 0, 0.0)
        ctx.save_for_backward(x, w, scores, targets)
        ctx.types = hidden.dtype, weight.dtype
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_found: Tensor) -> tuple[Tensor | None, ...]:
        x, w, scores, targets = ctx.saved_tensors
        of_hidden, of_weight = ctx.types
        d_found = d_found.masked_fill(targets < 0, 0.0)[:, None]
        if scores.dtype == torch.bfloat16:  # scores are p, and p - 1 for true words: gradients of -found
            by = (-d_found).to(scores.dtype)
            d_weight, d_bias = scores.t() @ (x * by), (by.t() @ scores).squeeze(0)
            return (scores @ w * by).to(of_hidden), d_weight.to(of_weight), d_bias.to(of_weight), None, None
        d_scores = _to_gradients(scores, targets.clamp(min=0)[:, None], d_found)
        return d_scores @ w, transposed_product(d_scores, x), d_scores.sum(0), None, None


def _to_gradients(scores: Tensor, ids: Tensor, d_found: Tensor) -> Tensor:
    """In place of log-probabilities [n, words] put the gradients of logits, from those of true words [n, 1]."""
    block = scores.new_zeros(min(ROWS_AT_ONCE, len(scores)), scores.shape[1])
    for part, one, d_one in zip(*(torch.split(x, ROWS_AT_ONCE) for x in (scores, ids, d_found)), strict=True):
        d_part = block[: len(part)].scatter_(1, one, d_one)
        torch.ops.aten._log_softmax_backward_data.out(d_part, part, 1, part.dtype, out=part)
        d_part.scatter_(1, one, 0.0)
    return scores
