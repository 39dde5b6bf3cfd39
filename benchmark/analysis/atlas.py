"""The atlas: every method of regularization against none and against the paper's dropout, judged by one test.

The methods of a data set and size are the rows of the profile atlas, a user's own among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.analysis.effects import Effect, compare
from benchmark.analysis.findings import of_interest
from benchmark.analysis.intervals import CONFIDENCE, Component, seeds_and_items
from benchmark.analysis.names import short_names
from benchmark.analysis.results import RowResults, by_source, data_set, plain, sizes
from benchmark.analysis.samples import Sample
from benchmark.analysis.tuning import Tuned, read_tuned
from benchmark.analysis.verdicts import holm, p_of_difference, p_of_equivalence
from benchmark.store.tunings import TUNING
from benchmark.tasks.base import DataSet, Metric, Row, Size
from benchmark.tasks.methods import METHODS

Standing = Literal["better", "equivalent", "worse", "undecided"]
"""A method beside another: equivalent if no difference of interest is possible, undecided if more runs are needed."""


@dataclass(frozen=True)
class Tested:
    """The outcome of testing a change, corrected for the number of methods."""

    p: float
    """Holm's p-value of there being no difference."""
    standing: Standing


@dataclass(frozen=True)
class Against:
    """A method beside the one that it is compared with."""

    effect: Effect
    smallest: float
    """The smallest difference of interest, in units of the metric."""
    over_seeds: Tested | None
    """On this test set; None if one of them has a single run."""
    with_items: Tested | None
    """On other test sets of the kind; None if runs do not keep what they give for each item."""


@dataclass(frozen=True)
class Method:
    """One method that has been run."""

    results: RowResults
    sample: Sample
    """The test metric over seeds."""
    against_none: Against | None
    """None for that row itself, and if it has no runs."""
    against_paper: Against | None
    """The same for the paper's dropout."""
    tuned: Tuned | None
    """The tuning whose best settings it has; None if it has those of its source."""

    @property
    def name(self) -> str:
        """The method's name in tables and figures."""
        row = self.results.row
        by_place = METHODS["dropout" if row.config.dropout else "none"].label if self.results.is_plain else row.name
        return row.label or by_place


@dataclass(frozen=True)
class Atlas:
    """The methods of one data set and size, the best first."""

    data_set: DataSet
    name: str
    """Begins the names of its figures: that of the data set and the size."""
    size: Size
    metric: Metric
    methods: tuple[Method, ...]
    none: RowResults | None
    """The row without regularization."""
    paper: RowResults | None
    """The row of the paper's dropout."""

    def having(self, standing: Standing) -> list[str]:
        """Names of the methods that stand so beside the paper's dropout, on this test set."""
        return [one.name for one in self.methods if one.against_paper and _standing(one.against_paper) == standing]


def _standing(against: Against) -> Standing:
    return against.over_seeds.standing if against.over_seeds else "undecided"


def atlases(table: Sequence[RowResults]) -> list[Atlas]:
    """The atlas of each data set and size that methods have been run on.

    Where the profile has no row without regularization or with the paper's dropout, those of another one are taken.
    """
    every = by_source(table)
    names = short_names(every)
    groups: dict[str, list[RowResults]] = {}
    for source, rows in every.items():
        run = [results for results in rows if results.records]
        of_methods = [results for results in run if "atlas" in results.row.profiles]
        for size in sizes(of_methods):
            of_size = [results for results in of_methods if results.row.size == size]
            groups[f"{names[source]}-{size}"] = _with_references(of_size, run)
    stores = {results.store.root for results in table if results.store}
    tunings = [tuned for root in sorted(stores) for tuned in read_tuned(root / TUNING)] if groups else []
    return [_atlas(group, tunings, name) for name, group in groups.items()]


def _with_references(group: Sequence[RowResults], run: Sequence[RowResults]) -> list[RowResults]:
    """The methods of a data set and size, and the rows they are compared with if these are not among them.

    Args:
        group: the methods.
        run: the rows of the data set that have runs.
    """
    size = group[0].row.size
    missing = [plain(run, size, regularized=kind) for kind in (False, True) if not plain(group, size, regularized=kind)]
    return [*group, *(one for one in missing if one)]


def not_run(table: Sequence[RowResults]) -> list[Row]:
    """The rows of the atlas that have no runs, nor has the same method with other settings."""
    rows = [results for results in table if "atlas" in results.row.profiles]
    run = {_method(results.row) for results in rows if results.records or results.is_lost}
    return [results.row for results in rows if not results.records and _method(results.row) not in run]


def lost(table: Sequence[RowResults]) -> list[Row]:
    """The rows of the atlas whose runs all diverged."""
    return [results.row for results in table if "atlas" in results.row.profiles and results.is_lost]


def _method(row: Row) -> tuple[str, str, Size, str]:
    """What a row is of: its data, its size and its method."""
    return row.config.task, row.config.source, row.size, row.label or row.name


def _atlas(group: Sequence[RowResults], tunings: Sequence[Tuned], name: str) -> Atlas:
    metric = group[0].row.config.primary_metrics()[0]
    none, paper = (plain(group, group[0].row.size, regularized=kind) for kind in (False, True))
    against_none, against_paper = _against(none, group, metric), _against(paper, group, metric)
    methods = [
        Method(
            results,
            sample,
            against_none.get(results.row.name),
            against_paper.get(results.row.name),
            next((tuned for tuned in tunings if tuned.is_of(results.row.config)), None),
        )
        for results in group
        if (sample := results.sample(metric.name))
    ]
    methods.sort(key=lambda one: one.sample.mean, reverse=metric.better == "higher")
    return Atlas(data_set(group), name, group[0].row.size, metric, tuple(methods), none, paper)


def _against(reference: RowResults | None, group: Sequence[RowResults], metric: Metric) -> Mapping[str, Against]:
    """Each other method of a group beside one of them, by the name of its row; all of these are one family of tests."""
    if reference is None:
        return {}
    effects = {
        results.row.name: effect
        for results in group
        if results is not reference and (effect := compare(reference, results, metric))
    }
    smallest = {name: of_interest(metric, effect.before.mean) for name, effect in effects.items()}
    over_seeds = {name: effect.over_seeds for name, effect in effects.items()}
    with_items = {
        name: seeds_and_items(effect.over_seeds, effect.over_items) if effect.over_seeds and effect.over_items else None
        for name, effect in effects.items()
    }
    this_text, others = (_tested(effects, errors, smallest) for errors in (over_seeds, with_items))
    return {
        name: Against(effect, smallest[name], this_text.get(name), others.get(name)) for name, effect in effects.items()
    }


def _tested(
    effects: Mapping[str, Effect], errors: Mapping[str, Component | None], smallest: Mapping[str, float]
) -> dict[str, Tested]:
    """The tests of those changes whose error is known.

    Two families are corrected, each at 5 %: that there is no difference, and that there is one of interest.
    """
    known = {name: error for name, error in errors.items() if error}
    different = holm([p_of_difference(effects[name].change, error) for name, error in known.items()])
    equivalent = holm([p_of_equivalence(effects[name].change, error, smallest[name]) for name, error in known.items()])
    found = {}
    for name, p, p_equivalent in zip(known, different, equivalent, strict=True):
        standing: Standing = "undecided"
        if p_equivalent <= 1 - CONFIDENCE:
            standing = "equivalent"
        elif p <= 1 - CONFIDENCE:
            effect = effects[name]
            standing = "better" if (effect.change < 0) == (effect.metric.better == "lower") else "worse"
        found[name] = Tested(p, standing)
    return found
