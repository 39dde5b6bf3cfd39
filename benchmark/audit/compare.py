"""Compares two sides: what differs, whether more than seeds do, from when on, in which tokens, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.analysis.findings import IN_POINTS, RELATIVELY
from benchmark.audit.causes import likely_causes
from benchmark.audit.configurations import configuration_of
from benchmark.audit.entries import quoted
from benchmark.audit.evidence import CURVES, Cause, Evidence
from benchmark.audit.history import History
from benchmark.audit.sides import Side
from benchmark.audit.tokens import TokenGroup, read_text, token_groups
from benchmark.store.records import Record
from benchmark.tasks.base import Row
from benchmark.tasks.metrics import kind_of
from datamodules.errors import UserError

RUN_BY_ALL = ("benchmark/training", "benchmark/tasks/base.py", "models", "datamodules")
"""The code that every row runs, but for OF_A_TASK and NOT_IN_RUNS."""
OF_A_TASK = {
    "language-modeling": ("benchmark/tasks/language_modeling.py", "models/language_model.py",
                          "datamodules/language_modeling"),
    "speech": ("benchmark/tasks/speech.py", "models/acoustic_model.py", "datamodules/speech"),
    "translation": ("benchmark/tasks/translation.py", "models/translator.py", "datamodules/translation"),
    "captions": ("benchmark/tasks/captioning.py", "models/captioner.py", "datamodules/captioning"),
}  # fmt: skip
"""The code that only the rows of one task run."""
NOT_IN_RUNS = ("models/evaluation_methods.py", "models/loaded.py", "models/loading.py", "models/requests.py")
"""The code of models that is for trained ones alone."""


@dataclass(frozen=True)
class Comparison:
    """Two sides of one row, compared."""

    evidence: Evidence
    causes: tuple[Cause, ...]
    """Likely causes, the likeliest first."""
    groups: tuple[TokenGroup, ...]
    """Groups of test tokens and their parts in the difference."""

    @property
    def verdict(self) -> str:
        """Whether and by how much the sides differ, in a sentence."""
        evidence = self.evidence
        if evidence.is_identical and self._lone_seeds:
            return "The runs of the seeds that both sides have agree to the last bit; the others are of one side only."
        if evidence.is_identical:
            runs = "The runs of the same seeds agree" if len(evidence.pairs) > 1 else "The runs agree"
            return f"A and B are identical. {runs} to the last bit in metrics, curves and log-probabilities."
        if not evidence.metrics:
            return "A and B have no metric in common."
        if not evidence.by_chance:
            return "A and B differ by more than seeds do."
        same = ", although their seeds are the same" if evidence.pairs and not self._lone_seeds else ""
        if evidence.is_equivalent:
            kind = "less than seeds do" if evidence.pairs else "chance"
            return f"A and B differ by {kind}{same}, and by less than is of interest ({RELATIVELY}, or {IN_POINTS})."
        names = [metric.name for metric in evidence.config.primary_metrics()] if evidence.config else []
        one = next((one for one in evidence.metrics if one.name in names), evidence.metrics[0])
        part = f" ({one.detectable / one.a:.1%})" if one.a else ""
        return (
            f"The difference of A and B cannot be told from that of seeds{same}: such runs find a shift of {one.name} "
            f"by {one.detectable:.3f}{part} with a power of 80 %."
        )

    @property
    def notes(self) -> list[str]:
        """What of the sides is compared and how, where it is not all of either with all of the other."""
        a, b, epoch = self.evidence.a, self.evidence.b, self.evidence.last_epoch
        if b.records:
            if not (self.evidence.pairs and self._lone_seeds):
                return []
            both = ", ".join(map(str, sorted({record.seed for record, _ in self.evidence.pairs})))
            return [
                f"Metrics are those of all runs; curves, steps and tokens are compared where both have a seed: {both}."
            ]
        found = list(b.notes)
        if epoch is None:
            found.append("A has no learning curve: its final metrics are compared with the last epoch of B.")
        elif any(curve[-1]["epoch"] != epoch for curve in (*a.curves, *b.curves)):
            found.append(f"Metrics are compared after epoch {epoch}, the last that both have.")
        used = {"epoch", "lr", *CURVES, *(one.name for one in self.evidence.metrics)}
        if others := [name for name in b.curve[0] if name not in used]:
            found.append(f"Not compared: {quoted(', '.join(others))} of B.")
        return found

    @property
    def _lone_seeds(self) -> bool:
        """Whether a seed is of one side only."""
        return {record.seed for record in self.evidence.a.records} != {
            record.seed for record in self.evidence.b.records
        }

    @property
    def curves(self) -> list[str]:
        """From which epoch on the curves differ, a sentence for each metric of an epoch."""
        found = []
        for name in CURVES:
            if not self.evidence.ratios(name):
                continue
            beyond, first = self.evidence.first_beyond_chance(name), self.evidence.first_difference(name)
            label = name.replace("_", " ")
            if first is None:
                found.append(f"{label}: the same in every epoch.")
            elif self.evidence.pairs:
                since = "from the first epoch on" if first == min(self.evidence.epochs) else f"from epoch {first} on"
                found.append(f"{label}: differs {since}{_beyond(beyond)}.")
            else:
                found.append(f"{label}: seeds differ{_beyond(beyond)}.")
        if len(steps := self._differing_steps()) and self.evidence.steps:
            found.append(f"first steps: they differ from step {steps[0]} on.")
        elif self.evidence.steps:
            found.append("first steps: the same.")
        return found

    def _differing_steps(self) -> list[int]:
        """The first steps, from 1, whose loss differs for the same seed."""
        count = min((len(steps) for steps in self.evidence.steps), default=0)
        return [step + 1 for step in range(count) if (self.evidence.step_change("loss", step) or 0) > 0]


def _beyond(epoch: int | None) -> str:
    return f", beyond what seeds do from epoch {epoch} on" if epoch else ", within what seeds do"


def compare(
    a: Side, b: Side, rows: Iterable[Row], history: History, references: Sequence[Record] = (), data: Path | None = None
) -> Comparison:
    """Compare two sides.

    Args:
        a: the side that is held to be right, such as one's own.
        b: the other one.
        rows: every row that is known.
        history: the suite's history, for the commits between the sides.
        references: records among which those of A's row tell the spread over seeds.
        data: folder of the data, for the words of the test set.

    Raises:
        UserError: a side has no runs, what lies beside its records cannot be read, or a published log has nothing that
            can be compared.
    """
    if not a.curves and not a.records:
        raise UserError(f"{a.title} has no runs")
    if not a.records:
        raise UserError(f"A is the published log {a.title}; name your own run first, and the log second")
    first = a.records[0]
    try:
        config = configuration_of(first, rows)
    except UserError:
        config = None
    kind = (first.fingerprint, first.data_sha256, first.members)  # an ensemble has the configuration of its members
    own = {  # a run may be in the store and among the committed ones
        (one.seed, one.finished, one.log_probabilities_sha256): one
        for one in references
        if (one.fingerprint, one.data_sha256, one.members) == kind
    }
    commits = _commits(a, b, history)
    evidence = Evidence(a, b, tuple(own.values()), config, commits)
    if not b.records:
        _require_something_in_common(evidence)
    text = read_text(evidence, data) if data else None
    return Comparison(evidence, tuple(likely_causes(evidence)), tuple(token_groups(evidence, text)))


def _require_something_in_common(evidence: Evidence) -> None:
    """Refuse a published log of other epochs than A's, or without a metric of A's.

    Raises:
        UserError: with what it has and what it may have.
    """
    a, b = evidence.a, evidence.b
    if a.curves and not evidence.epochs:
        first, last = b.curve[0]["epoch"], b.curve[-1]["epoch"]
        raise UserError(
            f"{b.title} has epochs {first:.15g} to {last:.15g}, A has 1 to {max(len(curve) for curve in a.curves)}: "
            "none is in both; count the epochs of the log from 1"
        )
    if not evidence.metrics:
        points = [point for curve in a.curves for point in curve[:1]] or [record.metrics for record in a.records]
        accepted = [name for name in points[0] if kind_of(name)]
        accepted = [*(["perplexity"] if "validation_perplexity" in accepted else []), *accepted]
        names = ", ".join(name for name in b.curve[0] if name != "epoch")
        where = f" after epoch {evidence.last_epoch}" if evidence.last_epoch else ""
        raise UserError(
            f"{b.title} has no metric that A has{where}: its columns are epoch, {quoted(names)}; columns that can be "
            f"compared are {', '.join(accepted)}"
        )


def _commits(a: Side, b: Side, history: History) -> tuple[str, ...] | None:
    """The commits between the sides that touch what the row runs; None where they are not known."""
    if not b.records:
        return None
    one, other = a.records[-1], b.records[-1]
    if not (one.is_clean and other.is_clean and {one.commit, other.commit} <= history.commits.keys()):
        return None
    return tuple(history.between(one.commit, other.commit, code_of(one.task)))


def code_of(task: str) -> list[str]:
    """What the rows of a task run, as paths for git: whatever is not known to be of another task or of no run."""
    others = [path for other, paths in OF_A_TASK.items() if other != task for path in paths]
    return [*RUN_BY_ALL, *OF_A_TASK.get(task, ()), *(f":(exclude){path}" for path in (*others, *NOT_IN_RUNS))]
