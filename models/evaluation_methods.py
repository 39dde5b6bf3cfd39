"""Ways to evaluate a trained language model that the literature has beside the plain one.

A method gives each true token of a text a log-probability. All but the plain one have settings, which are chosen on the
validation set: a method's `candidates` are the settings that are tried.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, ClassVar, Literal, Self

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from typing_extensions import override

from datamodules.errors import UserError
from datamodules.language_modeling.datamodule import EVALUATION_WINDOW
from models.language_model import LanguageModel

WINDOW_OF_PASSES = 100
"""Time steps of several passes side by side, whose logits are in memory together."""


@dataclass(frozen=True)
class Method(ABC):
    """A way to evaluate a language model; the fields of its subclasses are its settings."""

    name: ClassVar[str]
    """Name on the command line and in tables."""
    source: ClassVar[str]
    """The paper that it is from."""
    grid: ClassVar[Mapping[str, Sequence[float]]] = {}
    """The values that are tried on the validation set, for each setting that is chosen there."""

    @abstractmethod
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        """Natural log-probabilities [tokens - 1] of ids [tokens], each after all before it, as one stream.

        The model is as it was afterward.
        """

    def candidates(self, given: Mapping[str, Any]) -> list[Self]:
        """The method with every combination of the values that are tried; a setting that is given is not tried."""
        tried = {name: values for name, values in self.grid.items() if name not in given}
        found = [dict(zip(tried, values, strict=True)) for values in product(*tried.values())]
        return [replace(self, **given, **values) for values in found]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Plain(Method):
    """The whole text as one stream, dropout off: the evaluation of the paper and of every record."""

    name: ClassVar[str] = "plain"
    source: ClassVar[str] = "Zaremba et al. 2014"

    @override
    @torch.no_grad()
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        tokens, state, found = tokens.to(model.device)[:, None], None, []
        for begin in range(0, len(tokens) - 1, EVALUATION_WINDOW):
            window = tokens[begin : begin + EVALUATION_WINDOW + 1]
            values, state = model.decoder.score(window[:-1], window[1:], state)
            found.append(values[:, 0])
        return torch.cat(found) if found else tokens.new_empty(0, dtype=torch.float)


@dataclass(frozen=True)
class MonteCarloDropout(Method):
    """The mean of the predictions of several passes with dropout on (Gal & Ghahramani 2016; Melis et al. 2018).

    Each pass carries a state of its own. What is random in training is drawn as in training, at each time step or,
    where it is kept for a window there, at every WINDOW_OF_PASSES steps; Gal & Ghahramani keep it for a sequence.
    """

    name: ClassVar[str] = "mc-dropout"
    source: ClassVar[str] = "Gal & Ghahramani 2016, arXiv:1512.05287; Melis et al. 2018, arXiv:1805.09208"

    samples: int = 20
    """Passes."""
    mean: Literal["arithmetic", "geometric"] = "arithmetic"
    """Mean of the probabilities, or of their logarithms, normalized again."""
    seed: int = 0
    """Seed of the masks."""

    @override
    @torch.no_grad()
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        devices = [model.device] if model.device.type == "cuda" else []
        was_training = model.training
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            model.train()
            try:
                if _is_the_same_again(model, tokens):
                    raise UserError(f"{self.name} needs a model trained with dropout, as without it all passes are one")
                torch.manual_seed(self.seed)
                passes = zip(*(run(model, tokens, WINDOW_OF_PASSES) for _ in range(self.samples)), strict=True)
                return torch.cat([self._mean(windows) for windows in passes])
            finally:
                model.train(was_training)

    def _mean(self, windows: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """Log-probabilities [time] of a window's targets, from all passes over it."""
        targets = windows[0][2][:, None]
        if self.mean == "arithmetic":
            true = [logits.log_softmax(dim=-1).gather(1, targets)[:, 0] for _, logits, _ in windows]
            return torch.stack(true).logsumexp(dim=0) - math.log(len(true))
        total = torch.zeros_like(windows[0][1])
        for _, logits, _ in windows:
            total += logits.log_softmax(dim=-1)
        return (total / len(windows)).log_softmax(dim=-1).gather(1, targets)[:, 0]


@dataclass(frozen=True)
class SoftmaxTemperature(Method):
    """Logits divided by one number (Guo et al. 2017, section 4.2; for language models Melis et al. 2018)."""

    name: ClassVar[str] = "temperature"
    source: ClassVar[str] = "Guo et al. 2017, arXiv:1706.04599; Melis et al. 2018, arXiv:1805.09208"
    grid: ClassVar[Mapping[str, Sequence[float]]] = {"temperature": (0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4)}

    temperature: float = 1.0
    """Divisor; above 1 the predictions are flatter."""

    @override
    @torch.no_grad()
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        found = [
            (logits / self.temperature).log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
            for _, logits, targets in run(model, tokens)
        ]
        return torch.cat(found)


