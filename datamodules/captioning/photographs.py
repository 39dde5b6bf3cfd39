"""Folders of captioned photographs, in the layout of Flickr8k or with a JSON file of Karpathy & Fei-Fei's."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datamodules.cache import cores
from datamodules.captioning.examples import CaptionSet, Example, split_of, words
from datamodules.captioning.images import picture_file
from datamodules.captioning.sources import SPLITS
from datamodules.errors import DataError, damaged
from datamodules.text import cells, inside, is_header, note_lone_marks, read_json, read_lines
from datamodules.vocabulary import EOS, without_eos

# Flickr8k, as its authors publish it and as it is passed on.
_PICTURES = ("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset")
_CAPTIONS = ("captions.txt", "Flickr8k.token.txt", "Flickr8k_text/Flickr8k.token.txt")
_SPLIT_FILES = {
    split: f"Flickr_8k.{name}Images.txt" for split, name in zip(SPLITS, ("train", "dev", "test"), strict=True)
}


def read_flickr(folder: Path, limit: int | None = None) -> CaptionSet:
    """Read a folder in the layout of Flickr8k: pictures in Images/, captions.txt (image,caption, maybe with a header).

    The usual splits are taken where Flickr_8k.{train,dev,test}Images.txt are there and every picture that they name is,
    else a picture's split is by the hash of its name.

    Args:
        folder: also takes Flickr8k.token.txt (image#number, tab, caption) in place of captions.txt.
        limit: most pictures that are read, the first by name.

    Raises:
        DataError: a file is missing, a line is no caption, or a picture with a caption and a split is not there.
    """
    pictures = next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)
    path = next((folder / name for name in _CAPTIONS if (folder / name).is_file()), None)
    if not pictures or not path:
        raise DataError(
            f"{folder} has no {'captions.txt' if pictures else 'Images folder'}; a folder of captioned pictures holds "
            "Images/ and captions.txt (lines of image,caption), or a dataset*.json as Karpathy's"
        )
    captions: dict[str, list[str]] = defaultdict(list)
    notes: list[str] = []
    for place, name, caption in _caption_lines(path, pictures, notes):
        if not name or not caption.strip():
            raise DataError(f"{place}: expected image,caption")
        inside(pictures, name, place)
        captions[name].append(caption)
    chosen = sorted(captions)[:limit]
    with damaged(pictures):
        there = {entry.name for entry in pictures.iterdir()}
    usual = {} if limit else _usual_splits(path.parent, there)
    where = usual or {name: split_of(name) for name in chosen}
    if missing := [name for name in chosen if name in where and name not in there]:
        raise DataError(
            f"{path} names {missing[0]}, which is not in {pictures} ({len(missing)} of {len(chosen)} pictures missing)"
        )
    details = {
        "split": f"as in {_SPLIT_FILES['train']} and the others" if usual else "by a hash of the picture's name",
        "notes": notes,
    }
    named: dict[str, list[str]] = {} if limit else {name: [] for name in sorted(there)}
    named |= {name: captions[name] for name in chosen}
    return _caption_set(path, named, where, {name: pictures / name for name in where}, details)


def _caption_lines(path: Path, pictures: Path, notes: list[str]) -> Iterator[tuple[str, str, str]]:
    """Place, picture and caption of each line of a file of captions; each line stands for itself."""
    lone_marks: list[int] = []
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        if path.name != "captions.txt":
            name, _, caption = line.partition("\t")
            yield place, name.partition("#")[0], caption
            continue
        (name, *rest), lone = cells(line, ",")
        if number == 1 and is_header(name, pictures, path):
            continue
        lone_marks += [number] * lone
        yield place, name, ",".join(rest)  # some copies do not quote a caption with a comma
    notes += note_lone_marks(path, lone_marks)


def _usual_splits(folder: Path, there: set[str]) -> dict[str, str]:
    """Picture to split as the data set's own files have it; empty unless they and all their pictures are there.

    Raises:
        DataError: a picture is in two splits.
    """
    found: dict[str, str] = {}
    for split, file in _SPLIT_FILES.items():
        if not (folder / file).is_file():
            return {}
        for number, line in read_lines(folder / file):
            for name in line.split():
                if found.setdefault(name, split) != split:
                    raise DataError(f"{folder / file}, line {number}: {name} is in the {found[name]} set already")
    return found if found.keys() <= there else {}


KEPT_NAMES = 200
"""Most pictures left out whose names a record keeps."""

# Karpathy's JSON files of MSCOCO, Flickr8k and Flickr30k.
_KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}


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
    with damaged(path, wrong="not a file of captions as Karpathy's"):
        entries = read_json(path)["images"]
        uses = Counter(entry["filename"] for entry in entries)
        for entry in entries:
            filepath = entry.get("filepath", "Images")
            name = entry["filename"] if uses[entry["filename"]] == 1 else f"{filepath}/{entry['filename']}"
            if name in files:
                raise DataError(f"{path} names {name} twice; give each picture one entry with all its captions")
            captions[name] = [str(sentence["raw"]) for sentence in entry["sentences"]]
            where[name] = _KARPATHY_SPLITS[entry["split"]]
            files[name] = inside(path.parent, f"{filepath}/{entry['filename']}", str(path))
        missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise DataError(f"{path} names {missing[0]}, which is not there ({len(missing)} of {len(files)} missing)")
    details: dict[str, Any] = {"split": f"as in {path.name}", "notes": []}
    return _caption_set(path, captions, where, files, details)


def _caption_set(
    path: Path,
    captions: Mapping[str, Sequence[str]],
    where: Mapping[str, str],
    files: Mapping[str, Path],
    details: dict[str, Any],
) -> CaptionSet:
    """Put pictures into their splits; whatever has no word, no split or no caption is counted, and named."""
    left_out: Counter[str] = Counter()
    names: dict[str, str] = {}
    texts: dict[str, tuple[str, ...]] = {}
    ended = 0
    for name in sorted(captions):
        pairs = [without_eos(caption, f"{path}, {name}") for caption in captions[name]]
        kept = tuple(text for caption, _ in pairs if (text := words(caption)))
        if name not in where or not kept:
            names[name] = "pictures without captions" if not kept else "pictures in no split"
            left_out[names[name]] += 1
            continue
        ended += sum(had for _, had in pairs)
        left_out["captions without a word"] += len(pairs) - len(kept)
        texts[name] = kept
    notes = details["notes"]
    if ended:
        notes.append(f"{ended:,} captions end in {EOS}, which is not added again")
    with ThreadPoolExecutor(cores()) as pool:  # all of them are read for their checksums
        pictures = dict(zip(texts, pool.map(lambda name: picture_file(files[name], name), texts), strict=True))
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for name, kept in texts.items():
        splits[where[name]].append(Example(pictures[name], kept, name))
    of_content: dict[str, list[str]] = defaultdict(list)
    for name, picture in pictures.items():
        of_content[picture.stamp].append(name)
    if shared := [names for names in of_content.values() if len({where[name] for name in names}) > 1]:
        notes.append(f"{len(shared):,} pictures are in several splits, such as {' and '.join(shared[0][:2])}")
    details["left_out"] = {reason: count for reason, count in left_out.items() if count}
    details["left_out_pictures"] = dict(list(names.items())[:KEPT_NAMES])
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)
