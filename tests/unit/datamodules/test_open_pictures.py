"""Pictures that are open already: read with the care that their files are."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import bounds
from datamodules.captioning.images import read_image, read_open
from datamodules.errors import DataError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


def written(path: Path, image: Image.Image = NOISE, **options) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif"])
def test_an_open_picture_is_that_of_its_file(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = written(tmp_path / name, **({"exif": exif} if name == "a.jpg" else {}))
    for file in (path, io.BytesIO(path.read_bytes())):
        with Image.open(file) as image:
            seen = read_open(image)
            assert (seen.size, seen.tobytes()) == (read_image(path).size, read_image(path).tobytes())
            image.load()  # it still can be
            assert read_open(image).tobytes() == seen.tobytes()


def test_a_photograph_that_ends_early_is_refused_open_too(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    with (
        Image.open(tmp_path / "a.jpg") as image,
        pytest.raises(DataError, match=r"^the open picture: not a whole picture .*its data end before"),
    ):
        read_open(image)


def test_a_later_picture_of_several_is_the_one_that_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gif", Image.new("RGB", (8, 8), "red"), save_all=True,
                   append_images=[Image.new("RGB", (8, 8), "blue")])  # fmt: skip
    with Image.open(path) as image:
        image.seek(1)
        assert read_open(image).getpixel((4, 4)) == (0, 0, 255)


def test_an_open_picture_has_the_bound_of_a_file(tmp_path: Path, monkeypatch) -> None:
    path = written(tmp_path / "a.png")
    monkeypatch.setattr("datamodules.captioning.images.PICTURE_PIXELS", bounds.Bound(3000, "pixels"))
    for image in (NOISE, Image.open(path)):
        with pytest.raises(DataError, match="the open picture: 3,072 pixels; at most 3,000 are read"):
            read_open(image)
