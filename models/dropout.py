"""Dropout, with masks that are drawn fast where training rounds to bfloat16 on a CPU."""

import torch
from torch import Tensor, nn

from models.products import rounds_on_cpu

LEVELS = 2**16
"""Values of a random number of 16 bits, four of which are drawn at once."""


class Dropout(nn.Dropout):
    """nn.Dropout. Under autocast to bfloat16 on a CPU its masks come from 16 random bits a unit, as does its result.

    PyTorch draws a mask of the paper's medium size in as long as a layer's ten time steps take in bfloat16. The masks
    here take a seventh of that; the probability is rounded to a multiple of 2^-16. In float32, and on a GPU, masks are
    PyTorch's.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Values with each dropped or scaled, in training."""
        if not (self.training and 0 < self.p < 1 and rounds_on_cpu(input)):
            return super().forward(input)
        words = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[: input.numel()].view(input.shape)
        kept = numbers >= min(round(self.p * LEVELS), LEVELS - 1) - LEVELS // 2
        return input.to(torch.bfloat16) * (kept.to(torch.bfloat16) * (1 / (1 - self.p)))


class LockedDropout(Dropout):
    """Dropout with one mask for all time steps of a window (variational dropout, Gal & Ghahramani 2016, section 4).

    y[t] = m * x[t] / (1 - p), with one m ~ Bernoulli(1 - p) [batch, units] for all t; a mask is drawn at each call.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Values [time, batch, units] with the same units of each sequence dropped at every step, in training."""
        if not (self.training and self.p):
            return input
        return input * super().forward(torch.ones_like(input[:1]))
