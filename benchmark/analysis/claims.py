"""The paper's claims, each with the test that decides it, judged by the records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.analysis import findings
from benchmark.analysis.findings import ENOUGH, Finding, Group, Verdict
from benchmark.analysis.results import NOT_RUN, RowResults, by_source, data_set
from benchmark.tasks.base import DataSet, Profile


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the test applied to it."""

    section: str
    """The paper's section and table that make it."""
    statement: str
    """The claim in our words."""
    test: str
    """What decides it, in words."""
    task: str
    """The task whose rows can show it."""
    findings: Callable[[Group], Iterable[Finding]]
    """The comparisons that it rests on, for the rows of one source."""


@dataclass(frozen=True)
class Judgment:
    """A claim judged on one source."""

    claim: Claim
    source: str
    """Name of the data set."""
    data_set: DataSet
    """Title and remark of the data set."""
    profiles: tuple[Profile, ...]
    """The profiles that the data belongs to."""
    findings: tuple[Finding, ...]

    @property
    def is_run(self) -> bool:
        """Whether any of its comparisons has been run."""
        return any(finding.figures != NOT_RUN for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """Reproduced if every comparison supports the claim, not reproduced if one contradicts it."""
        verdicts = {finding.verdict for finding in self.findings}
        if "not reproduced" in verdicts:
            return "not reproduced"
        return "reproduced" if verdicts == {"reproduced"} else "not enough runs"

    @property
    def in_short(self) -> str:
        """The verdict with the name of the data set and, unless all do, how many comparisons support the claim."""
        support = sum(finding.verdict == "reproduced" for finding in self.findings)
        count = "" if support == len(self.findings) else f": {support} of {len(self.findings)}"
        return f"{self.verdict} ({Path(self.source).name}{count})"


def judge(table: Iterable[RowResults]) -> list[Judgment]:
    """Judge every claim on every source that has rows for it."""
    groups = by_source(table)
    judgments = []
    for claim in CLAIMS:
        for source, group in groups.items():
            if group[0].row.config.task == claim.task and (found := tuple(claim.findings(group))):
                judgments.append(Judgment(claim, source, data_set(group), group[0].row.profiles, found))
    return judgments


HOW_TO_READ = (
    "A claim is reproduced on a data set if every comparison supports it, and not reproduced if one contradicts it. An "
    f"interval that contains zero leaves a comparison undecided while a side has fewer than {ENOUGH} runs; from then "
    "on it counts as not reproduced, whichever side of zero its middle is on."
)

INTERVAL = "the 95 % interval of the difference of means over seeds is on the claim's side of zero"

CLAIMS = (
    Claim(
        "4.1, Table 1",
        "Dropout on the non-recurrent connections lowers test perplexity at medium and large.",
        INTERVAL,
        "language-modeling",
        findings.dropout_helps_medium_and_large,
    ),
    Claim(
        "4.1, Table 1",
        "The regularized large model beats the regularized medium one.",
        INTERVAL,
        "language-modeling",
        findings.large_beats_medium,
    ),
    Claim(
        "4.1",
        "Without dropout larger models overfit, so that only a small one can be used.",
        f"test perplexity of medium and large is above that of small: {INTERVAL}",
        "language-modeling",
        findings.larger_models_overfit,
    ),
    Claim(
        "1 and 3",
        "Dropout on the recurrent connections too does worse than on the non-recurrent ones alone.",
        INTERVAL,
        "language-modeling",
        findings.recurrent_dropout_is_worse,
    ),
    Claim(
        "4.1, Table 1",
        "Ensembles of models help in each family, and larger ensembles help more.",
        "perplexity falls from the best single model to each larger ensemble; at least two sizes of ensemble",
        "language-modeling",
        findings.larger_ensembles_are_better,
    ),
    Claim(
        "4.2, Table 2",
        "Speech: with dropout accuracy on training frames falls and on validation frames rises.",
        INTERVAL,
        "speech",
        findings.training_falls_validation_rises,
    ),
    Claim(
        "4.3, Table 3",
        "Translation: dropout improves perplexity and BLEU.",
        INTERVAL,
        "translation",
        findings.dropout_helps_every_size,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: dropout improves perplexity and BLEU of one model.",
        INTERVAL,
        "captions",
        findings.dropout_helps_every_size,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: one regularized model is about as good as an ensemble of ten non-regularized ones.",
        "it has at least the share of the ensemble's gain over one model that it has in the paper's table: the 95 % "
        "interval of its mean over seeds is on that side",
        "captions",
        findings.one_is_as_good_as_ten,
    ),
)
"""In the paper's order."""
