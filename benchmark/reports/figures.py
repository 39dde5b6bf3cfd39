"""Figures, made from records only."""

import io
import re
import statistics
import textwrap
from collections.abc import Iterator, Sequence

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from benchmark.analysis.effects import Effect, Pair, dropout_effects, pairs
from benchmark.analysis.names import model_name, short_names
from benchmark.analysis.results import RowResults, by_source, data_set, sizes
from benchmark.formatting import count
from benchmark.tasks.base import Metric

matplotlib.use("Agg")

WITHOUT, WITH = "#b5482a", "#2a6fb5"
"""Colors of runs without and with dropout; labels tell them apart too."""
NEITHER = "#808080"
"""Color of an effect, or of a difference, that is not shown to be one."""
INK, PAPER = "#1a1a1a", "#ffffff"
"""Colors of text and background, which a page may replace by its own."""

NAMED_AFTER_COORDINATES = re.compile(r"(?<=[\"#])([A-Za-z]\w*[0-9a-f]{10})(?=[\")])")
"""Names of an SVG's elements by matplotlib, where they are given and where they are used."""

STYLE = {
    "svg.hashsalt": "rnnreg",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def draw(table: Sequence[RowResults]) -> dict[str, str]:
    """Every figure that can be drawn from the records, as SVG by name; the same records give the same bytes."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        return {name: as_svg(figure) for name, figure in _figures(table) if figure}


def _figures(table: Sequence[RowResults]) -> Iterator[tuple[str, Figure | None]]:
    """The figures by name, each drawn when it is asked for."""
    yield "effects", effects_of_dropout(table)
    yield "paper", against_the_paper(table)
    groups = by_source(table)
    names = short_names(groups)
    for source, group in groups.items():
        name, title = names[source], data_set(group).title
        yield name, learning_curves(group, title)
        yield f"{name}-ensembles", ensemble_sizes(group, title)


def as_svg(figure: Figure) -> str:
    """A figure as SVG, the same bytes each time and on any machine.

    Markers and clipping paths get numbers. Matplotlib names them after coordinates, whose last bits differ among CPUs.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    svg = out.getvalue()
    numbers = {name: f"n{number}" for number, name in enumerate(dict.fromkeys(NAMED_AFTER_COORDINATES.findall(svg)), 1)}
    return NAMED_AFTER_COORDINATES.sub(lambda found: numbers[found[1]], svg)


def learning_curves(group: Sequence[RowResults], title: str) -> Figure | None:
    """Training and validation metric by epoch, a panel per size, with and without dropout.

    Lines are means over seeds, bands the range from the lowest to the highest run. A point at the last epoch is the
    training metric of the final model with dropout off, which is measured as that of the validation set is.

    Args:
        group: rows of one task on one source.
        title: title of the figure.

    Returns:
        The figure, or None if no row has run.
    """
    run = [results for results in group if results.records and results.is_plain]
    if not run:
        return None
    config = group[0].row.config
    validation = config.validation_metric()
    panels = list(pairs(run))
    width = max(7, 3.4 * len(panels) + 0.6)
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(width, 3.8 if len(panels) > 1 else 4.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, pair in zip(axes[0], panels, strict=True):
        arms = ((pair.without, WITHOUT, "no dropout", "no dropout"), (pair.regularized, WITH, "dropout", "dropout off"))
        for results, color, word, at_the_end in arms:
            if results:
                _curve(axis, results, config.training.name, color, "--", f"training, {word}")
                _curve(axis, results, validation.name, color, "-", f"validation, {word}")
                _final(axis, results, config.training_without_dropout(), color, f"training at the end, {at_the_end}")
        axis.set_title(f"{pair.size} ({_seeds(pair)})")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if validation.better == "lower":
            _log(axis)
        axis.grid(alpha=0.25, which="both", linewidth=0.5)
    axes[0][0].set_ylabel(validation.label.removeprefix("validation "))
    legend(figure, 2)
    figure.suptitle(textwrap.fill(title, int(11 * width)))
    return figure


def _seeds(pair: Pair) -> str:
    """The number of runs of a pair, in words."""
    first, *others = [len(results.records) for results in (pair.without, pair.regularized) if results]
    with_dropout = f", {others[0]} with dropout" if others and others[0] != first else ""
    return f"{count(first, 'seed')}{with_dropout}"


def effects_of_dropout(table: Sequence[RowResults]) -> Figure | None:
    """The effect of dropout on each source at each size, with 95 % intervals: a panel per kind of metric."""
    panels: dict[str, list[tuple[str, Effect]]] = {}
    groups = by_source(table)
    names = short_names(groups)
    for source, group in groups.items():
        for pair, effect in dropout_effects(group):
            name = names[source] + (f", {pair.size}" if len(sizes(group)) > 1 else "")
            panels.setdefault(effect.metric.label, []).append((name, effect))
    if not panels:
        return None
    heights = [len(several) + 2 for several in panels.values()]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.27 * sum(heights) + 0.8),
        squeeze=False,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    for axis, several in zip(axes[:, 0], panels.values(), strict=True):
        _effect_panel(axis, several)
    key = "(blue: better, red: worse, gray: neither is shown; open: no interval; arrow: wider)"
    figure.suptitle(f"Effect of dropout, mean over seeds with 95 % interval\n{key}")
    return figure


def _effect_panel(axis: Axes, several: Sequence[tuple[str, Effect]]) -> None:
    """Effects on one kind of metric, by name; of a metric that is better when lower as a percentage."""
    metric = several[0][1].metric
    lower = metric.better == "lower"
    scales = [100 / effect.before.mean if lower else 1.0 for _, effect in several]
    changes = [effect.change * scale for (_, effect), scale in zip(several, scales, strict=True)]
    reach = 2 * max(map(abs, changes)) or 1.0  # an interval of two runs may be far wider than anything else
    ends = [0.0, *changes]
    for place, ((_, effect), scale, change) in enumerate(zip(several, scales, changes, strict=True)):
        color = {"better": WITH, "worse": WITHOUT}.get(effect.outcome, NEITHER)
        if effect.interval:
            ends += _interval(axis, place, [end * scale for end in effect.interval], reach, color)
        face = color if effect.interval else PAPER
        axis.plot(change, place, "o", color=color, markersize=6, markerfacecolor=face)
    axis.axvline(0, color=INK, linewidth=0.8)
    margin = 0.04 * (max(ends) - min(ends)) or 1.0
    axis.set_xlim(min(ends) - margin, max(ends) + margin)
    axis.set_yticks(range(len(several)), [name for name, _ in several])
    axis.set_ylim(len(several) - 0.5, -0.5)
    unit, better = ("%", "left") if lower else ("points", "right")
    axis.set_xlabel(f"change of {metric.label} with dropout ({unit}, {better} is better)")
    axis.grid(axis="x", alpha=0.25, linewidth=0.5)


def _interval(axis: Axes, place: int, ends: Sequence[float], reach: float, color: str) -> list[float]:
    """Draw an interval, cut off with an arrow at the reach of its panel; returns its ends as drawn."""
    drawn = [min(max(end, -reach), reach) for end in ends]
    axis.plot(drawn, [place, place], color=color, linewidth=1.6)
    for end, at, arrow in zip(ends, drawn, "<>", strict=True):
        if end != at:
            axis.plot(at, place, arrow, color=color, markersize=5)
    return drawn


def ensemble_sizes(group: Sequence[RowResults], title: str) -> Figure | None:
    """Test perplexity of ensembles by the number of models, a line per family, ours and the paper's."""
    metric = next((one for one in group[0].row.config.primary_metrics() if one.name == "test_perplexity"), None)
    families: dict[str, list[RowResults]] = {}
    for results in group:
        single = next((one for one in group if one.row.name == results.row.ensemble_of), None)
        if metric and single and results.is_complete_ensemble and results.sample(metric.name):
            families.setdefault(single.row.name, [single]).append(results)
    if not families or not metric:
        return None
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for place, family in enumerate(families.values()):
        _family(axis, sorted(family, key=lambda results: results.row.members), metric, f"C{place}")
    ticks = sorted({results.row.members for family in families.values() for results in family})
    axis.set_xscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.set_xlabel("models in the ensemble (1: mean over single models, bar from the lowest to the highest)")
    axis.set_ylabel(metric.label)
    legend(figure, 2)
    figure.suptitle(textwrap.fill(title, 77))
    return figure


def _family(axis: Axes, family: Sequence[RowResults], metric: Metric, color: str) -> None:
    """The line of one family: its single models and its ensembles, ours and the paper's."""
    single = family[0].row
    label = f"{model_name(single)}, {'dropout' if single.config.dropout else 'no dropout'}"
    samples = [sample for results in family if (sample := results.shown(metric.name))]
    members = [results.row.members for results in family]
    axis.plot(members, [sample.mean for sample in samples], "o-", color=color, label=label)
    axis.vlines(1, min(samples[0].values), max(samples[0].values), color=color, alpha=0.4, linewidth=4)
    papers = [
        (results.row.members, results.row.published.metrics[metric.name])
        for results in family
        if results.row.published and not results.row.published.on
    ]
    if papers:
        axis.plot(*zip(*papers, strict=True), "o--", color=color, markerfacecolor=PAPER, label=f"{label}, the paper's")


def against_the_paper(table: Sequence[RowResults]) -> Figure | None:
    """The difference of our means from the paper's figures on the paper's data sets, with the spread over seeds."""
    found = [
        (f"{results.row.name}, {metric.label}", sample, paper, metric)
        for results in table
        for metric, sample, paper in results.like_for_like(results.row.config.headline)
        if sample
    ]
    if not found:
        return None
    figure, axis = plt.subplots(figsize=(8, 0.36 * len(found) + 1.5), layout="constrained")
    reach = 2.0
    for place, (_, sample, paper, metric) in enumerate(found):
        away, spread = 100 * (sample.mean / paper - 1), 100 * (sample.sd or 0) / paper
        axis.errorbar(away, place, xerr=spread, fmt="o", color=WITH, capsize=3)
        shown = f"{sample.mean:.{metric.digits}f}, paper {metric.as_given(paper)}"
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # the line at 0 does not run through it
        axis.annotate(shown, (away, place), (0, 7), textcoords="offset points", ha="center", fontsize=9, bbox=ground)
        reach = max(reach, 1.3 * (abs(away) + spread))
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_xlim(-reach, reach)
    axis.set_yticks(range(len(found)), [name for name, *_ in found])
    axis.set_ylim(len(found) - 0.4, -0.8)
    axis.grid(axis="x", alpha=0.25, linewidth=0.5)
    axis.set_xlabel("difference from the paper's figure, %\n(bar: sd over seeds, or over choices of members)")
    return figure


def legend(figure: Figure, columns: int) -> None:
    """Draw one legend below all panels, each label once, in the order of the panel that has most of them."""
    panels = sorted((axis.get_legend_handles_labels() for axis in figure.axes), key=lambda panel: -len(panel[1]))
    found = {label: handle for panel in panels for handle, label in zip(*panel, strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False)


def _log(axis: Axes) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))


