"""The encoder-decoder: what it predicts, its gradient, its schedule, its search; every shipped row."""

import math

import pytest
import torch
from torch import Tensor

from benchmark.tasks import translation
from benchmark.tasks.base import Row
from benchmark.tasks.translation import TranslationConfig
from datamodules.base import IGNORE_INDEX
from datamodules.translation.batches import collate
from models.translator import Translator

WORDS = ("<eos>", "<unk>", "a", "b", "c")


class Data:
    class source_vocabulary:
        words = WORDS

    class target_vocabulary:
        words = (*WORDS, "d")


def translator(**changes) -> Translator:
    fields = {"hidden_size": 6, "layers": 2, "init_range": 0.8, "batch_size": 4, "beam": 3, **changes}
    return TranslationConfig(**fields).model(Data)


PAIRS = [(0, ([2, 3], [4, 2])), (1, ([3, 4], [5])), (2, ([2, 2], []))]


def test_the_decoder_starts_from_the_encoders_state_and_padding_does_not_count() -> None:
    model = translator().eval()
    together = model(collate(PAIRS, 0))
    assert together.shape == (3, 3)
    for place, (index, pair) in enumerate(PAIRS):
        alone = collate([(index, pair)], 0)
        state = model.encode(torch.tensor([[pair[0][1]], [pair[0][0]]]))  # reversed
        logits, _ = model.decoder(torch.tensor([[0], *([word] for word in pair[1])]), state)
        expected = logits[:, 0].log_softmax(-1).gather(1, torch.tensor([*pair[1], 0])[:, None])[:, 0]
        length = len(pair[1]) + 1
        torch.testing.assert_close(together[:length, place], expected)
        torch.testing.assert_close(model(alone)[:, 0], expected)
        assert together[length:, place].eq(0).all()


def test_the_update_is_of_the_loss_summed_over_words_and_divided_by_the_full_batch() -> None:
    """By hand, also for a batch that is not full: the step is lr times the clipped gradient (Sutskever et al. 2014)."""
    model = translator(batch_size=8)
    batch = collate(PAIRS, 0)
    loss = model.training_step(batch, 0)
    per_word = -model(batch)[batch.targets != IGNORE_INDEX]
    assert per_word.numel() == 6
    assert loss.item() == pytest.approx(per_word.sum().item() / 8, rel=1e-5)
    assert float(model.train_perplexity.compute()) == pytest.approx(math.exp(per_word.mean().item()), rel=1e-5)


@pytest.mark.parametrize(
    ("epochs", "falls"), [(0, 0), (4.99, 0), (5, 1), (5.49, 1), (5.5, 2), (6, 3), (7, 5), (7.49, 5), (7.5, 6)]
)
def test_the_rate_is_halved_every_half_epoch_after_five(epochs: float, falls: int) -> None:
    assert translator().decays(epochs) == falls


def test_whole_epochs_fall_as_the_language_models_do() -> None:
    model = translator(flat_epochs=3, decay_every=1.0)
    assert [model.decays(epoch) for epoch in range(6)] == [0, 0, 0, 1, 2, 3]


def test_what_search_finds_is_likelier_than_greedy_and_has_no_unknown_word() -> None:
    model = translator().eval()
    source = torch.tensor([[2, 3, 4, 2], [3, 3, 2, 4]])
    wide, greedy = model.translate(source, beam=8), model.translate(source, beam=1)
    for one, other in zip(wide, greedy, strict=True):
        assert one.log_probability >= other.log_probability - 1e-5
        assert 1 not in one.tokens
    assert model.text(wide[0]) == " ".join(Data.target_vocabulary.words[index] for index in wide[0].tokens)


def log_probability(model: Translator, source: Tensor, tokens: list[int]) -> float:
    batch = collate([(0, (source.flip(0).tolist(), tokens))], 0)
    return model(batch).sum().item()


def test_a_hypothesis_has_the_log_probability_that_training_gives_it() -> None:
    model = translator().eval()
    source = torch.tensor([[2], [4]])
    (found,) = model.translate(source)
    assert found.log_probability == pytest.approx(log_probability(model, source[:, 0], found.tokens), abs=1e-4)


@pytest.mark.parametrize("row", translation.ROWS, ids=lambda row: row.name)
def test_every_row_builds(row: Row) -> None:
    with torch.device("meta"):
        model = row.config.model(Data)
    config = row.config
    per_layer = 8 * config.hidden_size**2 + 8 * config.hidden_size
    expected = 2 * config.layers * per_layer + (5 + 6) * config.hidden_size + 6 * (config.hidden_size + 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert model.encoder.dropout.p == model.decoder.backbone.dropout.p == config.dropout
    assert row.name.endswith("-dropout") == bool(config.dropout)


def test_the_paper_row_has_the_size_that_the_paper_says() -> None:
    """Section 4.3: 4 layers of 1000, embeddings of 1000, vocabularies of 160,000 and 80,000, dropout 0.2."""
    row = next(row for row in translation.ROWS if row.name == "wmt14-large-dropout")
    config = row.config
    assert (config.layers, config.hidden_size, config.dropout, config.beam) == (4, 1000, 0.2, 12)
    assert (config.source_words, config.target_words, config.batch_size) == (160_000, 80_000, 128)
    assert (config.lr, config.clip, config.init_range) == (0.7, 5, 0.08)
