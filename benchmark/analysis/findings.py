"""The comparisons that decide the paper's claims: each function takes the rows of one source and gives its findings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.analysis.effects import Effect, compare, pairs
from benchmark.analysis.results import NOT_RUN, RowResults, largest, plain
from benchmark.analysis.same_data import differences
from benchmark.analysis.verdicts import Verdict, decide
from benchmark.tasks import registry
from benchmark.tasks.base import Metric

Group = Sequence[RowResults]
"""The rows of one task on one source."""

PaperRows = tuple[str, str]
"""Names of the rows whose published figures are the paper's own effect: before and after the change."""

SPEECH: PaperRows = ("samromur", "samromur-dropout")
TRANSLATION: PaperRows = ("wmt14-large", "wmt14-large-dropout")
CAPTIONS: PaperRows = ("mscoco", "mscoco-dropout")
MEDIUM_TO_LARGE: PaperRows = ("ptb-medium-dropout", "ptb-large-dropout")

RELATIVE_INTEREST, POINTS_OF_INTEREST = 0.01, 0.5
"""The smallest difference of interest where the paper has no effect of its own: a part of the perplexity, or points of
accuracy and of BLEU. Where it has one, half of it."""
RELATIVELY, IN_POINTS = f"{100 * RELATIVE_INTEREST:g} %", f"{POINTS_OF_INTEREST:g} points"
"""These differences as texts have them."""


@dataclass(frozen=True)
class Finding:
    """One comparison that a claim rests on."""

    comparison: str
    """The rows that are compared, in the order of the figures, and the metric."""
    figures: str
    """Means, change and intervals, as text."""
    verdict: Verdict
    """What the interval over seeds says of the claim."""
    rows: tuple[str, ...]
    """Names of the rows that are compared."""
    with_items: Verdict | None = None
    """What the interval over seeds and test items says; None where there is none."""
    shown_only: str = ""
    """The reason why the comparison does not decide the claim; empty where it does."""
    effect: Effect | None = None
    """The change, where two rows are compared that both have runs."""
    smallest: float = 0.0
    """The smallest difference of interest, in units of the metric."""
    expected: float = 0.0
    """The difference to plan runs for: the paper's own where it has one, else the smallest of interest."""
    is_of_two_rows: bool = False
    """Whether it compares the runs of two rows, rather than an ensemble."""


def dropout_helps_medium_and_large(group: Group, confidence: float) -> Iterator[Finding]:
    """Test perplexity is lower with dropout than without at medium and large (section 4.1)."""
    for pair in pairs(group):
        if pair.size != "small":
            yield from _better(pair.size, pair.without, pair.regularized, test_perplexity(group), confidence)


def large_beats_medium(group: Group, confidence: float) -> Iterator[Finding]:
    """Test perplexity of the large model is lower than that of the medium one, both with dropout (section 4.1)."""
    by_size = {pair.size: pair.regularized for pair in pairs(group)}
    rows = by_size.get("medium"), by_size.get("large")
    comparison = "medium → large, both with dropout"
    yield from _better(comparison, *rows, test_perplexity(group), confidence, MEDIUM_TO_LARGE)


def larger_models_overfit(group: Group, confidence: float) -> Iterator[Finding]:
    """Without dropout the small model has a lower test perplexity than each larger one (section 4.1)."""
    by_size = {pair.size: pair.without for pair in pairs(group)}
    small = by_size.pop("small", None)
    for size, larger in by_size.items():
        yield from _better(f"{size} → small, without dropout", larger, small, test_perplexity(group), confidence)


def recurrent_dropout_is_worse(group: Group, confidence: float) -> Iterator[Finding]:
    """Dropout on the recurrent connections as well gives a higher test perplexity (sections 1 and 3)."""
    for results in group:
        if results.row.config.recurrent_dropout and not results.row.config.methods:
            usual = plain(group, results.row.size, regularized=True)
            comparison = f"{results.row.size}, dropout on recurrent connections too → on non-recurrent ones alone"
            yield from _better(comparison, results, usual, test_perplexity(group), confidence)


def training_falls_validation_rises(group: Group, confidence: float) -> Iterator[Finding]:
    """With dropout accuracy falls on the training data and rises on the test data (Table 2, there on validation data).

    Training accuracy is that with dropout off where both rows have it; that of training itself is then shown only,
    since dropping units alone makes it fall.
    """
    config = group[0].row.config
    for pair in pairs(group):
        without, regularized = pair.without, pair.regularized
        about, other = f"{pair.size}, with → without dropout", other_size(group, pair.size)
        papers = (SPEECH[1], SPEECH[0])
        dropout_off, as_trained = config.training_without_dropout(), other
        if all(results and results.sample(dropout_off.name) for results in (without, regularized)):
            yield from _better(about, regularized, without, dropout_off, confidence, papers, other)
            as_trained = other or "measured with dropout on"
        yield from _better(about, regularized, without, config.training, confidence, papers, as_trained)
        for metric in config.primary_metrics():
            about = f"{pair.size}, without → with dropout"
            yield from _better(about, without, regularized, metric, confidence, SPEECH, other)