def _curve(axis: Axes, results: RowResults, name: str, color: str, dashes: str, label: str) -> None:
    """Mean and range over the runs at each epoch at which all of them were measured."""
    runs = [{int(point["epoch"]): point[name] for point in record.curve if name in point} for record in results.records]
    epochs = sorted(set.intersection(*map(set, runs)))
    if not epochs:
        return
    at_epoch = [[run[epoch] for run in runs] for epoch in epochs]
    means = [statistics.fmean(values) for values in at_epoch]
    gaps = len(epochs) <= epochs[-1] - epochs[0]  # between them the line is not measured
    axis.plot(epochs, means, dashes, marker="o" * gaps, color=color, label=label, linewidth=1.8, markersize=4)
    axis.fill_between(epochs, list(map(min, at_epoch)), list(map(max, at_epoch)), color=color, alpha=0.15, linewidth=0)


def _final(axis: Axes, results: RowResults, metric: Metric, color: str, label: str) -> None:
    """A point at the last epoch, with a bar from the lowest to the highest run, if runs have the metric."""
    if sample := results.sample(metric.name):
        last = results.records[0].curve[-1]["epoch"]
        axis.vlines(last, min(sample.values), max(sample.values), color=color, alpha=0.4, linewidth=4)
        axis.plot(last, sample.mean, "o", color=color, markerfacecolor=PAPER, label=label)
