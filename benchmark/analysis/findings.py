"""The comparisons that decide the paper's claims: each function takes the rows of one source and gives its findings."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.analysis.effects import Effect, against, compare, pairs
from benchmark.analysis.results import NOT_RUN, RowResults, model_name, plain
from benchmark.tasks.base import Metric

Verdict = Literal["reproduced", "not reproduced", "not enough runs"]

ENOUGH = 5
"""Fewest runs on each side with which an interval that contains zero counts against a claim."""

Group = Sequence[RowResults]
"""The rows of one task on one source."""


@dataclass(frozen=True)
class Finding:
    """One comparison that a claim rests on."""

    comparison: str
    """The rows that are compared, in the order of the figures, and the metric."""
    figures: str
    """Means, change and interval, as text."""
    verdict: Verdict
    """Whether the comparison supports the claim."""
    rows: tuple[str, ...]
    """Names of the rows that are compared."""


def dropout_helps_medium_and_large(group: Group) -> Iterator[Finding]:
    """Test perplexity is lower with dropout than without at medium and large (section 4.1)."""
    for pair in pairs(group):
        if pair.size != "small":
            yield from _better(pair.size, pair.without, pair.regularized, _test_perplexity(group))


def large_beats_medium(group: Group) -> Iterator[Finding]:
    """Test perplexity of the large model is lower than that of the medium one, both with dropout (section 4.1)."""
    by_size = {pair.size: pair.regularized for pair in pairs(group)}
    comparison = "medium → large, both with dropout"
    yield from _better(comparison, by_size.get("medium"), by_size.get("large"), _test_perplexity(group))


def larger_models_overfit(group: Group) -> Iterator[Finding]:
    """Without dropout the small model has a lower test perplexity than each larger one (section 4.1)."""
    by_size = {pair.size: pair.without for pair in pairs(group)}
    small = by_size.pop("small", None)
    for size, larger in by_size.items():
        yield from _better(f"{size} → small, without dropout", larger, small, _test_perplexity(group))


def recurrent_dropout_is_worse(group: Group) -> Iterator[Finding]:
    """Dropout on the recurrent connections as well gives a higher test perplexity (sections 1 and 3)."""
    for results in group:
        if results.row.config.recurrent_dropout:
            usual = plain(group, results.row.size, regularized=True)
            comparison = f"{results.row.size}, dropout on recurrent connections too → on non-recurrent ones alone"
            yield from _better(comparison, results, usual, _test_perplexity(group))


def larger_ensembles_are_better(group: Group) -> Iterator[Finding]:
    """Test perplexity falls from the best single model to each larger ensemble of its family (Table 1)."""
    metric = _test_perplexity(group)
    families = dict.fromkeys(results.row.ensemble_of for results in group if results.row.ensemble_of)
    for family in families:
        (single,) = (results for results in group if results.row.name == family)
        members = (results for results in group if results.row.ensemble_of == family)
        yield _ensembles_fall(single, sorted(members, key=lambda results: results.row.members), metric)


def training_falls_validation_rises(group: Group) -> Iterator[Finding]:
    """With dropout accuracy falls on the training data and rises on the validation data (Table 2)."""
    config = group[0].row.config
    for pair in pairs(group):
        without, regularized = pair.without, pair.regularized
        yield from _better(f"{pair.size}, with → without dropout", regularized, without, config.training)
        for metric in config.primary_metrics():
            yield from _better(f"{pair.size}, without → with dropout", without, regularized, metric)


def dropout_helps_every_size(group: Group) -> Iterator[Finding]:
    """Every primary metric is better with dropout at every size (Tables 3 and 4)."""
    for pair in pairs(group):
        for metric in group[0].row.config.primary_metrics():
            yield from _better(pair.size, pair.without, pair.regularized, metric)


def one_is_as_good_as_ten(group: Group) -> Iterator[Finding]:
    """One regularized model has at least the share of the ensemble's gain that it has in the paper's Table 4."""
    for ensemble in group:
        single = next((other for other in group if other.row.name == ensemble.row.ensemble_of), None)
        regularized = single and plain(group, single.row.size, regularized=True)
        if single and regularized:
            for metric in ensemble.row.config.primary_metrics():
                yield from _has_the_papers_share(single, regularized, ensemble, metric)


def _has_the_papers_share(
    single: RowResults, regularized: RowResults, ensemble: RowResults, metric: Metric
) -> Iterator[Finding]:
    """The finding for one metric; none without the paper's figures for all three rows."""
    rows = (single, regularized, ensemble)
    papers = [results.row.published.metrics[metric.name] for results in rows if results.row.published]
    if len(papers) < len(rows) or papers[0] == papers[2]:  # a user's own rows may have other figures
        return
    share = (papers[1] - papers[0]) / (papers[2] - papers[0])
    names = tuple(results.row.name for results in rows)
    one, ten = single.sample(metric.name), ensemble.sample(metric.name)
    if not (one and ten and ensemble.is_complete_ensemble):
        yield Finding(metric.label, NOT_RUN, "not enough runs", names)
        return
    needed = one.mean + share * (ten.mean - one.mean)
    if effect := against(regularized, needed, metric):
        figures = (
            f"one without {one.mean:.{metric.digits}f}, ensemble {ten.mean:.{metric.digits}f}, one with "
            f"{effect.after.show(metric.digits)}; {share:.0%} of the way needs {needed:.{metric.digits}f}"
        )
        yield Finding(metric.label, figures, _decide(effect), names)


