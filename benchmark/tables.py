"""Tables, made from records only: Markdown for people, CSV for programs, and the README's between its markers."""

import csv
import io
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import UserError
from benchmark.configs import Config, Metric, Row
from benchmark.records import Record
from benchmark.rows import CAPTIONS

NOT_RUN = "not run yet"

MARKERS = ("<!-- results: made by `make table`, do not edit -->", "<!-- end of results -->")


@dataclass(frozen=True)
class Sample:
    """One metric over the seeds of a row."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1), None for a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def show(self, digits: int) -> str:
        """Mean and spread for a table cell."""
        spread = "" if self.sd is None else f" ± {self.sd:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


@dataclass(frozen=True)
class Line:
    """A row of the table with the records it was run with."""

    row: Row
    records: tuple[Record, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is the suite's LSTM, with or without dropout on its non-recurrent connections, nothing else."""
        config = self.row.config
        special = config.recurrent_dropout or config.cell != "lstm" or config.backbone != type(config).backbone
        return not (special or config.layers == 0 or self.row.average_of)

    def sample(self, name: str) -> Sample | None:
        """A metric over the seeds, of the last epoch where it is not a final metric. None where no run has it."""
        last = [{**(record.curve[-1] if record.curve else {}), **record.metrics} for record in self.records]
        values = tuple(metrics[name] for metrics in last if name in metrics)
        return Sample(values) if values else None


def lines(rows: Iterable[Row], records: Iterable[Record], warnings: list[str] | None = None) -> list[Line]:
    """Give each row the records that are its own: same name, configuration, protocol and data, one per seed.

    Args:
        rows: the rows, in the order of the table.
        records: whatever a store holds.
        warnings: takes one line for each record left out because its row has changed since, or its data differs.
    """
    by_row: dict[str, list[Record]] = {}
    for record in records:
        by_row.setdefault(record.row, []).append(record)
    found = []
    for row in rows:
        fingerprint = row.config.fingerprint()
        own = [record for record in by_row.get(row.name, []) if record.fingerprint == fingerprint]
        data = [record.data_sha256 for record in own]
        common = max(sorted(set(data)), key=data.count) if data else ""
        kept = {record.seed: record for record in own if record.data_sha256 == common}
        if warnings is not None and (left_out := len(by_row.get(row.name, [])) - len(kept)):
            warnings.append(f"{row.name}: {left_out} records of another configuration, protocol or data are left out")
        found.append(Line(row, tuple(kept[seed] for seed in sorted(kept))))
    return found


