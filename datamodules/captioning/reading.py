"""Captioned pictures by the name of their data set, or from a user's own folder."""

import hashlib
from dataclasses import replace
from pathlib import Path

from datamodules.captioning.examples import CaptionSet
from datamodules.captioning.karpathy import read_karpathy
from datamodules.captioning.openmoji import read_openmoji
from datamodules.captioning.photographs import caption_files, read_flickr
from datamodules.captioning.scenes import read_scenes
from datamodules.captioning.sources import (
    FLICKR8K,
    FLICKR8K_PART,
    FLICKR8K_PART_CONTENT,
    FLICKR8K_PART_SIZE,
    FOLDERS,
    MSCOCO,
    NAMED,
    OPENMOJI,
    SCENES,
)
from datamodules.errors import DataError
from datamodules.lists import only_one


def read_captions(source: str, data: Path) -> CaptionSet:
    """Read a source by name, or a folder in the layout of Flickr8k or of Karpathy's JSON files.

    Args:
        source: "scenes", "openmoji", "flickr8k", "flickr8k-1k", "mscoco", or the path of a folder.
        data: folder that holds the named sources.

    Raises:
        DataError: files are missing, unreadable or contradict each other.
    """
    if source == SCENES:
        return read_scenes()
    if source == OPENMOJI.name:
        return read_openmoji(*OPENMOJI.verify(data))
    folder = data / source if source in FOLDERS else Path(source)
    if source == FLICKR8K_PART.name:
        if not folder.is_dir() and (whole := data / FLICKR8K.name).is_dir():
            return as_recorded(read_flickr(whole, FLICKR8K_PART_SIZE))
        FLICKR8K_PART.verify(data)
        return as_recorded(read_flickr(folder))
    if source in FOLDERS:
        FOLDERS[source].verify(data)
    elif not folder.is_dir():
        raise DataError(f"{folder} is missing; --source names one of {', '.join(NAMED)}, or a folder of pictures")
    if source == MSCOCO.name and (coco := folder / "dataset_coco.json").is_file():
        return read_karpathy(coco)  # the archive that it comes in has those of Flickr8k and Flickr30k beside it
    karpathy = sorted(folder.glob("dataset*.json"))
    only_one(folder, [*karpathy, *caption_files(folder)], "captions")
    return read_karpathy(karpathy[0]) if karpathy else read_flickr(folder)


def as_recorded(part: CaptionSet) -> CaptionSet:
    """The part of Flickr8k as its records know it: by the sizes of its pictures, if their content is the published one.

    Sizes alone would not tell an altered picture. Records of other content have other checksums of their data.
    """
    pictures = sorted(
        (example.picture.id, example.picture.stamp) for examples in part.splits.values() for example in examples
    )
    if hashlib.sha256(repr(pictures).encode()).hexdigest() != FLICKR8K_PART_CONTENT:
        return part
    splits = {
        split: tuple(replace(example, mark=str(example.picture.size)) for example in examples)
        for split, examples in part.splits.items()
    }
    return replace(part, splits=splits)
