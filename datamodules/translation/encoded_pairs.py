"""A parallel text as numbers on disk: tokenised once, by all cores where it is large, and read back in a stream."""

import hashlib
import itertools
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datamodules.cache import WHOLE, on_all_cores, prepared
from datamodules.errors import DataError
from datamodules.translation.sources import AlignedFiles, Pairs
from datamodules.translation.tokenization import tokenize
from datamodules.vocabulary import UNK, Vocabulary

MIN_COUNT = 2
"""Training occurrences below which a word becomes `<unk>`, so that `<unk>` is met in training."""

VERSION = 1
"""Raised with any change here that changes what is prepared."""
CHUNK = 2_000
"""Pairs tokenised at once."""
ALONE = 40_000
"""Pairs up to which this process tokenises alone: others take a while to start."""
BLOCK, BLOCK_PAIRS = 1 << 20, 1 << 15
"""Numbers, and pairs, read at once."""
SIDES = ("source", "target")

Encoded = tuple[list[int], list[int]]
"""Ids of a source and a target sentence, without `<eos>`."""


@dataclass(frozen=True)
class Survey:
    """What one pass over a training text finds."""

    source_words: list[str]
    target_words: list[str]
    pairs: int
    """Kept for training."""
    target_tokens: int
    """Of those pairs, `<eos>` included."""
    left_out: dict[str, int]
    """Reason to number of pairs."""
    sha256: str
    """Of the text read, kept or not."""


class EncodedPairs:
    """The kept pairs of a training text, in its order; each iteration begins anew and holds a block in memory.

    Args:
        folder: that `encode` has filled.

    Raises:
        DataError: it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.survey = Survey(**json.loads((folder / WHOLE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{folder} is damaged ({error}); delete it, it is made again") from error

    def __len__(self) -> int:
        return self.survey.pairs

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
        name: what a message calls it.
        languages: of source and target.
        max_length: words of the longest sentence, on either side; longer pairs are left out and counted.
        source_words: the most frequent words that the source vocabulary keeps.
        target_words: the same of the target.
        data: folder of the data.

    Raises:
        DataError: nothing is left to train on, or the text cannot be read.
    """
    parameters = (VERSION, version("sacremoses"), languages, max_length, source_words, target_words, MIN_COUNT)
    key = hashlib.sha256(repr((identity(pairs), parameters)).encode()).hexdigest()[:16]
    compute = partial(encode, pairs, name, languages, max_length, (source_words, target_words))
    return EncodedPairs(prepared(key, data, compute))


def identity(pairs: Pairs) -> object:
    """What tells a text from others without reading files: their size and time, or of pairs in memory a checksum."""
    if isinstance(pairs, AlignedFiles):
        paths = (pairs.source, pairs.target)
        return [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256("\n".join("\t".join(pair) for pair in pairs).encode()).hexdigest()


class Side:
    """The words of one language: numbered as they come, and counted."""

    def __init__(self, path: Path) -> None:
        self.path, self.numbers, self.counts = path, dict[str, int](), Counter[str]()
        self.lengths, self.ids = path.with_suffix(".lengths").open("wb"), path.with_suffix(".numbers").open("wb")

    def add(self, sentences: list[list[str]]) -> None:
        """Write sentences down."""
        numbers = self.numbers
        array("I", map(len, sentences)).tofile(self.lengths)
        for words in sentences:
            self.counts.update(words)
            array("I", [numbers.setdefault(word, len(numbers)) for word in words]).tofile(self.ids)

    def finish(self, limit: int) -> Vocabulary:
        """Choose the vocabulary, and turn the numbers into its ids."""
        self.lengths.close()
        self.ids.close()
        vocabulary = Vocabulary.from_counts(self.counts, MIN_COUNT, limit)
        unknown = vocabulary.ids[UNK]
        ids = np.array([vocabulary.ids.get(word, unknown) for word in self.numbers], np.uint32)
        with self.path.with_suffix(".numbers").open("rb") as numbers, self.path.with_suffix(".ids").open("wb") as out:
            while len(block := np.fromfile(numbers, np.uint32, BLOCK)):
                ids[block].tofile(out)
        self.path.with_suffix(".numbers").unlink()
        return vocabulary


def encode(
    pairs: Pairs, name: str, languages: tuple[str, str], max_length: int, limits: tuple[int, int], folder: Path
) -> None:
    """Read a training text once, line by line, and fill a folder with what EncodedPairs reads."""
    sides = [Side(folder / side) for side in SIDES]
    left_out: Counter[str] = Counter()
    digest = hashlib.sha256()
    kept = 0
    for chunk, tokenized in _tokenized(pairs, name, languages):
        good: list[tuple[list[str], list[str]]] = []
        for pair, words in zip(chunk, tokenized, strict=True):
            digest.update("\t".join(pair).encode() + b"\n")
            if not all(words):
                left_out["empty on one side"] += 1
            elif max(map(len, words)) > max_length:
                left_out[f"longer than {max_length} words"] += 1
            else:
                good.append(words)
        kept += len(good)
        for number, side in enumerate(sides):
            side.add([words[number] for words in good])
    if not kept:
        raise DataError(f"{name}: no training pair is left of {sum(left_out.values()):,}: {dict(left_out) or 'empty'}")
    vocabularies = [side.finish(limit) for side, limit in zip(sides, limits, strict=True)]
    survey = Survey(
        source_words=vocabularies[0].words,
        target_words=vocabularies[1].words,
        pairs=kept,
        target_tokens=sides[1].counts.total() + kept,
        left_out=dict(left_out),
        sha256=digest.hexdigest(),
    )
    (folder / WHOLE).write_text(json.dumps(asdict(survey)), encoding="utf-8")


Chunk = list[tuple[str, str]]


def _tokenized(
    pairs: Pairs, name: str, languages: tuple[str, str]
) -> Iterator[tuple[Chunk, list[tuple[list[str], list[str]]]]]:
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


def tokenize_pairs(pairs: Chunk, languages: tuple[str, str]) -> list[tuple[list[str], list[str]]]:
    """The words of both sides of sentence pairs."""
    first, second = languages
    return [(tokenize(source, first), tokenize(target, second)) for source, target in pairs]
