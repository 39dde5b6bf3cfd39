"""Evaluation methods, each against a computation by hand or step by step."""

import math

import pytest
import torch
from torch import Tensor

from datamodules.errors import UserError
from models.evaluation_methods import (
    METHODS,
    DynamicEvaluation,
    MonteCarloDropout,
    NeuralCache,
    Plain,
    SoftmaxTemperature,
    choose,
    run,
)
from models.language_model import LanguageModel

WORDS = ["<eos>", "<unk>", "a", "b", "c"]
TOKENS = torch.tensor([0, 2, 3, 2, 2, 4, 0, 3, 2, 3, 1, 4])


def make(dropout: float = 0.0, **methods) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(
        WORDS, 0.5, 1.0, 1, 1, hidden_size=4, layers=2, dropout=dropout, recurrent_dropout=0.0, cell="lstm",
        backbone="models.backbone.RegularizedLSTM", **methods,
    ).eval()  # fmt: skip


@torch.no_grad()
def steps(model: LanguageModel) -> tuple[Tensor, Tensor]:
    """Hidden states and log-probabilities of all words at each step, one step at a time."""
    hidden, logits = zip(*((outputs[0], logits[0]) for outputs, logits, _ in run(model, TOKENS, window=1)), strict=True)
    return torch.stack(hidden), torch.stack(logits).log_softmax(dim=-1)


def test_plain_is_the_probability_of_each_word_after_all_before_it() -> None:
    model = make()
    expected = steps(model)[1].gather(1, TOKENS[1:, None])[:, 0]
    assert torch.allclose(Plain().log_probabilities(model, TOKENS), expected, atol=1e-6)


def test_temperature_divides_the_logits() -> None:
    model = make()
    words = steps(model)[1]  # log-probabilities are logits too
    powered = words.exp() ** (1 / 1.7)
    expected = (powered / powered.sum(dim=1, keepdim=True)).gather(1, TOKENS[1:, None])[:, 0].log()
    assert torch.allclose(SoftmaxTemperature(1.7).log_probabilities(model, TOKENS), expected, atol=1e-6)


@pytest.mark.parametrize("embedding_size", [None, 3])
def test_the_cache_is_equation_2_to_5_of_grave_et_al(embedding_size: int | None) -> None:
    """With tied weights the outputs are as wide as the embedding."""
    model, size, theta, share = make(tied=True, embedding_size=embedding_size), 3, 0.9, 0.25
    hidden, words = steps(model)
    expected = []
    for now, true in enumerate(TOKENS[1:].tolist()):
        p = math.exp(words[now, true])
        weights = {i: math.exp(theta * float(hidden[now] @ hidden[i])) for i in range(max(0, now - size), now)}
        if weights:
            same = sum(weight for i, weight in weights.items() if int(TOKENS[i + 1]) == true)
            p = (1 - share) * p + share * same / sum(weights.values())
        expected.append(math.log(p))
    found = NeuralCache(size, theta, share).log_probabilities(model, TOKENS)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_cache_remembers_across_windows(monkeypatch) -> None:
    model = make()
    whole = NeuralCache(5, 0.5, 0.3).log_probabilities(model, TOKENS)
    monkeypatch.setattr("models.evaluation_methods.run", lambda model, tokens: run(model, tokens, window=2))
    assert torch.allclose(NeuralCache(5, 0.5, 0.3).log_probabilities(model, TOKENS), whole, atol=1e-6)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_monte_carlo_averages_passes_with_dropout_on(mean, monkeypatch) -> None:
    model, kept = make(0.5), []

    def noted(*arguments):
        passed = list(run(*arguments))
        kept.append(torch.cat([logits for _, logits, _ in passed]).log_softmax(dim=-1))
        return passed

    monkeypatch.setattr("models.evaluation_methods.run", noted)
    state = torch.get_rng_state()
    found = MonteCarloDropout(3, mean, seed=7).log_probabilities(model, TOKENS)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    passes = torch.stack(kept[-3:])
    assert not torch.allclose(passes[0], passes[1])
    if mean == "arithmetic":
        mixed = passes.exp().mean(dim=0)
    else:
        mixed = passes.mean(dim=0).exp()
        mixed = mixed / mixed.sum(dim=1, keepdim=True)
    assert torch.allclose(found.exp(), mixed.gather(1, TOKENS[1:, None])[:, 0], atol=1e-6)


@pytest.mark.parametrize("methods", [{}, {"layer_norm": True}, {"tied": True}], ids=str)
def test_monte_carlo_of_a_model_without_dropout_is_refused(methods) -> None:
    with pytest.raises(UserError, match="needs a model trained with dropout"):
        MonteCarloDropout().log_probabilities(make(**methods), TOKENS)


@pytest.mark.parametrize(
    "method",
    ["input_dropout", "output_dropout", "update_dropout", "zoneout_cell", "zoneout_hidden", "weight_drop",
     "embedding_dropout"],
)  # fmt: skip
def test_monte_carlo_draws_whatever_training_draws(method: str) -> None:
    model = make(**{method: 0.5})
    one, other = (MonteCarloDropout(1, seed=seed).log_probabilities(model, TOKENS) for seed in (1, 2))
    assert not torch.allclose(one, other)
    assert torch.equal(MonteCarloDropout(1, seed=1).log_probabilities(model, TOKENS), one)


def test_dynamic_evaluation_steps_after_each_segment_by_equation_5() -> None:
    """Two segments by hand: the second is scored by theta - rate * gradient, then drawn back to theta_0."""
    model, rate, decay = make(), 0.7, 0.2
    before = [parameter.clone() for parameter in model.parameters()]
    found = DynamicEvaluation(4, rate, decay).log_probabilities(model, TOKENS[:9])
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))

    learner = make()
    logits, state = learner(TOKENS[:4, None])
    first = logits[:, 0].log_softmax(dim=-1).gather(1, TOKENS[1:5, None])[:, 0]
    gradients = torch.autograd.grad(-first.mean(), list(learner.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(learner.parameters(), gradients, strict=True):
            parameter -= rate * gradient
        second = learner(TOKENS[4:8, None], state)[0][:, 0].log_softmax(dim=-1).gather(1, TOKENS[5:9, None])[:, 0]
    assert torch.allclose(found, torch.cat([first, second]).detach(), atol=1e-5)


def test_decay_draws_back_to_the_trained_parameters() -> None:
    model = make()
    back = DynamicEvaluation(4, rate=1e-9, decay=1.0).log_probabilities(model, TOKENS)
    assert torch.allclose(back, Plain().log_probabilities(model, TOKENS), atol=1e-5)


def test_settings_are_chosen_by_the_validation_text() -> None:
    model = make()
    tried = SoftmaxTemperature().candidates({})
    assert len(tried) == len(SoftmaxTemperature.grid["temperature"])
    losses = {method: -method.log_probabilities(model, TOKENS).sum() for method in tried}
    assert choose(tried, model, TOKENS) == min(losses, key=losses.__getitem__)
    assert SoftmaxTemperature().candidates({"temperature": 2.0}) == [SoftmaxTemperature(2.0)]
    assert {method.size for method in NeuralCache().candidates({"size": 7})} == {7}
    assert len(DynamicEvaluation().candidates({"rate": 0.1})) == len(DynamicEvaluation.grid["decay"])


def test_every_method_names_its_source() -> None:
    assert all(method.source and method.name == name for name, method in METHODS.items())
