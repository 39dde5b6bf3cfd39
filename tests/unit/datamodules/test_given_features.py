"""Vectors that a user gives, which belong to one picture each."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.captioning.features import given_features
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
