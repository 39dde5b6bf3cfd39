"""Scenes that the suite draws and describes: every caption is true of its picture, and no split knows another's."""

from pathlib import Path

import numpy as np
from support.scenes import PLACES, SETTINGS, THING, is_true, said

from benchmark.audit.published import PUBLISHED_DATA
from benchmark.tasks import captioning
from datamodules.captioning.datamodule import CaptionData
from datamodules.captioning.features import Features
from datamodules.captioning.networks import Descriptor
from datamodules.captioning.scenes import CAPTIONS, COLORS, PICTURES, Scene, Thing, describe, read_scenes, scenes
from datamodules.sources import SPLITS


def test_captions_read_by_hand() -> None:
    assert said("a red house left of a blue car in snow") == (
        {"red house": "left", "blue car": "right"},
        "snow",
    )
    assert said("a blue kite flying over a pink tent at night") == (
        {"blue kite": "above", "pink tent": "below"},
        "moon",
    )


def test_every_caption_is_true_and_names_each_thing() -> None:
    forms = set()
    for scene in scenes():
        captions = describe(scene)
        assert len(set(captions)) == 4
        assert all(is_true(caption, scene) for caption in captions)
        forms |= {THING.sub("T", caption) for caption in captions}
    assert len(forms) == len(PLACES) * len(SETTINGS)


def test_captions_that_are_not_true_are_found() -> None:
    scene = Scene(Thing("red", "kite"), Thing("blue", "car"), "snow", "moon")
    assert is_true("a red kite above a blue car at night", scene)
    assert is_true("a blue car beside a red kite in snow", scene)
    assert not is_true("a blue car above a red kite at night", scene)
    assert not is_true("a red kite left of a blue car at night", scene)
    assert not is_true("a blue kite above a red car at night", scene)
    assert not is_true("a red kite above a blue car on grass", scene)
    assert not is_true("a red kite above a red kite at night", scene)
    assert not is_true("a red kite", scene)


def test_pictures_show_what_their_scenes_say() -> None:
    """By the pixels of each thing's color: where their middle is."""
    pictures = {example.picture.id: example.picture for example in read_scenes().splits["test"]}
    kinds: set[str] = set()
    for scene in [scene for scene in scenes() if scene.id in pictures and scene.first.color != scene.second.color][:80]:
        pixels = np.asarray(pictures[scene.id].read())
        middles = []
        for thing in (scene.first, scene.second):
            rows, columns = (pixels == [int(COLORS[thing.color][i : i + 2], 16) for i in (1, 3, 5)]).all(2).nonzero()
            middles.append((rows.mean(), columns.mean()))
            kinds.add(thing.kind)
        (first_row, first_column), (second_row, second_column) = middles
        if scene.is_above:
            assert first_row < second_row - 30
            assert abs(first_column - second_column) < 30
        else:
            assert first_column < second_column - 30
    assert len(kinds) == 9


def test_no_split_knows_a_pair_a_picture_or_a_caption_of_another() -> None:
    splits = read_scenes().splits
    assert {split: len(examples) for split, examples in splits.items()} == PICTURES
    every = [example for examples in splits.values() for example in examples]
    pairs = {frozenset(example.picture.id.split(", ")) for example in every}
    assert len(pairs) == len(every)
    assert len({example.picture.stamp for example in every}) == len(every)
    captions = {split: {text for one in examples for text in one.captions} for split, examples in splits.items()}
    count = sum(PICTURES[split] * CAPTIONS[split] for split in PICTURES)
    assert sum(map(len, captions.values())) == len(set().union(*captions.values())) == count


def test_words_are_known_and_the_data_are_the_published_ones(tmp_path: Path) -> None:
    """The checksum covers drawings and captions, whatever draws them."""
    config = captioning.SCENES_PLAIN.config
    data = CaptionData(config.source, tmp_path, config.batch_size, config.features, config.min_count)
    data._features = Features(Descriptor.sha256, Descriptor.sha256, np.zeros((0, 1)), {})  # draws and looks at none
    data.setup()
    longest = max(len(item.tokens) for captions in data.captions.values() for item in captions.items)
    assert longest < config.max_length
    assert data.details["unknown_words"] == dict.fromkeys(SPLITS, 0.0)
    assert (data.sha256,) == PUBLISHED_DATA["scenes"].sha256
