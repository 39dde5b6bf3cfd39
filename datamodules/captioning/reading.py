"""Captioned pictures by the name of their data set, or from a user's own folder."""

from pathlib import Path

from datamodules.captioning.examples import CaptionSet
from datamodules.captioning.openmoji import read_openmoji
from datamodules.captioning.photographs import read_flickr, read_karpathy
from datamodules.captioning.sources import FLICKR8K, FLICKR8K_PART, FLICKR8K_PART_SIZE, FOLDERS, OPENMOJI
from datamodules.errors import DataError


def read_captions(source: str, data: Path) -> CaptionSet:
    """Read a source by name, or a folder in the layout of Flickr8k or of Karpathy's JSON files.

    Args:
        source: "openmoji", "flickr8k", "flickr8k-1k", "mscoco", or the path of a folder.
        data: folder that holds the named sources.

    Raises:
        DataError: files are missing, unreadable or contradict each other.
    """
    if source == OPENMOJI.name:
        OPENMOJI.verify(data)
        return read_openmoji(*(data / source / file.name for file in OPENMOJI.files))
    folder = data / source if source in FOLDERS else Path(source)
    if source == FLICKR8K_PART.name and not folder.is_dir() and (whole := data / FLICKR8K.name).is_dir():
        return read_flickr(whole, FLICKR8K_PART_SIZE)
    if source in FOLDERS:
        FOLDERS[source].verify(data)
    elif not folder.is_dir():
        names = ", ".join((OPENMOJI.name, *FOLDERS))
        raise DataError(f"{folder} is missing; --source names one of {names}, or a folder of pictures")
    if karpathy := sorted(folder.glob("dataset*.json")):
        return read_karpathy(karpathy[0])
    return read_flickr(folder)
