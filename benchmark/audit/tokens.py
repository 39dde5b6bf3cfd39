"""Which tokens of the test set carry a difference: by how frequent the word is, and where in its line it stands."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audit.evidence import Evidence
from datamodules.errors import UserError
from datamodules.vocabulary import EOS, UNK

FREQUENCIES = (
    (1000, "1,000 times and more"),
    (100, "100 to 999 times"),
    (10, "10 to 99 times"),
    (0, "less than 10 times"),
)
"""Bins of how often a word is in the training text, from their lower ends."""
POSITIONS = (
    (16, "word 17 and later"),
    (8, "words 9 to 16"),
    (3, "words 4 to 8"),
    (1, "words 2 and 3"),
    (0, "first word"),
)
"""Bins of the place of a word in its line, from their lower ends."""


@dataclass(frozen=True)
class TokenGroup:
    """A group of test tokens and its part in the difference."""

    kind: str
    name: str
    share: float
    """Share of the tokens that are in it."""
    change: float
    """Mean of A's log-probability less B's, in nats: above zero where B is worse."""
    part: float
    """Sum of the change over the group, as a share of the sum over all groups of the size of their changes."""


@dataclass(frozen=True)
class Text:
    """The predicted tokens of a test set, and how often each word is in the training text."""

    words: list[str]
    counts: Counter[str]


def read_text(evidence: Evidence, data: Path) -> Text | None:
    """The text that the runs were evaluated on; None for tasks other than language modeling, or where it is not there.

    Nothing is downloaded.
    """
    if evidence.config is None or evidence.config.task != "language-modeling":
        return None
    datamodule: Any = evidence.config.datamodule(data)
    try:
        datamodule.setup("test")
    except UserError:
        return None
    if datamodule.sha256 != evidence.a.records[0].data_sha256:
        return None
    names = np.array(datamodule.vocabulary.words, dtype=object)
    words = names[datamodule.tokens["test"].numpy()].tolist()
    return Text(words[1:], Counter(names[datamodule.tokens["train"].numpy()].tolist()))


def token_groups(evidence: Evidence, text: Text | None) -> list[TokenGroup]:
    """The groups of test tokens; none where the sides were not evaluated on the same tokens, or nothing differs.

    Args:
        evidence: the sides.
        text: the words of the test set; without it tokens are told apart by where in the text they are.
    """
    one, other = evidence.a.arrays("test"), evidence.b.arrays("test")
    if not one or not other or len({len(values) for values in (*one.values(), *other.values())}) > 1:
        return []
    seeds = sorted(one.keys() & other.keys())
    before = [one[seed] for seed in seeds] or list(one.values())
    after = [other[seed] for seed in seeds] or list(other.values())
    changes = _mean(before) - _mean(after)
    if not changes.any():
        return []
    if text is None or len(text.words) != len(changes):
        return _groups("place in the test set", changes, _fifths(len(changes)))
    return [
        *_groups("frequency in the training text", changes, _frequencies(text)),
        *_groups("place in the line", changes, _positions(text)),
    ]


def _mean(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over runs of log-probabilities [tokens]."""
    return np.asarray(np.stack(runs).astype(np.float64).mean(axis=0))


def _groups(kind: str, changes: np.ndarray, labels: list[str]) -> list[TokenGroup]:
    """One group for each label, in the order in which labels appear among the bins."""
    names = np.array(labels, dtype=object)
    sums = {name: float(changes[names == name].sum()) for name in dict.fromkeys(labels)}
    total = sum(map(abs, sums.values())) or 1.0
    found = []
    for name, value in sums.items():
        count = int((names == name).sum())
        found.append(TokenGroup(kind, name, count / len(changes), value / count, value / total))
    order = {name: place for place, name in enumerate(_ORDER)}
    return sorted(found, key=lambda group: order.get(group.name, -1))


_ORDER = [name for bins in (FREQUENCIES, POSITIONS[::-1]) for _, name in bins] + [UNK, EOS]


def _fifths(tokens: int) -> list[str]:
    return [f"fifth {1 + 5 * place // tokens} of the text" for place in range(tokens)]


def _frequencies(text: Text) -> list[str]:
    return [word if word in (EOS, UNK) else _bin(FREQUENCIES, text.counts[word]) for word in text.words]


def _positions(text: Text) -> list[str]:
    return list(_in_lines(text.words))


def _in_lines(words: list[str]) -> Iterator[str]:
    place = 1  # the first token of the text is read, not predicted
    for word in words:
        yield EOS if word == EOS else _bin(POSITIONS, place)
        place = 0 if word == EOS else place + 1


def _bin(bins: tuple[tuple[int, str], ...], value: int) -> str:
    return next(name for least, name in bins if value >= least)
