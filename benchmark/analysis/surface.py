"""Where dropout pays: its effect by the part of the training text and by the size of the model.

Each run counts by its best epoch in validation, as early stopping would take it: without dropout a model on little text
overfits long before its last epoch, and its effect would be larger than anybody has.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Literal, cast

import numpy as np
from scipy import stats

from benchmark.analysis.findings import RELATIVE_INTEREST
from benchmark.analysis.intervals import CONFIDENCE, Component, Interval, interval
from benchmark.analysis.samples import Sample
from benchmark.analysis.verdicts import decide
from benchmark.formatting import count
from benchmark.store.diverged import DivergedRun
from benchmark.store.records import FLOAT32, Record
from benchmark.tasks import registry
from benchmark.tasks.base import Metric
from benchmark.tasks.language_modeling import LanguageModelConfig

ROUNDED = 6
"""Digits to which schedules are compared that are computed for a part of the text."""
UNEQUAL = 0.2
"""The error at which a point is said to spread more than the others; it is large, since two seeds say little."""
METRIC: Metric = LanguageModelConfig.validation_metric()

_Place = tuple[int, float]
"""Units and part of the text."""
_Key = tuple[_Place, float, int]
"""A run that is shown: its place, its probability of dropping a unit and its seed."""


@dataclass(frozen=True)
class Point:
    """One size on one part of the text, with every probability that was tried."""

    units: int
    """Units of each layer."""
    fraction: float
    """Part of the training text."""
    samples: Mapping[float, Sample]
    """Perplexity over seeds, by the probability of dropping a unit."""

    @property
    def without(self) -> Sample:
        """Perplexity without dropout."""
        return self.samples[0.0]

    @property
    def rate(self) -> float:
        """The best probability above 0."""
        return min((rate for rate in self.samples if rate), key=lambda rate: self.samples[rate].mean)

    @property
    def change(self) -> float:
        """Change of the logarithm of perplexity by dropout at its best probability; below 0 if it pays."""
        return math.log(self.samples[self.rate].mean / self.without.mean)

    @property
    def diverged(self) -> int:
        """Further runs that diverged, without dropout or at its best probability."""
        return self.without.diverged + self.samples[self.rate].diverged


@dataclass(frozen=True)
class Surface:
    """Every point of one data set."""

    source: str
    points: tuple[Point, ...]
    """By size, and within a size by part of the text."""
    left_out: tuple[str, ...] = ()
    """What was left out of it, a line each: runs of another text or of another configuration."""
    precisions: Mapping[str, int] = field(default_factory=dict)
    """Number of runs in each precision but 32."""

    @cached_property
    def sizes(self) -> list[int]:
        """Units of each layer of the models."""
        return sorted({point.units for point in self.points})

    @cached_property
    def fractions(self) -> list[float]:
        """Parts of the text."""
        return sorted({point.fraction for point in self.points})

    @cached_property
    def rates(self) -> list[float]:
        """Probabilities of dropping a unit."""
        return sorted({rate for point in self.points for rate in point.samples})

    def of(self, units: int) -> list[Point]:
        """The points of one size."""
        return [point for point in self.points if point.units == units]

    @cached_property
    def spread(self) -> Component | None:
        """Variance over seeds of the logarithm of perplexity, pooled over all points; None if there is no spread.

        Two runs of a point say little of its spread. That of the logarithm is taken to be the same at all of them.
        Where runs diverged, the others are a choice of the better ones and tell nothing of it.
        """
        return _spread(self.points)

    def spread_at(self, point: Point) -> Component | None:
        """The variance behind the interval of a point: the pooled one, or that of its own runs where it is larger.

        It is larger if an F test at UNEQUAL says so. Where one point spreads five times more than the others, the
        pooled one alone would give it an interval that holds in 55 % of repetitions; this one holds in 93 %.
        """
        own, others = _spread([point]), _spread(other for other in self.points if other is not point)
        if own is None or others is None:
            return own or self.spread
        p = stats.f.sf(own.variance / others.variance, own.degrees, others.degrees)
        return own if p < UNEQUAL else self.spread

    def interval(self, point: Point) -> Interval | None:
        """The 95 % interval over seeds of a point's change; None if there is no spread over seeds or runs diverged.

        The best of many probabilities is easily too good, and hardly ever too bad. Of two, an interval at 95 % for each
        covers what it says all the same; of more, that of each is at 1 - 0.1 / probabilities.
        """
        spread = self.spread_at(point)
        if spread is None or point.diverged:
            return None
        runs = [len(point.without.values), len(point.samples[point.rate].values)]
        error = Component(spread.variance * sum(1 / each for each in runs), spread.degrees)
        return interval(point.change, error, max(CONFIDENCE, 1 - 2 * (1 - CONFIDENCE) / (len(point.samples) - 1)))

    def pays(self, point: Point) -> bool | None:
        """Whether dropout lowers perplexity: the interval is above zero and reaches the smallest gain of interest.

        None if more seeds are needed, as where there is no interval, or runs diverged.
        """
        found = self.interval(point)
        verdict = decide((-found[1], -found[0]) if found else None, RELATIVE_INTEREST)
        return None if verdict == "undecided" else verdict == "reproduced"

    def worth(self, point: Point) -> tuple[float, Literal["", "more than", "less than"]]:
        """How many times the text a model without dropout needs for the perplexity that this one has with dropout.

        Its perplexity between two parts of the text is interpolated, logarithm by logarithm.

        Returns:
            The factor, below 1 if dropout does harm, and whether it is a bound, as no part is long or short enough.
        """
        others = self.of(point.units)
        texts = np.log([other.fraction for other in others])
        losses = np.minimum.accumulate(np.log([other.without.mean for other in others]))
        wanted = math.log(point.samples[point.rate].mean)
        factor = math.exp(float(np.interp(-wanted, -losses, texts))) / point.fraction
        if wanted < losses[-1]:
            return factor, "more than"
        return factor, "less than" if wanted > losses[0] else ""

    def pays_at(self, fraction: float) -> list[int]:
        """Units of the models that dropout pays for on a part of the text, the smallest first."""
        return [point.units for point in self.points if point.fraction == fraction and self.pays(point)]


def _spread(points: Iterable[Point]) -> Component | None:
    """Variance over seeds of the logarithm of perplexity, pooled over points; see Surface.spread."""
    samples = [sample for point in points for sample in point.samples.values() if not sample.diverged]
    logs = [np.log(sample.values) for sample in samples]
    degrees = sum(len(values) - 1 for values in logs)
    squares = sum(float(np.square(values - values.mean()).sum()) for values in logs)
    return Component(squares / degrees, degrees) if squares else None


def surfaces(records: Iterable[Record], diverged: Iterable[DivergedRun]) -> list[Surface]:
    """The surface of each data set, from runs on parts of its text, with and without dropout.

    Runs of an older protocol are left out, and so are points without a run on one of the sides; a surface may have no
    point. Its points are of one text and those of a size are of one configuration, the newest ones; a seed counts once.

    Args:
        records: the runs that ended.
        diverged: those that diverged. One counts where another run of its configuration and data is shown; else it is
            among what is left out, as it does not say its place.
    """
    lost = list(diverged)
    of_sources: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.finished):
        if record.task == LanguageModelConfig.task and record.protocol == LanguageModelConfig.protocol:
            of_sources.setdefault(record.configuration["source"], []).append(record)
    return [_surface(source, runs, lost) for source, runs in sorted(of_sources.items())]


def _surface(source: str, records: Sequence[Record], diverged: Sequence[DivergedRun]) -> Surface:
    """The surface of a source's records, which are in the order of their ends."""
    texts = {text for record in records if (text := _whole_text(record))}
    shown = next((text for record in reversed(records) if (text := _whole_text(record))), "")
    kinds = {record.configuration["hidden_size"]: _kind(record) for record in records if _whole_text(record) == shown}
    newest: dict[_Place, str] = {}
    for record in records:
        newest[_place(record)] = record.data_sha256
    values: dict[_Place, dict[float, dict[int, float]]] = {}
    shown_runs: dict[_Key, Record] = {}
    left_out: Counter[str] = Counter()
    for record in records:
        of_text = _whole_text(record) == shown or (not _whole_text(record) and len(texts) < 2)
        place, rate = _place(record), record.configuration["dropout"]
        if not of_text or (not _whole_text(record) and record.data_sha256 != newest[place]):
            left_out[f"of another text (data {record.data_sha256[:8]})"] += 1
        elif _kind(record) != kinds.setdefault(place[0], _kind(record)):
            left_out[f"of another configuration of {place[0]} units, {_differences(record, kinds[place[0]])}"] += 1
        else:
            values.setdefault(place, {}).setdefault(rate, {})[record.seed] = best_epoch(record)
            shown_runs[place, rate, record.seed] = record
    lost, strangers = _lost(shown_runs, records, diverged)
    points = [
        Point(*place, {rate: Sample.of(seeds, lost[place, rate]) for rate, seeds in sorted(of.items())})
        for place, of in sorted(values.items())
        if 0.0 in of and len(of) > 1
    ]
    lines = [f"{count(runs, 'run')} {reason}" for reason, runs in (left_out + strangers).items()]
    others = Counter(record.precision for record in shown_runs.values() if record.precision != FLOAT32)
    return Surface(source, tuple(points), tuple(lines), dict(sorted(others.items())))


