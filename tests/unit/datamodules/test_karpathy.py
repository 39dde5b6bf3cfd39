"""Captioned pictures with a JSON file as Karpathy & Fei-Fei publish them."""

import json
from pathlib import Path

import pytest

from datamodules.captioning.karpathy import read_karpathy
from datamodules.captioning.reading import read_captions
from datamodules.errors import DataError


@pytest.fixture
def karpathy(picture_folder: Path) -> Path:
    """Karpathy's file of MSCOCO, made up."""
    (picture_folder / "Images").rename(picture_folder / "val2014")
    (picture_folder / "captions.txt").unlink()
    entries = [
        {
            "filepath": "val2014",
            "filename": f"{number:03d}.png",
            "split": ["train", "restval", "val", "test"][number % 4],
            "sentences": [{"raw": f"Box number {number}."}, {"raw": "A box."}],
        }
        for number in range(40)
    ]
    path = picture_folder / "dataset_coco.json"
    path.write_text(json.dumps({"images": entries, "dataset": "coco"}))
    return path


def test_karpathys_splits(karpathy: Path) -> None:
    found = read_captions(str(karpathy.parent), karpathy.parent)
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 20,
        "validation": 10,
        "test": 10,
    }
    assert found.splits["test"][0].captions == ("box number 3", "a box")
    assert found.splits["test"][0].picture.read().size == (80, 60)


def test_a_bad_file_of_karpathys_is_named(karpathy: Path) -> None:
    (karpathy.parent / "val2014" / "007.png").unlink()
    with pytest.raises(DataError, match=r"dataset_coco.json names .*007.png, which is not there \(1 of 40 missing\)"):
        read_karpathy(karpathy)
    for text, message in (
        ("[1]", r'dataset_coco.json: has no list "images"; as Karpathy.s has it, each entry'),
        ('{"images": 5}', r'has no list "images"'),
        ('{"images": ["a"]}', "entry 1 of images: is 'a', no object; as Karpathy.s has it"),
        ('{"images": [{"file_name": "x.png"}], "annotations": []}', "these are MSCOCO's own annotations; give Karp"),
    ):
        karpathy.write_text(text)
        with pytest.raises(DataError, match=message):
            read_karpathy(karpathy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentences": [{"raw": None}]}, r"entry 1 of images \(000.png\): a caption is None, must be a string"),
        ({"sentences": [{"raw": ["a", "box"]}]}, r"\(000.png\): a caption is .'a', 'box'., must be a string"),
        ({"sentences": [{"raw": "['a', 'box']"}]}, r"\(000.png\): the caption is a list, .'a', 'box'.; as Karpathy.s"),
        ({"sentences": ["a dog"]}, r"\(000.png\): a sentence is 'a dog', must be an object; as Karpathy.s has it"),
        ({"sentences": [{"tokens": ["a"]}]}, r'\(000.png\): a sentence has no "raw", the caption as it was written'),
        ({"sentences": None}, r'\(000.png\): "sentences" is None, must be a list'),
        ({"split": "dev"}, r"""\(000.png\): "split" is 'dev', must be one of train, restval, val, test"""),
        ({"split": ["train"]}, r"\(000.png\): .split. is .'train'., must be one of"),
        ({"filename": None}, r'entry 1 of images: "filename" is None, must be a file.s name'),
        ({"filepath": None}, r'\(000.png\): "filepath" is None, must be a folder.s name or left out'),
        ({"filename": "001.png", "filepath": "val2014/"}, r"dataset_coco.json names val2014/001.png twice"),
    ],
)
def test_a_bad_entry_of_karpathys_is_named(karpathy: Path, change, message: str) -> None:
    content = json.loads(karpathy.read_text())
    content["images"][0] |= change
    karpathy.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_karpathy(karpathy)


def test_captions_of_karpathys_are_in_one_normal_form(karpathy: Path) -> None:
    karpathy.write_text(karpathy.read_text().replace("Box number 3.", r"A cafe\u0301."))
    assert read_karpathy(karpathy).splits["test"][0].captions[0] == "a caf\u00e9"


def test_of_several_files_of_captions_none_is_taken_in_silence(karpathy: Path) -> None:
    folder = karpathy.parent
    (folder / "dataset_a.json").write_text(karpathy.read_text())
    with pytest.raises(DataError, match=r"has captions in dataset_a.json and dataset_coco.json; leave there the one"):
        read_captions(str(folder), folder.parent)
    (folder / "captions.txt").write_text("000.png,A box\n")
    (folder / "dataset_a.json").unlink()
    with pytest.raises(DataError, match=r"has captions in dataset_coco.json and captions.txt; leave there"):
        read_captions(str(folder), folder.parent)


def test_the_archive_of_karpathys_files_may_be_unpacked_beside_mscoco(karpathy: Path) -> None:
    (karpathy.parent / "dataset_a.json").write_text("{}")
    karpathy.parent.rename(karpathy.parent.with_name("mscoco"))
    assert "dataset_coco.json" in read_captions("mscoco", karpathy.parent.parent).details["split"]
