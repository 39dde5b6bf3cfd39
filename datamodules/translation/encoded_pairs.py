"""A parallel text as numbers on disk: tokenized once, by all cores where it is large, and read back in a stream."""

import hashlib
import itertools
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datamodules.cache import on_all_cores, prepared
from datamodules.errors import DataError, damaged
from datamodules.sources import sha256_of
from datamodules.text import read_json
from datamodules.translation.shared_pairs import Marks, marks_of
from datamodules.translation.sources import AlignedFiles, Pairs, WithoutEos
from datamodules.translation.tokenization import Words, rules, tokenize
from datamodules.vocabulary import UNK, Vocabulary
from datamodules.words import require_words

MIN_COUNT = 2
"""Training occurrences below which a word becomes `<unk>`, so that `<unk>` is met in training."""

VERSION = 10
"""Version of the preparation, to be raised with any change here that alters its result."""
CHUNK = 2_000
"""Pairs tokenized at once."""
ALONE = 40_000
"""Pairs up to which this process tokenizes alone: others take a while to start."""
BLOCK, BLOCK_PAIRS = 1 << 20, 1 << 15
"""Numbers, and pairs, read at once."""
SIDES = ("source", "target")
ABOUT, MARKS = "about.json", "pairs.marks"
"""Files of a preparation: its survey, and the marks of the kept pairs."""

Encoded = tuple[list[int], list[int]]
"""Ids of a source and a target sentence, without `<eos>`."""


@dataclass(frozen=True)
class Survey:
    """Findings of one pass over a training text."""

    source_words: list[str]
    target_words: list[str]
    pairs: int
    """Pairs kept for training."""
    target_tokens: int
    """Target tokens of those pairs, `<eos>` included."""
    left_out: dict[str, int]
    """Reason to number of pairs."""
    sha256: str
    """Checksum of all the text that was read, kept or not."""
    read: dict[str, int]
    """Words of either side."""
    notes: list[str]
    """Notes on what was not taken as it stands."""
    same: int
    """Pairs kept whose sides have the same words."""


