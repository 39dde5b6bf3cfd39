"""Words from running text and back: by the rules of Moses (sacremoses), as is the habit in word-level translation.

Chinese and Japanese, which are written without spaces, are split as sacrebleu splits them for BLEU.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from sacremoses import MosesDetokenizer, MosesTokenizer

from datamodules.errors import DataError, damaged
from datamodules.vocabulary import UNK, with_unk

Words = tuple[list[str], list[str]]
"""Words of a source and a target sentence."""

MOSES = "13a"
"""Rules by which sacrebleu splits text into words for BLEU, where words are those of Moses otherwise."""
_SACREBLEU = {"zh": "zh", "ja": "ja-mecab"}
"""sacrebleu's rules for languages without spaces, by the code of the language."""
_NO_RULES = ("th", "lo", "km", "my", "bo", "dz")
"""Languages without spaces for which sacrebleu has no rules."""
_SHORT = {
    "cat": "ca", "ces": "cs", "cze": "cs", "deu": "de", "ger": "de", "ell": "el", "gre": "el", "eng": "en", "spa": "es",
    "fin": "fi", "fra": "fr", "fre": "fr", "gle": "ga", "hun": "hu", "isl": "is", "ice": "is", "ita": "it", "lit": "lt",
    "lav": "lv", "nld": "nl", "dut": "nl", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk",
    "slo": "sk", "slv": "sl", "swe": "sv", "tam": "ta", "zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja",
    "tha": "th", "lao": "lo", "khm": "km", "mya": "my", "bur": "my", "bod": "bo", "tib": "bo", "dzo": "dz",
}  # fmt: skip
"""Two letters of ISO 639-1, by which rules are known, for the three of ISO 639-2 and 639-3."""
FEW = 0.01
"""Share of references whose words may be joined otherwise without a note."""
_CURLY = frozenset("\u2018\u2019\u201c\u201d\u201e")


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
    if UNK not in (text := with_unk(text)):
        return split(text)
    return [word for piece in re.split(f"({UNK})", text) for word in ([UNK] if piece == UNK else split(piece))]


def detokenize(words: list[str], language: str) -> str:
    """Join words as a reader would write them."""
    if bleu_rules(language) != MOSES:
        return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", " ".join(words))
    text: str = _detokenizer(_code(language)).detokenize(words, unescape=False)
    return text


def note_not_joined(texts: Sequence[str], language: str, begin: str = "") -> list[str]:
    """A note on references that are other words for BLEU when their own words are joined; none if they are few.

    No translation is right then. Moses knows apostrophes of English, French and Italian, if they are straight, and few
    marks of other languages.

    Args:
        texts: the references.
        language: their language.
        begin: what stands before the note, such as the name of a split.
    """
    words = _words_of_bleu(bleu_rules(language))
    lost = [text for text in texts if words(detokenize(tokenize(text, language), language)) != words(text)]
    if len(lost) <= FEW * len(texts):
        return []
    curly = any(_CURLY.intersection(text) for text in lost)
    note = (
        f"{begin}{len(lost):,} of {len(texts):,} references are not what {rules(language)} joins their own words to, "
        f"such as {lost[0]!r:.80}, so that test_bleu takes a perfect translation for a wrong one; test_bleu_tokenized "
        "does not"
    )
    return [note + "; it knows straight apostrophes and quotation marks" * curly]


def _code(language: str) -> str:
    """The language itself, without country or script, in the letters by which rules are known."""
    code = re.split("[-_]", language.lower(), maxsplit=1)[0]
    return _SHORT.get(code, code)


@cache
def _splitter(language: str) -> Callable[[str], list[str]]:
    if _code(language) in _NO_RULES:
        raise DataError(
            f"{language} is written without spaces, and sacrebleu has no rules for its words; give the files words "
            "separated by spaces, under another ending"
        )
    if (name := bleu_rules(language)) != MOSES:
        with damaged(f"the words of {language}", f"pip install 'sacrebleu[{_code(language)}]'", "cannot be told apart"):
            return _words_of_bleu(name)
    moses = MosesTokenizer(_code(language))
    return lambda text: moses.tokenize(text, escape=False)


@cache
def _words_of_bleu(name: str) -> Callable[[str], list[str]]:
    """The function that splits a text into words as BLEU has them, by the name of sacrebleu's rules."""
    from sacrebleu.metrics.bleu import _get_tokenizer

    marked: Any = _get_tokenizer(name)()
    return lambda text: marked(text).split()


@cache
def _detokenizer(code: str) -> MosesDetokenizer:
    return MosesDetokenizer(code)
