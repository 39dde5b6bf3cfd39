"""The figure of tunings: how good the best of so many trials is expected to be."""

import math
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.analysis.tuning import Tuned
from benchmark.reports.figures import INK, STYLE, WITH, as_svg

COLUMNS = 4
DASHES = (("--", "dashed"), (":", "dotted"))
"""Lines of the references, and the words for them."""


def draw(tunings: Sequence[Tuned], references: Sequence[Tuned] = ()) -> str:
    """A panel for each tuning with its curve and the spread of its bootstrap samples, as SVG; see `Tuned.band`.

    Args:
        tunings: tunings of one metric, each with a record at least.
        references: those among them whose curves are drawn in each panel, in gray; at most two.
    """
    columns = min(COLUMNS, len(tunings))
    rows = math.ceil(len(tunings) / columns)
    size = (max(4.6, 2.7 * columns), 0.5 + (3.2 if rows == 1 else 2.3) * rows)
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(
            rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
        for axis, tuned in zip(axes.flat, tunings, strict=False):
            for other, (dashes, _) in zip(references, DASHES, strict=False):
                axis.plot(_trials(other), other.curve, dashes, color=INK, alpha=0.5, linewidth=1)
            axis.plot(_trials(tuned), tuned.curve, ".-", color=WITH)
            axis.fill_between(_trials(tuned), *tuned.band, color=WITH, alpha=0.2, linewidth=0)
            axis.set_title(textwrap.fill(tuned.tuning.label or tuned.tuning.row, 26), fontsize=10)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.tick_params(labelbottom=True)
            axis.grid(alpha=0.25, linewidth=0.5)
        for axis in axes.flat[len(tunings) :]:
            axis.set_visible(False)
        _limit(axes[0][0], tunings)
        names = [other.tuning.label or other.tuning.row for other in references]
        gray = ", ".join(f"{word}: {name}" for name, (_, word) in zip(names, DASHES, strict=False))
        figure.supxlabel(f"trials (gray, {gray})" if names else "trials", fontsize=10)
        figure.supylabel(f"expected best {tunings[0].metric.label}", fontsize=10)
        return as_svg(figure)


def _trials(tuned: Tuned) -> np.ndarray:
    return np.arange(1, len(tuned.judged) + 1)


def _limit(axis: Axes, tunings: Sequence[Tuned]) -> None:
    """Cut off what a few useless trials would stretch the axis to: it shows each curve from its second trial on."""
    second = [tuned.curve[min(1, len(tuned.curve) - 1)] for tuned in tunings]
    best = [tuned.curve[-1] for tuned in tunings]
    low, high = min(*second, *best), max(*second, *best)
    margin = 0.15 * (high - low) or max(1.0, 0.001 * abs(high))
    axis.set_ylim(low - margin, high + margin)
