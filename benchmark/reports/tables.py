"""Tables, made from records only: Markdown for people, CSV for programs, and the README's between its markers."""

import csv
import io
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmark.analysis.claims import HOW_TO_READ, judge
from benchmark.analysis.effects import Effect, dropout_effects, pairs
from benchmark.analysis.results import (
    NOT_RUN,
    Line,
    by_source,
    data_set,
    model_name,
    placement,
    sizes,
    trivial_baselines,
)
from benchmark.formatting import Table
from benchmark.tasks.base import Metric, Row
from datamodules.errors import UserError


def marker(name: str) -> tuple[str, str]:
    """The lines between which a page takes a generated text."""
    return f"<!-- {name}: made by `make table`, do not edit -->", f"<!-- end of {name} -->"


def markdown(table: Sequence[Line]) -> str:
    """All tables, a heading and a table for each source that has a row."""
    parts = []
    for group in by_source(table).values():
        parts += [f"### {data_set(group).heading}", results(group).markdown()]
        if (effects := effect_table(group)).body:
            parts.append(effects.markdown())
        parts.append(footnote(group))
    return "\n\n".join(parts) + "\n"


def summary(table: Sequence[Line]) -> str:
    """What dropout does, in one table for the front page: what has been run, and what the paper has figures for."""
    header = ("data", "size", "metric", "without dropout", "with", "change", "paper, without", "with")
    body = []
    for group in by_source(table).values():
        name, several = data_set(group).title, len(sizes(group)) > 1
        for pair in pairs(group):
            rows = (pair.without, pair.regularized)
            for metric in group[0].row.config.primary_metrics():
                ours = [line.sample(metric.name) if line else None for line in rows]
                papers = [_papers(line.row, metric) if line else "–" for line in rows]
                if any(ours) or papers != ["–", "–"]:
                    shown = [sample.show(metric.digits) if sample else NOT_RUN for sample in ours]
                    effect = pair.effect(metric)
                    change = effect.show() if effect else "–"
                    body.append((name, pair.size if several else "–", metric.label, *shown, change, *papers))
                    name = ""
    legend = "Mean ± standard deviation over seeds, the change with its 95 % interval; the paper's figures where its"
    return f"{Table(header, tuple(body)).markdown()}\n\n{legend} data is ours."


def _papers(row: Row, metric: Metric) -> str:
    if not row.published or row.published.on or metric.name not in row.published.metrics:
        return "–"
    return metric.as_given(row.published.metrics[metric.name])


def results(group: Sequence[Line]) -> Table:
    """Every row of a source with its figures, the paper's beside them, and what needs no model."""
    config = group[0].row.config
    shown = config.shown_metrics()
    header = ["model", "dropout", "seeds", *(metric.label for metric in shown)]
    published = [line.row.published for line in group if line.row.published]
    compared = [metric for metric in shown if any(metric.name in paper.metrics for paper in published)]
    others_data = next((paper.on for paper in published if paper.on), "")
    if published:
        header.append(f"paper{f' on {others_data}' if others_data else ''} ({' / '.join(distinct_labels(compared))})")
        if not others_data:
            header.append("difference")
    header.append("note")
    body = []
    for line in group:
        cells = [model_name(line.row), placement(line.row.config), _seeds(line)]
        for metric in shown:
            sample = line.sample(metric.name)
            cells.append(sample.show(metric.digits) if sample else "–" if line.records else NOT_RUN)
        if published:
            cells.append(_published(line, compared))
            if not others_data:
                cells.append(_difference(line, compared))
        body.append((*cells, line.row.note))
    for name, scores in trivial_baselines(group).items():
        cells = [name, "none", "–"]
        cells += [f"{scores[metric.name]:.{metric.digits}f}" if metric.name in scores else "–" for metric in shown]
        body.insert(0, (*cells, *["–"] * (len(header) - len(cells) - 1), "no model"))
    return Table(tuple(header), tuple(body))


def distinct_labels(metrics: Sequence[Metric]) -> list[str]:
    """What tells metrics apart: their labels without the words that all of them begin or end with."""
    labels = [metric.label.split() for metric in metrics]
    if len(labels) < 2:
        return [metric.label for metric in metrics]
    for end in (0, -1):
        while all(len(words) > 1 for words in labels) and len({words[end] for words in labels}) == 1:
            for words in labels:
                del words[end]
    return [" ".join(words) for words in labels]


def _seeds(line: Line) -> str:
    """How many runs stand behind a line; of an average, how many of its members there are."""
    if not line.records:
        return "–"
    if line.row.ensemble_of:
        return f"{max(len(record.members) for record in line.records)} of {line.row.members}"
    return str(len(line.records))


def _published(line: Line, metrics: Sequence[Metric]) -> str:
    if not (paper := line.row.published):
        return "–"
    figures = [(metric, paper.metrics.get(metric.name)) for metric in metrics]
    return " / ".join("–" if value is None else metric.as_given(value) for metric, value in figures)


def _difference(line: Line, metrics: Sequence[Metric]) -> str:
    differences = [
        f"{sample.mean - line.comparable[metric.name]:+.{metric.digits}f}"
        for metric in metrics
        if metric.name in line.comparable and (sample := line.sample(metric.name))
    ]
    return " / ".join(differences) or "–"


