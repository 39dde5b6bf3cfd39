"""The atlas as Markdown: what each method of regularization is worth, in words and in tables."""

from collections.abc import Sequence

from benchmark.analysis.atlas import Against, Atlas, Method, Standing, Tested
from benchmark.analysis.findings import RELATIVELY
from benchmark.formatting import Table, as_markdown, bold, with_diverged
from benchmark.tasks.base import Row

HOW_TO_READ = (
    "Methods are tuned by trials, drawn quasi-randomly from the space that is declared with each and judged on the "
    "validation set; the best trial is then run on fresh seeds, which alone are shown here. "
    "Means are over seeds, ± their standard deviation. Intervals are at 95 % and not corrected; p-values are corrected "
    "by Holm's method for the number of methods in the column, and so is what is said in words:\n\n"
    "- **Better**, **worse**: the difference is not zero; wrong for any of the methods in at most 5 % of repetitions.\n"
    f"- **Equivalent**: no difference is as large as the smallest of interest, {RELATIVELY} of perplexity; wrong for "
    "any of them in at most 5 % of repetitions. It comes before the others, as a difference may be real and of no "
    "interest.\n"
    "- **Undecided**: neither, so that more seeds are needed.\n\n"
    "The first word is over seeds, on this test text; the second one over seeds and test text, which says what other "
    "texts of the kind would show. Neither counts the luck of tuning: with another draw of trials a method would have "
    "other settings. So a word is of these settings, and not of a method as such.\n\n"
    "A tuning curve is the expected best of so many trials (Dodge et al. 2019), estimated from those that were run. "
    "The shade is where the curve lies in 95 % of bootstrap samples of them, and shows how much it hangs on single "
    "trials. Methods are not to be judged by it: no sample has a better trial than the best one, so that at all trials "
    "it holds the true expected best in about half of repetitions, and at fewer in less than 95 % as well."
)

IN_WORDS: dict[Standing, str] = {
    "better": "Better than the paper's dropout",
    "equivalent": f"Equivalent to the paper's dropout, within {RELATIVELY}",
    "worse": "Worse than the paper's dropout",
    "undecided": "Undecided",
}
"""The beginning of the sentence that names the methods of each standing."""

ABSENT = "–"


def markdown(found: Sequence[Atlas], waiting: Sequence[Row], lost: Sequence[Row] = ()) -> str:
    """The atlas of every data set and size; empty if no row has been run.

    Args:
        found: the atlases.
        waiting: the rows that have not been run yet.
        lost: the rows whose runs all diverged.
    """
    if not found:
        return ""
    parts = ["# The atlas: ways to regularize an LSTM", HOW_TO_READ]
    for atlas in found:
        name = atlas.name
        parts += [f"## {as_markdown(f'{atlas.data_set.title}, {atlas.size} size')}", budget(atlas), *in_words(atlas)]
        parts += [f"![Test metric of each method]({name}-atlas.svg)", methods_table(atlas).markdown()]
        if any(method.tuned for method in atlas.methods):
            parts += [f"![Tuning curves]({name}-tuning.svg)", tuning_table(atlas).markdown()]
    for words, rows in (("All runs diverged", lost), ("Not run yet", waiting)):
        if rows:
            parts.append(f"{words}: {'; '.join(as_markdown(_without_runs(row)) for row in rows)}.")
    return "\n\n".join(parts) + "\n"


def budget(atlas: Atlas) -> str:
    """How many trials each method had, in a sentence that says so if they are not as many for all."""
    by_count: dict[int, list[str]] = {}
    for method in atlas.methods:
        by_count.setdefault(len(method.tuned.judged) if method.tuned else 0, []).append(method.name)
    if len(by_count) == 1:
        (count,) = by_count
        return f"Each method had {count} trials." if count else "None of the methods is tuned on this text."
    parts = [f"{count} of {', '.join(names)}" for count, names in sorted(by_count.items(), reverse=True)]
    return as_markdown(f"The methods had unequal budgets, so that they cannot be compared fairly: {'; '.join(parts)}.")


def in_words(atlas: Atlas) -> list[str]:
    """What the methods are beside the paper's dropout, a line for each standing."""
    if atlas.paper is None:
        return ["The paper's dropout has not been run, so that there is nothing to compare with."]
    lines = []
    for standing, words in IN_WORDS.items():
        if names := atlas.having(standing):
            lines.append(f"- {words}: {as_markdown(', '.join(names))}.")
    return ["\n".join(lines)] if lines else []


def methods_table(atlas: Atlas) -> Table:
    """Every method's test metric against none and against the paper's dropout."""
    header = ["method", "seeds", atlas.metric.label]
    for other in ("no regularization", "the paper's dropout"):
        header += [f"change against {other} (95 % over seeds)", "over seeds and test text", "p (Holm)", "verdict"]
    body = []
    for method in atlas.methods:
        seeds = with_diverged(str(len(method.sample.values)), method.sample.diverged)
        cells = [method.name, seeds, method.sample.show(atlas.metric.digits)]
        body.append((*cells, *_against(method.against_none), *_against(method.against_paper)))
    return Table(tuple(header), tuple(body))


def _against(against: Against | None) -> tuple[str, ...]:
    if against is None:
        return (ABSENT,) * 4
    effect = against.effect
    wide = effect.show_interval(effect.interval_with_items) or ABSENT
    verdict = bold(_word(against.over_seeds), f", {_word(against.with_items)}")
    return effect.show(), wide, _p(against.over_seeds), verdict


def _word(tested: Tested | None) -> str:
    return tested.standing if tested else ABSENT


def _p(tested: Tested | None) -> str:
    if tested is None:
        return ABSENT
    return "< 0.001" if tested.p < 0.001 else f"{tested.p:.3f}"


def tuning_table(atlas: Atlas) -> Table:
    """Cost and outcome of each method's tuning."""
    label = atlas.methods[0].results.row.config.validation_metric().label
    header = (
        "method", "trials", "diverged", "core hours", f"best {label}", "expected best of 1, 2, 4, ... trials",
        "settings",
    )  # fmt: skip
    return Table(header, tuple((method.name, *_tuning(method)) for method in atlas.methods))


def _tuning(method: Method) -> tuple[str, ...]:
    tuned = method.tuned
    if tuned is None or tuned.best is None:
        return ("0", *(ABSENT,) * 4, "not tuned")
    digits = tuned.metric.digits
    expected = ", ".join(f"{value:.{digits}f}" for _, value in tuned.expected)
    settings = ", ".join(f"{name} {value}" for name, value in tuned.winner.items())
    counts = (str(len(tuned.judged)), str(len(tuned.tuning.diverged)), f"{tuned.core_hours:.2f}")
    return (*counts, f"{tuned.values[tuned.best]:.{digits}f}", expected, settings)


def _without_runs(row: Row) -> str:
    if not row.published:
        return f"{row.label} ({row.name})" if row.label else row.name
    labels = {metric.name: metric.label for metric in row.config.shown_metrics()}
    figures = ", ".join(f"{labels[name]} {value:g}" for name, value in row.published.metrics.items())
    return f"{row.label or row.name} ({row.name}; {row.published.source}: {figures})"
