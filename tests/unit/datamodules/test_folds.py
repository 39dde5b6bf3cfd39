"""Pictures in folds, held against what was put there by hand."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.corpora import draw_pictures

from datamodules.captioning.datamodule import CaptionData
from datamodules.captioning.examples import CaptionSet, Example, note_in_several_splits, of_one_content
from datamodules.captioning.folds import FoldBatches, in_folds
from datamodules.captioning.images import Picture
from datamodules.errors import DataError
from datamodules.sources import SPLITS
from datamodules.vocabulary import EOS, UNK


def part_of(name: str) -> int:
    """The part of ten that a name's hash puts a picture into."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10


def named_for_each_part() -> list[str]:
    """Two names for each part of ten, in the order of the parts."""
    names: dict[int, list[str]] = {part: [] for part in range(10)}
    for number in range(1000):
        part = part_of(name := f"{number}.png")
        names[part] = [*names[part], name][:2]
    return [name for part in range(10) for name in names[part]]


def set_of(names: list[str]) -> CaptionSet:
    examples = [Example(Picture(one, one, lambda: Image.new("RGB", (1, 1))), ("a dog",), one) for one in names]
    return CaptionSet({"train": tuple(examples[:9]), "validation": (), "test": tuple(examples[9:])})


def test_each_picture_is_tested_once_and_each_fold_has_every_picture_once() -> None:
    names = named_for_each_part()
    found = in_folds(set_of(names), 5)
    assert sorted(one.picture.id for one in found.splits["test"]) == sorted(names)
    assert sorted(one.picture.id for one in found.splits["validation"]) == sorted(
        name for name in names if part_of(name) % 2 == 0
    )
    for fold in range(5):
        split_of = {one.picture.id: split for split in SPLITS for one in found.splits[split] if one.fold == fold}
        counts = Counter(one.picture.id for split in SPLITS for one in found.splits[split] if one.fold == fold)
        assert counts == dict.fromkeys(names, 1)
        # By hand: names 0 to 3 are of the first two parts, 4 and 5 of the third, two more for each later one.
        assert {name for name, split in split_of.items() if split == "test"} == set(names[4 * fold : 4 * fold + 4])
        validation = (4 * fold + 4) % 20
        assert {name for name, split in split_of.items() if split == "validation"} == set(
            names[validation : validation + 2]
        )
    for split in SPLITS:  # fold after fold
        assert [one.fold for one in found.splits[split]] == sorted(one.fold for one in found.splits[split])
    assert found.details["folds"] == 5


def test_variants_of_one_picture_are_tested_by_the_same_captioner() -> None:
    found = set_of([f"{number}.png" for number in range(200)])
    grouped = CaptionSet(
        {
            split: tuple(Example(one.picture, one.captions, str(int(one.picture.id[:-4]) // 2)) for one in examples)
            for split, examples in found.splits.items()
        }
    )
    fold_of: dict[str, set[int]] = {}
    for example in in_folds(grouped, 5).splits["test"]:
        fold_of.setdefault(example.group, set()).add(example.fold)
    assert len(fold_of) == 100
    assert all(len(folds) == 1 for folds in fold_of.values())


def test_a_picture_under_several_names_is_in_one_split_of_each_fold() -> None:
    """Pictures 0 and 7 are one, and so are 7 of another group and 12: all three groups are joined."""
    names = [f"{number}.png" for number in range(100)]
    stamps = {"7.png": "0.png", "8.png": "12.png"}
    groups = {"8.png": "7.png"}
    found = set_of(names)

    def alike(one: Example) -> Example:
        picture = replace(one.picture, stamp=stamps.get(one.picture.id, one.picture.id))
        return replace(one, picture=picture, group=groups.get(one.picture.id, one.group))

    twice = CaptionSet({split: tuple(map(alike, examples)) for split, examples in found.splits.items()})
    before, after = in_folds(found, 5), in_folds(twice, 5)
    for fold in range(5):
        splits = [
            {one.picture.id: split for split in SPLITS for one in each.splits[split] if one.fold == fold}
            for each in (before, after)
        ]
        joined = {"0.png", "7.png", "8.png", "12.png"}
        assert {splits[1][name] for name in joined} == {splits[0]["0.png"]}
        assert all(splits[1][name] == splits[0][name] for name in names if name not in joined)
    assert "2 pictures are there under several names" in after.details["notes"][-1]
    assert len(before.details["notes"]) == 1


def test_a_note_on_shared_pictures_is_of_the_splits_that_are_used() -> None:
    found = set_of(named_for_each_part())
    copy = replace(found.splits["train"][0], picture=replace(found.splits["train"][0].picture, id="copy.png"))
    splits = {**found.splits, "test": (*found.splits["test"], replace(copy, group="copy.png"))}
    twice = CaptionSet(splits, {"notes": ["another note", *note_in_several_splits(of_one_content(splits))]})
    assert len(twice.details["notes"]) == 2
    notes = in_folds(twice, 5).details["notes"]
    assert notes[0] == "another note"
    assert not any("are in several splits" in note for note in notes)


def test_too_few_pictures_are_one_line() -> None:
    with pytest.raises(DataError, match="3 pictures are too few for 5 folds: one has no"):
        in_folds(set_of(["0.png", "1.png", "2.png"]), 5)


def test_batches_are_of_one_fold_each_in_another_order_each_epoch() -> None:
    folds = [0, 0, 0, 1, 1, 1, 1, 1]
    assert list(FoldBatches(folds, 2)) == [[0, 1], [2], [3, 4], [5, 6], [7]]
    order, again = FoldBatches([0] * 50 + [1] * 7, 8, seed=3), FoldBatches([0] * 50 + [1] * 7, 8, seed=3)
    first = list(order)
    assert len(first) == len(order) == 8
    assert sorted(place for batch in first for place in batch) == list(range(57))
    assert all(len({place < 50 for place in batch}) == 1 for batch in first)
    order.set_epoch(1)
    again.set_epoch(1)
    torch.rand(3)
    assert list(order) == list(again) != first
    assert list(FoldBatches([0] * 50 + [1] * 7, 8, seed=4)) != first


def test_the_vocabulary_is_of_words_that_every_fold_has_learned(tmp_path: Path) -> None:
    """Statistics are those of a fold's own training pictures, and another number of folds is other data."""
    folder = draw_pictures(tmp_path / "pictures", 60, alike=False)
    data = CaptionData(str(folder), tmp_path, 8, "descriptor", 18, folds=5)
    data.setup()
    counts = [
        Counter(
            word
            for example in data.examples["train"]
            if example.fold == fold
            for text in example.captions
            for word in text.split()
        )
        for fold in range(5)
    ]
    known = {word for word in counts[0] if all(of_fold[word] >= 18 for of_fold in counts)}
    assert set(data.vocabulary.words) - {EOS, UNK} == known
    assert known < {word for of_fold in counts for word, count in of_fold.items() if count >= 18}
    for fold, (mean, deviation) in enumerate(data.statistics):
        ids = [example.picture.id for example in data.examples["train"] if example.fold == fold]
        assert mean == pytest.approx(data.features.of(ids).numpy().mean(axis=0), abs=1e-5)
        assert deviation == pytest.approx(data.features.of(ids).numpy().std(axis=0), abs=1e-5)
    for batches in (data.train_dataloader(), data.val_dataloader(), *data.test_dataloader()):
        found = [batch.fold for batch in batches]
        assert found == sorted(found)
        assert set(found) == set(range(5))
    other = CaptionData(str(folder), tmp_path, 8, "descriptor", 18, folds=4)
    other.setup()
    assert other.sha256 != data.sha256
