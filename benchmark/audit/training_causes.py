"""Rules for causes in the training: its settings, its first steps, its curves, its machine and its seeds."""

import math
import statistics
from collections.abc import Iterator, Sequence

from benchmark.audit.evidence import SAME, Cause, Evidence
from benchmark.store.records import Record

ROUNDING, PRECISION = 2e-5, 6e-3
"""Relative changes of the gradient's norm in the first step of the same seed: below the first it is the order in which
numbers are added, below the second their precision, and above it the parameters are other ones."""
FIRST_EPOCH = 1e-3
"""Relative change of a training metric after one epoch of the same seed that rounding or precision makes at most."""

BY_EFFECT = ("cell", "backbone", "lr", "dropout", "hidden_size", "layers", "recurrent_dropout", "clip", "epochs",
             "flat_epochs", "decay", "unroll", "batch_size", "init_range")  # fmt: skip
"""Fields by the size of the effect that they usually have."""
FIELDS = {"lr": "learning rate", "init_range": "initialization", "flat_epochs": "schedule", "decay": "schedule"}
"""Causes that fields of a configuration stand for, where another name says more."""


UPDATE = 0.01
"""Relative difference of the length of an update that comes from the rounding of parameters."""
ROUNDING_OF_LOGS = 0.01
"""Part by which a learning rate in somebody else's log may be rounded, as to two or three digits."""


def configuration(evidence: Evidence) -> Iterator[Cause]:
    """Fields of the configuration that are known to differ."""
    if not evidence.fields and not evidence.setting("protocol"):
        return
    names = {name: place for place, name in enumerate(BY_EFFECT)}
    fields = sorted(evidence.fields, key=lambda one: names.get(one.name.partition(".")[2], len(names)))
    for place, one in enumerate(fields):
        name = one.name.partition(".")[2]
        label = FIELDS.get(name, name)
        yield Cause(label, f"The configurations differ in {label}: {one.a} in A, {one.b} in B.",
                    ("the records say so",), 90 - min(place, 9))  # fmt: skip
    if protocol := evidence.setting("protocol"):
        yield Cause("protocol", f"The versions of the protocol differ: {protocol.a} and {protocol.b}.",
                    ("the records say so",), 79)  # fmt: skip


def learning_rates(evidence: Evidence) -> Iterator[Cause]:
    """Learning rates of the epochs, as they were: a factor throughout, or a schedule that begins at another epoch."""
    ratios = evidence.ratios("lr")
    rounding = 1e-6 if evidence.b.records else ROUNDING_OF_LOGS
    differing = [epoch for epoch, ratio in ratios.items() if abs(ratio) > rounding]
    if not differing:
        return
    if len(differing) == len(ratios) and max(ratios.values()) - min(ratios.values()) < 2 * rounding:
        factor = math.exp(ratios[differing[0]])
        yield Cause("learning rate", f"The learning rate of B is {factor:.3g} times that of A in every epoch.",
                    ("the curves hold the learning rate of each epoch",), 89)  # fmt: skip
    else:
        same = f"are the same until epoch {differing[0] - 1} and " if differing[0] > min(ratios) else ""
        reasons = [f"the learning rates {same}differ from epoch {differing[0]} on"]
        leaves = evidence.first_difference("train_perplexity")
        if leaves is not None:
            reasons.append(f"the training perplexities of the same seeds differ from epoch {leaves} on")
        which = "later" if ratios[differing[0]] > 0 else "earlier"
        yield Cause("schedule", f"The learning rate of B falls {which} than that of A: the schedule is off.",
                    tuple(reasons), 89)  # fmt: skip