def translation_improves(group: Group, confidence: float) -> Iterator[Finding]:
    """Every primary metric is better with dropout (Table 3)."""
    yield from _every_metric(group, confidence, TRANSLATION)


def captions_improve(group: Group, confidence: float) -> Iterator[Finding]:
    """Every primary metric of one model is better with dropout (Table 4)."""
    yield from _every_metric(group, confidence, CAPTIONS)


def _every_metric(group: Group, confidence: float, papers: PaperRows) -> Iterator[Finding]:
    for pair in pairs(group):
        for metric in group[0].row.config.primary_metrics():
            other = other_size(group, pair.size)
            yield from _better(pair.size, pair.without, pair.regularized, metric, confidence, papers, other)


def other_size(group: Group, size: str) -> str:
    """The reason why a size decides nothing: Tables 2 to 4 have one model, which our largest stands for."""
    return "" if size == largest(group) else "not the paper's size"


def below_floor(metric: Metric) -> str:
    """The reason why a metric that is below its floor decides nothing."""
    return f"{metric.label} below {metric.floor:g}"


def test_perplexity(group: Group) -> Metric:
    """The metric that Table 1 compares rows by."""
    return next(metric for metric in group[0].row.config.headline if metric.name == "test_perplexity")


def _better(
    comparison: str,
    before: RowResults | None,
    after: RowResults | None,
    metric: Metric,
    confidence: float,
    papers: PaperRows | None = None,
    shown_only: str = "",
) -> Iterator[Finding]:
    """The finding that one row is better than another; none if there is no such row."""
    if before is None or after is None:
        return
    names, comparison = (before.row.name, after.row.name), f"{comparison}, {metric.label}"
    if why := differences(before.row.config, after.row.config):
        yield not_compared(comparison, why, names)
        return
    effect = compare(before, after, metric, confidence)
    if effect is None:
        lost = [f"all {len(one.diverged)} runs of {one.row.name} diverged" for one in (before, after) if one.is_lost]
        figures = " and ".join(lost) or NOT_RUN
        yield Finding(comparison, figures, "undecided", names, shown_only=shown_only, is_of_two_rows=True)
        return
    change = papers_change(metric, papers, effect.before.mean)
    smallest = change / 2 if change else of_interest(metric, effect.before.mean)
    if effect.is_at_floor:
        shown_only = below_floor(metric)
    yield Finding(
        comparison,
        _figures(effect, smallest),
        decide(effect.gain(effect.interval), smallest),
        names,
        decide(effect.gain(effect.interval_with_items), smallest) if effect.interval_with_items else None,
        shown_only,
        effect,
        smallest,
        change or smallest,
        is_of_two_rows=True,
    )


def not_compared(comparison: str, why: str, rows: tuple[str, ...]) -> Finding:
    """What is found of rows of different data, which decides nothing."""
    return Finding(comparison, f"not compared: {why}", "undecided", rows, shown_only="not of the same data")


def papers_change(metric: Metric, papers: PaperRows | None, before: float) -> float | None:
    """The paper's own effect in units of ours, above zero, on this metric or the one that it has in its place; or None.

    A perplexity changes in proportion to what it is without the change, accuracy and BLEU by points.
    """
    rows = [registry.find(name).published for name in papers or ()]
    figures = [row.metrics.get(metric.name, row.metrics.get(metric.as_published)) for row in rows if row]
    if len(figures) < 2 or figures[0] is None or figures[1] is None:
        return None
    change = abs(figures[1] - figures[0])
    return change / figures[0] * before if metric.better == "lower" else change


def of_interest(metric: Metric, before: float) -> float:
    """The smallest difference of interest where the paper has no effect, for a metric that is `before` without it."""
    return RELATIVE_INTEREST * before if metric.better == "lower" else POINTS_OF_INTEREST


def _figures(effect: Effect, smallest: float) -> str:
    digits = effect.metric.digits
    parts = [f"{effect.before.mean:.{digits}f} → {effect.after.mean:.{digits}f}, {effect.show()}; {effect.runs}"]
    if effect.interval_with_items:
        parts.append(f"over seeds and test items {effect.show_interval(effect.interval_with_items)}")
    parts.append(f"smallest of interest {smallest:.{max(digits, 2)}f}")
    return "; ".join(parts)
