"""Getting text out of a trained model: drawing words, and the beam search of translations and captions."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""From the last words [batch] and a state, the log-probabilities [batch, words] of the next and the new state.

States are nested tuples of tensors whose second dimension is the batch, as those of RegularizedLSTM are.
"""


@dataclass(frozen=True)
class Hypothesis:
    """A sentence that beam search has found."""

    tokens: list[int]
    """Ids of the words, without `<eos>`."""
    log_probability: float
    """Natural log-probability of the words and `<eos>`."""
    score: float
    """The log-probability divided by the length to the power of length_normalization, by which it was chosen."""


@torch.no_grad()
def beam_search(
    step: Step,
    state: Any,
    batch: int,
    *,
    eos: int,
    beam: int,
    max_length: int,
    length_normalization: float = 0.0,
    forbidden: Collection[int] = (),
    device: torch.device | str = "cpu",
) -> list[Hypothesis]:
    """The likeliest sentences that a left-to-right beam search finds (Sutskever et al. 2014, section 3.2).

    At each step the `beam` likeliest extensions of all hypotheses count; those that end with `<eos>` are complete, and
    the likeliest others go on. A hypothesis that reaches max_length must end. A sentence is done when no hypothesis
    under way can still beat its best complete one.

    Args:
        step: the model, or `average` of several.
        state: state of each sentence before its first word, batch as second dimension.
        batch: sentences searched at once.
        eos: id of `<eos>`, fed as the first word and read as the end.
        beam: hypotheses kept for each sentence.
        max_length: words of the longest hypothesis, `<eos>` included.
        length_normalization: 0 ranks complete hypotheses by log-probability, as the paper does; 1 by
            log-probability per word, `<eos>` included; values between are possible.
        forbidden: ids that are never chosen, such as `<unk>`.
        device: device of the model.

    Returns:
        The best complete hypothesis of each sentence, [batch].
    """
    state = apply_to_collection(state, Tensor, lambda tensor: tensor.repeat_interleave(beam, dim=1))
    last = torch.full((batch * beam,), eos, device=device)
    # Only the first of a sentence's hypotheses is alive at first: they are all the same, the empty one.
    alive = torch.full((batch, beam), -torch.inf, device=device)
    alive[:, 0] = 0.0
    history = torch.zeros(batch, beam, 0, dtype=torch.long, device=device)
    best: list[Hypothesis | None] = [None] * batch

    for length in range(1, max_length + 1):
        log_probabilities, state = step(last, state)
        log_probabilities = log_probabilities.float()
        log_probabilities[:, list(forbidden)] = -torch.inf
        scores, parents, tokens = _extend(alive, log_probabilities, eos if length == max_length else None)
        ends = tokens == eos
        _keep_complete(best, ends[:, :beam], scores, parents, history, length**length_normalization)
        if length == max_length:
            break

        alive, parents, last, history = _go_on(ends, scores, parents, tokens, history)
        rows = (parents + beam * torch.arange(batch, device=device)[:, None]).flatten()
        state = apply_to_collection(state, Tensor, lambda tensor, rows=rows: tensor.index_select(1, rows))

        # A hypothesis under way can at best keep its log-probability, over the longest length there may be.
        bound = (alive[:, 0] / max_length**length_normalization).tolist()
        if all(found is not None and found.score >= limit for found, limit in zip(best, bound, strict=True)):
            break
    return [found or Hypothesis([], -torch.inf, -torch.inf) for found in best]


