"""Short real trainings on real text, each time with another seed: they must learn, and dropout must help."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import torch
from support.corpora import draw_pictures

from benchmark.store.records import CHECKPOINT
from benchmark.tasks import captioning, language_modeling
from benchmark.tasks.models import load_members
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.language_modeling.sources import sentences
from models.captioner import Captioner

TRAIN_LINES, HELD_OUT_LINES = 900, 150


@pytest.fixture(scope="module")
def real_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English that every Python carries, the language reference behind help(); as a text folder."""
    lines = [" ".join(words) for name in sorted(topics) for words in sentences(topics[name]) if len(words) > 5]
    lines = list(dict.fromkeys(lines))  # topics repeat each other
    random.Random(0).shuffle(lines)
    folder = tmp_path_factory.mktemp("topics")
    begin = 0
    for name, count in (("train", TRAIN_LINES), ("valid", HELD_OUT_LINES), ("test", HELD_OUT_LINES)):
        (folder / f"{name}.txt").write_text("\n".join(lines[begin : begin + count]) + "\n")
        begin += count
    return folder


def unigram_perplexity(data) -> float:
    """Of the test text under the training text's add-one word frequencies: what a model without memory reaches."""
    counts = Counter(data.tokens["train"].tolist())
    total = len(data.tokens["train"]) + len(data.vocabulary)
    words = data.tokens["test"].tolist()[1:]
    return math.exp(-sum(math.log((counts[word] + 1) / total) for word in words) / len(words))


def test_it_learns_and_dropout_helps_a_model_that_overfits(real_text: Path, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    found = {}
    for dropout in (0.0, 0.5):
        row = language_modeling.SOTU_MEDIUM.variant(
            f"system-{dropout:g}", source=str(real_text), dropout=dropout, epochs=10, flat_epochs=6
        )
        record = train(
            row, seed, Options(store=tmp_path, accelerator="cpu", threads=1, wandb="off"), progress=lambda *_: None
        )
        found[dropout] = record
        print(dropout, record.metrics, record.curve[-1])
    data = language_modeling.SOTU_MEDIUM.variant("data", source=str(real_text)).config.datamodule(tmp_path)
    data.setup()
    unigram = unigram_perplexity(data)
    print(f"unigram {unigram}")

    plain, regularized = found[0.0], found[0.5]
    assert regularized.metrics["test_perplexity"] < 0.8 * unigram
    assert regularized.curve[-1]["validation_perplexity"] < 0.8 * regularized.curve[0]["validation_perplexity"]
    assert regularized.metrics["test_perplexity"] < 0.95 * plain.metrics["test_perplexity"]
    assert regularized.metrics["validation_perplexity"] < 0.95 * plain.metrics["validation_perplexity"]
    assert plain.curve[-1]["train_perplexity"] < regularized.curve[-1]["train_perplexity"]


def test_captions_say_what_the_pictures_show(tmp_path: Path) -> None:
    """Against the same model shown the pictures in another order, which knows what captions look like, no more."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    folder = draw_pictures(tmp_path / "pictures", 300, seed)
    row = captioning.OPENMOJI_PLAIN.variant(
        "system",
        source=str(folder),
        hidden_size=32,
        batch_size=20,
        epochs=12,
        flat_epochs=9,
        lr=1.0,
        min_count=1,
        max_length=9,
    )
    options = Options(data=tmp_path / "data", store=tmp_path / "runs", accelerator="cpu", threads=1, wandb="off")
    record = train(row, seed, options, progress=lambda *_: None)
    print(record.metrics, record.details["samples"])

    data = row.config.datamodule(options.data)
    data.setup()
    (model,) = load_members(row, [options.store / record.run / CHECKPOINT], data)
    assert isinstance(model, Captioner)
    batch = data.collate(data.captions["test"].items)
    shown_another = replace(batch, features=batch.features[torch.randperm(len(batch.features))])
    with torch.no_grad():
        true, shuffled = (model._log_probabilities(each).mean().neg().exp().item() for each in (batch, shown_another))
    print(true, shuffled)
    assert true == pytest.approx(record.metrics["test_perplexity"], rel=1e-3)
    assert true < 1.6
    assert shuffled > 1.05 * true
    assert record.metrics["test_bleu"] > 30
