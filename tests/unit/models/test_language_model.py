"""The training and evaluation protocol of paper section 4.1 and of the authors' code, by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightning import Trainer
from torch import Tensor
from torchmetrics.text import Perplexity

from benchmark.tasks import registry
from datamodules.language_modeling.datamodule import LanguageModelingData
from datamodules.vocabulary import EOS, UNK
from models.language_model import LanguageModel
from models.metrics import TokenPerplexity
from models.tokens import Shelf


def make_model(vocabulary: int = 9, **changes) -> LanguageModel:
    arguments = {
        "vocabulary": [EOS, UNK, *(f"w{index}" for index in range(2, vocabulary))],
        "hidden_size": 8,
        "layers": 2,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "cell": "lstm",
        "backbone": "models.backbone.RegularizedLSTM",
        "init_range": 0.3,
        "lr": 1.0,
        "flat_epochs": 1,
        "decay": 2.0,
    }
    return LanguageModel(**{**arguments, **changes})


def make_data(model: LanguageModel, tokens: dict[str, Tensor], batch_size: int, unroll: int) -> LanguageModelingData:
    data = LanguageModelingData("given", None, batch_size, unroll)
    data.vocabulary.words = list(model.hparams["vocabulary"])
    data.tokens = tokens
    return data


def random_tokens(train: int = 41, validation: int = 30, test: int = 23) -> dict[str, Tensor]:
    return {
        name: torch.randint(9, (count,))
        for name, count in (("train", train), ("validation", validation), ("test", test))
    }


def trainer(**arguments) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **arguments,
    )


def true_log_probabilities(model: LanguageModel, tokens: Tensor) -> Tensor:
    """Of each token but the first of one stream, read whole from a zero state."""
    with torch.no_grad():
        logits, _ = model.eval()(tokens[:-1, None])
    return logits[:, 0].log_softmax(dim=1)[torch.arange(len(tokens) - 1), tokens[1:]]


@pytest.mark.parametrize("clip", [1e9, 0.05])
def test_update_is_of_the_loss_summed_over_the_unroll_and_averaged_over_the_batch(clip: float) -> None:
    """On a token-mean loss the same step would be lr x T and clip / T (design of the authors' code)."""
    unroll, batch_size, lr = 5, 4, 0.7
    model = make_model(lr=lr)
    tokens = random_tokens(train=4 * 6)
    streams = tokens["train"].view(batch_size, 6).T
    logits, _ = model(streams[:-1])
    loss = (
        sum(F.cross_entropy(logits[t, b], streams[t + 1, b]) for t in range(unroll) for b in range(batch_size))
        / batch_size
    )
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    assert norm > 0.1
    expected = [
        parameter.detach() - lr * min(1, clip / norm) * gradient
        for parameter, gradient in zip(model.parameters(), gradients, strict=True)
    ]

    trainer(max_epochs=1, gradient_clip_val=clip, limit_val_batches=0).fit(
        model, datamodule=make_data(model, tokens, batch_size, unroll)
    )
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "flat", "decay"),
    [("ptb-small", 5, 2.0), ("ptb-medium-dropout", 7, 1.2), ("ptb-large-dropout", 15, 1.15)],
)
def test_schedule_of_the_authors_code(name: str, flat: int, decay: float) -> None:
    """lr = 1 up to and including epoch 5 / 7 / 15, then divided before each epoch."""
    config = registry.find(name).config
    model = make_model(lr=config.lr, flat_epochs=config.flat_epochs, decay=config.decay)
    configured = model.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(config.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[:flat] == [1.0] * flat
    assert rates[flat:] == pytest.approx([decay**-k for k in range(1, config.epochs - flat + 1)])


def test_state_is_carried_detached_between_windows_and_zero_at_the_start_of_an_epoch() -> None:
    model = make_model()
    states: list = []
    backbone_forward = model.decoder.backbone.forward
    model.decoder.backbone.forward = lambda inputs, state: states.append(state) or backbone_forward(inputs, state)
    tokens = random_tokens(train=2 * 10)
    trainer(max_epochs=2, limit_val_batches=0).fit(model, datamodule=make_data(model, tokens, 2, 3))
    assert len(states) == 6
    assert states[0] is None
    assert states[3] is None
    for state in (states[1], states[2], states[4], states[5]):
        for h, c in state:
            assert h.any()
            assert c.any()
            assert not h.requires_grad
            assert not c.requires_grad


def test_training_reads_streams_as_one_text() -> None:
    """With the weights held still, windows with carried state give what one pass over the whole stream gives."""
    model = make_model(lr=1e-30)
    tokens = random_tokens(train=2 * 10)
    trainer(max_epochs=1, limit_val_batches=0).fit(model, datamodule=make_data(model, tokens, 2, 3))
    stream = tokens["train"].view(2, 10)
    expected = torch.cat([true_log_probabilities(model, stream[0]), true_log_probabilities(model, stream[1])])
    assert model.trainer.callback_metrics["train_perplexity"].item() == pytest.approx(
        math.exp(-expected.mean()), rel=1e-5
    )


def evaluate(model: LanguageModel, tokens: dict[str, Tensor], batch_size: int = 3, unroll: int = 4) -> dict[str, float]:
    test = trainer()
    test.test(model, datamodule=make_data(model, tokens, batch_size, unroll), verbose=False)
    return {name: value.item() for name, value in test.callback_metrics.items()}


@pytest.mark.parametrize("window", [500, 7, 1])
def test_evaluation_is_exact_over_every_token_whatever_the_window(window: int, monkeypatch) -> None:
    monkeypatch.setattr("datamodules.language_modeling.datamodule.EVALUATION_WINDOW", window)
    model, tokens = make_model(dropout=0.5), random_tokens()
    metrics = evaluate(model, tokens)
    for split in ("validation", "test"):
        expected = true_log_probabilities(model, tokens[split])
        torch.testing.assert_close(model.log_probabilities[split], expected)
        assert metrics[f"{split}_perplexity"] == pytest.approx(math.exp(-expected.mean()), rel=1e-5)


def test_training_text_is_evaluated_with_dropout_off_as_the_streams_that_it_is_trained_in() -> None:
    model, tokens = make_model(dropout=0.5), random_tokens(train=3 * 10)
    metrics = evaluate(model, tokens, batch_size=3, unroll=4)
    expected = torch.cat([true_log_probabilities(model, stream) for stream in tokens["train"].view(3, 10)])
    assert metrics["train_perplexity_without_dropout"] == pytest.approx(math.exp(-expected.mean()), rel=1e-5)


def test_perplexity_of_known_words_leaves_out_the_unknown_ones_where_they_are_many() -> None:
    model, tokens = make_model(), random_tokens()
    for split in ("validation", "test"):
        tokens[split] = tokens[split].clamp(min=2)  # 0 is <eos>, 1 is <unk>
    tokens["test"][3::4] = 1
    metrics = evaluate(model, tokens)
    expected = true_log_probabilities(model, tokens["test"])[tokens["test"][1:] != 1]
    assert metrics["test_perplexity_known_words"] == pytest.approx(math.exp(-expected.mean()), rel=1e-5)
    assert "validation_perplexity_known_words" not in metrics


def test_authors_convention_sums_whole_windows_and_divides_by_the_fractional_number() -> None:
    """30 tokens in 3 streams of 10, unroll 4: n = 9 / 4 = 2.25 windows, of which 2 are summed."""
    model, tokens = make_model(), random_tokens()
    metrics = evaluate(model, tokens, batch_size=3, unroll=4)
    streams = tokens["validation"].view(3, 10)
    log_probabilities = torch.stack([true_log_probabilities(model, stream) for stream in streams], dim=1)
    window_means = [-log_probabilities[begin : begin + 4].mean() for begin in (0, 4)]
    expected = math.exp(sum(window_means) / 2.25)
    assert metrics["validation_perplexity_authors_convention"] == pytest.approx(expected, rel=1e-5)
    assert expected < math.exp(-log_probabilities.mean())


def test_validation_during_training_is_the_exact_one() -> None:
    model, tokens = make_model(), random_tokens()
    fit = trainer(max_epochs=2)
    fit.fit(model, datamodule=make_data(model, tokens, 2, 4))
    expected = math.exp(-true_log_probabilities(model, tokens["validation"]).mean())
    assert fit.callback_metrics["validation_perplexity"].item() == pytest.approx(expected, rel=1e-5)


def test_perplexity_agrees_with_torchmetrics() -> None:
    logits, targets = torch.randn(2, 7, 9), torch.randint(9, (2, 7))
    own, reference = TokenPerplexity(), Perplexity()
    for begin in (0, 4):
        window, words = logits[:, begin : begin + 4], targets[:, begin : begin + 4]
        own.update(window.log_softmax(dim=-1).gather(2, words[..., None]))
        reference.update(window, words)
    assert own.compute().item() == pytest.approx(reference.compute().item(), rel=1e-6)


def test_a_text_is_continued_without_the_words_that_the_paper_excludes() -> None:
    model = make_model(5).eval()
    text = model.continue_text("w2 w3 unheard", 50)
    assert text.startswith("w2 w3 unheard")
    assert UNK not in text
    assert text == model.continue_text("w2 w3 unheard", 50)
    assert text != model.continue_text("w2 w3 unheard", 50, seed=1)
    assert set(model.continue_text("w2", 50, exclude=(EOS, UNK, "w3")).split()) == {"w2", "w4"}


def test_values_that_are_kept_share_their_memory() -> None:
    shelf = Shelf()
    given = [torch.arange(float(count)) for count in (3, 0, 70_000, 2)] + [torch.tensor([True, False])]
    kept = [shelf.keep(values) for values in given]
    assert all(torch.equal(one, values) and one.dtype == values.dtype for one, values in zip(kept, given, strict=True))
    first, last = shelf.keep(torch.ones(5)), shelf.keep(torch.zeros(4))
    assert first.untyped_storage().data_ptr() == last.untyped_storage().data_ptr()
    assert torch.equal(first, torch.ones(5))
