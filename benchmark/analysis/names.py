"""The names that data sets, models and methods have in tables, figures and their files."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from benchmark.tasks.base import Config, Row

DIGITS = 6
"""Hexadecimal digits that tell sources of one name apart."""


def short_names(sources: Iterable[str]) -> dict[str, str]:
    """The short name of each source: that of its folder and, if another's is the same, digits of its whole path."""
    known = list(dict.fromkeys(sources))
    counts = Counter(Path(source).name for source in known)
    return {source: _name(source, alone=counts[Path(source).name] == 1) for source in known}


def _name(source: str, *, alone: bool) -> str:
    name = Path(source).name
    return name if alone else f"{name}-{sha256(source.encode()).hexdigest()[:DIGITS]}"


def model_name(row: Row) -> str:
    """A row's model as tables name it."""
    if row.ensemble_of:
        return f"ensemble of {row.members} {row.label or row.size}"
    return (row.label or row.size) + (" (plain RNN)" if row.config.cell == "rnn" else "")


def placement(config: Config) -> str:
    """Dropout probability of a configuration and, if not on the non-recurrent connections alone, its place."""
    if not config.dropout and not config.recurrent_dropout:
        return "none"
    probability = f"{config.dropout:g}"
    return f"{probability}, recurrent too" if config.recurrent_dropout else probability
