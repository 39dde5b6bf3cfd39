"""Tables, made from records only: Markdown for people, CSV for programs, and the README's between its markers."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import UserError
from benchmark.configs import Config
from benchmark.records import Record
from benchmark.rows import Row

CAPTIONS = {
    "ptb": "Language modelling, Penn Treebank (paper Table 1)",
    "sotu": "Language modelling, State of the Union addresses, quick profile (small text and scaled-down models, "
    "not comparable with the paper's numbers)",
}
"""Heading of each source's table; it says what the data is."""

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

    def sample(self, name: str) -> Sample | None:
        """A metric over the seeds; of the last epoch's curve where it is not a final metric. None without runs."""
        values = [record.metrics.get(name, record.curve[-1].get(name)) for record in self.records]
        return Sample(tuple(value for value in values if value is not None)) if values else None


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
    for source, group in by_source(table).items():
        parts += [f"### {CAPTIONS.get(source, f'{group[0].row.config.task}, {source}')}", _results(group)]
        if effect := _effect(group):
            parts.append(effect)
        parts.append(_footnote(group))
    return "\n\n".join(parts) + "\n"


def _results(group: Sequence[Line]) -> str:
    config = group[0].row.config
    header = ["model", "dropout", "seeds", config.training.label, *(metric.label for metric in config.headline)]
    if has_published := any(line.row.published for line in group):
        header += [f"paper ({' / '.join(metric.label.split()[0] for metric in config.headline)})", "difference"]
    header.append("note")
    body = []
    for line in group:
        cells = [line.row.size + (" (plain RNN)" if line.row.config.cell == "rnn" else ""), placement(line.row.config)]
        cells.append(str(len(line.records)) if line.records else "–")
        for metric in (config.training, *config.headline):
            sample = line.sample(metric.name)
            cells.append(sample.show(metric.digits) if sample else NOT_RUN)
        if has_published:
            cells += [_published(line), _difference(line)]
        body.append([*cells, line.row.note])
    return _table(header, body)


def placement(config: Config) -> str:
    """Where a configuration drops, and how much of it."""
    if not config.dropout and not config.recurrent_dropout:
        return "none"
    where = f"{config.dropout:g}"
    return f"{where}, recurrent too" if config.recurrent_dropout else where


def _published(line: Line) -> str:
    if not line.row.published:
        return "–"
    return " / ".join(
        f"{line.row.published.metrics[metric.name]:.{metric.digits}f}" for metric in line.row.config.headline
    )


def _difference(line: Line) -> str:
    if not (line.row.published and line.records):
        return "–"
    return " / ".join(
        f"{sample.mean - line.row.published.metrics[metric.name]:+.{metric.digits}f}"
        for metric in line.row.config.headline
        if (sample := line.sample(metric.name))
    )


def _effect(group: Sequence[Line]) -> str:
    """What dropout does at each size: the rows that differ in it alone, side by side."""
    metric = group[0].row.config.headline[-1]
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
                    size,
                    before.show(metric.digits),
                    after.show(metric.digits),
                    f"{change:+.{metric.digits}f}",
                    f"{'better' if won else 'worse'} by {abs(change) / before.mean:.0%}",
                ]
            )
    return _table(["effect of dropout", f"{metric.label} without", "with", "change", ""], body) if body else ""


def _plain(group: Sequence[Line], size: str, regularized: bool) -> Line | None:
    """The LSTM of a size with or without dropout on its non-recurrent connections, nothing else about it special."""
    for line in group:
        config = line.row.config
        special = config.recurrent_dropout or config.cell != "lstm" or config.backbone != type(config).backbone
        if line.row.size == size and bool(config.dropout) == regularized and not special:
            return line
    return None


def _footnote(group: Sequence[Line]) -> str:
    config, records = group[0].row.config, [record for line in group for record in line.records]
    text = "Mean ± standard deviation over seeds."
    text += f" {config.training.label.capitalize()} is that of the last epoch as trained, dropout on."
    if "validation_perplexity_authors_convention" in {name for record in records for name in record.metrics}:
        text += " Perplexity is exact, over every predicted token; the CSV has the authors' convention beside it."
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
