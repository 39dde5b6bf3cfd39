"""Small corpora of every task, made on the spot, that a model can learn something from."""

import random
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from datamodules.speech.alignment import Phone, states_of
from datamodules.speech.features import Audio, log_mel


def write_text(folder: Path) -> Path:
    """Sentences that a language model can learn something from, in three splits."""
    folder.mkdir()
    generator = random.Random(0)
    for name, count in (("train", 200), ("valid", 30), ("test", 31)):
        lines = [
            f"the {generator.choice(['dog', 'cat'])} {generator.choice(['sees', 'hears'])} you" for _ in range(count)
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_pairs(folder: Path) -> Path:
    """English-French sentence pairs in three splits, 60 to train on."""
    words = {"dog": "chien", "cat": "chat", "sees": "voit", "hears": "entend", "big": "grand", "old": "vieux"}
    folder.mkdir()
    generator = random.Random(0)
    for name, count in (("train", 60), ("val", 9), ("test", 10)):
        sentences = []
        for _ in range(count):
            adjectives = generator.sample(["big", "old"], generator.randrange(3))
            sentences.append([*adjectives, generator.choice(["dog", "cat"]), generator.choice(["sees", "hears"])])
        for language, translate in (("en", lambda word: word), ("fr", words.__getitem__)):
            text = "".join(" ".join(map(translate, sentence)) + "\n" for sentence in sentences)
            (folder / f"{name}.{language}").write_text(text)
    return folder


COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220), "yellow": (240, 220, 60)}


def draw_pictures(folder: Path, count: int, seed: int = 0, alike: bool = True) -> Path:
    """Images/ with that many pictures of a colored box, and captions.txt with two captions of each.

    Where they are not alike, each is another one by its corner, and no two of them are joined in folds.
    """
    (folder / "Images").mkdir(parents=True)
    generator, lines = random.Random(seed), ["image,caption"]
    for number in range(count):
        color, side = generator.choice(list(COLORS)), generator.choice(["left", "right"])
        image = Image.new("RGB", (80, 60), "white")
        left = 5 if side == "left" else 45
        image.paste(COLORS[color], (left, 15, left + 30, 45))
        if not alike:
            image.putpixel((0, 0), (number, number, number))
        image.save(folder / "Images" / f"{number:03d}.png")
        lines += [f'{number:03d}.png,"A {color} box , on the {side} ."', f"{number:03d}.png,box that is {color}"]
    (folder / "captions.txt").write_text("\n".join(lines) + "\n")
    return folder


# Speech: each letter is a tone, 120 ms long, with 40 ms of quiet around it.
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


def write_corpus(folder: Path, labels: bool, train: int = 6, validation: int = 3, test: int = 2) -> Path:
    """A folder of tones with transcripts.tsv, and where wanted label files."""
    folder.mkdir(parents=True)
    generator = random.Random(0)
    lines = []
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    for index, split in enumerate(splits):
        text = "".join(generator.choices(list(TONES), k=generator.randint(3, 7)))
        soundfile.write(folder / f"{index}.wav", spoken(text, seed=index), RATE)
        lines.append(f"{index}.wav\t{text}\t\t{split}\n")
        if labels:
            frames = len(log_mel(Audio(spoken(text), RATE), RATE))
            (folder / "labels").mkdir(exist_ok=True)
            (folder / "labels" / f"{index}.txt").write_text(" ".join(states_of(phones(text), frames)))
    (folder / "transcripts.tsv").write_text("".join(lines))
    return folder
