"""Whether training in another precision gives the perplexity that training in float32 gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.analysis.effects import Effect, compare
from benchmark.analysis.findings import of_interest
from benchmark.analysis.results import RowResults, gather
from benchmark.analysis.same_data import seeds_of
from benchmark.analysis.verdicts import decide
from benchmark.store.diverged import read_diverged
from benchmark.store.records import FLOAT32, Record, Store
from benchmark.store.tunings import PRECISION


@dataclass(frozen=True)
class Comparison:
    """A row's runs in another precision beside those in float32."""

    row: str
    precision: str
    """The other precision, by Lightning's name."""
    effect: Effect
    """What the other precision changes in a metric of the test set."""

    @property
    def smallest(self) -> float:
        """The smallest difference of interest, in units of the metric."""
        return of_interest(self.effect.metric, self.effect.before.mean)

    @property
    def verdict(self) -> Literal["equivalent", "different", "undecided"]:
        """Equivalent where the whole interval over seeds is within the smallest difference of interest."""
        found = self.effect.interval
        if decide(found, self.smallest) == "equivalent":
            return "equivalent"
        return "different" if found and not found[0] <= 0 <= found[1] else "undecided"


def arithmetic(record: Record) -> str:
    """What a run multiplied matrices in: float32, TF32 as `--precision 32` has it on a GPU, or another precision."""
    if record.precision != FLOAT32:
        return record.precision
    return "TF32" if "TF32" in record.versions.get("cuda", "") else "float32"


def comparisons(table: Sequence[RowResults], store: Path) -> list[Comparison]:
    """Every row whose runs in another precision a store has, by each of its primary metrics.

    Of these, runs of the data of those in float32 count, however many there are of other data.

    Args:
        table: the rows with their records, of which those in float32 are compared with.
        store: the store of these records, in whose folder `precision` the others are.

    Raises:
        CorruptRecord: a record cannot be trusted.
    """
    inside = Store(store / PRECISION)
    records, lost = list(inside.records()), list(read_diverged(inside.root))
    rows, found = [results.row for results in table], []
    shown = {(one.row, one.data_sha256) for results in table for one in results.records if arithmetic(one) == "float32"}
    for precision in dict.fromkeys(record.precision for record in records):
        of_precision = [one for one in records if one.precision == precision and (one.row, one.data_sha256) in shown]
        of_lost = [run for run in lost if run.precision == precision]
        others = gather(rows, of_precision)
        for before, after in zip(table, others, strict=True):
            in_32 = tuple(record for record in before.records if arithmetic(record) == "float32")
            data = in_32[0].data_sha256 if in_32 else None
            one = RowResults(before.row, in_32, diverged=before.diverged)
            other = RowResults(before.row, after.records, diverged=seeds_of(before.row, of_lost, data))
            effects = (compare(one, other, metric) for metric in before.row.config.primary_metrics())
            found += [Comparison(before.row.name, precision, effect) for effect in effects if effect]
    return found


def all_diverged(table: Sequence[RowResults], store: Path) -> list[str]:
    """The names of rows whose runs in another precision all diverged; see `comparisons`."""
    inside = Store(store / PRECISION)
    rows = [results.row for results in table]
    return [results.row.name for results in gather(rows, inside.records(), store=inside) if results.is_lost]
