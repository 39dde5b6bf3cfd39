"""Batches of speech, by hand."""

import numpy as np
import torch
from support.frames import LENGTHS, SPLIT, make_data, prepared

from datamodules.base import IGNORE_INDEX
from datamodules.speech.datamodule import LengthBatches, Utterances, collate
from datamodules.speech.preparation import majority


def test_items_have_the_frames_of_the_delay_and_zeros_after_the_end() -> None:
    ready = prepared([4, 3], ["train", "validation"])
    (item,) = Utterances(ready, "train", delay=2)
    features, states = item
    np.testing.assert_allclose(features[:4], ready.features[:4])
    assert features[4:].tolist() == [[0, 0], [0, 0]]  # not the validation utterance that follows
    assert states.tolist() == ready.labels[:4].tolist()


def test_long_utterances_are_cut_into_even_pieces_that_see_the_frames_of_the_delay() -> None:
    ready = prepared([10, 3], ["train", "train"])
    pieces = list(Utterances(ready, "train", delay=1, longest=4))
    assert [len(states) for _, states in pieces] == [4, 4, 2, 3]
    np.testing.assert_allclose(pieces[0][0], ready.features[:5])
    np.testing.assert_allclose(pieces[2][0][:2], ready.features[8:10])
    assert torch.cat([states for _, states in pieces]).tolist() == ready.labels.tolist()


def test_batches_are_padded_at_the_end_of_time() -> None:
    ready = prepared([2, 3], ["train", "train"])
    features, states = collate(list(Utterances(ready, "train", delay=1)))
    assert features.shape == (4, 2, 2)
    assert features[3, 0].tolist() == [0, 0]
    assert states.tolist() == [
        [ready.labels[0], ready.labels[2]],
        [ready.labels[1], ready.labels[3]],
        [IGNORE_INDEX, ready.labels[4]],
    ]


def test_an_epoch_has_every_utterance_once_in_batches_of_like_length() -> None:
    lengths = torch.randint(1, 300, (500,)).tolist()
    dataset = Utterances(prepared(lengths, ["train"] * 500), "train", 0)
    sampler = LengthBatches(dataset, 8, seed=3)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    spread = sum(max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches) / len(batches)
    assert spread < 40


def test_order_is_that_of_seed_and_epoch_alone_and_lazy() -> None:
    """Lightning may take the iterator before it tells the epoch, as it does for a resumed run."""
    dataset = Utterances(prepared([5] * 40, ["train"] * 40), "train", 0)
    first, second = LengthBatches(dataset, 4, seed=1), LengthBatches(dataset, 4, seed=1)
    first.set_epoch(0)
    list(first)
    first.set_epoch(1)
    early = iter(second)
    second.set_epoch(1)
    torch.manual_seed(99)
    assert list(early) == list(first)
    second.set_epoch(2)
    assert list(second) != list(first)
    assert list(LengthBatches(dataset, 4, seed=2)) != list(LengthBatches(dataset, 4, seed=1))


def test_evaluation_reads_whole_utterances_in_one_order() -> None:
    data = make_data(prepared(LENGTHS, SPLIT), batch_size=1, unroll=5)
    validation, test, train = data.test_dataloader()
    assert [len(states) for _, states in validation] == [4, 6]
    assert [len(states) for _, states in test] == [5, 8]
    assert sum(len(states) for _, states in train) == 7 + 3 + 12
    assert max(len(states) for _, states in train) <= 5
    assert data.units_per_epoch == 22


def test_majority_class_is_that_of_the_training_set() -> None:
    ready = prepared([4, 4, 2], ["train", "validation", "test"])
    ready.labels[:] = [3, 3, 3, 1, 3, 1, 1, 1, 1, 3]
    assert majority(ready) == {"train": 75, "validation": 25, "test": 50}
    baseline = make_data(ready).details["baselines"]["majority class"]
    assert baseline["train_frame_accuracy"] == 75
    assert baseline["validation_frame_accuracy"] == 25
    assert baseline["test_frame_accuracy"] == 50
