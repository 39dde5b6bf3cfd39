"""The rows of the paper's tables, each one value, and the rows that the suite adds to them."""

import difflib
import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmark import UserError
from benchmark.configs import Config, LanguageModelConfig

Profile = Literal["quick", "standard", "paper"]
Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Published:
    """What the paper reports for a row."""

    source: str
    """Table or figure of arXiv:1409.2329."""
    metrics: Mapping[str, float]
    """Metric name, as in records, to published value."""
    tolerance: float = 0.0
    """By how much the mean of our runs may be worse and still count as reproduced."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: a configuration, what it stands for, and what it is held against."""

    name: str
    """Data set, size and variant; what the command line calls it."""
    profiles: tuple[Profile, ...]
    """The profiles it belongs to."""
    size: Size
    """The paper's name for its size."""
    config: Config
    """Everything that decides what a run of it gives, but for the seed."""
    published: Published | None = None
    """The paper's figures; None where the paper has no such row."""
    note: str = ""
    """What a reader must know of it, in a few words."""

    def variant(self, name: str, note: str = "", **changes: Any) -> "Row":
        """The same row under another name with some fields of its configuration changed; the paper has no such row."""
        return replace(self, name=name, note=note, published=None, config=replace(self.config, **changes))


NOT_IN_PAPER = "not in the paper"

# Penn Treebank: paper section 4.1, with the learning rate schedule of the authors' code, which keeps lr = 1 for
# one epoch more than the text says.
PTB_SMALL = Row(
    name="ptb-small",
    profiles=("standard", "paper"),
    size="small",
    config=LanguageModelConfig(hidden_size=200, unroll=20, init_range=0.1, clip=5, flat_epochs=5, decay=2, epochs=13),
    published=Published("Table 1", {"validation_perplexity": 120.7, "test_perplexity": 114.5}, tolerance=2.0),
)
PTB_MEDIUM = Row(
    name="ptb-medium-dropout",
    profiles=("standard", "paper"),
    size="medium",
    config=LanguageModelConfig(
        hidden_size=650, unroll=35, dropout=0.5, init_range=0.05, clip=5, flat_epochs=7, decay=1.2, epochs=39
    ),
    published=Published("Table 1", {"validation_perplexity": 86.2, "test_perplexity": 82.7}, tolerance=0.5),
)
PTB_LARGE = Row(
    name="ptb-large-dropout",
    profiles=("standard", "paper"),
    size="large",
    config=LanguageModelConfig(
        hidden_size=1500, unroll=35, dropout=0.65, init_range=0.04, clip=10, flat_epochs=15, decay=1.15, epochs=55
    ),
    published=Published("Table 1", {"validation_perplexity": 82.2, "test_perplexity": 78.4}, tolerance=0.5),
)

# State of the Union: a twentieth of the text, smaller layers and batch, so that the effect of dropout shows in minutes
# on a CPU. The schedule has the paper's shape, a flat part and a geometric fall, at a length that fits.
SOTU_SMALL = Row(
    name="sotu-small",
    profiles=("quick",),
    size="small",
    config=LanguageModelConfig(
        source="sotu",
        hidden_size=64,
        batch_size=10,
        unroll=20,
        init_range=0.1,
        clip=5,
        flat_epochs=4,
        decay=1.5,
        epochs=8,
    ),
)
SOTU_MEDIUM = Row(
    name="sotu-medium-dropout",
    profiles=("quick",),
    size="medium",
    config=replace(SOTU_SMALL.config, hidden_size=128, dropout=0.3),
)
SOTU_LARGE = Row(
    name="sotu-large-dropout",
    profiles=("quick",),
    size="large",
    config=replace(SOTU_SMALL.config, hidden_size=256, dropout=0.5),
)


def _language_rows(small: Row, medium: Row, large: Row, small_dropout: float) -> tuple[Row, ...]:
    """The paper's three rows of Table 1 among those that it lacks: each size both ways, and the two ablations."""
    return (
        small,
        small.variant(f"{small.name}-dropout", NOT_IN_PAPER, dropout=small_dropout),
        small.variant(f"{small.name}-rnn", NOT_IN_PAPER, cell="rnn", lr=0.25),  # at lr 1 the plain cell diverges
        medium.variant(medium.name.removesuffix("-dropout"), NOT_IN_PAPER, dropout=0.0),
        medium,
        medium.variant(
            medium.name.replace("-dropout", "-recurrent-dropout"),
            NOT_IN_PAPER,
            recurrent_dropout=medium.config.dropout,
        ),
        large.variant(large.name.removesuffix("-dropout"), NOT_IN_PAPER, dropout=0.0),
        large,
    )


ROWS: tuple[Row, ...] = (
    *_language_rows(PTB_SMALL, PTB_MEDIUM, PTB_LARGE, small_dropout=0.2),
    *_language_rows(SOTU_SMALL, SOTU_MEDIUM, SOTU_LARGE, small_dropout=0.2),
)
"""Every shipped row, in the order of the tables."""


def find(name: str, rows: Iterable[Row] = ROWS) -> Row:
    """The row of that name.

    Raises:
        UserError: there is none; the message gives the nearest names.
    """
    by_name = {row.name: row for row in rows}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`rnnreg list` shows them all"
    raise UserError(f"there is no row {name!r}; {hint}")


def load(path: Path | None) -> tuple[Row, ...]:
    """The suite's rows and, after them, those of a user's own Python file: its `ROWS`.

    The file's folder is put on the import path, so that its rows may name classes in it as backbone.

    Raises:
        UserError: the file cannot be imported, has no ROWS, or a row of it takes a name that is taken.
    """
    if path is None:
        return ROWS
    if not path.is_file():
        raise UserError(f"--rows_file {path}: there is no such file")
    sys.path.insert(0, str(path.resolve().parent))
    try:
        own = tuple(importlib.import_module(path.stem).ROWS)
    except Exception as error:  # anything can go wrong in a user's file
        raise UserError(f"--rows_file {path}: {type(error).__name__}: {error}") from error
    names = [row.name for row in (*ROWS, *own)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--rows_file {path}: the name {twice[0]} is taken; give the row another one")
    return (*ROWS, *own)
