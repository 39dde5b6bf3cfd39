"""Evaluation of a language model on a text that is not its own."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmark.sharing.evaluation import Outcome
from datamodules.base import remarks
from datamodules.errors import UserError
from datamodules.language_modeling.sources import (
    PENN_TREEBANK,
    STATE_OF_THE_UNION,
    read_corpus,
    sentences,
    tokens_of,
)
from datamodules.oddities import Oddities, notes_on_lines
from datamodules.text import composed, lines_of
from datamodules.text import read_text as text_lines
from datamodules.vocabulary import UNK, note_ends, without_eos
from models.evaluation_methods import Method
from models.loaded import LoadedLanguageModel

SHOWN_UNKNOWN = 10
"""Unknown words that a remark names, the most frequent ones."""


def read_text(path: Path, running: bool = False) -> tuple[str, list[str]]:
    """A user's text, one sentence a line, and remarks on what of it was not taken as it stands.

    Args:
        path: file in UTF-8.
        running: whether it is running text, which is split into sentences of lower-case words.

    Raises:
        UserError: it cannot be read, holds no word, or its lines begin or end with markers.
    """
    pairs = [without_eos(line, f"{path}, line {number}") for number, line in enumerate(text_lines(path), 1)]
    lines = [line for line, _ in pairs]
    found = Oddities.of(lines)
    found.refuse_markers(path)
    ended = sum(had for _, had in pairs)
    if running:
        lines = [" ".join(words) for words in sentences("\n".join(lines))]
    if not any(line.strip() for line in lines):
        raise UserError(f"{path} holds no word; expected one sentence a line")
    notes = note_ends(ended, f"of {len(pairs):,} lines") + notes_on_lines(lines, found)
    return "".join(f"{line}\n" for line in lines), notes


def text_of(source: str, data: Path) -> tuple[str, list[str]]:
    """The test split of a text source, a named one, which is downloaded if it is missing, or a folder; and remarks."""
    for known in (PENN_TREEBANK, STATE_OF_THE_UNION):
        if known.name == source:
            known.fetch(data)
    corpus = read_corpus(source, data)
    return corpus.text["test"], [note for note in remarks(corpus.details) if note.startswith("test: ")]


def evaluate_text(loaded: LoadedLanguageModel, text: str, notes: Sequence[str], method: Method) -> Outcome:
    """Perplexity of a text, in all and by line; its words are read as they are written, as those of a record are.

    Args:
        loaded: the model.
        text: one sentence a line.
        notes: remarks on how it was read.
        method: way to evaluate it.
    """
    tokens = tokens_of(composed(text))
    ids = torch.tensor(loaded.vocabulary.encode(tokens))
    log_probabilities = method.log_probabilities(loaded.model, ids) if len(ids) > 1 else torch.empty(0)
    unknown = Counter(loaded.unknown(tokens))
    known = ids[1:] != loaded.vocabulary.ids[UNK]  # as in records, a word that is written `<unk>` is none
    metrics = {
        "perplexity": perplexity(log_probabilities),
        "perplexity_of_known_words": perplexity(log_probabilities[known]),
        "predictions": float(len(log_probabilities)),
    }
    notes = [*notes, UNPREDICTED, *unknown_words(unknown, len(tokens)), *_capitals(loaded, unknown)]
    return Outcome(metrics, _lines(loaded, text, log_probabilities), notes)


def _capitals(loaded: LoadedLanguageModel, unknown: Counter[str]) -> list[str]:
    """A remark on words that would be known in lower case; none if there are none, or the vocabulary has capitals."""
    if loaded.has_capitals:
        return []
    known = sum(count for word, count in unknown.items() if word.lower() in loaded.vocabulary.ids)
    return [f"{known:,} of these are known in lower case; words are read as they are written"] if known else []


UNPREDICTED = "the first word is read and not predicted, as in every record"


def _lines(loaded: LoadedLanguageModel, text: str, log_probabilities: Tensor) -> list[tuple[str, ...]]:
    """For each line its number, predicted tokens, unknown words, log-probability, perplexity and text."""
    found: list[tuple[str, ...]] = [("line", "tokens", "unknown", "log_probability", "perplexity", "text")]
    place = 0
    for number, line in enumerate(lines_of(text), 1):
        words = tokens_of(composed(f"{line}\n"))
        own = log_probabilities[max(0, place - 1) : place + len(words) - 1].double()
        place += len(words)
        figures = (f"{own.sum():.4f}", f"{perplexity(own):.4f}") if len(own) else ("0.0000", "")
        shown = " ".join(line.split())
        found.append((str(number), str(len(own)), str(len(loaded.unknown(words))), *figures, shown))
    return found


def perplexity(log_probabilities: Tensor) -> float:
    """Perplexity exp(-mean) of natural log-probabilities [tokens], NaN if there are none."""
    return float(torch.exp(-log_probabilities.double().mean())) if len(log_probabilities) else math.nan


def unknown_words(words: Counter[str], tokens: int, side: str = "") -> list[str]:
    """A sentence on the words that a model reads as `<unk>`, none if there are none."""
    if not (count := sum(words.values())):
        return []
    shown = ", ".join(word for word, _ in words.most_common(SHOWN_UNKNOWN))
    more = f" and {len(words) - SHOWN_UNKNOWN} more" if len(words) > SHOWN_UNKNOWN else ""
    share = f"{side}{count:,} of {tokens:,} words ({count / tokens:.1%})"
    return [f"{share} are not in the vocabulary and read as {UNK}: {shown}{more}"]
