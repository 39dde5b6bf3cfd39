"""Words from running text and back: by the rules of Moses (sacremoses), as is the habit in word-level translation.

Chinese and Japanese, which are written without spaces, are split as sacrebleu splits them for BLEU.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from sacremoses import MosesDetokenizer, MosesTokenizer

from datamodules.errors import DataError, damaged
from datamodules.vocabulary import UNK

MOSES = "13a"
"""Rules by which sacrebleu splits text into words for BLEU, where words are those of Moses otherwise."""
_SACREBLEU = {"zh": "zh", "zho": "zh", "cmn": "zh", "ja": "ja-mecab", "jpn": "ja-mecab"}
"""sacrebleu's rules for languages without spaces, by the code of the language."""
_NO_RULES = ("th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bo", "bod", "dz", "dzo")
"""Languages without spaces for which sacrebleu has no rules."""


def bleu_rules(language: str) -> str:
    """Name of sacrebleu's rules for the words of a language."""
    return _SACREBLEU.get(_code(language), MOSES)


def rules(language: str) -> str:
    """Name and version of the rules by which a language is split into words, on which the words depend."""
    own = bleu_rules(language)
    return f"sacremoses {version('sacremoses')}" if own == MOSES else f"sacrebleu {version('sacrebleu')} {own}"


def tokenize(text: str, language: str) -> list[str]:
    """Split a sentence into words and punctuation; case is kept, and so is an `<unk>` that the text has already.

    Raises:
        DataError: there are no rules for a language that is written without spaces.
    """
    split = _splitter(language)
    if UNK not in text:
        return split(text)
    return [word for piece in re.split(f"({UNK})", text) for word in ([UNK] if piece == UNK else split(piece))]


def detokenize(words: list[str], language: str) -> str:
    """Join words as a reader would write them."""
    if bleu_rules(language) != MOSES:
        return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", " ".join(words))
    text: str = _detokenizer(language).detokenize(words, unescape=False)
    return text


def _code(language: str) -> str:
    return re.split("[-_]", language.lower(), maxsplit=1)[0]


@cache
def _splitter(language: str) -> Callable[[str], list[str]]:
    if _code(language) in _NO_RULES:
        raise DataError(
            f"{language} is written without spaces, and sacrebleu has no rules for its words; give the files words "
            "separated by spaces, under another ending"
        )
    if (name := bleu_rules(language)) != MOSES:
        from sacrebleu.metrics.bleu import _get_tokenizer

        with damaged(f"the words of {language}", f"pip install 'sacrebleu[{_code(language)}]'", "cannot be told apart"):
            marked: Any = _get_tokenizer(name)()
        return lambda text: marked(text).split()
    moses = MosesTokenizer(language)
    return lambda text: moses.tokenize(text, escape=False)


@cache
def _detokenizer(language: str) -> MosesDetokenizer:
    return MosesDetokenizer(language)
