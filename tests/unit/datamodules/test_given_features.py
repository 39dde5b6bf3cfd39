"""Vectors that a user gives, which belong to one picture each."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.captioning.features import given_features, known_as, read_feature_file
from datamodules.captioning.images import picture_file
from datamodules.errors import DataError


def test_two_pictures_of_one_name_do_not_get_the_features_of_one(tmp_path: Path) -> None:
    pictures = []
    for folder, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4), color).save(tmp_path / folder / "1.png")
        pictures.append(picture_file(tmp_path / folder / "1.png"))
    np.savez(tmp_path / "f.npz", ids=["1.png"], features=np.ones((1, 2), np.float32), network="mine")
    given_features([pictures[0], pictures[2]], tmp_path / "f.npz")  # one picture, twice
    with pytest.raises(DataError, match=r"f.npz would give two pictures of the name '1.png' the same features; give"):
        given_features(pictures[:2], tmp_path / "f.npz")


def test_a_picture_is_known_by_the_longest_name_that_its_path_ends_in(tmp_path: Path) -> None:
    ids = ["000.png", "sub/000.png", "x/sub/000.png"]
    assert known_as(tmp_path / "Images" / "sub" / "000.png", ids) == "sub/000.png"
    assert known_as(tmp_path / "Images" / "000.png", ids) == "000.png"
    assert known_as(tmp_path / "1.png", ids) == "1.png"


def test_vectors_that_a_captioner_would_be_blind_to_are_refused(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((9, 4)) * [1, 1, 1, 0]
    ids = [f"{number}.png" for number in range(9)]
    for scale, name in ((1e-2, "good.npz"), (1e-6, "small.npz")):
        np.savez(tmp_path / name, ids=ids, features=scale * vectors, network="mine")
    assert read_feature_file(tmp_path / "good.npz").size == 4
    with pytest.raises(DataError, match=r"small.npz: .*differ by less than 0.001, .* multiply them by a constant"):
        read_feature_file(tmp_path / "small.npz")
