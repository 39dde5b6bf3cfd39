"""Where dropout pays, as a table, in words and as a figure."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmark.analysis.findings import RELATIVELY
from benchmark.analysis.names import short_names
from benchmark.analysis.surface import METRIC, Point, Surface, as_text, surfaces
from benchmark.formatting import Table, as_markdown, with_diverged
from benchmark.reports.figures import INK, STYLE, WITH, WITHOUT, as_svg, legend
from benchmark.store.diverged import read_diverged
from benchmark.store.records import Store
from benchmark.store.tunings import SURFACE

HOW_TO_READ = (
    "Each model is trained on the first sentences of the training text, with the vocabulary of the whole text, so that "
    "all perplexities are of the same predictions, with as many updates at the same learning rates as on the whole "
    "text. Perplexity is that of the validation text after a run's best epoch, as early stopping would take it. The "
    "probability with dropout is the best of those tried, chosen on the same text. It pays if the 95 % interval of its "
    f"gain over seeds, widened where it is the best of more than two, lies above zero and reaches {RELATIVELY}; the "
    "relative spread over seeds is pooled over all models, but for those whose own is larger (F test at 20 %). "
    "Its worth in text is how many times the text the same model needs without dropout for the same perplexity, "
    "interpolated between the parts that were run."
)
SHADES = 0.75
"""Transparency that the highest probability of dropping is away from the lowest one above 0."""


def files(store: Path, folder: Path) -> dict[Path, str]:
    """The table and the figures of the surfaces of a store, by path; nothing if it has none.

    Runs that are left out are named in the table and on standard error.

    Raises:
        CorruptRecord: a record cannot be trusted.
    """
    every = _of(store)
    for surface in every:
        for line in surface.left_out:
            print(f"rnnreg: left out: {surface.source}, runs on parts of the text: {line}", file=sys.stderr)
    found = [surface for surface in every if surface.points]
    figures = {folder / f"{name}.svg": svg for name, svg in _drawn(found).items()}
    return {folder / "surface.md": markdown(found), **figures} if figures else {}


def figures_of(store: Path) -> dict[str, str]:
    """The figure of each surface of a store, as SVG by name."""
    return _drawn([surface for surface in _of(store) if surface.points])


def _of(store: Path) -> list[Surface]:
    """The surfaces of a store, with the runs that diverged."""
    inside = store / SURFACE
    return surfaces(Store(inside).records(), read_diverged(inside))


def _drawn(found: Sequence[Surface]) -> dict[str, str]:
    return dict(zip(figure_names(found), map(draw, found), strict=True))


def figure_names(found: Sequence[Surface]) -> list[str]:
    """Name of each surface's figure."""
    return [f"{name}-surface" for name in short_names(surface.source for surface in found).values()]


def markdown(found: Sequence[Surface]) -> str:
    """Every surface as Markdown."""
    parts = ["# Where dropout pays", HOW_TO_READ]
    for figure, surface in zip(figure_names(found), found, strict=True):
        heading = as_markdown(figure.removesuffix("-surface"))
        parts += [f"## {heading}", in_words(surface), f"![Perplexity by part of the text]({figure}.svg)"]
        parts.append(as_table(surface).markdown())
        if surface.left_out:
            parts.append(f"Left out: {as_markdown('; '.join(surface.left_out))}.")
    return "\n\n".join(parts) + "\n"


def in_words(surface: Surface) -> str:
    """At which sizes dropout pays on each part of the text, and how many runs are not in precision 32."""
    lines = []
    for fraction in surface.fractions:
        paying = surface.pays_at(fraction)
        text = "the whole text" if fraction == 1 else f"{as_text(fraction)} of the text"
        tried = [point.units for point in surface.points if point.fraction == fraction]
        others = [str(units) for units in surface.sizes if units not in tried]
        not_run = f"; {' and '.join(others)} units were not run on it" if others else ""
        lines.append(f"- On {text} dropout {_where(paying, tried)}{not_run}.")
    for precision, count in surface.precisions.items():
        lines.append(f"- {count} of the runs {'is' if count == 1 else 'are'} in precision {precision}.")
    return "\n".join(lines)


def _where(paying: Sequence[int], sizes: Sequence[int]) -> str:
    """Where dropout pays among the sizes that were run, in words."""
    if not paying:
        return f"is not known to pay at {'any size' if len(sizes) > 1 else f'{sizes[0]} units'}"
    if len(paying) == len(sizes):
        return "pays at every size that was tried" if len(sizes) > 1 else f"pays at {sizes[0]} units"
    if list(paying) == list(sizes[-len(paying) :]):
        return f"starts to pay at {paying[0]} units"
    return f"is known to pay at {' and '.join(map(str, paying))} units only"


