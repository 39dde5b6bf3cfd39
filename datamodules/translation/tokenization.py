"""Words from running text and back, by the rules of Moses (sacremoses), as is the habit in word-level translation."""

from functools import cache

from sacremoses import MosesDetokenizer, MosesTokenizer


def tokenize(text: str, language: str) -> list[str]:
    """Split a sentence into words and punctuation; case is kept."""
    words: list[str] = _tokenizer(language).tokenize(text, escape=False)
    return words


def detokenize(words: list[str], language: str) -> str:
    """Join words as a reader would write them."""
    text: str = _detokenizer(language).detokenize(words, unescape=False)
    return text


@cache
def _tokenizer(language: str) -> MosesTokenizer:
    return MosesTokenizer(language)


@cache
def _detokenizer(language: str) -> MosesDetokenizer:
    return MosesDetokenizer(language)
