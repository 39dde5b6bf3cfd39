"""Tables, made from records only: Markdown for people, CSV for programs."""

import csv
import io
import math
import statistics
from collections.abc import Sequence

from benchmark.analysis.claims import HOW_TO_READ, Judgment
from benchmark.analysis.effects import Effect, Pair, dropout_effects, known_words, pairs
from benchmark.analysis.findings import Finding
from benchmark.analysis.intervals import prediction
from benchmark.analysis.names import model_name, placement
from benchmark.analysis.results import (
    NOT_RUN,
    RowResults,
    by_source,
    data_set,
    largest,
    sizes,
    trivial_baselines,
)
from benchmark.formatting import Table, as_markdown, bold, with_diverged
from benchmark.reports.footnotes import footnote
from benchmark.tasks.base import Metric

FRONT_PAGE = ("ptb", "asterisk-en", "multi30k", "flickr8k-1k-efficientnet-lite0")
"""The source that stands for each task on the front page: real data, with runs or, of the Penn Treebank, to come."""

ABSENT = "–"
"""Shown in place of a figure that does not exist."""


def markdown(table: Sequence[RowResults]) -> str:
    """All tables: for each source a heading, its rows, the effects of dropout and a footnote."""
    parts = []
    for group in by_source(table).values():
        parts += [f"### {as_markdown(data_set(group).heading)}", results_table(group).markdown()]
        if (effects := effect_table(group)).body:
            parts.append(effects.markdown())
        parts.append(as_markdown(footnote(group)))
    return "\n\n".join(parts) + "\n"


def summary(table: Sequence[RowResults]) -> str:
    """The table of the front page: one source per task; every size if the paper has the same data, else the largest."""
    header = (
        "data", "size", "metric", "without dropout", "with dropout", "change (95 % interval over seeds)",
        "paper, without", "paper, with",
    )  # fmt: skip
    body: list[tuple[str, ...]] = []
    groups = by_source(table)
    for group in (groups[source] for source in FRONT_PAGE if source in groups):
        papers_data = any(results.row.published and not results.row.published.on for results in group)
        shown = [pair for pair in pairs(group) if papers_data or pair.size == largest(group)]
        metrics = group[0].row.config.primary_metrics()
        name = data_set(group).title
        for pair, metric in ((pair, metric) for pair in shown for metric in metrics):
            size = pair.size if len(sizes(group)) > 1 else ABSENT
            body.append((name, size, metric.label, *_summary_cells(pair, metric)))
            name = ""
    caption = (
        "Mean ± standard deviation over seeds (number of runs); change with its 95 % interval over seeds, on this test "
        "set. Only the Penn Treebank is the paper's data; every other data set is shown with its largest model."
    )
    return f"{Table(header, tuple(body)).markdown()}\n\n{caption}"


def _summary_cells(pair: Pair, metric: Metric) -> tuple[str, ...]:
    rows = (pair.without, pair.regularized)
    samples = [results.sample(metric.name) if results else None for results in rows]
    effect = pair.effect(metric)
    return (
        *(
            f"{sample.show(metric.digits)} ({len(sample.values)})"
            if sample
            else results.without_figures
            if results
            else NOT_RUN
            for results, sample in zip(rows, samples, strict=True)
        ),
        effect.show() if effect else ABSENT,
        *(_papers(results, metric) if results else ABSENT for results in rows),
    )


def _papers(results: RowResults, metric: Metric) -> str:
    """The paper's figure for a row on the same data."""
    paper = results.row.published
    if not paper or paper.on or metric.name not in paper.metrics:
        return ABSENT
    return metric.as_given(paper.metrics[metric.name])


def results_table(group: Sequence[RowResults]) -> Table:
    """Every row of a source with its figures and the paper's, after the baselines that need no model."""
    shown = _shown(group)
    header = ["model", "dropout", "seeds", *(metric.label for metric in shown)]
    published = [results.row.published for results in group if results.row.published]
    compared = [metric for metric in shown if any(metric.name in paper.metrics for paper in published)]
    others_data = next((paper.on for paper in published if paper.on), "")
    if published:
        header.append(f"paper{f' on {others_data}' if others_data else ''} ({' / '.join(distinct_labels(compared))})")
        if not others_data:
            header += ["difference", "95 % of single runs", "the paper's number"]
    header.append("note")
    body = []
    for name, scores in reversed(trivial_baselines(group).items()):
        cells = [name, "none", ABSENT]
        cells += [f"{scores[metric.name]:.{metric.digits}f}" if metric.name in scores else ABSENT for metric in shown]
        body.append((*cells, *[ABSENT] * (len(header) - len(cells) - 1), "no model"))
    for results in group:
        cells = [model_name(results.row), placement(results.row.config), _seeds(results), *_means(results, shown)]
        if published:
            cells.append(_published(results, compared))
            if not others_data:
                cells += [_difference(results, compared), *_number(results, compared)]
        body.append((*cells, _note(results)))
    return Table(tuple(header), tuple(body))


