"""Perplexity, measured per token, and BLEU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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


@dataclass(frozen=True)
class CorpusBleu:
    """BLEU-4 of a whole corpus (sacrebleu)."""

    score: float
    """0 to 100."""
    signature: str
    """How it was measured."""
    counts: np.ndarray
    """Integers [sentences, 10], whose sums over sentences BLEU is computed from: matching n-grams for n from 1 to 4,
    n-grams of the hypothesis likewise, length of the hypothesis and of the closest reference."""

    @property
    def remarks(self) -> list[str]:
        """A remark where there is nothing to measure: BLEU counts up to four words in a row."""
        has_four = self.counts[:, 7].any()
        return [] if has_four else ["no output has four words, so that BLEU is 0 whatever they say"]

    @property
    def details(self) -> dict[str, Any]:
        """What a record keeps of how it was measured."""
        return {"bleu_signature": self.signature, **({"bleu_remarks": self.remarks} if self.remarks else {})}


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, tokenized: bool = False, rules: str = "13a"
) -> CorpusBleu:
    """Measure BLEU.

    Args:
        hypotheses: output, one string a sentence, detokenized unless `tokenized`.
        references: for each sentence its references, likewise; sentences may have different numbers of them.
        tokenized: whether words are what stands between spaces, and nothing is smoothed, as in multi-bleu.perl, which
            the papers of the time used (Sutskever et al. 2014); otherwise they are what sacrebleu takes for words.
        rules: sacrebleu's name of the rules by which it splits the language into words.
    """
    most = max(len(of_sentence) for of_sentence in references)
    streams = [[of_sentence[i] if i < len(of_sentence) else None for of_sentence in references] for i in range(most)]
    options: dict[str, Any] = {"tokenize": rules}
    if tokenized:
        options = {"tokenize": "none", "smooth_method": "none", "force": True}
    whole, single = BLEU(**options), BLEU(**options, effective_order=True)
    score = whole.corpus_score(hypotheses, streams)  # type: ignore[arg-type]
    of_each = [single.sentence_score(found, true) for found, true in zip(hypotheses, references, strict=True)]
    counts = np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in of_each], np.int32)
    return CorpusBleu(score.score, str(whole.get_signature()), counts)
