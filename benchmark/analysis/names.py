"""The names that data sets have in figures and their files."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

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
