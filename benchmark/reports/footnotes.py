"""The text under a source's tables."""

import json
from collections.abc import Iterator, Sequence

from benchmark.analysis.effects import pairs
from benchmark.analysis.precision import arithmetic
from benchmark.analysis.results import RowResults
from benchmark.analysis.same_data import differences, differing
from benchmark.formatting import count
from benchmark.store.records import Record
from datamodules.vocabulary import NOTED_UNKNOWN_SHARE


def footnote(group: Sequence[RowResults]) -> str:
    """How the tables are to be read, what the data is like, settings that were tried, devices and hours."""
    records = [record for results in group for record in results.records]
    parts = (_figures(group, records), _compared(group), _data(records), _settings(group), _devices(records))
    return " ".join(line for lines in parts for line in lines)


def _figures(group: Sequence[RowResults], records: Sequence[Record]) -> Iterator[str]:
    """What the figures of the tables are."""
    config, measured = group[0].row.config, {name for record in records for name in record.metrics}
    yield "Mean ± standard deviation over seeds."
    training = config.training.label.capitalize()
    if config.training_without_dropout().name in measured:
        yield f"{training} is that of the last epoch, measured with dropout on; the other is the final model's."
    else:
        yield f"{training} is that of the last epoch, measured with dropout on."
    if "validation_perplexity_authors_convention" in measured:
        yield "Perplexity is exact, over every predicted token; the CSV also has that of the authors' convention."
    if "test_bleu_tokenized" in measured and any(results.comparable for results in group):
        yield "The paper's BLEU is of tokenized text; it is compared with ours of tokenized text, which is in the CSV."
    for remark in sorted({remark for record in records for remark in record.bleu_remarks}):
        runs = [record for record in records if remark in record.bleu_remarks]
        rows = ", ".join(dict.fromkeys(record.row for record in runs))
        yield f"BLEU of {count(len(runs), 'run')} ({rows}): {remark}."
    if any(record.is_ensemble for record in records):
        yield (
            "An ensemble's probability of a word is the mean of its members' probabilities; the spread of its "
            "perplexity is that over choices of members."
        )


def _compared(group: Sequence[RowResults]) -> Iterator[str]:
    """The pairs of rows, without dropout and with it, whose figures are of other data, or which differ in more."""
    for pair in pairs(group):
        rows = [results.row for results in (pair.without, pair.regularized) if results and results.records]
        if len(rows) < 2:
            continue
        one, other = (row.config for row in rows)
        names = f"{rows[0].name} and {rows[1].name}"
        if why := differences(one, other):
            yield f"{names} are not compared, as their data differs: {why}."
        if why := differing(one, other, [name for name in vars(one) if name not in ("dropout", *one.of_data)]):
            yield f"{names} differ in more than dropout: {why}."


def _data(records: Sequence[Record]) -> Iterator[str]:
    """What was left out of the data, its unknown words, and what its splits have in common."""
    for reasons in sorted({json.dumps(record.excluded) for record in records if record.excluded}):
        counted = ", ".join(f"{count} ({reason})" for reason, count in json.loads(reasons).items())
        yield f"Left out of the data: {counted}."
    for shares in sorted({json.dumps(record.unknown_words) for record in records if record.unknown_words}):
        noted = [(split, share) for split, share in json.loads(shares).items() if share > NOTED_UNKNOWN_SHARE]
        if noted:
            yield f"Unknown words: {', '.join(f'{share:.1%} of the {split} tokens' for split, share in noted)}."
    for shares in sorted({json.dumps(record.shared_phrases) for record in records if record.shared_phrases}):
        each = " and ".join(f"{share:.1%} of those of the {split} set" for split, share in json.loads(shares).items())
        yield f"Of runs of four words, {each} are in the training set as well."


def _settings(group: Sequence[RowResults]) -> Iterator[str]:
    """The settings that were tried before those of the rows were chosen."""
    for tried in dict.fromkeys(results.row.tried for results in group if results.row.tried):
        yield f"Settings tried: {tried}."


def _devices(records: Sequence[Record]) -> Iterator[str]:
    trained = [record for record in records if not record.is_ensemble]
    for device, how in sorted({(record.device, arithmetic(record)) for record in trained}):
        here = [record for record in trained if (record.device, arithmetic(record)) == (device, how)]
        hours = sum(record.wall_seconds for record in here) / 3600
        other = f" in {how}" if how != "float32" else ""
        yield f"{count(len(here), 'run')} on {device}{other}: {hours:.1f} h in total."