def _shown(group: Sequence[RowResults]) -> tuple[Metric, ...]:
    """The metrics of a source's table: that of training with dropout off only where a run has it."""
    config = group[0].row.config
    optional = config.training_without_dropout()
    measured = any(results.sample(optional.name) for results in group)
    return tuple(metric for metric in config.shown_metrics() if measured or metric != optional)


def _means(results: RowResults, metrics: Sequence[Metric]) -> list[str]:
    samples = [(metric, results.shown(metric.name)) for metric in metrics]
    missing = ABSENT if results.records else results.without_figures
    runs = None if results.row.ensemble_of else len(results.records)
    return [sample.show(metric.digits, runs) if sample else missing for metric, sample in samples]


def distinct_labels(metrics: Sequence[Metric]) -> list[str]:
    """The labels of metrics without the words that all of them begin or end with."""
    labels = [metric.label.split() for metric in metrics]
    if len(labels) < 2:
        return [metric.label for metric in metrics]
    for end in (0, -1):
        while all(len(words) > 1 for words in labels) and len({words[end] for words in labels}) == 1:
            for words in labels:
                del words[end]
    return [" ".join(words) for words in labels]


def _note(results: RowResults) -> str:
    """The note of a row; of an ensemble also what its perplexities are the means of."""
    gain = results.over_choices("test")
    choices = f"perplexity over {len(gain.ensembles)} choices of members" if gain else ""
    return ", ".join(filter(None, (results.row.note, choices)))


def _seeds(results: RowResults) -> str:
    """The number of runs of a row, and of those that diverged; of an ensemble, how many of its members there are."""
    if not results.records:
        return f"{len(results.diverged)} diverged" if results.diverged else ABSENT
    if results.row.ensemble_of:
        return f"{max(len(record.members) for record in results.records)} of {results.row.members}"
    return with_diverged(str(len(results.records)), len(results.diverged))


def _published(results: RowResults, metrics: Sequence[Metric]) -> str:
    """The paper's figures for a row, on whatever data they were measured."""
    if not (paper := results.row.published):
        return ABSENT
    figures = [(metric, paper.metrics.get(metric.name)) for metric in metrics]
    return " / ".join(ABSENT if value is None else metric.as_given(value) for metric, value in figures)


def _difference(results: RowResults, metrics: Sequence[Metric]) -> str:
    """Our means less the paper's figures, where these are comparable."""
    differences = [
        f"{sample.mean - paper:+.{metric.digits}f}" if sample else ABSENT
        for metric, sample, paper in results.like_for_like(metrics)
    ]
    return " / ".join(differences) or ABSENT


def _number(results: RowResults, metrics: Sequence[Metric]) -> tuple[str, str]:
    """Where 95 % of single runs lie, and whether the paper's number, which is that of one run, is among them."""
    ranges, inside = [], []
    if results.row.ensemble_of:
        return ABSENT, ABSENT
    for metric, sample, paper in results.like_for_like(metrics):
        low, high = prediction(sample.values) if sample and sample.spread else (math.nan, math.nan)
        known = not math.isnan(low)
        ranges.append(f"{low:.{metric.digits}f} to {high:.{metric.digits}f}" if known else ABSENT)
        inside.append(("inside" if low <= paper <= high else "outside") if known else ABSENT)
    if set(inside) <= {ABSENT}:
        return ABSENT, ABSENT
    return " / ".join(ranges), " / ".join(inside)


