"""Ensembles of every choice of members, and how much they gain over one model (paper Tables 1 and 4)."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis.intervals import Interval, interval, jackknife

MOST_SUBSETS = 300
"""Subsets of members that are evaluated; of more, this many are drawn, always the same."""


@dataclass(frozen=True)
class EnsembleGain:
    """The perplexity of ensembles of some models, over all choices of members, beside that of one model."""

    single: float
    """Mean perplexity of the models."""
    ensembles: tuple[float, ...]
    """Perplexity of each subset of members."""
    without_each: tuple[tuple[float, float], ...]
    """Both figures, of one model and of an ensemble, without each of the models in turn: for the jackknife."""

    @property
    def mean(self) -> float:
        """Mean perplexity of the ensembles."""
        return float(np.mean(self.ensembles))

    @property
    def sd(self) -> float | None:
        """Standard deviation over the choices of members; None if there is one choice."""
        return float(np.std(self.ensembles, ddof=1)) if len(self.ensembles) > 1 else None

    @property
    def share(self) -> float:
        """The part of one model's perplexity that the ensemble takes away, from 0 to 1."""
        return 1 - self.mean / self.single

    def interval(self, confidence: float) -> Interval | None:
        """Interval of the share over models, by the jackknife; None for fewer than three."""
        if len(self.without_each) < 3:
            return None
        return interval(self.share, jackknife([1 - many / one for one, many in self.without_each]), confidence)


def ensemble_gain(log_probabilities: Sequence[np.ndarray], members: int) -> EnsembleGain:
    """The gain of ensembles of that many members.

    An ensemble's probability of a word is the mean of its members'. Where all models are members, the ensembles without
    one of them have a member fewer.

    Args:
        log_probabilities: of the true tokens [tokens], of each model.
        members: models of an ensemble, at most as many as there are.
    """
    models = len(log_probabilities)
    probabilities = np.exp(np.stack([one.astype(np.float64) for one in log_probabilities]))
    single = np.exp(-np.log(probabilities).mean(axis=1))
    chosen = subsets(models, members)
    ensembles = [perplexity(probabilities[list(subset)]) for subset in chosen]
    without_each = []
    for left_out in range(models):
        kept = [value for subset, value in zip(chosen, ensembles, strict=True) if left_out not in subset]
        many = float(np.mean(kept)) if kept else perplexity(np.delete(probabilities, left_out, axis=0))
        without_each.append((float(np.delete(single, left_out).mean()), many))
    return EnsembleGain(float(single.mean()), tuple(ensembles), tuple(without_each))


def subsets(models: int, members: int) -> list[tuple[int, ...]]:
    """All choices of members, or MOST_SUBSETS of them drawn at random."""
    if math.comb(models, members) <= MOST_SUBSETS:
        return list(itertools.combinations(range(models), members))
    generator = np.random.default_rng(0)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < MOST_SUBSETS:
        drawn[tuple(sorted(generator.choice(models, members, replace=False).tolist()))] = None
    return list(drawn)


def perplexity(probabilities: np.ndarray) -> float:
    """Perplexity of the mean of probabilities [members, tokens] of the true tokens."""
    return float(np.exp(-np.log(probabilities.mean(axis=0)).mean()))
