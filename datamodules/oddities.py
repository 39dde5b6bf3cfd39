"""What is odd in a text that was prepared for another program: counted as it is read, then refused or said."""

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from datamodules.errors import DataError, counted
from datamodules.text import without_entities
from datamodules.vocabulary import (
    EOS,
    UNK,
    invisible,
    note_blank,
    note_entities,
    note_glued,
    note_invisible,
)

SAMPLE = 10_000
"""Items at the start of a text in which the words at their ends are looked for, which bounds the memory."""
NEARLY_ALL = 0.95
"""Share of the items beyond which a word at one of their ends is no chance."""
HARDLY = 0.05
"""As many times an item, at most, such a word occurs within the items."""
ENOUGH = 20
"""Items from which on the share of a word counts that is not known as a marker."""
NOTED = 0.01
"""Share of the items from which on known markers and pieces of words are said."""

_KNOWN = re.compile(
    r"</?s>|[<\[]/?(?:[sbe]os|cls|sep|pad|start|end|go|begin|stop|eot|eof)[>\]]|<\|[^|\s]+\|>"
    r"|(?:start|end)_?(?:of)?_?seq(?:uence)?|start_|_end|_+(?:[sbe]os|start|end|go)_+|_go|xx[be]os",
    re.IGNORECASE,
)
"""Markers of the ends of sentences that other programs need."""
_BRACKETED = r"<[^<>\s]+>|\[[^\[\]\s]+\]"
_OPENING, _CLOSING = re.compile(_BRACKETED), re.compile(f"(?:{_BRACKETED})$")
_PIECE = re.compile(r"[^\s@]+@@(?=\s)|(?<!\S)\u2581(?![\u2580-\u259f])\S*|(?<=\S\s)##[^\W\d_]+(?!\S)|\S*\uffed\S*")
"""Pieces of words as subword-nmt, SentencePiece, WordPiece and OpenNMT write them. Titles in Markdown, charts of blocks
and lines of differences have none."""
_SIGNS = ("@@", "\u2581", "##", "\uffed")
_UNKNOWN = re.compile(r"(?i:(?:&lt;|[<\[]|__+)\s?(?:unk|unknown|oov)\s?(?:&gt;|[>\]]|__+))|(?<!\S)UNK(?!\S)|\u2047")
"""Marks of unknown words, as other programs write them."""


class Marker(NamedTuple):
    """A word that many items begin with or end in."""

    where: str
    """Either "begin with" or "end in"."""
    word: str
    times: int
    refused: bool
    """Whether it is certain to be no word of the text."""


class Ends:
    """The first and the last words of items, such as lines, and those within."""

    def __init__(self) -> None:
        self.items = 0
        self.first, self.last, self.within = Counter[str](), Counter[str](), Counter[str]()

    def add(self, text: str) -> None:
        """Count the words of an item; markers may have no space beside them."""
        if not (words := text.split()):
            return
        self.items += 1
        opening = _OPENING.match(words[0]) if words[0][0] in "<[" else None
        closing = _CLOSING.search(words[-1]) if words[-1][-1] in ">]" else None
        first, last = opening[0] if opening else words[0], closing[0] if closing else words[-1]
        for counts, word in ((self.first, first), (self.last, last)):
            if self.items <= SAMPLE or word in counts:
                counts[word] += 1
        if self.items <= SAMPLE:
            self.within.update(words[1:-1])

    def markers(self) -> Iterator[Marker]:
        """The words at either end that are, or may be, markers; a period or another sign is none."""
        few, most = NOTED * self.items, NEARLY_ALL * self.items
        for where, counts in (("begin with", self.first), ("end in", self.last)):
            for word, times in counts.items():
                if times < few or word == UNK:
                    continue
                plain, enough = html.unescape(word), self.items >= ENOUGH
                if _KNOWN.fullmatch(plain):
                    yield Marker(where, word, times, times > most)
                elif times > most and enough and _OPENING.fullmatch(plain):
                    yield Marker(where, word, times, True)
                elif times > most and enough and self._is_apart(word):
                    yield Marker(where, word, times, False)

    def _is_apart(self, word: str) -> bool:
        """Whether a word, which has no punctuation after it, is hardly within the items."""
        if word not in "<>[]" and not any(map(str.isalnum, word)):
            return False  # a sign
        if word[0].isalnum() and unicodedata.category(word[-1]) in ("Po", "Pe", "Pf"):
            return False  # such as the verb that sentences of some languages end in
        return self.within[word] <= HARDLY * min(self.items, SAMPLE)