def _lost(
    shown: Mapping[_Key, Record], records: Sequence[Record], diverged: Sequence[DivergedRun]
) -> tuple[Counter[tuple[_Place, float]], Counter[str]]:
    """How many runs diverged beside those that are shown, by place and probability, and of the others on such data."""
    places = {(record.fingerprint, record.data_sha256): key for key, record in shown.items()}
    data = {record.data_sha256 for record in records}
    lost: dict[tuple[_Place, float], set[int]] = {}
    strangers: Counter[str] = Counter()
    for run in diverged:
        if key := places.get((run.fingerprint, run.data_sha256)):
            place, rate, _ = key
            if (place, rate, run.seed) not in shown:
                lost.setdefault((place, rate), set()).add(run.seed)
        elif run.data_sha256 in data:
            strangers[f"that diverged, of {run.row}, of which no other is shown"] += 1
    return Counter({key: len(seeds) for key, seeds in lost.items()}), strangers


def _place(record: Record) -> _Place:
    """Units and part of the text."""
    return record.configuration["hidden_size"], record.configuration["train_fraction"]


def _whole_text(record: Record) -> str:
    """Checksum of the whole text; empty for older runs on a part of it, which do not keep it."""
    return record.data_sha256 if record.configuration["train_fraction"] == 1 else record.whole_text_sha256