def _extend(alive: Tensor, log_probabilities: Tensor, only: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest extensions of hypotheses by one word.

    Args:
        alive: log-probabilities [batch, beam] of the hypotheses.
        log_probabilities: log-probabilities of the next word [batch x beam, words].
        only: the one word that may extend them, where there is only one.

    Returns:
        Log-probability, number of the hypothesis and word of each extension, the likeliest first, [batch, 2 x beam].
    """
    (batch, beam), words = alive.shape, log_probabilities.shape[-1]
    extended = alive[:, :, None] + log_probabilities.view(batch, beam, words)
    if only is not None:
        allowed = extended[:, :, only].clone()
        extended.fill_(-torch.inf)[:, :, only] = allowed
    # At most `beam` of the best 2 x beam extensions end, so that `beam` of them go on.
    scores, flat = extended.flatten(1).topk(min(2 * beam, beam * words), dim=1)
    return scores, flat // words, flat % words


def _keep_complete(
    best: list[Hypothesis | None], ends: Tensor, scores: Tensor, parents: Tensor, history: Tensor, divisor: float
) -> None:
    """Replace the best complete hypothesis of each sentence by a better one among those that end at this step.

    Args:
        best: of each sentence, None before the first; changed in place.
        ends: whether each of the likeliest extensions ends [batch, beam].
        scores: log-probabilities of the extensions, and `parents`, their hypotheses, [batch, at least beam].
        parents: see scores.
        history: words of the hypotheses [batch, beam, words].
        divisor: length of what ends, to the power of length_normalization.
    """
    for sentence, rank in (ends & scores[:, : ends.shape[1]].isfinite()).nonzero().tolist():
        log_probability = float(scores[sentence, rank])
        score, found = log_probability / divisor, best[sentence]
        if found is None or score > found.score:
            best[sentence] = Hypothesis(history[sentence, parents[sentence, rank]].tolist(), log_probability, score)


def _go_on(
    ends: Tensor, scores: Tensor, parents: Tensor, tokens: Tensor, history: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The hypotheses that go on, the likeliest first: log-probabilities, parents, last words [batch x beam], words."""
    beam, length = history.shape[1:]
    order = ends.long().argsort(dim=1, stable=True)[:, :beam]
    alive = scores.gather(1, order).masked_fill(ends.gather(1, order), -torch.inf)
    parents, tokens = parents.gather(1, order), tokens.gather(1, order)
    history = torch.cat([history.gather(1, parents[:, :, None].expand(-1, -1, length)), tokens[:, :, None]], dim=2)
    return alive, parents, tokens.flatten(), history


def average(steps: Sequence[Step]) -> Step:
    """One step of several models, their probabilities averaged (paper section 4.1); the state is a tuple of theirs."""

    def step(tokens: Tensor, states: Any) -> tuple[Tensor, Any]:
        found = [one(tokens, state) for one, state in zip(steps, states, strict=True)]
        log_probabilities = torch.stack([log_probabilities for log_probabilities, _ in found])
        mean = log_probabilities.logsumexp(dim=0) - math.log(len(steps))
        return mean, tuple(state for _, state in found)

    return step


@torch.no_grad()
def sample(
    model: nn.Module,
    prompt: Sequence[int],
    count: int,
    forbidden: Collection[int] = (),
    temperature: float = 1.0,
    seed: int = 0,
    top_k: int | None = None,
) -> Iterator[int]:
    """Continue a prompt word by word, each drawn from the model's distribution (paper figure 4).

    Args:
        model: called with tokens [time, batch] and a state, gives logits and the new state, as LanguageModel does.
        prompt: ids of the words to continue; at least one.
        count: number of words to draw.
        forbidden: ids that are never drawn; the paper forbids `<unk>`, N and $.
        temperature: divides the logits; below 1 the likely words become likelier.
        seed: seed of the draws.
        top_k: only so many of the likeliest words can be drawn (Fan et al. 2018, section 5.4); all if None.

    Yields:
        The id of each word, as soon as it is drawn.
    """
    model.eval()
    generator = torch.Generator().manual_seed(int(seed))
    device = next(model.parameters()).device
    tokens, state = torch.tensor(prompt, device=device)[:, None], None
    for _ in range(count):
        logits, state = model(tokens, state)
        logits = logits[-1, 0].float().cpu() / temperature
        logits[list(forbidden)] = -torch.inf
        if top_k is not None and top_k < len(logits):
            logits[logits < logits.topk(top_k).values[-1]] = -torch.inf
        word = int(torch.multinomial(logits.softmax(dim=0), 1, generator=generator))
        yield word
        tokens = torch.tensor([[word]], device=device)
