"""The table of evaluations of trained models by the methods of the literature."""

from collections.abc import Sequence

from benchmark.analysis.evaluations import MethodResults, Model
from benchmark.formatting import Table

PLAIN = "plain, as in the paper"

METRICS = ("validation_perplexity", "test_perplexity")


def markdown(found: Sequence[MethodResults]) -> str:
    """The table as a page in Markdown; each row of it names the row whose models it evaluates.

    Models of one name that differ in configuration or data stand apart, each under the plain evaluation of its own.
    """
    body: list[tuple[str, ...]] = []
    models = list(dict.fromkeys(results.model for results in found))
    for model in models:
        own = [results for results in found if results.model == model]
        most = max(own, key=lambda results: len(results.records))
        plain = tuple(f"{most.plain_mean(metric):.1f}" for metric in METRICS)
        body.append((_named(model, models), PLAIN, "", str(len(most.records)), *plain, "–"))
        body += [_line(results) for results in own]
    header = ("model", "method", "settings", "runs", "validation perplexity", "test perplexity", "change of test")
    return (
        "# Evaluation methods\n\n"
        "Models of the rows named, evaluated by methods that the paper does not use. The figures are no rows of the "
        "paper's tables and are not compared with its numbers. Mean over runs; change of the test perplexity from the "
        "plain evaluation of the same runs, with its 95 % interval over seeds. Chosen settings are those that "
        "did best on the validation set, for each run by itself. What each method computes, and its source, is in "
        "`models/evaluation_methods.py`.\n\n" + Table(header, tuple(body)).markdown() + "\n"
    )


def _named(model: Model, models: Sequence[Model]) -> str:
    """The row of models, with the begin of the checksums that tell them from others of the same name."""
    row, *own = model
    others = [other for name, *other in models if name == row]
    told = [
        f"{what} {value[:8]}"
        for what, value, values in zip(("configuration", "data"), own, zip(*others, strict=True), strict=True)
        if len(set(values)) > 1
    ]
    return f"{row} ({', '.join(told)})" if told else row


def _line(results: MethodResults) -> tuple[str, ...]:
    given: list[str] = []
    chosen: list[str] = []
    for name, values in results.settings.items():
        text = f"{name} {' or '.join(f'{value:g}' if isinstance(value, float) else str(value) for value in values)}"
        (chosen if name in results.records[0].chosen else given).append(text)
    settings = "; ".join(
        [*([", ".join(given)] if given else []), *([f"chosen: {', '.join(chosen)}"] if chosen else [])]
    )
    change, interval = results.change("test_perplexity")
    shown = f"{change:+.1f}" + (f" ({interval[0]:+.1f} to {interval[1]:+.1f})" if interval else "")
    figures = tuple(f"{results.mean(metric):.1f}" for metric in METRICS)
    return ("", results.method, settings, str(len(results.records)), *figures, shown)
