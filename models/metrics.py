"""Perplexity, measured per token."""

import torch
from torch import Tensor
from torchmetrics.text import Perplexity


class TokenPerplexity(Perplexity):
    """Perplexity exp(-mean log p) over every token seen since the last reset.

    torchmetrics' Perplexity, fed the log-probabilities of the true tokens, which the suite needs anyway for
    ensembles, rather than a second softmax over the vocabulary. Sums are kept in double precision.
    """

    total_log_probs: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.double)

    def update(self, log_probabilities: Tensor) -> None:  # type: ignore[override]
        """Add the natural log-probabilities of true tokens, any shape."""
        self.total_log_probs -= log_probabilities.sum(dtype=torch.double)
        self.count += log_probabilities.numel()
