"""The captioner's protocol, held against computations by hand."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from support.corpora import draw_pictures

from benchmark.tasks import captioning
from benchmark.tasks.base import NOT_IN_PAPER
from datamodules.base import IGNORE_INDEX
from datamodules.captioning.datamodule import Caption, CaptionBatch, CaptionData
from datamodules.errors import UserError
from datamodules.sources import SPLITS
from datamodules.vocabulary import EOS, UNK
from models import captioner
from models.backbone import RegularizedLSTM
from models.captioner import Captioner, caption, score
from models.tokens import TokenDecoder

WORDS = [EOS, UNK, "a", "red", "box"]
FEATURES = 6


def make_model(dropout: float = 0.0, **changes) -> Captioner:
    arguments = {
        "vocabulary": WORDS,
        "network": "descriptor",
        "network_sha256": "0" * 64,
        "feature_size": FEATURES,
        "hidden_size": 8,
        "layers": 1,
        "dropout": dropout,
        "recurrent_dropout": 0.0,
        "cell": "lstm",
        "backbone": "models.backbone.RegularizedLSTM",
        "init_range": 0.5,
        "beam": 3,
        "max_length": 6,
        "length_normalization": 0.0,
        "lr": 0.5,
        "flat_epochs": 1,
        "decay": 2.0,
        **changes,
    }
    return Captioner(**arguments)


def batch_of(*captions: list[int]) -> CaptionBatch:
    data = CaptionData("", Path(), 1, "", 1)
    data.vocabulary.words, data.vocabulary.ids = WORDS, {word: index for index, word in enumerate(WORDS)}
    generator = torch.Generator().manual_seed(len(captions))
    vectors = torch.randn(len(captions), FEATURES, generator=generator)
    data._features = SimpleNamespace(of=lambda _: vectors)  # type: ignore[assignment]
    return data.collate([Caption(str(index), tokens) for index, tokens in enumerate(captions)])


@pytest.mark.parametrize("row", [row for row in captioning.ROWS if not row.ensemble_of], ids=lambda row: row.name)
def test_every_row_builds_the_papers_model(row) -> None:
    data = SimpleNamespace(
        vocabulary=SimpleNamespace(words=WORDS),
        features=SimpleNamespace(network="0" * 64, size=1024),
        statistics=[(torch.zeros(1024), torch.ones(1024))],
    )
    model = row.config.model(data)
    assert isinstance(model.decoder.backbone, RegularizedLSTM)
    assert len(model.decoder.backbone.layers) == 1
    assert model.decoder.backbone.dropout.p == row.config.dropout
    assert model.projection.in_features == 1024
    assert model.projection.out_features == row.config.hidden_size
    assert all(parameter.abs().max() <= row.config.init_range for parameter in model.parameters())


def test_rows_are_those_of_table_4() -> None:
    published = {"": (8.47, 23.5), "-dropout": (7.99, 24.3), "-average": (7.5, 24.4)}
    cnn = {
        "flickr8k-1k-efficientnet-lite0": "flickr8k-1k-cnn",
        "flickr8k-1k-efficientnet-lite0-5-folds": "flickr8k-folds",
    }
    for seen, size in {(row.config.data_set_name, row.size): None for row in captioning.ROWS}:
        found = {row.name: row for row in captioning.ROWS if (row.config.data_set_name, row.size) == (seen, size)}
        name = cnn.get(seen, seen) + ("-large" if size == "large" else "")
        assert set(found) == {name + variant for variant in published}
        for variant, figures in published.items():
            paper = found[name + variant].published
            assert tuple(paper.metrics.values()) == figures
            assert paper.on == ("" if name == "mscoco" else "MSCOCO")
            assert found[name + variant].note != NOT_IN_PAPER
        average, plain = found[f"{name}-average"], found[name]
        assert (average.ensemble_of, average.members, average.config) == (name, 10, plain.config)
    assert captioning.SCENES_PLAIN.seeds == captioning.OPENMOJI_PLAIN.seeds == 10


def test_inputs_and_targets_of_a_batch() -> None:
    batch = batch_of([2, 3, 4], [2])
    assert batch.inputs.T.tolist() == [[0, 2, 3, 4], [0, 2, 0, 0]]
    assert batch.targets.T.tolist() == [[2, 3, 4, 0], [2, 0, IGNORE_INDEX, IGNORE_INDEX]]


def test_the_loss_is_that_of_one_sequence_that_begins_with_the_picture() -> None:
    """[picture, <eos>, words] through one LSTM, nothing predicted from the picture; words summed, captions averaged."""
    model, batch = make_model(), batch_of([2, 3, 4], [2])
    expected = 0.0
    for column, tokens in enumerate(([2, 3, 4], [2])):
        words = model.decoder.embedding(torch.tensor([0, *tokens]))
        sequence = torch.cat([model.projection(batch.features[column : column + 1]), words])
        outputs, _ = model.decoder.backbone(sequence[:, None])
        log_probabilities = model.decoder.output(outputs[1:, 0]).log_softmax(dim=-1)
        expected -= sum(log_probabilities[step, word].item() for step, word in enumerate([*tokens, 0]))
    assert model.training_step(batch, 0).item() == pytest.approx(expected / 2, rel=1e-5)


def test_padding_changes_nothing() -> None:
    model, batch = make_model(), batch_of([2], [2, 3, 4, 3, 2])
    short = CaptionBatch(batch.features[:1], batch.inputs[:2, :1], batch.targets[:2, :1])
    together, alone = model._log_probabilities(batch), model._log_probabilities(short)
    assert len(together) == 2 + 6
    assert together[:2].tolist() == pytest.approx(alone.tolist(), rel=1e-5)


def test_vectors_are_normalized_by_the_training_pictures() -> None:
    mean, deviation = torch.arange(6.0), torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 0.0])
    plain, model = make_model(), make_model(statistics=[(mean, deviation)])
    model.load_state_dict({**plain.state_dict(), "feature_mean": mean, "feature_deviation": deviation})
    normalized = torch.randn(2, FEATURES)
    normalized[:, 5] = 0.0  # a unit without deviation stays finite
    found = model.encode(normalized * deviation + mean)[0][0]
    assert found.flatten().tolist() == pytest.approx(plain.encode(normalized)[0][0].flatten().tolist(), abs=1e-5)


def test_dropout_acts_on_the_picture_and_the_words_alike() -> None:
    model, batch = make_model(dropout=0.5), batch_of([2, 3])
    model.train()
    assert not model.encode(batch.features)[0][0].equal(model.encode(batch.features)[0][0])
    model.eval()
    assert model.encode(batch.features)[0][0].equal(model.encode(batch.features)[0][0])
    assert sum(isinstance(module, torch.nn.Dropout) for module in model.modules()) == 1


def test_the_average_of_one_model_twice_says_what_it_says() -> None:
    model, vectors = make_model(), torch.randn(5, FEATURES)
    alone = caption([model], vectors)
    assert caption([model, model], vectors) == alone
    assert not any(UNK in text or EOS in text for text in alone)


def test_captions_of_an_average_follow_the_mean_of_the_probabilities(monkeypatch) -> None:
    """Two models that put 0.9 and 0.4 on one first word, 0.1 and 0.6 on another: the first wins, 0.65 to 0.35."""
    tables = [torch.tensor([0.9, 0.1]), torch.tensor([0.4, 0.6])]
    models = [make_model(beam=2) for _ in tables]

    def decoder_of(table):
        def step(self, tokens, state):
            found = torch.full((len(tokens), len(WORDS)), 1e-9)
            found[:, 0] = (tokens != 0).float()
            found[tokens == 0, 2:4] = table
            return found.log(), state

        return step

    for model, table in zip(models, tables, strict=True):
        monkeypatch.setattr(model.decoder, "step", decoder_of(table).__get__(model.decoder, TokenDecoder))
    assert caption([models[1]], torch.zeros(1, FEATURES)) == ["red"]
    assert caption(models, torch.zeros(1, FEATURES)) == ["a"]


def test_score_keeps_samples_and_the_signature(monkeypatch) -> None:
    monkeypatch.setattr(captioner, "SAMPLES", 3)
    captioned = [(f"{number}.png", ("a red box there", "the box"), "a red box there") for number in range(8)]
    found = score(captioned)
    details = found.details
    assert found.metrics == {"test_bleu": pytest.approx(100)}
    assert found.items["hypotheses"].tolist() == ["a red box there"] * 8
    assert found.items["test_bleu"].tolist() == [[4, 3, 2, 1, 4, 3, 2, 1, 4, 4]] * 8
    assert [sample["picture"] for sample in details["samples"]] == ["0.png", "2.png", "4.png"]
    assert details["samples"][0]["references"] == ["a red box there", "the box"]
    assert "nrefs:2" in details["bleu_signature"]


def test_final_evaluation_on_pictures(picture_folder: Path, tmp_path: Path) -> None:
    data = CaptionData(str(picture_folder), tmp_path, 4, "descriptor", 1)
    data.prepare_data()
    data.setup()
    model = make_model(
        vocabulary=data.vocabulary.words, feature_size=data.features.size, statistics=data.statistics
    ).eval()
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    (*_, metrics) = trainer.test(model, data, verbose=False)
    with torch.no_grad():
        for split in ("validation", "test"):
            found = model.log_probabilities[split]
            tokens = [item.tokens for item in data.captions[split].items]
            assert len(found) == sum(len(words) + 1 for words in tokens)
            one = model._log_probabilities(data.collate(data.captions[split].items[1:2]))
            begin = len(tokens[0]) + 1
            assert found[begin : begin + len(one)].tolist() == pytest.approx(one.tolist(), rel=1e-4)
        training = model._log_probabilities(data.collate(data.captions["train"].items))
    expected = math.exp(-training.double().mean().item())
    assert metrics["train_perplexity_without_dropout"] == pytest.approx(expected, rel=1e-5)
    expected = math.exp(-model.log_probabilities["test"].double().mean().item())
    assert metrics["test_perplexity"] == pytest.approx(expected, rel=1e-5)
    assert 0 <= metrics["test_bleu"] <= 100
    assert len(model.details["samples"]) == min(10, len(data.examples["test"]))


def test_vocabulary_and_data_checksum(picture_folder: Path, tmp_path: Path) -> None:
    data = CaptionData(str(picture_folder), tmp_path, 4, "descriptor", 1)
    data.setup()
    assert set(data.vocabulary.words) == {
        *("a", "box", "on", "the", "left", "right", "that", "is", "red", "green", "blue", "yellow", EOS, UNK),
    }
    assert data.units_per_epoch == sum(len(item.tokens) + 1 for item in data.captions["train"].items)
    text = (picture_folder / "captions.txt").read_text()
    (picture_folder / "captions.txt").write_text(text.replace("box that is", "thing that is", 1))
    other = CaptionData(str(picture_folder), tmp_path, 4, "descriptor", 50)
    other.setup()
    assert other.sha256 != data.sha256
    assert len(other.vocabulary) < len(data.vocabulary)
    for split in SPLITS:
        words = [word for one in other.examples[split] for text in one.captions for word in [*text.split(), EOS]]
        unknown = sum(word not in other.vocabulary.ids for word in words)
        assert other.details["unknown_words"][split] == pytest.approx(unknown / len(words)) != 0


def test_a_batch_trains_the_captioner_of_its_fold_alone() -> None:
    """Each fold's captioner is as it would be alone; the others have no gradient, so that their weights stay."""
    model = make_model(folds=3)
    batch = batch_of([2, 3, 4], [2])
    losses = []
    for fold in range(3):
        model.zero_grad()
        loss = model.training_step(replace(batch, fold=fold), 0)
        loss.backward()
        losses.append(loss.item())
        name = f"others.{fold - 1}." if fold else ""
        touched = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert touched == {f"{name}{own}" for own, _ in make_model().named_parameters()}
    assert len(set(losses)) == 3  # each begins with weights of its own
    alone = make_model()
    alone.load_state_dict(model.of_fold(2).state_dict())
    assert alone.training_step(batch, 0).item() == losses[2]


