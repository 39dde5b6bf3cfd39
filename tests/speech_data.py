"""Speech that tests can make: each letter is a tone, 120 ms long, with 40 ms of quiet around it."""

import random
from pathlib import Path

import numpy as np
import soundfile

from datamodules.speech.alignment import Phone, states_of
from datamodules.speech.features import Audio, log_mel

RATE = 16_000
TONES = {"a": 300.0, "b": 700.0, "c": 1500.0, "d": 3000.0}
TONE, QUIET = 0.12, 0.04


def spoken(text: str, seed: int = 0) -> np.ndarray:
    """int16 [samples] of a text in letters of TONES; accents and spaces are ignored."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(TONE * RATE)) / RATE
    pieces = [np.zeros(int(QUIET * RATE))]
    for letter in text.replace("á", "a").replace(" ", ""):
        pieces += [6000 * np.sin(2 * np.pi * TONES[letter] * time), np.zeros(int(QUIET * RATE))]
    samples = np.concatenate(pieces)
    return np.rint(samples + generator.normal(0, 100, len(samples))).astype(np.int16)


def phones(text: str) -> list[Phone]:
    """When each letter of `spoken` sounds."""
    return [Phone(x, QUIET + i * (TONE + QUIET), (i + 1) * (TONE + QUIET)) for i, x in enumerate(text.replace(" ", ""))]


def write_corpus(folder: Path, labels: bool, train: int = 6, validation: int = 3) -> Path:
    """A folder of tones with transcripts.tsv, and where wanted label files."""
    folder.mkdir(parents=True)
    generator = random.Random(0)
    lines = []
    for index in range(train + validation):
        text = "".join(generator.choices(list(TONES), k=generator.randint(3, 7)))
        soundfile.write(folder / f"{index}.wav", spoken(text, seed=index), RATE)
        lines.append(f"{index}.wav\t{text}\tme\t{'train' if index < train else 'validation'}\n")
        if labels:
            frames = len(log_mel(Audio(spoken(text), RATE), RATE))
            (folder / "labels").mkdir(exist_ok=True)
            (folder / "labels" / f"{index}.txt").write_text(" ".join(states_of(phones(text), frames)))
    (folder / "transcripts.tsv").write_text("".join(lines))
    return folder
