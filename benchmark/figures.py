"""Figures, made from records only."""

import io
import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmark.tables import Line

WITHOUT, WITH = "#b5482a", "#2a6fb5"
"""Colours of runs without and with dropout; told apart by readers who do not see colour through line labels too."""


def learning_curves(group: Sequence[Line], title: str) -> str | None:
    """Training and validation metric against epochs, a panel per size, with and without dropout.

    Lines are means over seeds, bands the range from the lowest to the highest run.

    Args:
        group: rows of one task on one source.
        title: of the figure.

    Returns:
        SVG, the same for the same records, or None when no row has run.
    """
    plain = [line for line in group if line.records and line.is_plain]
    sizes = list(dict.fromkeys(line.row.size for line in plain))
    if not sizes:
        return None
    config = group[0].row.config
    validation = next(metric for metric in config.headline if metric.name in plain[0].records[0].curve[-1])
    style: dict[Any, Any] = {
        "svg.hashsalt": "rnnreg",
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    width = max(7, 3.4 * len(sizes) + 0.6)
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            1,
            len(sizes),
            figsize=(width, 3.6 if len(sizes) > 1 else 4.2),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axis, size in zip(axes[0], sizes, strict=True):
            for line in (line for line in plain if line.row.size == size):
                regularized = bool(line.row.config.dropout)
                colour, word = (WITH, "dropout") if regularized else (WITHOUT, "no dropout")
                _curve(axis, line, config.training.name, colour, "--", f"training, {word}")
                _curve(axis, line, validation.name, colour, "-", f"validation, {word}")
            seeds = sorted({len(line.records) for line in plain if line.row.size == size})
            axis.set_title(f"{size} ({' or '.join(map(str, seeds))} seed{'s' * (seeds != [1])})")
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            if validation.better == "lower":
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.yaxis.set_minor_formatter(
                    FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
                )
            axis.grid(alpha=0.25, which="both", linewidth=0.5)
        axes[0][0].set_ylabel(validation.label.removeprefix("validation "))
        handles, labels = axes[0][-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4 if len(sizes) > 2 else 2, frameon=False)
        figure.suptitle(textwrap.fill(title, int(11 * width)))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return out.getvalue()


def _curve(axis: Axes, line: Line, name: str, colour: str, dashes: str, label: str) -> None:
    epochs = [int(point["epoch"]) for point in line.records[0].curve]
    runs = [[point[name] for point in record.curve] for record in line.records]
    at_epoch = list(zip(*runs, strict=True))
    axis.plot(
        epochs, [statistics.fmean(values) for values in at_epoch], dashes, color=colour, label=label, linewidth=1.8
    )
    axis.fill_between(epochs, list(map(min, at_epoch)), list(map(max, at_epoch)), color=colour, alpha=0.15, linewidth=0)
