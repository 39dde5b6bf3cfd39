"""Ensembles of every choice of members, and how much they gain over one model (paper Tables 1 and 4)."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis.intervals import (
    FEWEST_ITEMS,
    Component,
    Interval,
    interval,
    items,
    jackknife,
    perplexity_influences,
    seeds_and_items,
)

MOST_SUBSETS = 300
"""Subsets of members that are evaluated; of more, about this many are drawn, always the same."""


@dataclass(frozen=True)
class EnsembleGain:
    """The perplexity of ensembles of some models, over all choices of members, beside that of one model."""

    single: float
    """Mean perplexity of the models."""
    ensembles: tuple[float, ...]
    """Perplexity of each subset of members."""
    without_each: tuple[tuple[float, float], ...]
    """Both figures, of one model and of an ensemble, without each of the models in turn: for the jackknife."""
    influences: tuple[np.ndarray, np.ndarray]
    """The amount by which each block of tokens moves both figures, see intervals.perplexity_influences."""

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

    @property
    def over_models(self) -> Component | None:
        """The error of the share over models, by the jackknife; None for fewer than three, or if they are all alike."""
        if len(self.without_each) < 3 or math.isclose(self.mean, self.single):
            return None
        return jackknife([1 - many / one for one, many in self.without_each])

    def interval(self, confidence: float) -> Interval | None:
        """Interval of the share over models; None if their error is not known."""
        return interval(self.share, self.over_models, confidence) if self.over_models else None

    def interval_with_items(self, confidence: float) -> Interval | None:
        """Interval of the share over models and test items; None if an error is not known."""
        single, ensemble = self.influences
        if self.over_models is None or len(single) < FEWEST_ITEMS:
            return None
        over_items = items([(self.mean / self.single**2 * single - ensemble / self.single)[None]])
        return interval(self.share, seeds_and_items(self.over_models, over_items), confidence)


def ensemble_gain(log_probabilities: Sequence[np.ndarray], members: int) -> EnsembleGain:
    """The gain of ensembles of that many members.

    An ensemble's probability of a word is the mean of its members'. Where all models are members, the ensembles without
    one of them have a member fewer. Where not all choices of members are evaluated, the mean without a model is that of
    their additive part, see `additive_parts`: the mean of those drawn without it would vary by their other members.

    Args:
        log_probabilities: of the true tokens [tokens], of each model.
        members: models of an ensemble, at most as many as there are.
    """
    models, mixture = len(log_probabilities), Mixture(log_probabilities)
    single = np.array([perplexity(one) for one in log_probabilities])
    chosen = subsets(models, members)
    averaged = [mixture.log_probabilities(subset) for subset in chosen]
    ensembles = [perplexity(one) for one in averaged]
    parts = additive_parts(chosen, ensembles, models) if len(chosen) < math.comb(models, members) else None
    without_each = []
    for left_out in range(models):
        kept = [value for subset, value in zip(chosen, ensembles, strict=True) if left_out not in subset]
        others = [model for model in range(models) if model != left_out]
        many = float(np.mean(kept)) if kept else perplexity(mixture.log_probabilities(others))
        if parts is not None:
            many = members * float(np.delete(parts, left_out).mean())
        without_each.append((float(np.delete(single, left_out).mean()), many))
    influences = [
        np.mean([perplexity_influences(one) for one in several], axis=0) for several in (log_probabilities, averaged)
    ]
    return EnsembleGain(float(single.mean()), tuple(ensembles), tuple(without_each), (influences[0], influences[1]))


def subsets(models: int, members: int) -> list[tuple[int, ...]]:
    """All choices of members, or at most MOST_SUBSETS of them drawn at random, in which all models are equally often.

    These are the neighbors in random orders of the models on a circle. Drawn one by one, some models would be members
    more often than others, and where models differ in level so would the mean of the ensembles.
    """
    if math.comb(models, members) <= MOST_SUBSETS:
        return list(itertools.combinations(range(models), members))
    generator, drawn = np.random.default_rng(0), []
    for _ in range(max(1, MOST_SUBSETS // models)):
        order = generator.permutation(models)
        drawn += [tuple(sorted(np.roll(order, place)[:members].tolist())) for place in range(models)]
    return drawn


def additive_parts(subsets: Sequence[Sequence[int]], values: Sequence[float], models: int) -> np.ndarray:
    """The part of each model in a figure of subsets as a sum over their members, by least squares [models].

    Over all subsets of a size, the sum has the mean of the figure without any of the models (Hoeffding 1948).
    """
    members = np.zeros((len(subsets), models))
    for row, subset in zip(members, subsets, strict=True):
        row[list(subset)] = 1
    parts: np.ndarray = np.linalg.lstsq(members, np.array(values), rcond=None)[0]
    return parts


class Mixture:
    """Models that give the same tokens probabilities, to be averaged over any of them.

    Args:
        log_probabilities: natural logarithms of the probability of each true token [tokens], of each model.
    """

    def __init__(self, log_probabilities: Sequence[np.ndarray]) -> None:
        stacked = np.stack([one.astype(np.float64) for one in log_probabilities])
        self._highest = stacked.max(axis=0)
        self._probabilities = np.exp(stacked - self._highest)
        """Parts of the highest probability, which may itself be too small for a number."""

    def log_probabilities(self, members: Sequence[int]) -> np.ndarray:
        """Natural logarithms of the mean of some models' probabilities [tokens]."""
        mean: np.ndarray = np.log(self._probabilities[list(members)].mean(axis=0)) + self._highest
        return mean


def perplexity(log_probabilities: np.ndarray) -> float:
    """Perplexity of natural log-probabilities [tokens] of true tokens."""
    return float(np.exp(-log_probabilities.astype(np.float64).mean()))