def _kind(record: Record) -> LanguageModelConfig:
    """What the runs of one size have in common: the configuration on the whole text, without dropout."""
    config = cast("LanguageModelConfig", registry.configuration_of(record))
    fraction = config.train_fraction
    return replace(
        config,
        dropout=0.0,
        train_fraction=1.0,
        epochs=max(1, round(config.epochs * fraction)),
        flat_epochs=round(config.flat_epochs * fraction, ROUNDED),
        decay=max(1.0, round(config.decay ** (1 / fraction), ROUNDED)),
    )


def _differences(record: Record, shown: LanguageModelConfig) -> str:
    """The fields in which the kind of a run is not the one that is shown, with both values."""
    own, other = asdict(_kind(record)), asdict(shown)
    return ", ".join(f"{name} {own[name]} instead of {other[name]}" for name in own if own[name] != other[name])


def best_epoch(record: Record) -> float:
    """The lowest validation perplexity of a run after any of its epochs."""
    return min(epoch[METRIC.name] for epoch in record.curve)


def as_text(fraction: float) -> str:
    """A part of the text for a reader: 1/8, 0.3, 1."""
    inverse = 1 / fraction
    return f"1/{inverse:.0f}" if inverse > 1 and math.isclose(inverse, round(inverse)) else f"{fraction:g}"
