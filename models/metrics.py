"""Perplexity, measured per token, and BLEU."""

from collections.abc import Sequence

import torch
from sacrebleu.metrics.bleu import BLEU
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

    def update(self, log_probabilities: Tensor, counted: Tensor | None = None) -> None:
        """Add the natural log-probabilities of true tokens.

        Args:
            log_probabilities: values of any shape; 0 where there is only padding.
            counted: which of them are tokens, boolean of the same shape; all if not given.
        """
        self.total_log_probs -= log_probabilities.sum(dtype=torch.double)
        self.count += log_probabilities.numel() if counted is None else counted.sum()


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, str]:
    """BLEU-4 of a whole corpus, 0 to 100, and the signature that says how it was measured (sacrebleu).

    Args:
        hypotheses: detokenized output, one string a sentence.
        references: for each sentence its references, detokenized; sentences may have different numbers of them.
    """
    most = max(len(of_sentence) for of_sentence in references)
    streams = [[of_sentence[i] if i < len(of_sentence) else None for of_sentence in references] for i in range(most)]
    metric = BLEU()
    return metric.corpus_score(hypotheses, streams).score, str(metric.get_signature())  # type: ignore[arg-type]
