"""Figures, made from records only."""

import io
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from benchmark.analysis.effects import Effect, dropout_effects, pairs
from benchmark.analysis.results import Line, by_source, data_set, model_name, sizes

matplotlib.use("Agg")

WITHOUT, WITH = "#b5482a", "#2a6fb5"
"""Colours of runs without and with dropout; told apart by readers who do not see colour through line labels too."""
INK, PAPER = "#1a1a1a", "#ffffff"
"""Colours of text and ground, which a page may exchange for its own."""

STYLE = {
    "svg.hashsalt": "rnnreg",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def draw(table: Sequence[Line]) -> dict[str, str]:
    """Every figure that the records give, as SVG, the same for the same records: name and content."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figures = {"effects": effects_of_dropout(table), "paper": against_the_paper(table)}
        for source, group in by_source(table).items():
            name, title = Path(source).name, data_set(group).title
            figures[name] = learning_curves(group, title)
            figures[f"{name}-ensembles"] = ensemble_sizes(group, title)
        return {name: _svg(figure) for name, figure in figures.items() if figure}


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return out.getvalue()


def learning_curves(group: Sequence[Line], title: str) -> Figure | None:
    """Training and validation metric against epochs, a panel per size, with and without dropout.

    Lines are means over seeds, bands the range from the lowest to the highest run.

    Args:
        group: rows of one task on one source.
        title: of the figure.

    Returns:
        The figure, or None when no row has run.
    """
    run = [line for line in group if line.records and line.is_plain]
    if not run:
        return None
    config = group[0].row.config
    validation = config.validation_metric()
    panels = list(pairs(run))
    width = max(7, 3.4 * len(panels) + 0.6)
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(width, 3.6 if len(panels) > 1 else 4.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, pair in zip(axes[0], panels, strict=True):
        for line, colour, word in ((pair.without, WITHOUT, "no dropout"), (pair.regularized, WITH, "dropout")):
            if line:
                _curve(axis, line, config.training.name, colour, "--", f"training, {word}")
                _curve(axis, line, validation.name, colour, "-", f"validation, {word}")
        seeds = sorted({len(line.records) for line in (pair.without, pair.regularized) if line})
        axis.set_title(f"{pair.size} ({' or '.join(map(str, seeds))} seed{'s' * (seeds != [1])})")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if validation.better == "lower":
            _log(axis)
        axis.grid(alpha=0.25, which="both", linewidth=0.5)
    axes[0][0].set_ylabel(validation.label.removeprefix("validation "))
    _legend(figure, axes[0][-1], 4 if len(panels) > 2 else 2)
    figure.suptitle(textwrap.fill(title, int(11 * width)))
    return figure


def effects_of_dropout(table: Sequence[Line]) -> Figure | None:
    """What dropout does on each source at each size, with 95 % intervals: a panel per kind of metric."""
    panels: dict[str, list[tuple[str, Effect]]] = {}
    for source, group in by_source(table).items():
        for pair, effect in dropout_effects(group):
            name = Path(source).name + (f", {pair.size}" if len(sizes(group)) > 1 else "")
            panels.setdefault(effect.metric.label, []).append((name, effect))
    if not panels:
        return None
    heights = [len(several) + 2 for several in panels.values()]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.27 * sum(heights) + 0.6),
        squeeze=False,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    for axis, (label, several) in zip(axes[:, 0], panels.items(), strict=True):
        lower = several[0][1].metric.better == "lower"
        scales = [100 / effect.before.mean if lower else 1.0 for _, effect in several]
        changes = [effect.change * scale for (_, effect), scale in zip(several, scales, strict=True)]
        reach = 2 * max(map(abs, changes)) or 1.0  # an interval of two runs may be far wider than anything else
        ends = [0.0, *changes]
        for place, ((_, effect), scale, change) in enumerate(zip(several, scales, changes, strict=True)):
            colour = WITH if (change < 0) == lower else WITHOUT
            if effect.interval:
                low, high = (min(max(end * scale, -reach), reach) for end in effect.interval)
                axis.plot([low, high], [place, place], color=colour, linewidth=1.6)
                for end, at, arrow in zip(effect.interval, (low, high), "<>", strict=True):
                    if end * scale != at:
                        axis.plot(at, place, arrow, color=colour, markersize=5)
                ends += [low, high]
            axis.plot(
                change, place, "o", color=colour, markersize=6, markerfacecolor=colour if effect.interval else PAPER
            )
        axis.axvline(0, color=INK, linewidth=0.8)
        margin = 0.04 * (max(ends) - min(ends))
        axis.set_xlim(min(ends) - margin, max(ends) + margin)
        axis.set_yticks(range(len(several)), [name for name, _ in several])
        axis.set_ylim(len(several) - 0.5, -0.5)
        axis.set_xlabel(
            f"change of {label} with dropout{', %' if lower else ''} ({'left' if lower else 'right'} is better)"
        )
        axis.grid(axis="x", alpha=0.25, linewidth=0.5)
    figure.suptitle("What dropout does: mean over seeds and 95 % interval (open: a single run; arrow: wider)")
    return figure


def ensemble_sizes(group: Sequence[Line], title: str) -> Figure | None:
    """Test perplexity of averages against the number of models, a line per family, the paper's beside ours."""
    metric = next(
        (metric for metric in group[0].row.config.primary_metrics() if metric.name == "test_perplexity"), None
    )
    families: dict[str, list[Line]] = {}
    for line in group:
        if metric and line.is_complete_ensemble and line.sample(metric.name):
            families.setdefault(line.row.ensemble_of, []).append(line)
    if not families or not metric:
        return None
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for place, (family, averages) in enumerate(families.items()):
        single = next(line for line in group if line.row.name == family)
        lines = [single, *sorted(averages, key=lambda line: line.row.members)]
        members = [line.row.members for line in lines]
        samples = [sample for line in lines if (sample := line.sample(metric.name))]
        dropout = "dropout" if single.row.config.dropout else "no dropout"
        label, colour = f"{model_name(single.row)}, {dropout}", f"C{place}"
        axis.plot(members, [sample.mean for sample in samples], "o-", color=colour, label=label)
        axis.vlines(1, min(samples[0].values), max(samples[0].values), color=colour, alpha=0.4, linewidth=4)
        papers = [
            (line.row.members, line.row.published.metrics[metric.name])
            for line in lines
            if line.row.published and not line.row.published.on
        ]
        if papers:
            axis.plot(
                *zip(*papers, strict=True), "o--", color=colour, markerfacecolor=PAPER, label=f"{label}, the paper's"
            )
    ticks = sorted({line.row.members for averages in families.values() for line in averages} | {1})
    axis.set_xscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.set_xlabel("models averaged (1: mean over single models, bar from the lowest to the highest)")
    axis.set_ylabel(metric.label)
    _legend(figure, axis, 2)
    figure.suptitle(textwrap.fill(title, 77))
    return figure


def against_the_paper(table: Sequence[Line]) -> Figure | None:
    """How far our means are from the paper's figures, on its own data sets, with the spread over seeds."""
    found = [
        (f"{line.row.name}, {metric.label}", sample, line.comparable[metric.name], metric)
        for line in table
        for metric in line.row.config.headline
        if metric.name in line.comparable and (sample := line.sample(metric.name))
    ]
    if not found:
        return None
    figure, axis = plt.subplots(figsize=(8, 0.36 * len(found) + 1.5), layout="constrained")
    reach = 2.0
    for place, (_, sample, paper, metric) in enumerate(found):
        away, spread = 100 * (sample.mean / paper - 1), 100 * (sample.sd or 0) / paper
        axis.errorbar(away, place, xerr=spread, fmt="o", color=WITH, capsize=3)
        shown = f"{sample.mean:.{metric.digits}f} against {metric.as_given(paper)}"
        axis.annotate(shown, (away, place), (0, 7), textcoords="offset points", ha="center", fontsize=9)
        reach = max(reach, 1.3 * (abs(away) + spread))
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_xlim(-reach, reach)
    axis.set_yticks(range(len(found)), [name for name, *_ in found])
    axis.set_ylim(len(found) - 0.4, -0.8)
    axis.grid(axis="x", alpha=0.25, linewidth=0.5)
    axis.set_xlabel("difference from the paper's figure, % (bar: sd over seeds)")
    return figure


def _legend(figure: Figure, axis: Axes, columns: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _log(axis: Axes) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))


def _curve(axis: Axes, line: Line, name: str, colour: str, dashes: str, label: str) -> None:
    epochs = [int(point["epoch"]) for point in line.records[0].curve]
    runs = [[point[name] for point in record.curve] for record in line.records]
    at_epoch = list(zip(*runs, strict=True))
    axis.plot(
        epochs, [statistics.fmean(values) for values in at_epoch], dashes, color=colour, label=label, linewidth=1.8
    )
    axis.fill_between(epochs, list(map(min, at_epoch)), list(map(max, at_epoch)), color=colour, alpha=0.15, linewidth=0)