def loss_scale(evidence: Evidence) -> Iterator[Cause]:
    """The loss of the first step: one that is averaged over tokens is `unroll` times less; a longer window adds up."""
    means = [
        [record.first_steps[0]["loss"] for record in side.records if record.first_steps]
        for side in (evidence.a, evidence.b)
    ]
    if not all(means):
        return
    ratio = statistics.fmean(means[1]) / statistics.fmean(means[0])
    unroll = float(evidence.a.records[0].configuration.get("unroll", 0))
    if not unroll or abs(ratio - 1) < 0.05 or evidence.setting("data") or evidence.setting("configuration.unroll"):
        return
    reasons: tuple[str, ...] = (f"the loss of the first step is {ratio:.3g} times that of A",)
    for title, factor in (("B", ratio), ("A", 1 / ratio)):
        if math.isclose(factor * unroll, 1, rel_tol=0.02):
            sentence = (
                f"The loss of {title} is averaged over the {unroll:g} tokens of a window, and so is its gradient."
            )
            yield Cause("loss averaged over tokens", sentence, reasons, 88)
            return
    counts = [steps_of_epoch(side.records) for side in (evidence.a, evidence.b)]
    if all(counts):  # windows that are twice as long are half as many, or nearly
        agrees = abs(math.log(ratio * counts[1] / counts[0])) < abs(math.log(ratio)) / 2
        reasons += (f"an epoch has {counts[1]:g} steps instead of {counts[0]:g}",)
    else:  # an older record: the first loss of a language model is known, others depend on what comes first
        agrees = evidence.a.records[0].task == "language-modeling"
    if agrees:
        steps = f"{ratio * unroll:.3g} time steps instead of {unroll:g}"
        yield Cause("unroll", f"The windows of B seem to have {steps}.", reasons, 87)


def steps_of_epoch(records: Sequence[Record]) -> float:
    """Steps of the first epoch of runs; 0 where they are not known, as of older records."""
    return next((one.first_steps[0].get("steps_of_epoch", 0.0) for one in records if one.first_steps), 0.0)


def clipping(evidence: Evidence) -> Iterator[Cause]:
    """Updates that are not lr * min(norm, clip), although the learning rate is as configured."""
    for title, side, other in (("B", evidence.b, evidence.a), ("A", evidence.a, evidence.b)):
        ratios = [ratio for record in side.records for ratio in update_ratios(record)]
        others = [ratio for record in other.records for ratio in update_ratios(record)]
        if not ratios or not others or max(abs(ratio - 1) for ratio in others) > 1e-3:
            continue
        if max(abs(ratio - 1) for ratio in ratios) < 1e-3:
            continue
        record = side.records[0]
        limit = max(step["update_norm"] / step.get("lr", record.curve[0]["lr"]) for step in record.first_steps)
        reasons = (
            f"its first updates are {min(ratios):.3g} to {max(ratios):.3g} times lr * min(norm, clip)",
            f"gradients of norm {limit:.3g} pass, although the limit is {record.configuration['clip']:g}",
        )
        if max(ratios) - min(ratios) < 1e-3:
            yield Cause("learning rate", f"The updates of {title} have another learning rate than its record says.",
                        reasons[:1], 86)  # fmt: skip
        else:
            unroll = record.configuration.get("unroll")
            mean = f", such as the norm of the mean over {unroll} tokens" if unroll else ""
            yield Cause("clipping", f"{title} clips another norm than the configuration says{mean}.", reasons, 88)


def update_ratios(record: Record) -> list[float]:
    """The length of each of the first updates over lr * min(norm, clip); 1 if the run did what its record says.

    Where steps have no learning rate, as in older records, one after the first may be of any epoch that it can be in.
    """
    clip = float(record.configuration.get("clip", math.inf))
    rates = [point["lr"] for point in record.curve if "lr" in point]
    found = []
    for number, step in enumerate(record.first_steps):
        possible = rates[: number + 1]  # an epoch has a step at least
        if "lr" in step:
            possible = [lr for lr in possible if lr == step["lr"]] or rates[:1]
        if possible and step["gradient_norm"] > 0:
            ratios = [step["update_norm"] / (lr * min(step["gradient_norm"], clip)) for lr in possible]
            found.append(next((ratio for ratio in ratios if abs(ratio - 1) < UPDATE), ratios[0]))
    return found


def state(evidence: Evidence) -> Iterator[Cause]:
    """The first step and its update are the same, the loss of the second is not: what it starts from differs."""
    changes = [evidence.step_change(name, 0) for name in ("loss", "gradient_norm", "update_norm")]
    second = evidence.step_change("loss", 1)
    if (
        None in changes
        or second is None
        or max(filter(None, [*changes, 0.0]), default=0) > ROUNDING
        or second < ROUNDING
    ):
        return
    yield Cause(
        "state not carried",
        "From the second window on the state differs: it is not carried, or windows come in another order.",
        (
            "the first step is the same, its update too",
            f"the loss of the second step differs by {100 * second:.2g} %",
        ),
        80,
    )


