"""Words and their ids."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from datamodules.errors import DataError, count, counted

EOS = "<eos>"
"""Ends every line."""
UNK = "<unk>"
"""Stands for every word outside the vocabulary."""

_EOS, _UNK = (re.compile(re.escape(mark), re.IGNORECASE) for mark in (EOS, UNK))
_INVISIBLE = re.compile(
    "[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that nobody sees and that are no white space, but for the joiners of Persian and of Indic scripts: those
of control, and those that Unicode calls ignorable by default."""

NOTED_UNKNOWN_SHARE = 0.05
"""Share of unknown words among a split's tokens from which perplexity is measured without them too."""

NOTED_SAME = 0.05
"""Share of pairs with the same words on both sides from which on it is said: what is copied is not translated."""


class Vocabulary:
    """Word types, most frequent first, ties in alphabetical order; `<eos>` and `<unk>` are always among them."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.ids = {word: index for index, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, tokens: Iterable[str], min_count: int = 1) -> "Vocabulary":
        """Take the words that occur at least min_count times."""
        return cls.from_counts(Counter(tokens), min_count)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], min_count: int = 1, limit: int | None = None) -> "Vocabulary":
        """Take the words counted at least min_count times; of these, given a limit, only the most frequent."""
        special = {word: counts.get(word, 0) for word in (EOS, UNK)}
        words = {word: times for word, times in counts.items() if times >= min_count and word not in special}
        kept = sorted(words, key=lambda word: (-words[word], word))[: None if limit is None else limit - len(special)]
        chosen = {word: words[word] for word in kept} | special
        return cls(sorted(chosen, key=lambda word: (-chosen[word], word)))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens, that of `<unk>` for words outside the vocabulary."""
        unknown = self.ids[UNK]
        return [self.ids.get(token, unknown) for token in tokens]


def with_unk(text: str) -> str:
    """A text whose unknown words are marked `<unk>` in lower case, as in the vocabulary."""
    return _UNK.sub(UNK, text) if "<" in text else text


def without_eos(line: str, place: str) -> tuple[str, bool]:
    """A line without the `<eos>` or `<EOS>` that a user's own text has at its end already, and whether it had one.

    Raises:
        DataError: there is one elsewhere in the line, or it is a part of a word.
    """
    if "<" not in line or not (found := _EOS.findall(line)):
        return line, False
    tokens = line.split()
    if glued := next((token for token in tokens if _EOS.search(token) and token.lower() != EOS), ""):
        raise DataError(
            f"{place}: {EOS} stands within {glued!r}; put a space before it, at the end of the line, or remove it: "
            "it is added where there is none"
        )
    if len(found) > 1 or tokens[-1].lower() != EOS:
        raise DataError(
            f"{place}: {EOS} stands within the line; it ends a line: put each sentence on a line of its own"
        )
    return line.rstrip()[: -len(EOS)].rstrip(), True


def note_ends(ended: int, items: str, begin: str = "") -> list[str]:
    """A note on lines that end in `<eos>` already, see `without_eos`; none for no line.

    Args:
        ended: their number.
        items: what they are, such as "captions" or "of 100 lines".
        begin: what stands before the note, such as the name of a split.
    """
    return [f"{begin}{ended:,} {items} end in {EOS}, which is not added again"] if ended else []


def note_blank(lines: Sequence[str], begin: str = "") -> list[str]:
    """A note on lines of a text that are blank, which are predicted too; none for no line.

    Args:
        lines: all lines.
        begin: what stands before the note, such as the name of a split.
    """
    blank = sum(not line.split() for line in lines)
    return [f"{begin}{counted(blank, 'line', 'is', 'are')} blank, each a sentence of {EOS} alone"] if blank else []


def note_glued(text: str, begin: str = "") -> list[str]:
    """A note on words of a text that have an `<unk>` as a part of them, and so are no unknown words; none for no word.

    Args:
        text: words separated by spaces.
        begin: what stands before the note, such as the name of a split.
    """
    glued = [word for word in with_unk(text).split() if UNK in word and word != UNK]
    if not glued:
        return []
    words = counted(len(glued), "word", "has", "have")
    return [f"{begin}{words} {UNK} as a part, such as {glued[0]!r}, and are read as they are; {UNK} alone is unknown"]


def note_shared(split: str, shared: int, total: int, items: str, other: str) -> list[str]:
    """A note on items of a split that are in another one too; none for no item.

    Args:
        split: name of the split.
        shared: their number.
        total: number of all items of the split.
        items: what they are, such as "sentences".
        other: name of the other split, such as "training".
    """
    return [f"{split}: {shared:,} of {total:,} {items} are in the {other} text too"] if shared else []


def note_several_splits(noun: str, names: Sequence[str]) -> list[str]:
    """A note on things, such as recordings, that are in several splits; none for nothing.

    Args:
        noun: what they are.
        names: the name of each, or the names if it has several.
    """
    shared = counted(len(names), noun, "is", "are")
    return [f"{shared} in several splits, such as {names[0]}"] if names else []


def invisible(text: str) -> Counter[str]:
    """Invisible characters, such as zero-width spaces, by the number of words between white space that have them."""
    if not _INVISIBLE.search(text):
        return Counter()
    return Counter(
        f"U+{ord(character):04X}" for word in text.split() for character in sorted(set(_INVISIBLE.findall(word)))
    )


def note_invisible(found: Mapping[str, int], begin: str = "") -> list[str]:
    """A note on words that look like others and are not; none for no character.

    Args:
        found: what `invisible` has found.
        begin: what stands before the note, such as the name of a split.
    """
    each = [f"{name} in {count(number, 'word')}" for name, number in sorted(found.items())]
    return [f"{begin}invisible characters make other words of words: {', '.join(each)}"] if each else []


def note_entities(sides: int, begin: str = "") -> list[str]:
    """A note on sentences with entities of HTML, which are split into words as they are written; none for none.

    Args:
        sides: their number.
        begin: what stands before the note, such as the name of a split.
    """
    right = "read as they are written; put the characters themselves there, unless the text is about HTML"
    lines = counted(sides, "line", "has", "have")
    return [f"{begin}{lines} entities of HTML, such as &amp; or &#39;, {right}"] if sides else []


def note_same(same: int, pairs: int, begin: str = "") -> list[str]:
    """A note on pairs whose sides have the same words, if they are more than NOTED_SAME of all; else none."""
    note = f"{begin}{same:,} of {pairs:,} pairs have the same words on both sides"
    return [note] if same > NOTED_SAME * pairs else []
