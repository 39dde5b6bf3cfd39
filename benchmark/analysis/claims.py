"""What the paper says, each claim with the test that decides it, held against the records."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.analysis.effects import Effect, against, compare, pairs
from benchmark.analysis.results import NOT_RUN, Line, Sample, by_source, data_set, model_name, plain
from benchmark.tasks.base import DataSet, Metric, Profile

Verdict = Literal["reproduced", "not reproduced", "not enough runs"]

ENOUGH = 5
"""Runs on each side after which an interval that has zero in it speaks against a claim, rather than for more runs."""

Group = Sequence[Line]
"""The lines of one task on one source."""


@dataclass(frozen=True)
class Finding:
    """One comparison that a claim rests on."""

    about: str
    """What is compared, in a few words."""
    figures: str
    """What was found."""
    verdict: Verdict
    """Whether it bears the claim out."""
    rows: tuple[str, ...]
    """Names of the rows that it needs."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper and the test applied to it."""

    section: str
    """Where the paper says it."""
    says: str
    """What it says, in our words."""
    test: str
    """What decides."""
    task: str
    """The task whose rows can show it."""
    findings: Callable[[Group], Iterable[Finding]]
    """The comparisons that it rests on, on one source."""


@dataclass(frozen=True)
class Judgement:
    """A claim on one source."""

    claim: Claim
    source: str
    """Name of the data set."""
    data_set: DataSet
    """What the data is."""
    profiles: tuple[Profile, ...]
    """The profiles that the data belongs to."""
    findings: tuple[Finding, ...]

    @property
    def is_run(self) -> bool:
        """Whether there are any figures yet."""
        return any(finding.figures != NOT_RUN for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """Reproduced where every comparison bears the claim out, not reproduced where one speaks against it."""
        found = {finding.verdict for finding in self.findings}
        if "not reproduced" in found:
            return "not reproduced"
        return "reproduced" if found == {"reproduced"} else "not enough runs"

    @property
    def in_short(self) -> str:
        """The verdict with the data's name, and how many comparisons bear the claim out where not all do."""
        bear_out = sum(finding.verdict == "reproduced" for finding in self.findings)
        count = "" if bear_out == len(self.findings) else f": {bear_out} of {len(self.findings)}"
        return f"{self.verdict} ({Path(self.source).name}{count})"


def judge(table: Iterable[Line]) -> list[Judgement]:
    """Every claim on every source that has rows for it."""
    groups = by_source(table)
    judgements = []
    for claim in CLAIMS:
        for source, group in groups.items():
            if group[0].row.config.task == claim.task and (findings := tuple(claim.findings(group))):
                profiles = group[0].row.profiles
                judgements.append(Judgement(claim, source, data_set(group), profiles, findings))
    return judgements


def _decide(effect: Effect) -> Verdict:
    if effect.gain is None:
        return "not enough runs"
    low, high = effect.gain
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < 0 or effect.runs >= ENOUGH else "not enough runs"


def _better(about: str, before: Line | None, after: Line | None, metric: Metric) -> Iterator[Finding]:
    """The finding that one row is better than another by more than chance; none where there is no such row."""
    if before is None or after is None:
        return
    names = (before.row.name, after.row.name)
    about = f"{about}, {metric.label}"
    if effect := compare(before, after, metric):
        yield Finding(about, _figures(effect), _decide(effect), names)
    else:
        yield Finding(about, NOT_RUN, "not enough runs", names)


def _figures(effect: Effect) -> str:
    digits, runs = effect.metric.digits, effect.runs
    method = f", {effect.method}" if effect.method else ""
    found = f"{effect.before.mean:.{digits}f} → {effect.after.mean:.{digits}f}, {effect.show()}"
    return f"{found}; {runs} run{'s' * (runs != 1)} each{method}"


def _test_perplexity(group: Group) -> Metric:
    return next(metric for metric in group[0].row.config.headline if metric.name == "test_perplexity")


def _dropout_helps_larger(group: Group) -> Iterator[Finding]:
    for pair in pairs(group):
        if pair.size != "small":
            yield from _better(pair.size, pair.without, pair.regularized, _test_perplexity(group))


def _large_beats_medium(group: Group) -> Iterator[Finding]:
    by_size = {pair.size: pair.regularized for pair in pairs(group)}
    about = "large against medium, both with dropout"
    yield from _better(about, by_size.get("medium"), by_size.get("large"), _test_perplexity(group))


def _larger_overfit(group: Group) -> Iterator[Finding]:
    by_size = {pair.size: pair.without for pair in pairs(group)}
    small = by_size.pop("small", None)
    for size, larger in by_size.items():
        yield from _better(f"small against {size}, without dropout", larger, small, _test_perplexity(group))


def _recurrent_is_worse(group: Group) -> Iterator[Finding]:
    for line in group:
        if line.row.config.recurrent_dropout:
            usual = plain(group, line.row.size, regularized=True)
            about = f"{line.row.size}, non-recurrent alone against recurrent too"
            yield from _better(about, line, usual, _test_perplexity(group))


def _averaging_helps(group: Group) -> Iterator[Finding]:
    """Each family's averages, from one model to the most: perplexity falls at every step."""
    metric = _test_perplexity(group)
    families = dict.fromkeys(line.row.ensemble_of for line in group if line.row.ensemble_of)
    for family in families:
        averages = sorted((line for line in group if line.row.ensemble_of == family), key=lambda line: line.row.members)
        whole = [line for line in averages if line.is_complete_ensemble]
        (single,) = (line for line in group if line.row.name == family)
        names = (family, *(line.row.name for line in averages))
        if not whole:
            yield Finding(model_name(single.row), NOT_RUN, "not enough runs", names)
            continue
        best = (min if metric.better == "lower" else max)(_values(single, metric))
        steps = [best, *(_values(line, metric)[0] for line in whole)]
        falls = all(later < earlier for earlier, later in itertools.pairwise(steps))
        verdict: Verdict = "not reproduced" if not falls else "reproduced" if len(whole) > 1 else "not enough runs"
        shown = [f"best single {best:.{metric.digits}f}"]
        shown += [f"{line.row.members}: {_values(line, metric)[0]:.{metric.digits}f}" for line in whole]
        dropout = "with dropout" if single.row.config.dropout else "without dropout"
        yield Finding(f"{model_name(single.row)} {dropout}, {metric.label}", ", ".join(shown), verdict, names)


def _values(line: Line, metric: Metric) -> tuple[float, ...]:
    sample = line.sample(metric.name)
    return sample.values if sample else ()


def _train_falls_validation_rises(group: Group) -> Iterator[Finding]:
    config = group[0].row.config
    for pair in pairs(group):
        without, regularized = pair.without, pair.regularized
        yield from _better(f"{pair.size}, without against with dropout", regularized, without, config.training)
        for metric in config.primary_metrics():
            yield from _better(f"{pair.size}, with against without dropout", without, regularized, metric)


def _dropout_helps_every_size(group: Group) -> Iterator[Finding]:
    for pair in pairs(group):
        for metric in group[0].row.config.primary_metrics():
            yield from _better(pair.size, pair.without, pair.regularized, metric)


def _as_good_as_ten(group: Group) -> Iterator[Finding]:
    """One regularized model wins at least the share of the average's gain over one model that it has in the paper."""
    for line in group:
        single = next((other for other in group if other.row.name == line.row.ensemble_of), None)
        regularized = single and plain(group, single.row.size, regularized=True)
        if not (single and regularized and line.row.published and single.row.published and regularized.row.published):
            continue
        names = (single.row.name, regularized.row.name, line.row.name)
        for metric in line.row.config.primary_metrics():
            papers = (single.row.published, regularized.row.published, line.row.published)
            one, ours, ten = (paper.metrics[metric.name] for paper in papers)
            if ten == one:  # rows of the user's own, with the figures of another
                continue
            share = (ours - one) / (ten - one)
            mean, average = single.sample(metric.name), line.sample(metric.name)
            if not (mean and average and line.is_complete_ensemble):
                yield Finding(metric.label, NOT_RUN, "not enough runs", names)
                continue
            needed = mean.mean + share * (average.mean - mean.mean)
            if effect := against(regularized, needed, metric):
                sample: Sample = effect.after
                figures = (
                    f"one without {mean.mean:.{metric.digits}f}, average {average.mean:.{metric.digits}f}, one with "
                    f"{sample.show(metric.digits)}; {share:.0%} of the way needs {needed:.{metric.digits}f}"
                )
                yield Finding(metric.label, figures, _decide(effect), names)


HOW_TO_READ = (
    "A claim is reproduced on data where every comparison bears it out, and not reproduced where one does not. An "
    f"interval that has zero in it asks for more runs while there are fewer than {ENOUGH} on a side, and from then on "
    "counts as not reproduced, on whichever side of zero its middle is."
)

INTERVAL = "the 95 % interval of the difference of means over seeds is on the claim's side of zero"

CLAIMS = (
    Claim(
        "4.1, Table 1",
        "Dropout on the non-recurrent connections lowers test perplexity at medium and large.",
        INTERVAL,
        "language-modeling",
        _dropout_helps_larger,
    ),
    Claim(
        "4.1, Table 1",
        "The regularized large model beats the regularized medium one.",
        INTERVAL,
        "language-modeling",
        _large_beats_medium,
    ),
    Claim(
        "4.1",
        "Without dropout larger models overfit, so that only a small one can be used.",
        f"test perplexity of medium and large is above that of small: {INTERVAL}",
        "language-modeling",
        _larger_overfit,
    ),
    Claim(
        "1 and 3",
        "Dropout on the recurrent connections too does worse than on the non-recurrent ones alone.",
        INTERVAL,
        "language-modeling",
        _recurrent_is_worse,
    ),
    Claim(
        "4.1, Table 1",
        "Averaging models helps in each family, and more of them help more.",
        "perplexity falls from the best single model to each larger average; at least two sizes of average",
        "language-modeling",
        _averaging_helps,
    ),
    Claim(
        "4.2, Table 2",
        "Speech: with dropout accuracy on training frames falls and on validation frames rises.",
        INTERVAL,
        "speech",
        _train_falls_validation_rises,
    ),
    Claim(
        "4.3, Table 3",
        "Translation: dropout improves perplexity and BLEU.",
        INTERVAL,
        "translation",
        _dropout_helps_every_size,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: dropout improves perplexity and BLEU of one model.",
        INTERVAL,
        "captions",
        _dropout_helps_every_size,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: one regularized model is about as good as an average of ten non-regularized ones.",
        "it wins at least the share of the average's gain over one model that it wins in the paper's table: the 95 % "
        "interval of its mean over seeds is on that side",
        "captions",
        _as_good_as_ten,
    ),
)
"""In the paper's order."""