def by_source(table: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of each source, in the order of the table: what one table or one figure shows."""
    groups: dict[str, list[Line]] = {}
    for line in table:
        groups.setdefault(line.row.config.source, []).append(line)
    return groups


def markdown(table: Sequence[Line]) -> str:
    """All tables, a heading and a table for each source that has a row."""
    parts = []
    for group in by_source(table).values():
        parts += [f"### {caption(group)}", _results(group)]
        for metric in deciding(group[0].row.config):
            if effect := _effect(group, metric):
                parts.append(effect)
        parts.append(_footnote(group))
    return "\n\n".join(parts) + "\n"


def summary(table: Sequence[Line]) -> str:
    """What dropout does, in one table for the front page: what has been run, and what the paper has figures for."""
    header = ["data", "size", "metric", "without dropout", "with", "change", "paper, without", "with"]
    body = []
    for group in by_source(table).values():
        name, sizes = caption(group).split(" (")[0], list(dict.fromkeys(line.row.size for line in group))
        for size in sizes:
            pair = [_plain(group, size, regularized) for regularized in (False, True)]
            for metric in deciding(group[0].row.config):
                ours = [line.sample(metric.name) if line else None for line in pair]
                papers = [_papers(line.row, metric) if line else "–" for line in pair]
                if any(ours) or papers != ["–", "–"]:
                    shown = [sample.show(metric.digits) if sample else NOT_RUN for sample in ours]
                    change = f"{ours[1].mean - ours[0].mean:+.{metric.digits}f}" if ours[0] and ours[1] else "–"
                    body.append([name, size if len(sizes) > 1 else "–", metric.label, *shown, change, *papers])
                    name = ""
    return (
        _table(header, body) + "\n\nMean ± standard deviation over seeds; the paper's figures where its data is ours."
    )


def deciding(config: Config) -> list[Metric]:
    """The metrics that models are compared by: those on the test set, or else the last of the headline."""
    return [metric for metric in config.headline if metric.name.startswith("test")] or [config.headline[-1]]


def _papers(row: Row, metric: Metric) -> str:
    if not row.published or row.published.on or metric.name not in row.published.metrics:
        return "–"
    return _as_given(row.published.metrics[metric.name], metric.digits)


def caption(group: Sequence[Line]) -> str:
    """Heading of the lines of one source: what the data is."""
    config = group[0].row.config
    return CAPTIONS.get(config.source, f"{config.task}, {config.source}")


def _results(group: Sequence[Line]) -> str:
    config = group[0].row.config
    shown = (config.training, *config.headline)
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
        body.append([*cells, line.row.note])
    for name, scores in baselines(group).items():
        cells = [name, "none", "–"]
        cells += [f"{scores[metric.name]:.{metric.digits}f}" if metric.name in scores else "–" for metric in shown]
        body.insert(0, [*cells, *["–"] * (len(header) - len(cells) - 1), "no model"])
    return _table(header, body)


def baselines(group: Sequence[Line]) -> dict[str, dict[str, float]]:
    """What needs no model, such as always naming the majority class: name and metrics, as the records have them."""
    return {
        name: scores
        for line in group
        for record in line.records
        for name, scores in record.details.get("baselines", {}).items()
    }


def model_name(row: Row) -> str:
    """What tables call a row's model."""
    if row.average_of:
        return f"average of {row.members} {row.label or row.size}"
    return (row.label or row.size) + (" (plain RNN)" if row.config.cell == "rnn" else "")


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
    if line.row.average_of:
        return f"{max(len(record.details['members']) for record in line.records)} of {line.row.members}"
    return str(len(line.records))


def placement(config: Config) -> str:
    """Where a configuration drops, and how much of it."""
    if not config.dropout and not config.recurrent_dropout:
        return "none"
    where = f"{config.dropout:g}"
    return f"{where}, recurrent too" if config.recurrent_dropout else where


def _published(line: Line, metrics: Sequence[Metric]) -> str:
    if not (paper := line.row.published):
        return "–"
    figures = [(paper.metrics.get(metric.name), metric.digits) for metric in metrics]
    return " / ".join("–" if value is None else _as_given(value, digits) for value, digits in figures)


def _as_given(value: float, digits: int) -> str:
    """A published figure with the decimals that it was given with, or as many as ours have."""
    return f"{value:.{max(digits, len(f'{value:g}'.partition('.')[2]))}f}"


def _difference(line: Line, metrics: Sequence[Metric]) -> str:
    if not (line.row.published and line.records):
        return "–"
    return " / ".join(
        f"{sample.mean - line.row.published.metrics[metric.name]:+.{metric.digits}f}"
        for metric in metrics
        if metric.name in line.row.published.metrics and (sample := line.sample(metric.name))
    )


def _effect(group: Sequence[Line], metric: Metric) -> str:
    """What dropout does at each size: the rows that differ in it alone, side by side."""
    body = []
    for size in dict.fromkeys(line.row.size for line in group):
        without, with_dropout = (_plain(group, size, regularized) for regularized in (False, True))
        if (
            without
            and with_dropout
            and (before := without.sample(metric.name))
            and (after := with_dropout.sample(metric.name))
        ):
            change = after.mean - before.mean
            won = (change < 0) == (metric.better == "lower")
            body.append(
                [
                    with_dropout.row.label or size,
                    before.show(metric.digits),
                    after.show(metric.digits),
                    f"{change:+.{metric.digits}f}",
                    f"{'better' if won else 'worse'} by {abs(change) / before.mean:.0%}" if before.mean else "",
                ]
            )
    return _table(["effect of dropout", f"{metric.label} without", "with", "change", ""], body) if body else ""


def _plain(group: Sequence[Line], size: str, regularized: bool) -> Line | None:
    """The plain line of a size, with or without dropout."""
    for line in group:
        if line.is_plain and line.row.size == size and bool(line.row.config.dropout) == regularized:
            return line
    return None


def _footnote(group: Sequence[Line]) -> str:
    config, records = group[0].row.config, [record for line in group for record in line.records]
    text = "Mean ± standard deviation over seeds."
    text += f" {config.training.label.capitalize()} is that of the last epoch as trained, dropout on."
    if "validation_perplexity_authors_convention" in {name for record in records for name in record.metrics}:
        text += " Perplexity is exact, over every predicted token; the CSV has the authors' convention beside it."
    left_out = {json.dumps(record.details["left_out"]) for record in records if record.details.get("left_out")}
    for reasons in sorted(left_out):
        counted = ", ".join(f"{count} ({reason})" for reason, count in json.loads(reasons).items())
        text += f" Left out of the data, as the records say one by one: {counted}."
    if averages := [record for record in records if "members" in record.details]:
        text += " An average's probability of a word is the mean of its members', and it has no spread."
        records = [record for record in records if record not in averages]
    for device in sorted({record.device for record in records}):
        here = [record for record in records if record.device == device]
        hours = sum(record.wall_seconds for record in here) / 3600
        text += f" {len(here)} runs on {device}: {hours:.1f} h in all."
    return text


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


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
                sample.mean - paper if sample and paper is not None else None,
            )
            cells += ["" if number is None else f"{number:.4f}" for number in numbers]
        cells += (
            [str(records[0].parameters), f"{statistics.median(record.throughput for record in records):.0f}"]
            if records
            else ["", ""]
        )
        writer.writerow([*cells, config.unit, " + ".join(sorted({record.device for record in records}))])
    return out.getvalue()


def insert(text: str, page: str, name: str) -> str:
    """The page with what stands between its markers replaced by a text.

    Raises:
        UserError: the page has no markers.
    """
    begin, end = (page.find(marker) for marker in MARKERS)
    if begin < 0 or end < begin:
        raise UserError(f"{name} has no place for the tables; it needs the lines {MARKERS[0]!r} and {MARKERS[1]!r}")
    return f"{page[: begin + len(MARKERS[0])]}\n\n{text}\n{page[end:]}"


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