class EncodedPairs:
    """The kept pairs of a training text, in its order; each iteration begins anew and holds a block in memory.

    Args:
        folder: folder that `encode` has filled.

    Raises:
        DataError: it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with damaged(folder, "delete it, it is made again", "is damaged"):
            self.survey = Survey(**read_json(folder / ABOUT, f"delete {folder}, it is made again"))

    def __len__(self) -> int:
        return self.survey.pairs

    def marks(self) -> Iterator[Marks]:
        """The numbers of the kept pairs, a block at a time."""
        with (self.folder / MARKS).open("rb") as file:
            while len(block := np.fromfile(file, np.uint64, 2 * BLOCK)):
                yield block.reshape(-1, 2)

    def __iter__(self) -> Iterator[Encoded]:
        with ExitStack() as stack:
            opened = [
                [stack.enter_context((self.folder / f"{side}.{kind}").open("rb")) for kind in ("lengths", "ids")]
                for side in SIDES
            ]
            for _ in range(0, self.survey.pairs, BLOCK_PAIRS):
                sides = []
                for lengths_file, ids_file in opened:
                    lengths = np.fromfile(lengths_file, np.uint32, BLOCK_PAIRS)
                    ids = np.fromfile(ids_file, np.uint32, int(lengths.sum()))
                    sides.append([sentence.tolist() for sentence in np.split(ids, np.cumsum(lengths)[:-1])])
                yield from zip(*sides, strict=True)


def encoded_pairs(
    pairs: Pairs,
    name: str,
    languages: tuple[str, str],
    max_length: int,
    source_words: int,
    target_words: int,
    data: Path,
) -> EncodedPairs:
    """A training text as numbers, from the data folder where that was done before.

    Args:
        pairs: the text.
        name: name of the text in messages.
        languages: languages of source and target.
        max_length: words of the longest sentence, on either side; longer pairs are left out and counted.
        source_words: the most frequent words that the source vocabulary keeps.
        target_words: the most frequent words that the target vocabulary keeps.
        data: folder of the data.

    Raises:
        DataError: nothing is left to train on, or the text cannot be read.
    """
    parameters = (
        VERSION,
        [rules(language) for language in languages],
        languages,
        max_length,
        source_words,
        target_words,
        MIN_COUNT,
    )

    def identify() -> str:
        return hashlib.sha256(repr((identity(pairs), parameters)).encode()).hexdigest()[:16]

    compute = partial(encode, pairs, name, languages, max_length, (source_words, target_words))
    return EncodedPairs(prepared(identify, name, data, compute))


def identity(pairs: Pairs) -> object:
    """Checksums of a text's files; for pairs in memory one of the pairs.

    Size and time would be cheaper, but a file that is replaced may keep both.
    """
    if isinstance(pairs, AlignedFiles):
        with damaged(f"{pairs.source} or {pairs.target}"):
            return [sha256_of(pairs.source), sha256_of(pairs.target)]
    return hashlib.sha256("\n".join("\t".join(pair) for pair in pairs).encode()).hexdigest()


class Side:
    """The words of one language: numbered as they come, and counted."""

    def __init__(self, path: Path) -> None:
        self.path, self.numbers, self.counts = path, dict[str, int](), Counter[str]()
        self.lengths, self.ids = path.with_suffix(".lengths").open("wb"), path.with_suffix(".numbers").open("wb")

    def add(self, sentences: list[list[str]]) -> None:
        """Write sentences down."""
        numbers = self.numbers
        self.lengths.write(array("I", map(len, sentences)).tobytes())
        for words in sentences:
            self.counts.update(words)
            self.ids.write(array("I", [numbers.setdefault(word, len(numbers)) for word in words]).tobytes())

    def finish(self, limit: int, name: str) -> Vocabulary:
        """Choose the vocabulary, and turn the numbers into its ids."""
        self.lengths.close()
        self.ids.close()
        vocabulary = Vocabulary.from_counts(self.counts, MIN_COUNT, limit)
        kept = {word: self.counts[word] for word in vocabulary.words}
        require_words(kept, f"{name}, {self.path.name}", f"words must occur {MIN_COUNT} times, separated by spaces")
        unknown = vocabulary.ids[UNK]
        ids = np.array([vocabulary.ids.get(word, unknown) for word in self.numbers], np.uint32)
        with self.path.with_suffix(".numbers").open("rb") as numbers, self.path.with_suffix(".ids").open("wb") as out:
            while len(block := np.fromfile(numbers, np.uint32, BLOCK)):
                out.write(ids[block].tobytes())  # not tofile, whose errors do not say that the disk is full
        self.path.with_suffix(".numbers").unlink()
        return vocabulary


def encode(
    pairs: Pairs, name: str, languages: tuple[str, str], max_length: int, limits: tuple[int, int], folder: Path
) -> None:
    """Read a training text once, line by line, and fill a folder with what EncodedPairs reads."""
    sides = [Side(folder / side) for side in SIDES]
    left_out: Counter[str] = Counter()
    digest = hashlib.sha256()
    kept = same = 0
    stripped = WithoutEos(pairs, f"{name}, train")
    with (folder / MARKS).open("wb") as marks:
        for chunk, tokenized in _tokenized(stripped, name, languages):
            good: list[Words] = []
            for pair, words in zip(chunk, tokenized, strict=True):
                digest.update("\t".join(pair).encode() + b"\n")
                if not all(words):
                    left_out["empty on one side"] += 1
                elif max(map(len, words)) > max_length:
                    left_out[f"longer than {max_length} words"] += 1
                else:
                    good.append(words)
                    same += words[0] == words[1]
            kept += len(good)
            marks.write(marks_of(good).tobytes())
            for number, side in enumerate(sides):
                side.add([words[number] for words in good])
    if not kept:
        raise DataError(f"{name}: no training pair is left of {sum(left_out.values()):,}: {dict(left_out) or 'empty'}")
    vocabularies = [side.finish(limit, name) for side, limit in zip(sides, limits, strict=True)]
    source, target = (side.counts.total() for side in sides)
    survey = Survey(
        source_words=vocabularies[0].words,
        target_words=vocabularies[1].words,
        pairs=kept,
        target_tokens=sides[1].counts.total() + kept,
        left_out=dict(left_out),
        sha256=digest.hexdigest(),
        read={"source words": source, "target words": target},
        notes=stripped.notes("train: "),
        same=same,
    )
    (folder / ABOUT).write_text(json.dumps(asdict(survey)), encoding="utf-8")


Chunk = list[tuple[str, str]]


def _tokenized(pairs: Pairs, name: str, languages: tuple[str, str]) -> Iterator[tuple[Chunk, list[Words]]]:
    read = iter(tqdm(pairs, desc=f"reading {name}", unit=" pairs", disable=None, delay=2, leave=False))
    work = partial(tokenize_pairs, languages=languages)
    chunks = _chunks(read)
    first = list(itertools.islice(chunks, ALONE // CHUNK))
    second = next(chunks, None)
    if second:
        yield from on_all_cores(work, itertools.chain(first, [second], chunks))
    else:
        yield from ((chunk, work(chunk)) for chunk in first)


def _chunks(pairs: Iterator[tuple[str, str]]) -> Iterator[Chunk]:
    while chunk := list(itertools.islice(pairs, CHUNK)):
        yield chunk


def tokenize_pairs(pairs: Chunk, languages: tuple[str, str]) -> list[Words]:
    """The words of both sides of sentence pairs."""
    first, second = languages
    return [(tokenize(source, first), tokenize(target, second)) for source, target in pairs]