def as_table(surface: Surface) -> Table:
    """A line for each size and part of the text."""
    header = (
        "units", "part of the text", f"{METRIC.label} without dropout", "with", "best probability", "runs of each",
        "change (95 % interval over seeds)", "dropout pays", "worth in text",
    )  # fmt: skip
    body = []
    for point in surface.points:
        with_dropout = point.samples[point.rate]
        cells = (point.without.show(METRIC.digits), with_dropout.show(METRIC.digits), f"{point.rate:g}")
        runs = with_diverged(_runs(len(point.without.values), len(with_dropout.values)), point.diverged)
        pays = {True: "yes", False: "no", None: "undecided"}[surface.pays(point)]
        place = (str(point.units), as_text(point.fraction))
        body.append((*place, *cells, runs, change(surface, point), pays, worth(surface, point)))
    return Table(header, tuple(body))


def _runs(without: int, regularized: int) -> str:
    """The numbers of runs without dropout and with it, or the one number if they are equal."""
    return str(without) if without == regularized else f"{without} without, {regularized} with"


def change(surface: Surface, point: Point) -> str:
    """The change of perplexity by dropout in percent, with its interval if there is one."""
    ends = surface.interval(point)
    if ends is None:
        return f"{math.expm1(point.change):+.1%}"
    return f"{math.expm1(point.change):+.1%} ({math.expm1(ends[0]):+.1%} to {math.expm1(ends[1]):+.1%})"


def worth(surface: Surface, point: Point) -> str:
    """The text that dropout is worth at a point, in words."""
    factor, bound = surface.worth(point)
    if bound == "more than" and point.fraction == surface.fractions[-1]:
        return "more than there is"
    return f"{bound} {factor:.1f} times".strip()


def draw(surface: Surface) -> str:
    """Perplexity by part of the text, a panel for each size and a line for each probability, and the gain as a map."""
    panels = len(surface.sizes) + 1
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, panels, figsize=(3.1 * panels, 3.6), layout="constrained")
        for axis, units in zip(axes, surface.sizes, strict=False):
            _lines(axis, surface, units)
        axes[0].set_ylabel(f"{METRIC.label}, best epoch")
        legend(figure, 6)
        _map(axes[-1], surface)
        return as_svg(figure)


def _lines(axis: Axes, surface: Surface, units: int) -> None:
    for rate in surface.rates:
        points = [point for point in surface.of(units) if rate in point.samples]
        shade = 1 - SHADES * (1 - rate / surface.rates[-1]) if rate else 1.0
        means = [point.samples[rate].mean for point in points]
        label = f"dropout {rate:g}" if rate else "no dropout"
        color = WITH if rate else WITHOUT
        axis.plot([point.fraction for point in points], means, "o-", color=color, alpha=shade, label=label)
    axis.set_xscale("log", base=2)
    _texts(axis, surface.fractions, surface.fractions)
    means = [sample.mean for point in surface.points for sample in point.samples.values()]
    axis.set_yscale("log")
    axis.set_ylim(0.96 * min(means), 1.04 * max(means))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.set_title(f"{units} units")
    axis.grid(alpha=0.25, which="both", linewidth=0.5)


def _map(axis: Axes, surface: Surface) -> None:
    """The gain of dropout at its best probability in percent, and that probability."""
    gains = np.full((len(surface.sizes), len(surface.fractions)), np.nan)
    for point in surface.points:
        place = surface.sizes.index(point.units), surface.fractions.index(point.fraction)
        gains[place] = -100 * math.expm1(point.change)
        text = f"{gains[place]:+.0f} %\n({point.rate:g})"
        axis.text(place[1], place[0], text, ha="center", va="center", color=INK, fontsize=9)
    reach = max(1.0, float(np.nanmax(np.abs(gains))))
    axis.imshow(gains, cmap="RdBu", vmin=-1.6 * reach, vmax=1.6 * reach, origin="lower", aspect="auto")
    axis.set_yticks(range(len(surface.sizes)), [f"{units} units" for units in surface.sizes])
    _texts(axis, range(len(surface.fractions)), surface.fractions)
    axis.set_title("gain by dropout (probability)")


def _texts(axis: Axes, places: Sequence[float], fractions: Sequence[float]) -> None:
    axis.set_xticks(places, [as_text(fraction) for fraction in fractions])
    axis.set_xlabel("training text")
