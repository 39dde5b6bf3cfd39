"""The figures of the atlas: what each method is worth, and how it was tuned."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmark.analysis.atlas import Atlas, Method
from benchmark.analysis.findings import RELATIVE_INTEREST
from benchmark.analysis.intervals import Interval
from benchmark.reports import tuning_figure
from benchmark.reports.figures import INK, PAPER, STYLE, WITH, WITHOUT, as_svg

COLORS = {"better": WITH, "worse": WITHOUT, "equivalent": INK, "undecided": INK}
"""Color of a method by its standing beside the paper's dropout; equivalent is filled and undecided is open."""


def draw(found: Sequence[Atlas]) -> dict[str, str]:
    """Every figure of the atlas, as SVG by name; the same records give the same bytes."""
    drawn = {}
    for atlas in found:
        drawn[f"{atlas.name}-atlas"] = methods(atlas)
        tunings = {method.tuned.tuning.row: method.tuned for method in atlas.methods if method.tuned}
        if tunings:
            references = [
                method.tuned
                for reference in (atlas.paper, atlas.none)
                for method in atlas.methods
                if method.tuned and method.results == reference
            ]
            drawn[f"{atlas.name}-tuning"] = tuning_figure.draw(list(tunings.values()), references)
    return drawn


def methods(atlas: Atlas) -> str:
    """The test metric of every run of each method, and its change from the paper's dropout with both intervals."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, (values, changes) = plt.subplots(
            1, 2, sharey=True, figsize=(10, 0.32 * len(atlas.methods) + 1.6), layout="constrained"
        )
        for place, method in enumerate(atlas.methods):
            color = _color(method)
            seeds = method.sample.values
            values.plot(seeds, [place] * len(seeds), "|", color=color, alpha=0.5, markersize=9)
            values.plot(method.sample.mean, place, "o", color=color, markersize=6)
            _change(changes, place, method)
        for reference, dashes in ((atlas.none, ":"), (atlas.paper, "--")):
            if reference and (sample := reference.sample(atlas.metric.name)):
                values.axvline(sample.mean, color=INK, linewidth=0.8, linestyle=dashes, zorder=0)
        values.set_yticks(range(len(atlas.methods)), [method.name for method in atlas.methods])
        values.set_ylim(len(atlas.methods) - 0.5, -0.5)
        values.set_xlabel(f"{atlas.metric.label}\n(bars: seeds; dotted: none, dashed: the paper's)")
        changes.axvline(0, color=INK, linewidth=0.8)
        if atlas.metric.better == "lower":
            share = 100 * RELATIVE_INTEREST
            changes.axvspan(-share, share, color=INK, alpha=0.08, linewidth=0)
        changes.set_xlabel("change from the paper's dropout, %\n(thick: over seeds, thin: over seeds and test text)")
        for axis in (values, changes):
            axis.grid(axis="x", alpha=0.25, linewidth=0.5)
        figure.suptitle(f"{atlas.data_set.title}, {atlas.size} size")
        return as_svg(figure)


def _color(method: Method) -> str:
    tested = method.against_paper.over_seeds if method.against_paper else None
    return COLORS[tested.standing] if tested else INK


def _change(axis: Axes, place: int, method: Method) -> None:
    """One method's change, in percent of the paper's dropout."""
    if method.against_paper is None:
        return
    effect, tested = method.against_paper.effect, method.against_paper.over_seeds
    scale = 100 / effect.before.mean
    color = _color(method)

    def line(ends: Interval | None, width: float) -> None:
        if ends:
            axis.plot([end * scale for end in ends], [place, place], color=color, linewidth=width)

    line(effect.interval_with_items, 1.0)
    line(effect.interval, 3.0)
    is_open = tested is None or tested.standing == "undecided"
    axis.plot(effect.change * scale, place, "o", color=color, markersize=6, markerfacecolor=PAPER if is_open else color)