def _ensembles_fall(single: RowResults, ensembles: Sequence[RowResults], metric: Metric) -> Finding:
    """The finding of one family: its single models and its ensembles, the smallest first."""
    names = (single.row.name, *(results.row.name for results in ensembles))
    complete = [results for results in ensembles if results.is_complete_ensemble]
    if not complete:
        return Finding(model_name(single.row), NOT_RUN, "not enough runs", names)
    best = (min if metric.better == "lower" else max)(_values(single, metric))
    steps = [best, *(_values(results, metric)[0] for results in complete)]
    falls = all(later < earlier for earlier, later in itertools.pairwise(steps))
    verdict: Verdict = "not reproduced" if not falls else "reproduced" if len(complete) > 1 else "not enough runs"
    shown = [f"best single {best:.{metric.digits}f}"]
    shown += [f"{results.row.members}: {_values(results, metric)[0]:.{metric.digits}f}" for results in complete]
    dropout = "with dropout" if single.row.config.dropout else "without dropout"
    return Finding(f"{model_name(single.row)} {dropout}, {metric.label}", ", ".join(shown), verdict, names)


def _values(results: RowResults, metric: Metric) -> tuple[float, ...]:
    sample = results.sample(metric.name)
    return sample.values if sample else ()


def _test_perplexity(group: Group) -> Metric:
    return next(metric for metric in group[0].row.config.headline if metric.name == "test_perplexity")


def _better(comparison: str, before: RowResults | None, after: RowResults | None, metric: Metric) -> Iterator[Finding]:
    """The finding that one row is better than another by more than chance; none if there is no such row."""
    if before is None or after is None:
        return
    names = (before.row.name, after.row.name)
    comparison = f"{comparison}, {metric.label}"
    if effect := compare(before, after, metric):
        yield Finding(comparison, _figures(effect), _decide(effect), names)
    else:
        yield Finding(comparison, NOT_RUN, "not enough runs", names)


def _decide(effect: Effect) -> Verdict:
    if effect.gain is None:
        return "not enough runs"
    low, high = effect.gain
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < 0 or effect.runs >= ENOUGH else "not enough runs"


def _figures(effect: Effect) -> str:
    digits, runs = effect.metric.digits, effect.runs
    method = f", {effect.method}" if effect.method else ""
    means = f"{effect.before.mean:.{digits}f} → {effect.after.mean:.{digits}f}, {effect.show()}"
    return f"{means}; {runs} run{'s' * (runs != 1)} each{method}"
