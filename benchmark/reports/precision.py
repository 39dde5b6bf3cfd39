"""The table of runs in another precision beside those in float32."""

from collections.abc import Sequence

from benchmark.analysis.findings import IN_POINTS, RELATIVELY
from benchmark.analysis.precision import Comparison
from benchmark.formatting import Table

HOW_TO_READ = (
    "Runs of the same rows whose products were made in another precision (`--precision`), beside those in float32. "
    "Mean ± standard deviation over seeds, and the change with its 95 % interval (Welch) over seeds. Equivalent: the "
    f"whole interval is within {RELATIVELY} of the perplexity, or {IN_POINTS} of accuracy or BLEU, on either side of "
    "zero. Different: otherwise the whole interval is on one side of zero. The runs in another precision are in no "
    "other table."
)


def markdown(found: Sequence[Comparison]) -> str:
    """The table as a page in Markdown; empty if there is nothing to compare."""
    if not found:
        return ""
    header = ("row", "precision", "metric", "32", "the other", "change", "in %", "runs", "verdict")
    table = Table(header, tuple(map(_line, found)))
    return f"# Precision\n\n{HOW_TO_READ}\n\n{table.markdown()}\n"


def _line(one: Comparison) -> tuple[str, ...]:
    effect, digits = one.effect, one.effect.metric.digits
    ends = effect.interval
    percent = [f"{100 * end / effect.before.mean:+.2f}" for end in ends] if ends else []
    return (
        one.row, one.precision, effect.metric.label, effect.before.show(digits), effect.after.show(digits),
        effect.show(), " to ".join(percent), effect.runs, one.verdict,
    )  # fmt: skip
