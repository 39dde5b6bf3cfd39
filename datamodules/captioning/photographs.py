"""Folders of captioned photographs, in the layout of Flickr8k or with a JSON file of Karpathy & Fei-Fei's."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from datamodules.captioning.examples import CaptionSet, Example, split_of, words
from datamodules.captioning.images import Picture, picture_file
from datamodules.captioning.sources import SPLITS
from datamodules.errors import DataError

# Flickr8k, as its authors publish it and as it is passed on.
_PICTURES = ("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset")
_CAPTIONS = ("captions.txt", "Flickr8k.token.txt", "Flickr8k_text/Flickr8k.token.txt")
_SPLIT_FILES = {
    split: f"Flickr_8k.{name}Images.txt" for split, name in zip(SPLITS, ("train", "dev", "test"), strict=True)
}


def read_flickr(folder: Path, limit: int | None = None) -> CaptionSet:
    """Read a folder in the layout of Flickr8k: pictures in Images/, captions.txt (a header, then image,caption).

    The usual splits are taken where Flickr_8k.{train,dev,test}Images.txt are there and every picture that they name is,
    else a picture's split is by the hash of its name.

    Args:
        folder: also takes Flickr8k.token.txt (image#number, tab, caption) in place of captions.txt.
        limit: only so many pictures, the first by name.

    Raises:
        DataError: a file is missing, a line is no caption, or a caption's picture is not there.
    """
    pictures = next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)
    path = next((folder / name for name in _CAPTIONS if (folder / name).is_file()), None)
    if not pictures or not path:
        raise DataError(
            f"{folder} has no {'captions.txt' if pictures else 'Images folder'}; a folder of captioned pictures holds "
            "Images/ and captions.txt (a header line, then image,caption), or a dataset*.json as Karpathy's"
        )
    captions: dict[str, list[str]] = defaultdict(list)
    for number, name, caption in _caption_lines(path):
        if not name or not caption.strip():
            raise DataError(f"{path}, line {number}: expected image,caption")
        captions[name].append(caption)
    chosen = sorted(captions)[:limit]
    there = {entry.name for entry in pictures.iterdir()}
    if missing := [name for name in chosen if name not in there]:
        raise DataError(
            f"{path} names {missing[0]}, which is not in {pictures} ({len(missing)} of {len(chosen)} pictures missing)"
        )
    usual = {} if limit else _usual_splits(path.parent, there)
    where = usual if usual else {name: split_of(name) for name in chosen}
    details = {
        "split": f"as in {_SPLIT_FILES['train']} and the others" if usual else "by a hash of the picture's name",
        "pictures": len(chosen),
    }
    named = {name: captions[name] for name in chosen}
    return _caption_set(named, where, lambda name: picture_file(pictures / name), details)


def _caption_lines(path: Path) -> Iterable[tuple[int, str, str]]:
    """Line number, picture and caption of each line of a file of captions."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if path.name == "captions.txt":
        reader = csv.reader(io.StringIO(text))
        for number, cells in enumerate(reader, 1):
            if number > 1 and cells:
                yield number, cells[0], ",".join(cells[1:])  # some copies do not quote a caption with a comma
        return
    for number, line in enumerate(text.splitlines(), 1):
        name, _, caption = line.partition("\t")
        yield number, name.partition("#")[0], caption


def _usual_splits(folder: Path, there: Iterable[str]) -> dict[str, str]:
    """Picture to split as the data set's own files have it; empty unless they and all their pictures are there."""
    found = {}
    for split, name in _SPLIT_FILES.items():
        if not (folder / name).is_file():
            return {}
        found.update(dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), split))
    return found if found.keys() <= set(there) else {}


# Karpathy's JSON files of MSCOCO, Flickr8k and Flickr30k.
_KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}


def read_karpathy(path: Path) -> CaptionSet:
    """Read captions and splits as Karpathy & Fei-Fei publish them; what they call restval joins the training set.

    Args:
        path: dataset_*.json; the pictures lie beside it, in the folders that it names, or in Images.

    Raises:
        DataError: the file is not of this format, or a picture is not there.
    """
    captions, where, files = {}, {}, {}
    try:
        for entry in json.loads(path.read_text(encoding="utf-8"))["images"]:
            name = entry["filename"]
            captions[name] = [sentence["raw"] for sentence in entry["sentences"]]
            where[name] = _KARPATHY_SPLITS[entry["split"]]
            files[name] = path.parent / entry.get("filepath", "Images") / name
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a file of captions as Karpathy's ({type(error).__name__}: {error})") from error
    if missing := [file for file in files.values() if not file.is_file()]:
        raise DataError(f"{path} names {missing[0]}, which is not there ({len(missing)} of {len(files)} missing)")
    details = {"split": f"as in {path.name}", "pictures": len(files)}
    return _caption_set(captions, where, lambda name: picture_file(files[name], name), details)


def _caption_set(
    captions: Mapping[str, Iterable[str]],
    where: Mapping[str, str],
    picture: Callable[[str], Picture],
    details: dict[str, Any],
) -> CaptionSet:
    """Put pictures into their splits; captions without a word, and pictures without a caption, are counted out."""
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    empty = 0
    for name in sorted(captions):
        if name not in where:
            continue
        kept = tuple(text for caption in captions[name] if (text := words(caption)))
        empty += len(list(captions[name])) - len(kept)
        if kept:
            splits[where[name]].append(Example(picture(name), kept, name))
    if empty:
        details["left_out"] = {"captions without a word": empty}
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)
