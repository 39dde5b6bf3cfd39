"""The order of an epoch's data, which is part of what a seed of a run means: here are orders that records rely on."""

from pathlib import Path

import pytest
import torch
from lightning import Trainer

from datamodules.captioning.folds import FoldBatches
from datamodules.order import added, epoch_generator, hashed, multiplied, permutation
from datamodules.speech.datamodule import LengthBatches
from datamodules.translation.datamodule import TranslationData


class Lengths:
    """Eight utterances, each longer than the one before."""

    def __len__(self) -> int:
        return 8

    def length(self, index: int) -> int:
        return index


def test_speech_and_captions_have_the_order_that_they_have_always_had() -> None:
    captions, utterances = FoldBatches([0] * 8, 8, seed=5), LengthBatches(Lengths(), 3, seed=5)
    for sampler in (captions, utterances):
        sampler.set_epoch(2)
    assert list(captions) == [[0, 6, 7, 4, 3, 5, 2, 1]]
    assert list(utterances) == [[0, 1, 2], [6, 7], [3, 4, 5]]


@pytest.mark.parametrize("seed", [0, 5])
def test_translation_has_the_order_that_it_has_always_had(translation_folder: Path, seed: int) -> None:
    """Pairs of a pool are shuffled, then its batches, by numbers that follow from the epoch that the trainer is in."""
    data = TranslationData(str(translation_folder), translation_folder, ("en", "fr"), 100, 8, 50, 50)
    data.setup()
    data.seed, data.trainer = seed, Trainer(logger=False, barebones=True)
    loader = data.train_dataloader()
    data.trainer.fit_loop.epoch_progress.current.processed = 2
    generator = torch.Generator().manual_seed(seed * 1_000_003 + 2)
    shuffled = torch.randperm(60, generator=generator).tolist()
    by_length = [
        [place for place in shuffled if len(data.sentences["train"][place][0]) == length] for length in (2, 3, 4)
    ]
    expected = [by_length[index] for index in torch.randperm(3, generator=generator).tolist()]
    assert [batch.places for batch in loader] == [batch.places for batch in loader] == expected


@pytest.mark.parametrize("derive", [added, multiplied, hashed])
def test_each_seed_and_epoch_has_an_order_of_its_own(derive) -> None:
    drawn = {tuple(permutation(99, epoch_generator(derive, seed, epoch))) for seed in (1, 2) for epoch in (0, 1)}
    assert len(drawn) == 4
    assert permutation(4, None) == [0, 1, 2, 3]
