"""The paper's claims, each with the test that decides it, judged by the records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmark.analysis import ensemble_findings, findings
from benchmark.analysis.findings import Finding, Group
from benchmark.analysis.intervals import CONFIDENCE
from benchmark.analysis.names import short_names
from benchmark.analysis.results import NOT_RUN, RowResults, by_source, data_set
from benchmark.analysis.verdicts import Verdict
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
    findings: Callable[[Group, float], Iterable[Finding]]
    """The comparisons that it rests on, for the rows of one source and the confidence of their intervals."""

    @property
    def place(self) -> str:
        """Where the paper makes it, in words."""
        return f"Section{'s' * (' and ' in self.section)} {self.section}"


@dataclass(frozen=True)
class Judgment:
    """A claim judged on one source."""

    claim: Claim
    source: str
    """Where the data set comes from."""
    name: str
    """Short name of the data set."""
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
    def deciding(self) -> list[Finding]:
        """The comparisons that decide: those at the paper's size, by metrics above their floor."""
        return [finding for finding in self.findings if not finding.shown_only]

    @property
    def is_decided_here(self) -> bool:
        """Whether the claim is decided on this data at all; elsewhere its comparisons are shown only."""
        return bool(self.deciding) and not self.data_set.decides_nothing

    def reason_shown_only(self, finding: Finding) -> str:
        """The reason why one of its comparisons decides nothing; empty where it decides."""
        return self.data_set.decides_nothing or finding.shown_only

    @property
    def verdict(self) -> Verdict:
        """Reproduced if every deciding comparison is; else the first of these that any of them is.

        A single contradicted or equivalent comparison is enough against a claim that all of them have to bear out.
        """
        verdicts = {finding.verdict for finding in self.deciding} if self.is_decided_here else set()
        order: tuple[Verdict, ...] = ("contradicted", "equivalent", "undecided", "reproduced")
        return next((one for one in order if one in verdicts), "undecided")

    @property
    def in_short(self) -> str:
        """The verdict with the name of the data set and, unless all do, how many comparisons support the claim."""
        if not self.is_decided_here:
            return f"not decided on this data ({self.name})"
        support = sum(finding.verdict == "reproduced" for finding in self.deciding)
        count = "" if support == len(self.deciding) else f": {support} of {len(self.deciding)}"
        return f"{self.verdict} ({self.name}{count})"


def judge(table: Iterable[RowResults], confidence: float = CONFIDENCE) -> list[Judgment]:
    """Judge every claim on every source that has rows for it."""
    groups = by_source(table)
    names = short_names(groups)
    judgments = []
    for claim in CLAIMS:
        for source, group in groups.items():
            if group[0].row.config.task == claim.task and (found := tuple(claim.findings(group, confidence))):
                judgments.append(Judgment(claim, source, names[source], data_set(group), group[0].row.profiles, found))
    return judgments


HOW_TO_READ = (
    "Each comparison has the 95 % interval (Welch) of the change over seeds, on this test set, and where the runs keep "
    "what they give for each test item the interval over seeds and test items, which says what other test sets of the "
    "kind would show. The smallest difference of interest is half of the paper's own effect, or where the paper has "
    f"none {findings.RELATIVELY} of perplexity or {findings.IN_POINTS} of accuracy or BLEU.\n\n"
    "- **Reproduced**: the whole interval is on the claim's side of zero, and its far end reaches the smallest "
    "difference of interest.\n"
    "- **Equivalent**: the whole interval is within the smallest difference of interest, on either side of zero.\n"
    "- **Contradicted**: the interval ends below the smallest difference of interest on the claim's side, and reaches "
    "that far or farther on the other side.\n"
    "- **Undecided**: more runs are needed; `rnnreg power` says how many.\n\n"
    "A claim is reproduced if all its deciding comparisons are. Comparisons that decide nothing are shown only, with "
    "the reason: sizes that the paper does not have, metrics so low that they say nothing, data that cannot carry a "
    "claim."
)

INTERVAL = "the 95 % interval over seeds of the difference of means"

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
        "An ensemble of models is better than one of them, by at least half as much as in Table 1.",
        "the 95 % interval (jackknife over models) of the part of one model's test perplexity that an ensemble takes "
        "away, over all choices of its members: reproduced above half of the paper's part, contradicted below it",
        "language-modeling",
        ensemble_findings.ensembles_gain,
    ),
    Claim(
        "4.2, Table 2",
        "Speech: with dropout accuracy on training frames falls and on held-out frames rises.",
        f"accuracy on training frames with dropout off, and on a test set where the paper has validation: {INTERVAL}",
        "speech",
        findings.training_falls_validation_rises,
    ),
    Claim(
        "4.3, Table 3",
        "Translation: dropout improves perplexity and BLEU.",
        INTERVAL,
        "translation",
        findings.translation_improves,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: dropout improves perplexity and BLEU of one model.",
        INTERVAL,
        "captions",
        findings.captions_improve,
    ),
    Claim(
        "4.4, Table 4",
        "Captions: one regularized model is about as good as an ensemble of ten non-regularized ones.",
        "the 95 % interval (jackknife over members, seeds of the regularized model) of the share of the way from one "
        "model to the ensemble: reproduced above half of the paper's share, contradicted below it",
        "captions",
        ensemble_findings.one_is_as_good_as_ten,
    ),
)
"""In the paper's order."""
