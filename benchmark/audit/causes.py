"""Names the likely causes of a difference, each with its reasons, the most specific first.

A rule looks for the mark that one kind of fault leaves on what runs keep: the data's checksum, the number of tokens,
learning rates, the first steps, curves and log-probabilities. The first steps say most: an update of plain SGD is
lr * min(norm, clip) long, so that they tell the scale of the loss, clipping and the learning rate apart.
"""

from collections.abc import Callable, Iterator

from benchmark.audit import evaluation_causes, training_causes
from benchmark.audit.evidence import Cause, Evidence

Rule = Callable[[Evidence], Iterator[Cause]]

RULES: tuple[Rule, ...] = (
    evaluation_causes.text,
    evaluation_causes.convention,
    evaluation_causes.window,
    evaluation_causes.evaluation,
    training_causes.configuration,
    training_causes.learning_rates,
    training_causes.loss_scale,
    training_causes.clipping,
    training_causes.state,
    training_causes.first_step,
    training_causes.environment,
    training_causes.seed,
    training_causes.curves,
    training_causes.code,
)


def likely_causes(evidence: Evidence) -> list[Cause]:
    """The likely causes of a difference, the likeliest first; none if runs of the same seeds are identical."""
    if evidence.is_identical:
        return []
    found = [cause for rule in RULES for cause in rule(evidence)]
    best: dict[str, Cause] = {}
    for cause in sorted(found, key=lambda cause: -cause.weight):
        best.setdefault(cause.name, cause)
    return list(best.values())
