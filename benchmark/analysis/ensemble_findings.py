"""The comparisons of ensembles that decide the paper's claims about them (Tables 1 and 4)."""

from collections.abc import Iterator

from benchmark.analysis.findings import (
    RELATIVE_INTEREST,
    Finding,
    Group,
    below_floor,
    not_compared,
    other_size,
    test_perplexity,
)
from benchmark.analysis.intervals import Interval
from benchmark.analysis.names import model_name
from benchmark.analysis.results import NOT_RUN, RowResults, plain, sizes
from benchmark.analysis.same_data import differences
from benchmark.analysis.shares import share_of_the_way
from benchmark.analysis.subsets import EnsembleGain
from benchmark.analysis.verdicts import decide_at_least
from benchmark.tasks import registry
from benchmark.tasks.base import Metric


def ensembles_gain(group: Group, confidence: float) -> Iterator[Finding]:
    """An ensemble takes at least half as large a part of one model's test perplexity away as in the paper (Table 1)."""
    metric = test_perplexity(group)
    for results in group:
        if results.row.ensemble_of:
            (single,) = (other for other in group if other.row.name == results.row.ensemble_of)
            yield _ensemble(single, results, metric, confidence)


def one_is_as_good_as_ten(group: Group, confidence: float) -> Iterator[Finding]:
    """One regularized model has a share of the ensemble's gain as in the paper's Table 4."""
    for ensemble in group:
        single = next((other for other in group if other.row.name == ensemble.row.ensemble_of), None)
        regularized = single and plain(group, single.row.size, regularized=True)
        if single and regularized:
            for metric in ensemble.row.config.primary_metrics():
                about = f"{single.row.size}, {metric.label}" if len(sizes(group)) > 1 else metric.label
                other = other_size(group, single.row.size)
                yield from _share_of_ten(single, regularized, ensemble, metric, confidence, about, other)


def _ensemble(single: RowResults, ensemble: RowResults, metric: Metric, confidence: float) -> Finding:
    """The finding of one ensemble of a family: its part of the perplexity against the paper's."""
    names, members = (single.row.name, ensemble.row.name), ensemble.row.members
    dropout = "with dropout" if single.row.config.dropout else "without dropout"
    comparison = f"one {model_name(single.row)} model → {members}, {dropout}, {metric.label}"
    gain, papers = single.ensemble_gain(members, metric.split), papers_ensemble_gain(single, members)
    if gain is None:
        return Finding(comparison, NOT_RUN, "undecided", names)
    smallest = papers / 2 if papers else RELATIVE_INTEREST
    shown_only = "" if papers else "Table 1 has no such ensemble"
    ends, wide = gain.interval(confidence), gain.interval_with_items(confidence)
    if single.diverged:  # the others are a choice of the better ones
        ends = wide = None
    return Finding(
        comparison,
        _ensemble_figures(gain, papers, ends, wide) + (f"; {len(single.diverged)} diverged" if single.diverged else ""),
        decide_at_least(ends, smallest),
        names,
        decide_at_least(wide, smallest) if wide else None,
        shown_only,
    )


def papers_ensemble_gain(single: RowResults, members: int) -> float | None:
    """The part of one model's test perplexity that the paper's ensemble of that size takes away; None if it has none.

    Table 1 has them for each size, with dropout for medium and large.
    """
    size, dropout = single.row.size, "-dropout" if single.row.config.dropout else ""
    found = {row.name: row.published for row in registry.ROWS if row.published}
    one, many = found.get(f"ptb-{size}{dropout}"), found.get(f"ptb-{size}{dropout}-average-{members}")
    if not (one and many):
        return None
    return 1 - many.metrics["test_perplexity"] / one.metrics["test_perplexity"]


def _ensemble_figures(gain: EnsembleGain, papers: float | None, ends: Interval | None, wide: Interval | None) -> str:
    spread = f" ± {gain.sd:.1f} over {len(gain.ensembles)} choices of members" if gain.sd is not None else ""
    figures = f"{gain.single:.1f} → {gain.mean:.1f}{spread}, {-gain.share:+.1%}"
    if ends:
        figures += f" ({-ends[1]:+.1%} to {-ends[0]:+.1%})"
    if wide:
        figures += f"; over models and test items {-wide[1]:+.1%} to {-wide[0]:+.1%}"
    return figures + (f"; the paper's {-papers:+.1%}" if papers else "")


def _share_of_ten(
    single: RowResults,
    regularized: RowResults,
    ensemble: RowResults,
    metric: Metric,
    confidence: float,
    about: str,
    shown_only: str,
) -> Iterator[Finding]:
    """The finding for one metric; none without the paper's figures for all three rows."""
    rows = (single, regularized, ensemble)
    papers = [results.row.published.metrics[metric.name] for results in rows if results.row.published]
    if len(papers) < len(rows) or papers[0] == papers[2]:  # a user's own rows may have other figures
        return
    names = tuple(results.row.name for results in rows)
    if why := differences(single.row.config, regularized.row.config):
        yield not_compared(about, why, names)
        return
    one, ours, ten = (results.sample(metric.name) for results in rows)
    if not (one and ours and ten and ensemble.is_complete_ensemble):
        yield Finding(about, NOT_RUN, "undecided", names, shown_only=shown_only)
        return
    if metric.is_at_floor(one.mean, ours.mean, ten.mean):
        shown_only = below_floor(metric)
    papers_share = (papers[1] - papers[0]) / (papers[2] - papers[0])
    figures = (
        f"one without {one.mean:.{metric.digits}f}, ensemble {ten.mean:.{metric.digits}f}, one with "
        f"{ours.show(metric.digits)}"
    )
    share = share_of_the_way(*rows, metric)
    if share is None:
        figures += ": the ensemble is no better than one model"
        yield Finding(about, figures, "undecided", names, shown_only=shown_only)
        return
    figures += f": {share.value:.0%} of the way, the paper's {papers_share:.0%}"
    ends, wide = share.interval(confidence), share.interval_with_items(confidence)
    if ends:
        figures += f", interval {ends[0]:.0%} to {ends[1]:.0%}"
    elif share.over_seeds:
        figures += "; no interval, as the ensemble is not known to be better than one model"
    else:
        figures += "; no interval, as runs are single, all alike or diverged"
    if wide:
        figures += f", over seeds and test items {wide[0]:.0%} to {wide[1]:.0%}"
    elif ends and share.over_items:
        figures += ", none over seeds and test items, where the ensemble may be no better than one model"
    narrow, wider = (decide_at_least(one, papers_share / 2) for one in (ends, wide))
    with_items = wider if share.over_seeds and share.over_items else None
    yield Finding(about, figures, narrow, names, with_items, shown_only)