def effect_table(group: Sequence[Line]) -> Table:
    """The effect of dropout at each size that has been run without it and with it."""
    header = ("effect of dropout", "metric", "without", "with", "change (95 % interval)", "", "interval")
    body = []
    for pair, effect in dropout_effects(group):
        name = (pair.regularized and pair.regularized.row.label) or pair.size
        digits = effect.metric.digits
        cells = (effect.before.show(digits), effect.after.show(digits), effect.show(), _share(effect))
        body.append((name, effect.metric.label, *cells, effect.method or "one run"))
    return Table(header, tuple(body))


def _share(effect: Effect) -> str:
    """An effect as a percentage of the metric without dropout; empty where that is 0."""
    won = (effect.change < 0) == (effect.metric.better == "lower")
    before = effect.before.mean
    return f"{'better' if won else 'worse'} by {abs(effect.change) / before:.0%}" if before else ""


def claims(table: Sequence[Line]) -> str:
    """Every claim of the paper with its test, and what was found on each source that has runs."""
    parts = ["# What the paper says, and what these runs show", HOW_TO_READ]
    judged = [judgement for judgement in judge(table) if judgement.is_run]
    for claim in dict.fromkeys(judgement.claim for judgement in judged):
        parts += [f"## {claim.says}", f"Section {claim.section}. Test: {claim.test}."]
        body = [
            (judgement.data_set.title, finding.about, finding.figures, finding.verdict)
            for judgement in judged
            if judgement.claim is claim
            for finding in judgement.findings
        ]
        parts.append(Table(("data", "comparison", "found", "verdict"), tuple(body)).markdown())
    return "\n\n".join(parts) + "\n"


def claims_summary(table: Sequence[Line]) -> Table:
    """A line a claim: its verdict on the quick profile's data and on the others'."""
    judged = [judgement for judgement in judge(table) if judgement.is_run]
    body = []
    for claim in dict.fromkeys(judgement.claim for judgement in judge(table)):
        cells = []
        for quick in (True, False):
            mine = [one for one in judged if one.claim is claim and ("quick" in one.profiles) == quick]
            cells.append("; ".join(one.in_short for one in mine) or NOT_RUN)
        body.append((claim.section, claim.says, *cells))
    return Table(("section", "claim", "quick profile", "real data"), tuple(body))


def footnote(group: Sequence[Line]) -> str:
    """What a reader of a source's tables must know."""
    config, records = group[0].row.config, [record for line in group for record in line.records]
    text = "Mean ± standard deviation over seeds."
    text += f" {config.training.label.capitalize()} is that of the last epoch as trained, dropout on."
    if "validation_perplexity_authors_convention" in {name for record in records for name in record.metrics}:
        text += " Perplexity is exact, over every predicted token; the CSV has the authors' convention beside it."
    left_out = {json.dumps(record.excluded) for record in records if record.excluded}
    for reasons in sorted(left_out):
        counted = ", ".join(f"{count} ({reason})" for reason, count in json.loads(reasons).items())
        text += f" Left out of the data, as the records say one by one: {counted}."
    if averages := [record for record in records if record.is_ensemble]:
        text += " An average's probability of a word is the mean of its members', and it has no spread."
        records = [record for record in records if record not in averages]
    for device in sorted({record.device for record in records}):
        here = [record for record in records if record.device == device]
        hours = sum(record.wall_seconds for record in here) / 3600
        text += f" {len(here)} runs on {device}: {hours:.1f} h in all."
    return text


def as_csv(table: Sequence[Line]) -> str:
    """One line per row with every final metric: mean, standard deviation, the paper's value and the difference."""
    names = sorted({name for line in table for record in line.records for name in record.metrics})
    names += sorted({line.row.config.training.name for line in table})
    header = ["row", "task", "source", "size", "cell", "dropout", "recurrent_dropout", "note", "seeds"]
    header += [f"{name}_{part}" for name in names for part in ("mean", "sd", "paper", "difference")]
    header += ["parameters", "throughput", "unit", "device"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for line in table:
        config, records = line.row.config, line.records
        cells = [line.row.name, config.task, config.source, line.row.size, config.cell]
        cells += [f"{config.dropout:g}", f"{config.recurrent_dropout:g}", line.row.note, str(len(records))]
        for name in names:
            sample = line.sample(name)
            paper = line.row.published.metrics.get(name) if line.row.published else None
            numbers = (
                sample and sample.mean,
                sample and sample.sd,
                paper,
                sample.mean - line.comparable[name] if sample and name in line.comparable else None,
            )
            cells += ["" if number is None else f"{number:.4f}" for number in numbers]
        cells += (
            [str(records[0].parameters), f"{statistics.median(record.throughput for record in records):.0f}"]
            if records
            else ["", ""]
        )
        writer.writerow([*cells, config.unit, " + ".join(sorted({record.device for record in records}))])
    return out.getvalue()


def insert(name: str, text: str, page: str, file: str) -> str:
    """The page with what stands between its markers of that name replaced by a text.

    Raises:
        UserError: the page has no such markers.
    """
    first, last = marker(name)
    begin, end = page.find(first), page.find(last)
    if begin < 0 or end < begin:
        raise UserError(f"{file} has no place for {name}; it needs the lines {first!r} and {last!r}")
    return f"{page[: begin + len(first)]}\n\n{text}\n{page[end:]}"


def write(files: dict[Path, str], check: bool) -> list[Path]:
    """Write generated files; with check, only find those that are not what they would be.

    Returns:
        The files that were, or with check would be, changed.

    Raises:
        UserError: a file cannot be written.
    """
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if check:
        return stale
    for path in stale:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
    return stale