def effect_table(group: Sequence[RowResults]) -> Table:
    """The effect of dropout at each size that has been run without it and with it."""
    header = (
        "effect of dropout", "metric", "without", "with", "change (95 % interval over seeds)",
        "in words", "over seeds and test items", "runs",
    )  # fmt: skip
    body = []
    effects = [*dropout_effects(group), *dropout_effects(group, known_words(group))]
    for pair, effect in sorted(effects, key=lambda found: sizes(group).index(found[0].size)):
        name = (pair.regularized and pair.regularized.row.label) or pair.size
        digits = effect.metric.digits
        cells = (effect.before.show(digits), effect.after.show(digits), effect.show(), _outcome(effect))
        wide = effect.show_interval(effect.interval_with_items) or ABSENT
        body.append((name, effect.metric.label, *cells, wide, effect.runs))
    return Table(header, tuple(body))


def _outcome(effect: Effect) -> str:
    """What the interval over seeds says, with the change as a percentage of the metric without dropout if it is not 0.

    It is empty where there is no interval.
    """
    if effect.outcome == "no interval":
        return ""
    before = effect.before.mean
    share = f" by {abs(effect.change) / before:.0%}" if effect.outcome in ("better", "worse") and before else ""
    return f"{effect.outcome}{share}"


def claims(judgments: Sequence[Judgment]) -> str:
    """Every claim of the paper with its test and its findings on each source that has runs."""
    parts = ["# The paper's claims, and whether these runs reproduce them", HOW_TO_READ]
    judged = [judgment for judgment in judgments if judgment.is_run]
    for claim in dict.fromkeys(judgment.claim for judgment in judged):
        parts += [f"## {claim.statement}", f"{claim.place}. Test: {claim.test}."]
        body = [
            (judgment.data_set.title, finding.comparison, finding.figures, *_verdicts(judgment, finding))
            for judgment in judged
            if judgment.claim is claim
            for finding in judgment.findings
        ]
        header = ("data", "comparison", "found", "verdict", "over test items too")
        parts.append(Table(header, tuple(body)).markdown())
    return "\n\n".join(parts) + "\n"


def _verdicts(judgment: Judgment, finding: Finding) -> tuple[str, str]:
    """The verdicts over seeds and over seeds and test items, for two cells."""
    reason = judgment.reason_shown_only(finding)
    verdict = f"{finding.verdict} (shown only: {reason})" if reason else bold(finding.verdict)
    return verdict, finding.with_items or ABSENT


def claims_summary(judgments: Sequence[Judgment]) -> str:
    """Each claim with its verdicts on the data of the quick profile and on other data."""
    judged = [judgment for judgment in judgments if judgment.is_run]
    body = []
    for claim in dict.fromkeys(judgment.claim for judgment in judgments):
        cells = []
        for quick in (True, False):
            mine = [one for one in judged if one.claim is claim and ("quick" in one.profiles) == quick]
            cells.append("; ".join(one.in_short for one in mine) or NOT_RUN)
        body.append((claim.section, claim.statement, *cells))
    summary = Table(("section", "claim", "quick profile", "other data"), tuple(body)).markdown()
    return (
        f"{summary}\n\nIn parentheses: the data set and, if a claim holds only in part, how many of its comparisons do."
    )


def as_csv(table: Sequence[RowResults]) -> str:
    """One line per row with every final metric: mean, standard deviation, the paper's value and the difference."""
    names = sorted({name for results in table for record in results.records for name in record.metrics})
    names += sorted({results.row.config.training.name for results in table})
    header = ["row", "task", "source", "size", "cell", "dropout", "recurrent_dropout", "note", "seeds"]
    header += [f"{name}_{part}" for name in names for part in ("mean", "sd", "values", "paper", "difference")]
    header += ["parameters", "throughput", "unit", "device"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for results in table:
        config, records = results.row.config, results.records
        cells = [results.row.name, config.task, config.data_set_name, results.row.size, config.cell]
        cells += [f"{config.dropout:g}", f"{config.recurrent_dropout:g}", results.row.note, str(len(records))]
        for name in names:
            sample = results.shown(name)
            paper = results.papers_figures.get(name)
            numbers = (
                sample and sample.mean,
                sample and sample.sd,
                sample and len(sample.values),
                paper,
                sample.mean - results.comparable[name] if sample and name in results.comparable else None,
            )
            cells += ["" if one is None else str(one) if isinstance(one, int) else f"{one:.4f}" for one in numbers]
        throughput = statistics.median(record.throughput for record in records) if records else 0.0
        cells += [str(records[0].parameters), f"{throughput:.0f}"] if records else ["", ""]
        writer.writerow([*cells, config.unit, " + ".join(sorted({record.device for record in records}))])
    return out.getvalue()
