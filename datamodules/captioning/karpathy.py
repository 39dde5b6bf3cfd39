"""Captioned photographs with a JSON file as Karpathy & Fei-Fei publish them for MSCOCO, Flickr8k and Flickr30k."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from datamodules.captioning.examples import CaptionSet
from datamodules.captioning.photographs import caption_set, require_one
from datamodules.errors import DataError, damaged
from datamodules.lists import NamedFiles
from datamodules.text import read_json

_SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
_RIGHT = (
    'as Karpathy\'s has it, each entry of "images" is {"filename": "1.jpg", "split": "train", "sentences": '
    '[{"raw": "A dog runs."}]}, with "filepath" if the pictures lie in another folder than Images'
)


class _Entry(NamedTuple):
    """A picture and what the file says about it."""

    place: str
    """The entry, in messages."""
    folder: str
    filename: str
    split: str
    captions: list[str]


def read_karpathy(path: Path) -> CaptionSet:
    """Read captions and splits as Karpathy & Fei-Fei publish them; their split "restval" joins the training set.

    A picture is known by its name or, where several folders have one of that name, by folder and name.

    Args:
        path: dataset_*.json; the pictures lie beside it, in the folders that it names, or in Images.

    Raises:
        DataError: the file is not of this format, names a picture twice, or a picture is not there.
    """
    captions: dict[str, list[str]] = {}
    where: dict[str, str] = {}
    files: dict[str, Path] = {}
    there = NamedFiles(path.parent)
    with damaged(path, _RIGHT, "not a file of captions as Karpathy's"):
        entries = list(_entries(read_json(path), path))
        uses = Counter(entry.filename for entry in entries)
        seen: set[Path] = set()
        for entry in entries:
            place = str(PurePosixPath(entry.folder, entry.filename))
            name = unicodedata.normalize("NFC", entry.filename if uses[entry.filename] == 1 else place)
            file = there.find(place, entry.place)
            if name in files or file in seen:
                raise DataError(f"{path} names {place} twice; give each picture one entry with all its captions")
            seen.add(file)
            captions[name], where[name], files[name] = entry.captions, entry.split, file
        missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise DataError(f"{path} names {missing[0]}, which is not there ({len(missing)} of {len(files)} missing)")
    details: dict[str, Any] = {"split": f"as in {path.name}", "notes": []}
    return caption_set(path, captions, where, files, details)


def _entries(content: Any, path: Path) -> Iterator[_Entry]:
    """The entries of a file, checked.

    Raises:
        DataError: one is not of this format; the message names it.
    """
    images: Any = content.get("images") if isinstance(content, dict) else None
    _require(isinstance(images, list), str(path), 'has no list "images"')
    if "annotations" in content and not any("sentences" in image for image in images):
        raise DataError(f"{path}: these are MSCOCO's own annotations; give Karpathy's dataset_coco.json, with splits")
    for number, image in enumerate(images, 1):
        place = f"{path}, entry {number} of images"
        _require(isinstance(image, dict), place, f"is {image!r:.60}, no object")
        filename, folder, split, sentences = (image.get(key) for key in ("filename", "filepath", "split", "sentences"))
        _require(isinstance(filename, str) and filename, place, f"{_found(image, 'filename')}, must be a file's name")
        place += f" ({filename})"
        if "filepath" in image:
            _require(
                isinstance(folder, str), place, f"{_found(image, 'filepath')}, must be a folder's name or left out"
            )
        one_of = f"must be one of {', '.join(_SPLITS)}"
        _require(isinstance(split, str) and split in _SPLITS, place, f"{_found(image, 'split')}, {one_of}")
        _require(isinstance(sentences, list), place, f"{_found(image, 'sentences')}, must be a list")
        captions = [_raw(sentence, place) for sentence in sentences]
        yield _Entry(place, image.get("filepath", "Images"), filename, _SPLITS[split], captions)


def _found(image: dict[str, Any], key: str) -> str:
    """What an entry has under a key, in words."""
    return f'"{key}" is {image[key]!r:.60}' if key in image else f'"{key}" is missing'


def _require(right: object, place: str, message: str) -> None:
    if not right:
        raise DataError(f"{place}: {message}; {_RIGHT}")


def _raw(sentence: Any, place: str) -> str:
    """A caption in normal form C, which escapes may have hidden from the reader of the text.

    Raises:
        DataError: it is no text, or a list of captions.
    """
    _require(isinstance(sentence, dict), place, f"a sentence is {sentence!r:.60}, must be an object")
    _require("raw" in sentence, place, 'a sentence has no "raw", the caption as it was written')
    caption = sentence["raw"]
    _require(isinstance(caption, str), place, f"a caption is {caption!r:.60}, must be a string")
    require_one(caption, place, _RIGHT)
    return unicodedata.normalize("NFC", caption)
