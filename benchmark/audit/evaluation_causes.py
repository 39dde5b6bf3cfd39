"""Rules for causes in the text and in the evaluation."""

import math
import statistics
from collections.abc import Iterator, Mapping

from benchmark.audit.configurations import words_of
from benchmark.audit.evidence import SAME, Cause, Evidence
from benchmark.store.records import Record

CONVENTION = "validation_perplexity_authors_convention"
"""The validation perplexity by the authors' convention, which divides a partial sum by the whole count."""

SPLITS = 2
"""Splits that runs keep log-probabilities of; of one alone, another token a line is not told from another text."""
LINES = (4, 200)
"""Tokens of a line, on average, in texts of short lines and in those of a paragraph a line."""
LENGTHS_APART = 0.25
"""Logarithm of the ratio by which lines of one split may be longer than those of another, on average."""


def text(evidence: Evidence) -> Iterator[Cause]:
    """Another text: merged words make fewer tokens and more word types, an `<eos>` too many only a token a line."""
    if not evidence.setting("data"):
        return
    one, other = evidence.a.records[0], evidence.b.records[0]
    counts = token_counts(evidence)
    reasons = [f"{split}: {before:,} and {after:,} tokens" for split, (before, after) in counts.items()]
    change = statistics.fmean(after / before for before, after in counts.values()) if counts else 1.0
    words = _words(evidence, one), _words(evidence, other)
    if words[0] and words[1]:
        reasons.append(f"vocabularies of {words[0]:,} and {words[1]:,} words, by the number of parameters")
    grows = bool(words[0] and words[1] and words[1] > words[0])
    shrinks = bool(words[0] and words[1] and words[1] < words[0])
    if (change < 1 and grows) or (change > 1 and shrinks):
        yield Cause("merged words", f"{'B' if grows else 'A'} was trained on a text in which words run together.",
                    (*reasons, "fewer tokens and more word types: spaces were lost"), 100)  # fmt: skip
    elif words[0] == words[1] and words[0] and _is_a_token_a_line(counts):
        more = "B" if change > 1 else "A"
        yield Cause("<eos> twice", f"{more} has more `<eos>` than lines, so that easy tokens lower its perplexity.",
                    (*reasons, "more tokens of the same words, by about the same part of each split, as of every line"),
                    100)  # fmt: skip
    else:
        yield Cause("another text", "A and B were trained on different data.",
                    (*reasons, "the checksums of the data differ"), 99)  # fmt: skip


def _is_a_token_a_line(counts: Mapping[str, tuple[int, int]]) -> bool:
    """Whether one side has a further token of every line, as far as numbers of tokens tell.

    It is then the same side that has more of each split, by the number of lines, which runs do not keep. Lines are of
    some usual length, LINES, and of nearly the same in each split: within LENGTHS_APART, or what chance makes of so
    many lines whose lengths spread as much as they are long. Sentences that are added to a split are no token a line.
    """
    further = [after - before for before, after in counts.values()]
    if len(further) < SPLITS or not (min(further) > 0 or max(further) < 0):
        return False
    lengths = [min(pair) / abs(more) for pair, more in zip(counts.values(), further, strict=True)]
    by_chance = 3 * math.sqrt(sum(1 / abs(more) for more in further))
    if min(lengths) < LINES[0] or max(lengths) > LINES[1]:
        return False
    return math.log(max(lengths) / min(lengths)) <= max(LENGTHS_APART, by_chance)


