"""Beam search, against every sentence there is; and the average of models."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from models.backbone import initialize_uniform
from models.decoding import average, beam_search
from models.tokens import TokenDecoder

WORDS, EOS, LONGEST, SENTENCES = 4, 0, 4, 3


@pytest.fixture
def decoders() -> list[TokenDecoder]:
    """Two tiny models with opinions."""
    stack = {"hidden_size": 5, "layers": 2, "dropout": 0.0, "recurrent_dropout": 0.0, "cell": "lstm"}
    found = [TokenDecoder(WORDS, backbone="models.backbone.RegularizedLSTM", **stack) for _ in range(2)]
    for decoder in found:
        initialize_uniform(decoder, 1.5)
    return [decoder.eval() for decoder in found]


def states(decoder: TokenDecoder) -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple((torch.randn(1, SENTENCES, 5), torch.randn(1, SENTENCES, 5)) for _ in range(2))


def of_sentence(state, sentence: int):
    return tuple(tuple(part[:, sentence : sentence + 1] for part in layer) for layer in state)


@torch.no_grad()
def log_probability(decoder: TokenDecoder, state, tokens: tuple[int, ...]) -> float:
    """Of a sentence and its end, by one pass over it."""
    logits, _ = decoder(torch.tensor([EOS, *tokens])[:, None], state)
    return float(logits[:, 0].log_softmax(-1).gather(1, torch.tensor([*tokens, EOS])[:, None]).sum())


def every_sentence(forbidden: set[int]):
    allowed = [word for word in range(WORDS) if word != EOS and word not in forbidden]
    return (words for length in range(LONGEST) for words in itertools.product(allowed, repeat=length))


@pytest.mark.parametrize("normalization", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("forbidden", [set(), {2}])
def test_a_wide_beam_finds_the_best_of_all_sentences(decoders, normalization: float, forbidden: set[int]) -> None:
    decoder, state = decoders[0], states(decoders[0])
    found = beam_search(
        decoder.step,
        state,
        SENTENCES,
        eos=EOS,
        beam=WORDS**LONGEST,
        max_length=LONGEST,
        length_normalization=normalization,
        forbidden=forbidden,
    )
    for sentence, hypothesis in enumerate(found):
        scores = {
            words: log_probability(decoder, of_sentence(state, sentence), words) / (len(words) + 1) ** normalization
            for words in every_sentence(forbidden)
        }
        best = max(scores, key=scores.__getitem__)
        assert tuple(hypothesis.tokens) == best
        assert hypothesis.score == pytest.approx(scores[best], abs=1e-4)
        expected = log_probability(decoder, of_sentence(state, sentence), best)
        assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


def test_a_beam_of_one_is_greedy(decoders) -> None:
    decoder, state = decoders[0], states(decoders[0])
    for sentence, hypothesis in enumerate(
        beam_search(decoder.step, state, SENTENCES, eos=EOS, beam=1, max_length=LONGEST)
    ):
        tokens, last, own = [], EOS, of_sentence(state, sentence)
        while len(tokens) < LONGEST - 1:
            log_probabilities, own = decoder.step(torch.tensor([last]), own)
            last = int(log_probabilities.argmax())
            if last == EOS:
                break
            tokens.append(last)
        assert hypothesis.tokens == tokens


def test_an_ending_that_is_not_among_the_best_extensions_does_not_count() -> None:
    """Likely sentences are long: the short one would win at the end, but a beam of two never meets it."""
    first = torch.tensor([0.1, 0.5, 0.4]).log()
    later = torch.tensor([0.2, 0.4, 0.4]).log()

    def step(last: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where((state[0] == 0)[:, None], first, later), state + 1

    (narrow,) = beam_search(step, torch.zeros(1, 1), 1, eos=0, beam=2, max_length=6)
    (wide,) = beam_search(step, torch.zeros(1, 1), 1, eos=0, beam=3, max_length=6)
    assert len(narrow.tokens) == 5
    assert wide.tokens == []
    assert math.exp(wide.log_probability) == pytest.approx(0.1)


def test_sentences_of_a_batch_do_not_see_each_other(decoders) -> None:
    decoder, state = decoders[0], states(decoders[0])
    together = beam_search(decoder.step, state, SENTENCES, eos=EOS, beam=3, max_length=LONGEST)
    for sentence in range(SENTENCES):
        (alone,) = beam_search(decoder.step, of_sentence(state, sentence), 1, eos=EOS, beam=3, max_length=LONGEST)
        assert alone.tokens == together[sentence].tokens


def test_an_average_of_models_searches_by_the_mean_of_their_probabilities(decoders) -> None:
    member_states = tuple(states(decoder) for decoder in decoders)
    step = average([decoder.step for decoder in decoders])
    log_probabilities, _ = step(torch.full((SENTENCES,), EOS), member_states)
    members = [
        decoder.step(torch.full((SENTENCES,), EOS), state)[0]
        for decoder, state in zip(decoders, member_states, strict=True)
    ]
    expected = (members[0].exp() + members[1].exp()) / 2
    assert torch.allclose(log_probabilities.exp(), expected, atol=1e-6)
    (one, *_) = beam_search(step, member_states, SENTENCES, eos=EOS, beam=4, max_length=LONGEST)
    assert one.score < 0
