"""Words by the rules of their script, and texts whose words are not told apart."""

import unicodedata
from collections.abc import Mapping
from functools import cache

import regex

from datamodules.errors import DataError
from datamodules.vocabulary import EOS, UNK

_PIECE = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d]*"
_WORD = regex.compile(rf"<unk>|{_PIECE}(?:(?:[-'.]|(?<=\p{{N}}),(?=\p{{N}})){_PIECE})*")
_LETTER = r"(?:\p{L}[\p{M}\u200c\u200d]*)"
_TREEBANK = regex.compile(rf"<unk>|n't\b|'{_LETTER}+|[$%]|\d[\d,.]*|{_LETTER}+?(?=n't\b)|{_LETTER}+(?:-{_LETTER}+)*")
_UNSPACED = {
    "CJK": 3.0,
    "HIRAGANA": 3.0,
    "KATAKANA": 6.0,
    "THAI": 9.0,
    "LAO": 9.0,
    "KHMER": 9.0,
    "MYANMAR": 9.0,
    "TIBETAN": 9.0,
}
"""Scripts written without spaces, and letters that their words have at most on average, marks not counted."""
_PART = 0.1
"""Part of all words from which on a text counts as written in such a script."""


def words_of(text: str) -> list[str]:
    """Words of running text without punctuation: letters and digits with the marks that combine with them."""
    return _WORD.findall(text)  # type: ignore[no-any-return]


def treebank_words(text: str) -> list[str]:
    """Words of running text in the style of the Penn Treebank: clitics apart, and no punctuation but $ and %."""
    return _TREEBANK.findall(text)  # type: ignore[no-any-return]


@cache
def _letters(word: str) -> tuple[int, float]:
    """Letters of a word in scripts without spaces, and how many such a word may have."""
    count, most = 0, 0.0
    for letter in word:
        if letter > "\u0dff" and unicodedata.category(letter).startswith("L"):
            limit = _UNSPACED.get(unicodedata.name(letter, "").split(" ", 1)[0], 0.0)
            count, most = count + bool(limit), max(most, limit)
    return count, most


def require_words(counts: Mapping[str, int], place: object, right: str) -> None:
    """Refuse a training text that has no words to learn.

    Args:
        counts: words of the text and how often they occur.
        place: name of the text in messages.
        right: what would be right, in a few words.

    Raises:
        DataError: nothing is left but `<eos>` and `<unk>`, or its words are whole phrases of a script that is written
            without spaces.
    """
    if not counts.keys() - {EOS, UNK}:
        raise DataError(f"{place}: no word is left to learn but {EOS} and {UNK}; {right}")
    total = unspaced = letters = 0
    allowed = 0.0
    for word, count in counts.items():
        total += count
        if not word.isascii():
            own, most = _letters(word)
            if own:
                unspaced, letters, allowed = unspaced + count, letters + own * count, allowed + most * count
    if unspaced > _PART * total and letters > allowed:
        raise DataError(
            f"{place}: its words are not told apart (a script written without spaces, {letters / unspaced:.1f} letters "
            f"from space to space); {right}"
        )