class Oddities:
    """What is odd in the items of a text, such as its lines, counted as they are read."""

    def __init__(self) -> None:
        self.items = self.entities = self.pieces = 0
        self.invisible, self.unknown = Counter[str](), Counter[str]()
        self.piece = ""
        self.ends = defaultdict[str, Ends](Ends)

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Oddities":
        """Those of all lines of a text."""
        found = cls()
        for line in lines:
            found.add(line)
        return found

    def add(self, text: str, kind: str = "lines") -> None:
        """Look at an item.

        Args:
            text: as it is written, but without `<eos>`.
            kind: what it is one of, in the plural; a marker is one if nearly all of a kind have it.
        """
        self.items += 1
        self.invisible.update(invisible(text))
        self.entities += "&" in text and without_entities(text) != text
        if "unk" in (lower := text.lower()) or "oov" in lower or "\u2047" in text:
            self.unknown.update(mark for mark in _UNKNOWN.findall(text) if mark.lower() != UNK)
        if any(sign in text for sign in _SIGNS) and (piece := _PIECE.search(text)):
            self.pieces += 1
            self.piece = self.piece or piece[0]
        self.ends[kind].add(text)

    def refuse_markers(self, place: object, given: str = "") -> None:
        """Refuse a text whose items have markers at their ends, which would be predicted, and count, as words.

        Args:
            place: name of the text in messages.
            given: the kind of items that are read and not predicted, whose markers are noted only.

        Raises:
            DataError: there are such markers.
        """
        for kind, ends in self.ends.items():
            if kind == given or not (found := [marker for marker in ends.markers() if marker.refused]):
                continue
            each = [f"{marker.times:,} of {ends.items:,} {kind} {marker.where} {marker.word!r}" for marker in found]
            what = "a marker that would count as a word" if len(found) == 1 else "markers that would count as words"
            them = "it" if len(found) == 1 else "them"
            raise DataError(f"{place}: {' and '.join(each)}, {what}; remove {them}, as the suite adds {EOS} itself")

    def refuse_pieces(self, place: object) -> None:
        """Refuse a text that is split into pieces of words, where running text is expected.

        Raises:
            DataError: it is.
        """
        if self._is_split:
            raise DataError(
                f"{place}: {self.pieces:,} of {self.items:,} sentences are split into subwords, such as "
                f"{self.piece!r}; give running text, which is split into words here"
            )

    @property
    def _is_split(self) -> bool:
        return self.pieces > NOTED * self.items

    def notes(self, begin: str = "") -> list[str]:
        """Notes on all that was found and not refused.

        Args:
            begin: what stands before each note, such as the name of a split.
        """
        notes = note_invisible(self.invisible, begin) + note_entities(self.entities, begin)
        if self.unknown:
            each = ", ".join(f"{mark!r} ({times:,})" for mark, times in self.unknown.most_common(5))
            words = counted(self.unknown.total(), "mark", "is", "are")
            notes.append(f"{begin}{words} no {UNK} and read as written: {each}; {UNK} alone is unknown")
        if self._is_split:
            share = f"{self.pieces:,} of {self.items:,}"
            notes.append(
                f"{begin}{share} are split into subwords, such as {self.piece!r}; perplexity is then that of pieces"
            )
        for kind, ends in self.ends.items():
            notes += [
                f"{begin}{marker.times:,} of {ends.items:,} {kind} {marker.where} {marker.word!r}; if it is a marker, "
                "remove it"
                for marker in ends.markers()
            ]
        return notes


def notes_on_lines(lines: list[str], found: Oddities, begin: str = "") -> list[str]:
    """Notes on a text of one sentence a line whose words are taken as they stand.

    Args:
        lines: the sentences.
        found: what is odd in the lines of which they were read, which may be running text.
        begin: what stands before each note, such as the name of a split.
    """
    return note_blank(lines, begin) + note_glued("\n".join(lines), begin) + found.notes(begin)