def test_each_picture_is_captioned_by_the_captioner_that_has_not_seen_it(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "pictures", 60, alike=False)
    data = CaptionData(str(folder), tmp_path, 4, "descriptor", 1, folds=4)
    data.setup()
    model = make_model(
        vocabulary=data.vocabulary.words, feature_size=data.features.size, statistics=data.statistics, folds=4
    ).eval()
    for fold, (mean, deviation) in enumerate(data.statistics):
        assert model.of_fold(fold).feature_mean.equal(mean)
        assert model.of_fold(fold).feature_deviation.equal(deviation)
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    trainer.test(model, data, verbose=False)
    tested = data.examples["test"]
    assert len({example.picture.id for example in tested}) == len(tested) == 60
    expected, log_probabilities = [], []
    for fold in range(4):
        own = [example for example in tested if example.fold == fold]
        expected += caption([model.of_fold(fold)], data.features.of([example.picture.id for example in own]))
        captions = [item for item in data.captions["test"].items if item.fold == fold]
        log_probabilities += model.of_fold(fold)._log_probabilities(replace(data.collate(captions), fold=0)).tolist()
    assert model.items["hypotheses"].tolist() == expected
    assert model.log_probabilities["test"].tolist() == pytest.approx(log_probabilities, rel=1e-4)
    config = captioning.CaptionConfig(**{**vars(captioning.OPENMOJI_PLAIN.config), "folds": 4})
    assert config.evaluate_ensemble([model, model], data).items["hypotheses"].tolist() == expected


def test_folds_are_refused_on_several_devices(monkeypatch) -> None:
    monkeypatch.setattr(Captioner, "world_size", 2)
    make_model().setup("fit")
    with pytest.raises(UserError, match="folds are trained on one device: --devices 1"):
        make_model(folds=2).setup("fit")