def first_step(evidence: Evidence) -> Iterator[Cause]:
    """The first step of the same seed: precision changes its gradient little, other parameters change it much."""
    change = evidence.step_change("gradient_norm", 0)
    explicit = evidence.setting("precision")
    if explicit:
        yield Cause("precision", f"A computes in {explicit.a}, B in {explicit.b}.", ("the records say so",), 82)
    if change is None or change < ROUNDING or evidence.setting("data"):
        return
    reasons = (f"with the same seed the gradient of the first step differs by {100 * change:.2g} %",)
    if change < PRECISION:
        loss = evidence.step_change("loss", 0) or 0.0
        yield Cause("precision", "One side computes in a lower precision, such as bfloat16.",
                    (*reasons, f"its loss differs by {100 * loss:.2g} % only"), 75)  # fmt: skip
    else:
        yield Cause("initialization", "The parameters start elsewhere: another range, distribution or order of draws.",
                    (*reasons, "more than precision changes it"), 74)  # fmt: skip


def environment(evidence: Evidence) -> Iterator[Cause]:
    """Machine, threads and versions, which change the order in which numbers are added."""
    change = evidence.step_change("gradient_norm", 0)
    small = change < ROUNDING if change is not None else evidence.by_chance
    for name in ("threads", "processor", "device", *(one.name for one in evidence.settings if "version" in one.name)):
        if one := evidence.setting(name):
            label = {"device": "processor"}.get(name, name)
            shown = "number of threads" if name == "threads" else label
            reason = "the difference begins in the last digits" if small else "it is larger than rounding"
            if change is None and small:  # of older records and of logs it is not known where the difference begins
                reason = "it cannot be told from what seeds do"
            yield Cause(label, f"The {shown} differs ({one.a}, {one.b}), so that sums are made in another order.",
                        (reason,), 65 - (name != "threads") - 2 * ("version" in name) if small else 15)  # fmt: skip


def seed(evidence: Evidence) -> Iterator[Cause]:
    """Other seeds, within what seeds do."""
    if evidence.a.records and evidence.b.records and not evidence.pairs:
        if evidence.by_chance:
            yield Cause("seed", _as_seeds_do(evidence), ("no metric differs by more than seeds do",), 70)
        else:
            yield Cause("seed", "The seeds differ, but the difference is larger than seeds explain.", (), 10)


def _as_seeds_do(evidence: Evidence) -> str:
    """What is said of a difference that seeds alone may explain: that they do only where it is known to be small."""
    if evidence.is_equivalent:
        return "They differ by chance, as seeds do."
    return "Other seeds may be all that differs: it cannot be told from what seeds do."


def curves(evidence: Evidence) -> Iterator[Cause]:
    """Curves alone, as of a published log: a constant factor, an epoch at which they part, or apart from the start."""
    validation, training = evidence.ratios("validation_perplexity"), evidence.ratios("train_perplexity")
    if not validation or evidence.steps or (evidence.pairs and training and max(map(abs, training.values())) < SAME):
        return
    if training and evidence.pairs and abs(next(iter(training.values()))) < FIRST_EPOCH:
        yield Cause("rounding", "Training differs by rounding at first: in the precision or the order of additions.",
                    ("the training metric of the first epoch hardly differs with the same seed",), 50)  # fmt: skip
        return
    leaves = evidence.first_beyond_chance("validation_perplexity") or evidence.first_beyond_chance("train_perplexity")
    if leaves is None:
        if evidence.b.records:
            return
        yield Cause("seed", _as_seeds_do(evidence), ("the curves are in each other's band throughout",), 60)
        return
    flat = float(evidence.a.records[0].configuration.get("flat_epochs", 0)) if evidence.a.records else 0
    if leaves > min(evidence.epochs) and flat and abs(leaves - 1 - flat) <= 1:
        yield Cause("schedule", "The learning rate begins to fall at another epoch.",
                    (f"the curves agree until epoch {leaves - 1}; the rate is flat for {flat:g}",), 55)  # fmt: skip
    elif leaves == min(evidence.epochs):
        both = " in training too" if training and evidence.first_beyond_chance("train_perplexity") == leaves else ""
        yield Cause(
            "training from the start",
            "Training differs from the first epoch on: learning rate, loss scale, clipping, initialization, state or "
            "text; a curve alone does not tell which.",
            (f"the curves are out of each other's band from epoch {leaves} on{both}",),
            30,
        )


def code(evidence: Evidence) -> Iterator[Cause]:
    """Other code."""
    one = evidence.setting("commit")
    if one and evidence.commits != ():
        touching = f"{len(evidence.commits)} commits between touch what the row runs" if evidence.commits else ""
        yield Cause("code", f"The code differs: commit {one.a} and {one.b}.", (touching or "the records say so",), 40)