def convention(evidence: Evidence) -> Iterator[Cause]:
    """A perplexity measured by the authors' convention, which divides a partial sum by the whole count."""
    for one, other, title in ((evidence.a, evidence.b, "B"), (evidence.b, evidence.a, "A")):
        exact, by_convention = one.values("validation_perplexity"), one.values(CONVENTION)
        if not exact or not by_convention:
            continue
        effect = statistics.fmean(map(math.log, by_convention)) - statistics.fmean(map(math.log, exact))
        ratios = evidence.ratios("validation_perplexity")
        sign = 1 if one is evidence.a else -1
        if other.records:
            shift = statistics.fmean(map(math.log, other.values("validation_perplexity"))) - statistics.fmean(
                map(math.log, exact)
            )
            test = evidence.metric("test_perplexity")
            paired = [(record.metrics, another.metrics) for record, another in evidence.pairs]
            if one is evidence.b:
                paired = [(after, before) for before, after in paired]
            exactly = paired and all(
                math.isclose(before[CONVENTION], after.get("validation_perplexity", 0), rel_tol=1e-6)
                for before, after in paired
            )
            if exactly or (other.values(CONVENTION) == [] and _near(shift, effect) and (not test or test.by_chance)):
                reason = "the test perplexity does not differ by more than seeds do" if test else ""
                yield _by_convention(title, effect, reason, 98)
            continue
        spread = max(ratios.values(), default=0) - min(ratios.values(), default=0)
        if len(ratios) > 1 and _near(sign * statistics.fmean(ratios.values()), effect) and spread < abs(effect):
            yield _by_convention(title, effect, "the curves differ by the same factor in every epoch", 85)


def _near(shift: float, effect: float) -> bool:
    return abs(shift - effect) < 0.35 * abs(effect)


def _by_convention(title: str, effect: float, reason: str, weight: int) -> Cause:
    return Cause(
        "authors' convention",
        f"The validation perplexity of {title} is measured by the authors' convention, not exactly.",
        (
            f"that convention changes it by {100 * math.expm1(effect):+.1f} %, which is the difference",
            *filter(None, [reason]),
        ),
        weight,
    )


def window(evidence: Evidence) -> Iterator[Cause]:
    """A last, partial window that the evaluation leaves out."""
    counts = token_counts(evidence)
    if evidence.setting("data") or all(before == after for before, after in counts.values()):
        return
    fewer = "B" if all(after <= before for before, after in counts.values()) else "A"
    step = math.gcd(*(min(pair) for pair in counts.values()))
    reasons = [
        f"{split}: {before:,} and {after:,} tokens of the same text" for split, (before, after) in counts.items()
    ]
    if step > 1:
        reasons.append(f"{fewer} has multiples of {step}: whole windows")
    yield Cause("last window dropped", f"The evaluation of {fewer} leaves out the last, partial window.",
                tuple(reasons), 97)  # fmt: skip


def evaluation(evidence: Evidence) -> Iterator[Cause]:
    """The same training, step by step and epoch by epoch, but another validation: the evaluation differs."""
    training = evidence.ratios("train_perplexity") or evidence.ratios("train_frame_accuracy")
    validation = evidence.ratios("validation_perplexity") or evidence.ratios("validation_frame_accuracy")
    if not evidence.pairs or not training or max(map(abs, training.values())) > SAME:
        return
    if not validation or max(map(abs, validation.values())) < SAME or window_differs(evidence):
        return
    dropout = float(evidence.a.records[0].configuration.get("dropout", 0))
    worse = "B" if statistics.fmean(validation.values()) > 0 else "A"
    reasons = ["training is the same in every epoch, validation is not"]
    if dropout:
        reasons.append(
            f"{worse} is worse by {abs(100 * math.expm1(statistics.fmean(validation.values()))):.2g} % on average"
        )
        yield Cause("dropout at evaluation", f"Dropout ({dropout:g}) is left on when {worse} is evaluated.",
                    tuple(reasons), 84)  # fmt: skip
    else:
        yield Cause("evaluation", f"{worse} is evaluated in another way: its state may not be carried.",
                    tuple(reasons), 83)  # fmt: skip


def window_differs(evidence: Evidence) -> bool:
    """Whether the sides are evaluated on other numbers of tokens."""
    return any(before != after for before, after in token_counts(evidence).values())


def token_counts(evidence: Evidence) -> dict[str, tuple[int, int]]:
    """Tokens that each side is evaluated on, by the split."""
    counts = {}
    for split in ("validation", "test"):
        one, other = evidence.a.arrays(split), evidence.b.arrays(split)
        if one and other:
            counts[split] = (len(next(iter(one.values()))), len(next(iter(other.values()))))
    return counts


def _words(evidence: Evidence, record: Record) -> int | None:
    """Words of a language model's vocabulary, as far as they are known."""
    words = words_of(record, evidence.config) if evidence.config else None
    return round(words) if words else None
