"""Pictures and captions as data sets publish them: OpenMoji and Flickr8k."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from support.corpora import draw_pictures

from datamodules.captioning import reading
from datamodules.captioning.examples import split_of, words
from datamodules.captioning.openmoji import drawing_group, read_openmoji
from datamodules.captioning.photographs import read_flickr
from datamodules.captioning.reading import read_captions
from datamodules.errors import DataError

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><rect width="72" height="72" fill="#f00"/></svg>'

EMOJI = {
    "👋": ":waving_hand:",
    "👋🏽": ":waving_hand_medium_skin_tone:",
    "🧑‍🚀": ":astronaut:",
    "👩🏿‍🚀": ":woman_astronaut_dark_skin_tone:",
    "👨‍🚀": ":man_astronaut:",
    "🇫🇷": ":France:",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿": ":England:",
    "👩🏻‍🤝‍👩🏿": ":women_holding_hands_light_skin_tone_dark_skin_tone:",
    "#️⃣": ":keycap_#:",
    "🕐": ":one_o’clock:",
}


@pytest.fixture
def wheels(tmp_path: Path) -> tuple[Path, Path]:
    """Wheels of drawings and of names, as OpenMoji and emoji have them."""
    drawings, names = tmp_path / "drawings.whl", tmp_path / "names.whl"
    with zipfile.ZipFile(drawings, "w") as archive:
        for emoji in EMOJI:
            archive.writestr(f"o/svg/{'-'.join(f'{ord(letter):04X}' for letter in emoji)}.svg", SQUARE)
        archive.writestr("o/svg/E001.svg", SQUARE)
        archive.writestr("o/svg/E001.svg.gz", b"")
    with zipfile.ZipFile(names, "w") as archive:
        content = {emoji: {"en": name} for emoji, name in EMOJI.items()}
        archive.writestr("emoji/unicode_codes/emoji.json", json.dumps(content))
    return drawings, names


def test_openmoji_leaves_out_flags_two_tones_and_the_nameless_and_says_so(wheels) -> None:
    found = read_openmoji(*wheels)
    examples = [example for split in found.splits.values() for example in split]
    assert found.details["left_out"] == {"without a Unicode name": 1, "flags": 2, "of two skin tones": 1}
    assert sorted(example.captions[0] for example in examples) == [
        "astronaut",
        "keycap",
        "man astronaut",
        "one o'clock",
        "waving hand",
        "waving hand medium skin tone",
        "woman astronaut dark skin tone",
    ]
    image = examples[0].picture.read()
    assert image.size == (72, 72)
    assert image.getpixel((36, 36)) == (255, 0, 0)


def test_variants_of_a_drawing_stand_in_one_split(wheels) -> None:
    where = {
        example.captions[0]: (split, example.group)
        for split, examples in read_openmoji(*wheels).splits.items()
        for example in examples
    }
    assert where["astronaut"] == where["man astronaut"] == where["woman astronaut dark skin tone"]
    assert where["waving hand"] == where["waving hand medium skin tone"]
    assert where["waving hand"][1] != where["astronaut"][1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1F9D1-200D-1F680", "1F469-1F3FF-200D-1F680"),  # astronaut, woman astronaut: dark skin tone
        ("1F3C3", "1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F"),  # person running, woman running facing right
        ("1F385-1F3FD", "1F9D1-200D-1F384"),  # Santa Claus, Mx Claus
        ("1F468", "1F471-1F3FB"),  # man, person: blond hair
        ("1F550", "1F567"),  # clock faces
    ],
)
def test_groups_of_drawings(one: str, other: str) -> None:
    assert drawing_group(one.split("-")) == drawing_group(other.split("-"))
    assert drawing_group(one.split("-")) != drawing_group(["1F34E"])


def test_a_tenth_is_held_out_for_each_of_validation_and_test() -> None:
    splits = [split_of(f"picture {number}") for number in range(5000)]
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert splits.count(split) / 5000 == pytest.approx(share, abs=0.015)


def test_captions_are_lower_case_words() -> None:
    assert words("A man 's T-shirt, 1,200 O\u2019Clock !") == "a man s t-shirt 1,200 o'clock"


def test_flickr_layout(picture_folder: Path) -> None:
    found = read_flickr(picture_folder)
    examples = [example for split in found.splits.values() for example in split]
    assert len(examples) == 60
    assert all(len(example.captions) == 2 for example in examples)
    assert examples[0].captions[0].startswith("a ")
    assert "on the" in examples[0].captions[0]
    assert found.details["split"] == "by a hash of the picture's name"
    assert not found.has_splits
    assert len([e for split in read_flickr(picture_folder, limit=7).splits.values() for e in split]) == 7


def test_flickr_takes_the_usual_splits_when_they_are_whole(picture_folder: Path) -> None:
    for name, numbers in (("train", range(40)), ("dev", range(40, 50)), ("test", range(50, 60))):
        listing = "\n".join(f"{number:03d}.png" for number in numbers)
        (picture_folder / f"Flickr_8k.{name}Images.txt").write_text(listing + "\n")
    found = read_flickr(picture_folder)
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 40,
        "validation": 10,
        "test": 10,
    }
    assert found.splits["test"][0].picture.id == "050.png"
    assert "Flickr_8k.trainImages.txt" in found.details["split"]
    assert found.has_splits
    (picture_folder / "Flickr8k_text").mkdir()
    for name in ("train", "dev", "test"):  # as in the archive of the authors
        (picture_folder / f"Flickr_8k.{name}Images.txt").rename(
            picture_folder / f"Flickr8k_text/Flickr_8k.{name}Images.txt"
        )
    assert read_flickr(picture_folder).splits["test"][0].picture.id == "050.png"
    shutil.copy(picture_folder / "Flickr8k_text/Flickr_8k.testImages.txt", picture_folder)
    with pytest.raises(DataError, match=r"names of test pictures in Flickr_8k.testImages.txt and Flickr8k_text/Flickr"):
        read_flickr(picture_folder)
    for name in ("train", "dev"):
        shutil.copy(picture_folder / f"Flickr8k_text/Flickr_8k.{name}Images.txt", picture_folder)
    shutil.rmtree(picture_folder / "Flickr8k_text")
    with (picture_folder / "Flickr_8k.testImages.txt").open("a") as file:
        file.write("more.png\n")
    with pytest.raises(DataError, match=r"testImages.txt, line 11: more.png is not in .*Images; .* remove the lists"):
        read_flickr(picture_folder)
    (picture_folder / "Flickr_8k.devImages.txt").unlink()
    with pytest.raises(DataError, match=r"has no Flickr_8k.devImages.txt; the usual splits need their three lists"):
        read_flickr(picture_folder)


def test_names_in_the_lists_of_splits_may_have_spaces(picture_folder: Path) -> None:
    (picture_folder / "Images/000.png").rename(picture_folder / "Images/a b.png")
    text = (picture_folder / "captions.txt").read_text()
    (picture_folder / "captions.txt").write_text(text.replace("000.png", "a b.png"))
    for name, listed in (("train", "a b.png\n"), ("dev", "001.png\n"), ("test", "002.png\n")):
        (picture_folder / f"Flickr_8k.{name}Images.txt").write_text(listed)
    assert [one.picture.id for one in read_flickr(picture_folder).splits["train"]] == ["a b.png"]


def test_flickr_token_files_and_captions_without_quotes(picture_folder: Path) -> None:
    (picture_folder / "captions.txt").write_text("image,caption\n000.png,A box , red\n")
    (example,) = [e for split in read_flickr(picture_folder).splits.values() for e in split]
    assert example.captions == ("a box red",)
    (picture_folder / "captions.txt").unlink()
    (picture_folder / "Flickr8k.token.txt").write_text("000.png#0\tA box .\n000.png#1\t.\n")
    found = read_flickr(picture_folder)
    (example,) = [e for split in found.splits.values() for e in split]
    assert example.captions == ("a box",)
    assert found.details["left_out"] == {"captions without a word": 1, "pictures without captions": 59}
    assert found.details["left_out_pictures"]["001.png"] == "pictures without captions"


def test_the_part_of_flickr_is_cut_from_the_whole(tmp_path: Path, monkeypatch) -> None:
    draw_pictures(tmp_path / "flickr8k", 30)
    monkeypatch.setattr(reading, "FLICKR8K_PART_SIZE", 20)
    found = read_captions("flickr8k-1k", tmp_path)
    assert sum(map(len, found.splits.values())) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,caption\n000.png,A box\nnope.png,A box\n",
            r"captions.txt names nope.png, which is not in .*Images \(1 of",
        ),
        ("image,caption\n000.png\n", "captions.txt, line 2: expected image,caption"),
        ("image,caption\n000.png,A <eos> box\n", r"captions.txt, 000.png: <eos> stands within the line"),
        (
            b"image,caption\n000.png,caf\xe9\n",
            "captions.txt, line 2: not UTF-8 .0xe9 at its byte 12.; save it as UTF-8",
        ),
        (None, "has no captions.txt; a folder of captioned pictures holds"),
    ],
)
def test_a_bad_file_of_captions_is_named(picture_folder: Path, text, message: str) -> None:
    path = picture_folder / "captions.txt"
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_flickr(picture_folder)


def test_a_missing_source_says_where_it_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mscoco/dataset\*.json is missing; unpack train2014 and val2014 of http"):
        read_captions("mscoco", tmp_path)
    with pytest.raises(DataError, match=r"flickr8k is missing; unpack https://.* there, or name its parent"):
        read_captions("flickr8k", tmp_path)
    with pytest.raises(DataError, match="nowhere is missing; --source names one of scenes, openmoji, flickr8k"):
        read_captions("nowhere", tmp_path)


def test_of_two_folders_of_pictures_or_files_of_captions_none_is_taken(picture_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "flickr8k").symlink_to(picture_folder)
    (picture_folder / "images").symlink_to(picture_folder / "Images")  # one folder under two names
    read_captions("flickr8k-1k", tmp_path)
    (picture_folder / "Flickr8k.token.txt").write_text("000.png#0\tA box .\n")
    with pytest.raises(DataError, match=r"has captions in captions.txt and Flickr8k.token.txt; leave there the one"):
        read_captions("flickr8k-1k", tmp_path)
    (picture_folder / "Flickr8k.token.txt").unlink()
    (picture_folder / "Flicker8k_Dataset").mkdir()
    with pytest.raises(DataError, match=r"has pictures in Images and Flicker8k_Dataset; leave there the one"):
        read_captions(str(picture_folder), tmp_path)
