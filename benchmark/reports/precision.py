"""The table of runs in another precision beside those in float32."""

from collections.abc import Sequence

from benchmark.analysis.findings import IN_POINTS, RELATIVELY
from benchmark.analysis.precision import Comparison
from benchmark.formatting import Table, as_markdown

HOW_TO_READ = (
    "Runs of the same rows whose products were made in another precision (`--precision`), beside those in float32. "
    "Mean ± standard deviation over seeds, and the change with its 95 % interval (Welch) over seeds. Equivalent: the "
    f"whole interval is within {RELATIVELY} of the perplexity, or {IN_POINTS} of accuracy or BLEU, on either side of "
    "zero. Different: otherwise the whole interval is on one side of zero. The runs in another precision are in no "
    "other table."
)


def markdown(found: Sequence[Comparison], diverged: Sequence[str] = ()) -> str:
    """The table as a page in Markdown; empty if there are no runs in another precision.

    Args:
        found: what there is to compare.
        diverged: the names of rows whose runs in another precision all diverged.
    """
    parts = ["# Precision", HOW_TO_READ]
    header = ("row", "precision", "metric", "32", "the other", "change", "in %", "runs", "verdict")
    if found:
        parts.append(Table(header, tuple(map(_line, found))).markdown())
    if diverged:
        parts.append(f"All runs in another precision diverged: {', '.join(map(as_markdown, diverged))}.")
    return "\n\n".join(parts) + "\n" if len(parts) > 2 else ""


def _line(one: Comparison) -> tuple[str, ...]:
    effect, digits = one.effect, one.effect.metric.digits
    ends = effect.interval
    percent = [f"{100 * end / effect.before.mean:+.2f}" for end in ends] if ends else []
    return (
        one.row, one.precision, effect.metric.label, effect.before.show(digits), effect.after.show(digits),
        effect.show(), " to ".join(percent), effect.runs, one.verdict,
    )  # fmt: skip
