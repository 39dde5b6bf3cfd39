"""A short real training on speech that nobody has heard before: it must learn, and dropout must help."""

import random
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from benchmark.store.records import Store
from benchmark.tasks import speech
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.language_modeling.sources import sentences
from datamodules.speech.corpus import SpeechCorpus, Utterance
from datamodules.speech.espeak import Request, speak
from datamodules.speech.features import Audio
from datamodules.speech.synthetic import phones_of

TRAIN, HELD_OUT, TESTED = 64, 30, 6


class Sentences(SpeechCorpus):
    """Lines of the language reference behind help(), spoken by espeak-ng; other voices to validate than to train."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def identity(self) -> str:
        return f"sentences {self.seed}"

    def read_utterances(self) -> list[Utterance]:
        lines = (words for name in sorted(topics) for words in sentences(topics[name]))
        clauses = sorted({" ".join(words[:6]) for words in lines if len(words) > 5})
        texts = random.Random(self.seed).sample(clauses, TRAIN + HELD_OUT + TESTED)
        train, held_out = ["en-us+m1", "en-us+f1", "en-us+m3", "en-us+f2"], ["en-us+m4", "en-us+f3"]
        voices = [*train * (TRAIN // 4), *held_out * ((HELD_OUT + TESTED) // 2)]
        said = speak([Request(text, voice, 175, 50) for text, voice in zip(texts, voices, strict=True)])
        return [
            Utterance(
                name=text,
                audio=Audio(each.samples, each.rate),
                transcript=text,
                speaker=voice,
                split="train" if index < TRAIN else "validation" if index < TRAIN + HELD_OUT else "test",
                phones=phones_of(each),
                snr=10.0,
            )
            for index, (text, voice, each) in enumerate(zip(texts, voices, said, strict=True))
        ]


def test_it_learns_and_dropout_helps_a_model_that_overfits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    monkeypatch.setattr("datamodules.speech.datamodule.open_corpus", lambda *_: Sentences(seed))
    found = {}
    for name in ("espeak-linear", "espeak-large", "espeak-large-dropout"):
        row = next(row for row in speech.ROWS if row.name == name).variant(f"system-{name}")
        places = {"data": tmp_path / "data", "store": tmp_path / "runs"}
        options = Options(**places, accelerator="cpu", threads=1, wandb="off", validate_every=row.config.epochs)
        found[name] = train(row, seed, options, progress=lambda *_: None)
        print(name, found[name].metrics, found[name].curve[-1], found[name].wall_seconds)
    likelihood = {
        name: Store(tmp_path / "runs").log_probabilities(record)["validation"].astype(float).mean()
        for name, record in found.items()
    }
    print(likelihood)
    assert likelihood["espeak-large-dropout"] > likelihood["espeak-large"]
    linear, plain, regularized = (
        found[name].metrics["validation_frame_accuracy"]
        for name in ("espeak-linear", "espeak-large", "espeak-large-dropout")
    )
    majority = found["espeak-linear"].details["baselines"]["majority class"]["validation_frame_accuracy"]
    assert linear > 2 * majority
    assert regularized > linear + 5
    assert regularized > plain - 2  # accuracy of so few sentences is coarser than their likelihood
    of = {name: record.curve[-1]["train_frame_accuracy"] for name, record in found.items()}
    assert of["espeak-large-dropout"] < of["espeak-large"]
    assert of["espeak-large-dropout"] < found["espeak-large-dropout"].metrics["train_frame_accuracy_without_dropout"]
