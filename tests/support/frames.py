"""Prepared speech that nobody has spoken: random features and states."""

import numpy as np

from datamodules.speech.datamodule import SpeechData
from datamodules.speech.preparation import Prepared

SPLIT = ["train", "validation", "train", "train", "validation", "test", "test"]
LENGTHS = [7, 4, 3, 12, 6, 5, 8]
"""Split and frames of seven utterances."""


def prepared(lengths: list[int], splits: list[str], values: int = 2, states: int = 5) -> Prepared:
    frames = sum(lengths)
    generator = np.random.default_rng(0)
    return Prepared(
        features=generator.normal(size=(frames, values)).astype(np.float16),
        labels=generator.integers(states, size=frames),
        lengths=lengths,
        splits=splits,
        states=[str(state) for state in range(states)],
        left_out={},
        reasons={},
        shared_phrases={},
        sha256="0" * 64,
    )


def make_data(ready: Prepared, batch_size: int = 2, unroll: int = 100, delay: int = 2) -> SpeechData:
    data = SpeechData("given", None, batch_size, unroll, delay, 16_000)  # type: ignore[arg-type]
    data.prepared = ready
    return data