@dataclass(frozen=True)
class NeuralCache(Method):
    """Mixture with a cache of recent words, each weighted by how like its hidden state is (Grave et al. 2017, eq. 2-5).

    p(w) = (1 - weight) p_model(w) + weight p_cache(w), where p_cache(w) is proportional to the sum of
    exp(flatness h_t . h_i) over the last `size` steps i < t whose next word was w.
    """

    name: ClassVar[str] = "neural-cache"
    source: ClassVar[str] = "Grave et al. 2017, arXiv:1612.04426"
    grid: ClassVar[Mapping[str, Sequence[float]]] = {
        "flatness": (0.1, 0.3, 1.0, 3.0),
        "weight": (0.05, 0.1, 0.2, 0.3),
    }

    size: int = 500
    """Words that the cache remembers."""
    flatness: float = 0.3
    """Theta of the paper."""
    weight: float = 0.1
    """Lambda of the paper."""

    @override
    @torch.no_grad()
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        found = []
        keys, words = torch.empty(0, device=model.device), tokens.new_empty(0).to(model.device)
        for outputs, logits, targets in run(model, tokens):
            true = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
            keys, words = torch.cat([keys, outputs]), torch.cat([words, targets])
            now = torch.arange(len(words) - len(targets), len(words), device=words.device)[:, None]
            age = now - torch.arange(len(words), device=words.device)  # [time, remembered]
            remembered = (age >= 1) & (age <= self.size)
            scores = (self.flatness * outputs @ keys.T).masked_fill(~remembered, -torch.inf)
            matches = scores.masked_fill(words != targets[:, None], -torch.inf)
            cached = matches.logsumexp(dim=1) - scores.logsumexp(dim=1)
            mixed = torch.logaddexp(true + math.log1p(-self.weight), cached + math.log(self.weight))
            found.append(torch.where(remembered.any(dim=1), mixed, true))  # before the first word there is no cache
            keys, words = keys[-self.size :], words[-self.size :]
        return torch.cat(found)


@dataclass(frozen=True)
class DynamicEvaluation(Method):
    """The model learns from each segment of the text after it was scored (Krause et al. 2018, equation 5, by SGD).

    theta <- theta - rate * gradient + decay * (theta_0 - theta), where the gradient is of the mean loss of the segment
    and theta_0 are the trained parameters. Their variant that scales by gradients of the training set is not built.
    """

    name: ClassVar[str] = "dynamic"
    source: ClassVar[str] = "Krause et al. 2018, arXiv:1709.07432"
    grid: ClassVar[Mapping[str, Sequence[float]]] = {
        "rate": (0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
        "decay": (0.0, 0.01),
    }

    segment: int = 20
    """Tokens scored before the parameters change."""
    rate: float = 0.1
    """Learning rate."""
    decay: float = 0.0
    """Part of the way back to the trained parameters that each step takes."""

    @override
    def log_probabilities(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        learner, found = copy.deepcopy(model).eval(), []
        trained = [parameter.detach().clone() for parameter in learner.parameters()]
        # cuDNN has no backward pass of a recurrent layer in evaluation mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            for _, logits, targets in run(learner, tokens, self.segment):
                true = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
                found.append(true.detach())
                gradients = torch.autograd.grad(-true.mean(), list(learner.parameters()))
                with torch.no_grad():
                    for parameter, gradient, start in zip(learner.parameters(), gradients, trained, strict=True):
                        parameter.add_(self.decay * (start - parameter) - self.rate * gradient)
        return torch.cat(found)


METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Plain, MonteCarloDropout, SoftmaxTemperature, NeuralCache, DynamicEvaluation)
}


def run(
    model: LanguageModel, tokens: Tensor, window: int = EVALUATION_WINDOW
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Windows of a text as one stream, the state carried and detached.

    Yields:
        Outputs of the backbone [time, units], logits [time, words], and the ids [time] of the words to predict.
    """
    decoder, state = model.decoder, None
    tokens = tokens.to(model.device)
    for begin in range(0, len(tokens) - 1, window):
        part = tokens[begin : begin + window + 1]
        outputs, state = decoder.hidden(part[:-1, None], state)
        state = apply_to_collection(state, Tensor, Tensor.detach)
        yield outputs[:, 0], decoder.output(outputs)[:, 0], part[1:]


def _is_the_same_again(model: LanguageModel, tokens: Tensor) -> bool:
    """Whether a second pass over the beginning of a text gives what the first gave."""
    begin = tokens[: WINDOW_OF_PASSES + 1]
    return all(torch.equal(one[1], other[1]) for one, other in zip(run(model, begin), run(model, begin), strict=True))


def choose(candidates: Sequence[Method], model: LanguageModel, validation: Tensor) -> Method:
    """The candidate with the lowest perplexity on the validation text, ids [tokens]."""
    if len(candidates) == 1:
        return candidates[0]
    losses = [float(-candidate.log_probabilities(model, validation).double().sum()) for candidate in candidates]
    return candidates[losses.index(min(losses, key=lambda loss: loss if math.isfinite(loss) else math.inf))]
