"""The acoustic model and its rows: hand computations."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightning import Trainer
from support.frames import LENGTHS, SPLIT, make_data, prepared
from torch import Tensor

from benchmark.tasks import registry, speech
from benchmark.tasks.base import Config
from datamodules.base import IGNORE_INDEX
from datamodules.speech.datamodule import SpeechData, Utterances
from models import acoustic_model
from models.acoustic_model import AcousticModel, confusions
from models.backbone import RegularizedLSTM

SPEECH_ROWS = [row for row in registry.ROWS if row.config.task == "speech"]


def make_model(**changes) -> AcousticModel:
    arguments = {
        "features": 2,
        "states": [str(state) for state in range(5)],
        "hidden_size": 4,
        "layers": 2,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "cell": "lstm",
        "backbone": "models.backbone.RegularizedLSTM",
        "init_range": 0.5,
        "output_delay": 2,
        "lr": 0.5,
        "flat_epochs": 1,
        "decay": 2.0,
    }
    return AcousticModel(**{**arguments, **changes})


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


def test_output_delay_by_hand() -> None:
    """What stands for frame t comes out d steps later, and has seen d frames more and no others."""
    model = make_model(output_delay=2).eval()
    features = torch.randn(9, 3, 2)
    logits = model(features)
    assert logits.shape == (7, 3, 5)
    outputs, _ = model.backbone(features)
    torch.testing.assert_close(logits[4], model.output(outputs[6]))
    changed = features.clone()
    changed[7] += 1
    assert torch.equal(model(changed)[4], logits[4])
    assert not torch.equal(model(changed)[5], logits[5])


def test_padding_counts_neither_in_loss_nor_in_metrics() -> None:
    """One batch of all utterances gives the sum over each alone."""
    model, data = make_model(), make_data(prepared(LENGTHS, ["train"] * 7), batch_size=7)
    (batch,) = data.train_dataloader()
    assert (batch[1] == IGNORE_INDEX).sum() == 7 * 12 - sum(LENGTHS)
    losses, right = [], 0
    for features, states in Utterances(data.ready, "train", 2):
        logits = model(features[:, None])[:, 0]
        losses.append(F.cross_entropy(logits, states, reduction="sum"))
        right += (logits.argmax(dim=1) == states).sum().item()
    loss = model.training_step(batch, 0)
    torch.testing.assert_close(loss, sum(losses) / sum(LENGTHS))
    assert model.train_accuracy.compute().item() == pytest.approx(right / sum(LENGTHS))


def true_log_probabilities(model: AcousticModel, data: SpeechData, split: str) -> list[Tensor]:
    with torch.no_grad():
        return [
            model.eval()(features[:, None])[:, 0].log_softmax(dim=1)[torch.arange(len(states)), states]
            for features, states in Utterances(data.ready, split, 2)
        ]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_final_evaluation_is_exact_whatever_the_batches(batch_size: int) -> None:
    model, data = make_model(dropout=0.5), make_data(prepared(LENGTHS, SPLIT), batch_size)
    test = trainer()
    test.test(model, datamodule=data, verbose=False)
    metrics = {name: value.item() for name, value in test.callback_metrics.items()}
    assert set(metrics) == {f"{name}_frame_accuracy" for name in ("validation", "test")} | {
        "train_frame_accuracy_without_dropout"
    }
    for split in ("validation", "test"):
        per_utterance = true_log_probabilities(model, data, split)
        torch.testing.assert_close(model.log_probabilities[split], torch.cat(sorted(per_utterance, key=len)))
        right = [
            (model(features[:, None])[:, 0].argmax(dim=1) == states).float()
            for features, states in sorted(Utterances(data.ready, split, 2), key=lambda item: len(item[1]))
        ]
        assert metrics[f"{split}_frame_accuracy"] == pytest.approx(100 * torch.cat(right).mean().item())
        counts = [[int(of_one.sum()), len(of_one)] for of_one in right]
        assert model.items[f"{split}_frame_accuracy"].tolist() == counts


def test_of_a_large_set_every_nth_log_probability_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(acoustic_model, "KEPT_FRAMES", 4)
    model, data = make_model(), make_data(prepared(LENGTHS, SPLIT))
    trainer().test(model, datamodule=data, verbose=False)
    every = torch.cat(sorted(true_log_probabilities(model, data, "validation"), key=len))
    torch.testing.assert_close(model.log_probabilities["validation"], every[::3])


def test_train_accuracy_is_with_dropout_on_and_the_other_with_it_off() -> None:
    """With the weights held still and so much dropped that no input gets through, only biases are left."""
    ready = prepared([200, 50, 50], ["train", "validation", "test"], states=2)
    model = make_model(states=["0", "1"], layers=0, output_delay=0, dropout=0.999999, lr=1e-30)
    with torch.no_grad():
        model.output.weight.copy_(torch.tensor([[-5.0, 0], [5, 0]]))
        model.output.bias.copy_(torch.tensor([1.0, 0]))
    data = make_data(ready, delay=0)
    ready.labels[:] = ready.features[:, 0] > 0.1
    fit = trainer(max_epochs=1)
    fit.fit(model, datamodule=data)
    zeros = 100 * float((ready.labels[:200] == 0).mean())
    assert fit.callback_metrics["train_frame_accuracy"].item() == pytest.approx(zeros, abs=2)
    fit.test(model, datamodule=data, verbose=False)
    assert fit.callback_metrics["train_frame_accuracy_without_dropout"].item() > 95


def test_the_linear_baseline_has_no_layers_and_sees_one_frame() -> None:
    for row in SPEECH_ROWS:
        if row.name.endswith("linear"):
            assert row.config.layers == row.config.output_delay == 0
    model = make_model(layers=0, output_delay=0).eval()
    features = torch.randn(6, 1, 2)
    torch.testing.assert_close(model(features), model.output(features))
    backbone = RegularizedLSTM(3, 8, layers=0, dropout=0.5)
    assert not list(backbone.parameters())
    outputs, state = backbone(torch.ones(1000, 1, 3))
    assert state == ()
    assert outputs.mean().item() == pytest.approx(1, abs=0.1)
    assert set(outputs.unique().tolist()) == {0.0, 2.0}  # dropped once, not twice


def test_layers_are_at_least_one_where_no_baseline_needs_less() -> None:
    assert Config.least_layers == 1
    with pytest.raises(ValueError, match="layers: -1 is out of range, must be at least 0"):
        speech.ESPEAK_SMALL.__class__(**{**speech.ESPEAK_SMALL.__dict__, "layers": -1})
    with pytest.raises(ValueError, match="layers: 0 is out of range, must be at least 1"):
        registry.find("ptb-small").variant("none", layers=0)


@pytest.mark.parametrize("row", SPEECH_ROWS, ids=lambda row: row.name)
def test_every_row_builds_its_model(row, tmp_path) -> None:
    data = row.config.datamodule(tmp_path)
    data.prepared = prepared([5, 5], ["train", "validation"], values=120, states=117)
    model = row.config.model(data)
    assert len(model.backbone.layers) == row.config.layers
    assert model.backbone.dropout.p == row.config.dropout
    assert row.config.relative_cost > 0
    bound = row.config.init_range
    assert all(parameter.abs().max() <= bound for parameter in model.parameters())


def test_the_papers_pair_has_the_papers_figures_as_another_data_sets() -> None:
    published = {row.name: row.published for row in SPEECH_ROWS if row.published}
    assert set(published) == {"samromur", "samromur-dropout"}
    assert list(published["samromur"].metrics.values()) == [71.6, 68.9]
    assert list(published["samromur-dropout"].metrics.values()) == [69.4, 70.5]
    assert all(paper.on == "an internal Icelandic set" for paper in published.values())
    for row in SPEECH_ROWS:
        if set(row.profiles) & {"quick"}:
            assert "synthetic" in speech.DATA_SETS[row.config.source].remark
    for size in ("small", "medium", "large"):
        for source in ("espeak", "asterisk-en"):
            plain, regularized = (
                registry.find(f"{source}-{size}").config,
                registry.find(f"{source}-{size}-dropout").config,
            )
            assert plain.dropout == 0 < regularized.dropout
            assert {**plain.__dict__, "dropout": 0} == {**regularized.__dict__, "dropout": 0}


def test_loss_is_averaged_over_frames_and_steps_are_plain_sgd() -> None:
    model, data = make_model(), make_data(prepared([5, 9], ["train", "train"]), batch_size=2)
    (batch,) = data.train_dataloader()
    loss = F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten(), ignore_index=IGNORE_INDEX)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    expected = [p.detach() - 0.5 * g for p, g in zip(model.parameters(), gradients, strict=True)]
    trainer(max_epochs=1, limit_val_batches=0).fit(model, datamodule=data)
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-6, rtol=1e-4)
    assert math.isfinite(loss.item())


def test_the_commonest_confusions_by_hand() -> None:
    counts = torch.tensor([[8, 2, 0], [0, 5, 5], [0, 0, 3]])
    assert confusions(counts, ["a", "b", "c"]) == [
        {"state": "b", "taken for": "c", "of its frames": "50%"},
        {"state": "a", "taken for": "b", "of its frames": "20%"},
    ]
