"""The figures that rows are compared by, the paper's figures, and the data sets that they are measured on."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

RANGES: Mapping[str, tuple[float, float]] = {"perplexity": (1, math.inf), "accuracy": (0, 100), "bleu": (0, 100)}
"""The least and the largest value of each kind of metric; accuracies are in percent."""


def kind_of(name: str) -> str | None:
    """The kind of a metric, a key of RANGES, which is a word of its name; None for others, as a learning rate."""
    return next((kind for kind in RANGES if kind in name.split("_")), None)


@dataclass(frozen=True)
class Metric:
    """A figure that rows of a task are compared by."""

    name: str
    """Name in records."""
    label: str
    """Name in tables and figures."""
    split: Literal["training", "validation", "test"]
    """The part of the data that it is measured on."""
    better: Literal["lower", "higher"]
    """Whether lower or higher values are better."""
    digits: int = 1
    """Decimals shown."""
    primary: bool = False
    """Whether rows are compared by it: effects, claims and ensembles use primary metrics only."""
    as_published: str = ""
    """Name of the metric to compare with the paper's figure, if not this one."""
    floor: float | None = None
    """Value below which it says nothing of a model, so that it decides nothing."""

    @property
    def kind(self) -> str | None:
        """See kind_of."""
        return kind_of(self.name)

    @property
    def papers_name(self) -> str:
        """Name of the metric that is measured as the paper's figure is."""
        return self.as_published or self.name

    def is_at_floor(self, *values: float) -> bool:
        """Whether all of some values are so low that the metric says nothing of the models."""
        return self.floor is not None and max(values) < self.floor

    def as_given(self, published: float) -> str:
        """A published figure with the decimals that the paper gives, or as many as ours have if those are more."""
        return f"{published:.{max(self.digits, len(f'{published:g}'.partition('.')[2]))}f}"


@dataclass(frozen=True)
class DataSet:
    """The description of a data set in tables and figures."""

    title: str
    """The task and the data, as a heading names them."""
    remark: str = ""
    """Caveat that a reader must know before comparing its numbers with the paper's."""
    decides_nothing: str = ""
    """The reason why no claim is decided on it; empty where claims are."""

    @property
    def heading(self) -> str:
        """Title and remark, as the heading of a table."""
        return f"{self.title} ({self.remark})" if self.remark else self.title


@dataclass(frozen=True)
class Published:
    """The figures that the paper reports for a row."""

    source: str
    """Table or figure of arXiv:1409.2329, or the authors of another paper."""
    metrics: Mapping[str, float]
    """Published value by the name of the metric."""
    on: str = ""
    """The paper's data set if it is not the row's own; the figures are then shown beside ours, but not compared."""

    def by_our_names(self, metrics: Iterable[Metric]) -> dict[str, float]:
        """The figures by the name of our metric that is measured in the same way.

        Args:
            metrics: those of the task.
        """
        names = {metric.name: metric.papers_name for metric in metrics}
        return {names.get(name, name): value for name, value in self.metrics.items()}
