"""Folders of captioned photographs in the layout of Flickr8k."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from datamodules.cache import cores
from datamodules.captioning.examples import (
    KEPT_NAMES,
    CaptionSet,
    Example,
    note_in_several_splits,
    of_one_content,
    split_of,
    words,
)
from datamodules.captioning.images import picture_file
from datamodules.errors import DataError, counted
from datamodules.lists import NamedFiles, header_fields, not_named, only_one
from datamodules.oddities import Oddities
from datamodules.sources import SPLITS
from datamodules.text import cells, note_lone_marks, read_lines, without_entities
from datamodules.vocabulary import note_ends, without_eos

# Flickr8k, as its authors publish it and as it is passed on.
_PICTURES = ("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset")
_AUTHORS = "Flickr8k_text"
_CAPTION_FILES = ("captions.txt", "Flickr8k.token.txt", f"{_AUTHORS}/Flickr8k.token.txt")
_SPLIT_FILES = {
    split: f"Flickr_8k.{name}Images.txt" for split, name in zip(SPLITS, ("train", "dev", "test"), strict=True)
}


_TITLES = {
    **dict.fromkeys(("image", "image_name", "file", "filename"), "image"),
    **dict.fromkeys(("caption", "comment"), "caption"),
    **dict.fromkeys(("comment_number", "caption_number"), "number"),
}
"""The column that a title in the header of captions.txt means, in the layout of Flickr30k as well."""
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_LIST = re.compile(rf"\s*\[\s*{_QUOTED}(?:[\s,]*{_QUOTED})*[\s,]*\]\s*")
"""Several strings as Python, JSON and NumPy write them."""


def read_flickr(folder: Path, limit: int | None = None) -> CaptionSet:
    """Read a folder in the layout of Flickr8k: pictures in Images/, captions.txt (image,caption, maybe with a header).

    The usual splits are taken where Flickr_8k.{train,dev,test}Images.txt are there, else a picture's split is by the
    hash of its name.

    Args:
        folder: also takes Flickr8k.token.txt (image#number, tab, caption) in place of captions.txt.
        limit: most pictures that are read, the first by name.

    Raises:
        DataError: a file is missing, or there are two for one thing, a line is no caption, or a picture with a caption
            and a split is not there.
    """
    pictures = only_one(folder, [folder / name for name in _PICTURES if (folder / name).is_dir()], "pictures")
    path = only_one(folder, caption_files(folder), "captions")
    if not pictures or not path:
        raise DataError(
            f"{folder} has no {'captions.txt' if pictures else 'Images folder'}; a folder of captioned pictures holds "
            "Images/ and captions.txt (lines of image,caption), or a dataset*.json as Karpathy's"
        )
    captions: dict[str, list[str]] = defaultdict(list)
    files: dict[str, Path] = {}
    notes: list[str] = []
    there = NamedFiles(pictures)
    for place, written, caption in _caption_lines(path, notes):
        if not written or not caption.strip():
            raise DataError(f"{place}: expected image,caption, has no {'caption' if written else 'image'}")
        require_one(caption, place, "give each caption a line of its own, with the name of the picture")
        name = str(PurePosixPath(written))
        if name not in files:
            files[name] = there.find(written, place)
        captions[name].append(caption)
    chosen = sorted(captions)[:limit]
    usual = {} if limit else _usual_splits(folder, there)
    where = usual or {name: split_of(name) for name in chosen}
    if missing := [name for name in chosen if name in where and not files[name].is_file()]:
        raise DataError(
            f"{path} names {missing[0]}, which is not in {pictures} ({len(missing)} of {len(chosen)} pictures missing)"
        )
    details = {
        "split": f"as in {_SPLIT_FILES['train']} and the others" if usual else "by a hash of the picture's name",
        "notes": notes,
    }
    named: dict[str, list[str]] = {} if limit else _without_captions(pictures, set(files.values()))
    named |= {name: captions[name] for name in chosen}
    return replace(caption_set(path, named, where, files, details), has_splits=bool(usual))


def require_one(caption: str, place: str, right: str) -> None:
    """Refuse a list of captions where one is expected, as tables that pandas writes have it.

    Args:
        caption: what stands there.
        place: the line or entry, in messages.
        right: what would be right, in a few words.

    Raises:
        DataError: it is a list.
    """
    if _LIST.fullmatch(caption):
        raise DataError(f"{place}: the caption is a list, {caption.strip():.60}; {right}")


def caption_files(folder: Path) -> list[Path]:
    """The files of captions that a folder has, in any of the layouts of Flickr8k."""
    return [folder / name for name in _CAPTION_FILES if (folder / name).is_file()]


def _without_captions(pictures: Path, captioned: set[Path]) -> dict[str, list[str]]:
    """The pictures that no line names; neither hidden files nor those that are no pictures by their suffix."""
    return {name: [] for name in not_named(pictures, {".svg", *Image.registered_extensions()}, captioned)}


def _caption_lines(path: Path, notes: list[str]) -> Iterator[tuple[str, str, str]]:
    """Place, picture and caption of each line of a file of captions; each line stands for itself."""
    if path.name != "captions.txt":
        for number, line in read_lines(path):
            name, _, caption = line.partition("\t")
            yield f"{path}, line {number}", name.partition("#")[0], caption
        return
    lone_marks: list[int] = []
    fields: list[str] = []
    delimiter, right = ",", "image,caption"
    rows = numbered = 0
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        if not fields:  # the first line that is not blank
            delimiter, titles = _header(line, place)
            fields = titles or right.split(",")
            if titles:
                right = line
                continue
        row, lone = cells(line, delimiter)
        last = len(fields) - 1
        if len(row) <= last or (len(row) > len(fields) and fields[last] != "caption"):
            raise DataError(f"{place}: expected {right}")
        lone_marks += [number] * lone
        values = dict(zip(fields, [*row[:last], delimiter.join(row[last:])], strict=True))  # a comma may be unquoted
        rows += 1
        numbered += last == 1 and len(row) > 2 and row[1].strip().isdigit()
        yield place, values["image"], values["caption"]
    if 2 * numbered > rows:
        raise DataError(
            f"{path}: {numbered:,} of {rows:,} captions begin with a number and a comma; if it is no part of them, "
            "give the file the header image,comment_number,comment"
        )
    notes += note_lone_marks(path, lone_marks)


def _header(line: str, place: str) -> tuple[str, list[str] | None]:
    """The character between the cells of captions.txt, and its columns if its first line is a header."""
    for delimiter in (",", "|"):
        if fields := header_fields(cells(line, delimiter)[0], _TITLES, ("image", "caption"), place):
            return delimiter, fields
    return ",", None


def _usual_splits(folder: Path, pictures: NamedFiles) -> dict[str, str]:
    """Picture to split as the data set's own files have it, in the folder or in Flickr8k_text; empty without them.

    Raises:
        DataError: some of them are there and others not, or twice, a picture is in two splits, or it is not there.
    """
    right = "the usual splits need their three lists and all pictures; remove the lists to split by a hash of the name"
    places = {split: [folder / file, folder / _AUTHORS / file] for split, file in _SPLIT_FILES.items()}
    lists = {
        split: path
        for split, paths in places.items()
        if (path := only_one(folder, [path for path in paths if path.is_file()], f"names of {split} pictures"))
    }
    if not lists:
        return {}
    if absent := [file for split, file in _SPLIT_FILES.items() if split not in lists]:
        raise DataError(f"{next(iter(lists.values())).parent} has no {' and no '.join(absent)}; {right}")
    found: dict[str, str] = {}
    for split, path in lists.items():
        for number, line in read_lines(path):
            name, place = line.strip(), f"{path}, line {number}"
            if found.setdefault(str(PurePosixPath(name)), split) != split:
                raise DataError(f"{place}: {name} is in the {found[str(PurePosixPath(name))]} set already")
            if not pictures.find(name, place).is_file():
                raise DataError(f"{place}: {name} is not in {pictures.folder}; {right}")
    return found


def caption_set(
    path: Path,
    captions: Mapping[str, Sequence[str]],
    where: Mapping[str, str],
    files: Mapping[str, Path],
    details: dict[str, Any],
) -> CaptionSet:
    """Put pictures into their splits; whatever has no word, no split or no caption is counted, and named.

    Args:
        path: the file of the captions, for messages.
        captions: picture to its captions as they are written.
        where: picture to its split.
        files: picture to its file.
        details: the way that the pictures were split, and notes; gets what was left out, and more notes.

    Raises:
        DataError: captions begin or end with markers, or a picture cannot be read.
    """
    left_out: Counter[str] = Counter()
    names: dict[str, str] = {}
    texts: dict[str, tuple[str, ...]] = {}
    found = Oddities()
    ended = repeated = 0
    for name in sorted(captions):
        pairs = [without_eos(caption, f"{path}, {name}") for caption in captions[name]]
        kept = tuple(text for caption, _ in pairs if (text := words(caption)))
        if name not in where or not kept:
            names[name] = "pictures without captions" if not kept else "pictures in no split"
            left_out[names[name]] += 1
            continue
        ended += sum(had for _, had in pairs)
        repeated += len(kept) - len(set(kept))
        for caption, _ in pairs:
            found.add(without_entities(caption), f"{where[name]} captions")
        left_out["captions without a word"] += len(pairs) - len(kept)
        texts[name] = kept
    found.refuse_markers(path)
    details["notes"] += note_ends(ended, "captions") + found.notes()
    if repeated:
        repeats = counted(repeated, "caption", "repeats", "repeat")
        details["notes"].append(f"{repeats} another of the same picture; each counts once more")
    with ThreadPoolExecutor(cores()) as pool:  # all of them are read for their checksums
        pictures = dict(zip(texts, pool.map(lambda name: picture_file(files[name], name), texts), strict=True))
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for name, kept in texts.items():
        splits[where[name]].append(Example(pictures[name], kept, name))
    details["notes"] += note_in_several_splits(of_one_content(splits))
    details["left_out"] = {reason: count for reason, count in left_out.items() if count}
    details["left_out_pictures"] = dict(list(names.items())[:KEPT_NAMES])
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)
