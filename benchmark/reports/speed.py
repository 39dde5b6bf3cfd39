"""The table and the figure of the outcomes of `rnnreg benchmark`, made from their files only."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmark.formatting import Table
from benchmark.reports.figures import INK, STYLE, WITH, WITHOUT, as_svg, legend
from benchmark.store.speeds import Case, Measurement, Speeds, read

OURS, PLAIN = "rnnreg", "plain loop"
"""The suite, and what its speed is given as a multiple of."""

ABOUT = (
    "Whole training steps of the paper's language models at batch 20 and a vocabulary of 10,000, measured by "
    "`rnnreg benchmark`. Contenders take turns, each in a process of its own; figures are medians over rounds. "
    "The plain loop around nn.LSTM, the loop around nn.LSTMCell and Lightning with default logging are those of "
    "`benchmark/speed/plain.py`. Ratios are to the plain loop beside it, and to the plain loop in precision 32. "
    "The share of the peak is that of the products of matrices in the whole step."
)

COLORS = {OURS: WITH, "rnnreg, recurrent dropout": "#8db4dd", PLAIN: WITHOUT, "LSTMCell loop": "#d9a08f",
          "Lightning": "#8a8a8a"}  # fmt: skip
"""Color of each contender's bars."""


def outcomes(folder: Path) -> list[Speeds]:
    """The outcomes that a folder has."""
    return [read(path) for path in sorted(folder.glob("benchmark-*.json"))]


def tables(folder: Path) -> dict[Path, str]:
    """The tables of a folder's outcomes, by path; none if it has no outcome."""
    if not (found := outcomes(folder)):
        return {}
    parts = ["# Speed of training", ABOUT]
    for speeds in found:
        parts += [f"## {speeds.device}", table(speeds).markdown(), environment(speeds)]
    return {folder / "benchmark.md": "\n\n".join(parts) + "\n"}


def draw(folder: Path) -> dict[str, str]:
    """The figure of a folder's outcomes as SVG, by name; none if it has no outcome."""
    if not (found := outcomes(folder)):
        return {}
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(
            len(found), 1, figsize=(8, 3.2 * len(found) + 0.6), squeeze=False, layout="constrained"
        )
        for axis, speeds in zip(axes[:, 0], found, strict=True):
            _bars(axis, speeds)
        legend(figure, 3)
        return {"benchmark": as_svg(figure)}


def _bars(axis: Axes, speeds: Speeds) -> None:
    """A group of bars for each size and precision, in one process with one thread."""
    alone = [one for one in speeds.measurements if (one.case.threads, one.case.processes) == (1, 1)]
    groups = list(dict.fromkeys((one.case.size, one.case.precision) for one in alone))
    for place, (contender, color) in enumerate(COLORS.items()):
        own = [one for one in alone if one.case.contender == contender]
        places = [groups.index((one.case.size, one.case.precision)) + 0.16 * (place - 2) for one in own]
        axis.bar(places, [_multiple(speeds, one) for one in own], width=0.15, color=color, label=contender)
    axis.axhline(1, color=INK, linewidth=0.8)
    axis.set_xticks(range(len(groups)), [f"{size}\n{precision}" for size, precision in groups])
    axis.set_ylabel("x plain loop in 32")
    axis.set_title(f"{speeds.device}, one process, one thread")


def _multiple(speeds: Speeds, one: Measurement) -> float:
    """How many times the speed of the plain loop in float32 a measurement has; 0 where that was not measured."""
    return float(_ratio(speeds, one, replace(one.case, precision="32")) or 0)


def table(speeds: Speeds) -> Table:
    """A line for each measurement."""
    header = (
        "size", "precision", "threads", "processes", "contender", "tokens/s", "x plain loop", "x plain loop in 32",
        "share of peak", "memory, MiB",
    )  # fmt: skip
    return Table(header, tuple(_cells(speeds, one) for one in speeds.measurements))


def _cells(speeds: Speeds, one: Measurement) -> tuple[str, ...]:
    case = one.case
    return (
        case.size,
        case.precision,
        str(case.threads),
        str(case.processes),
        case.contender,
        f"{one.tokens_per_second:,.0f}",
        _ratio(speeds, one, case),
        _ratio(speeds, one, replace(case, precision="32")),
        f"{speeds.share_of_peak(one):.0%}",
        f"{one.memory:,.0f}" if one.memory else "",
    )


def _ratio(speeds: Speeds, one: Measurement, case: Case) -> str:
    """How many times the speed of the plain loop in a case a measurement has; empty where that was not measured."""
    if not (plain := speeds.find(replace(case, contender=PLAIN))):
        return ""
    paired = case.precision == one.case.precision  # their rounds were next to each other
    ratio = one.times_as_fast_as(plain) if paired else one.tokens_per_second / plain.tokens_per_second
    return f"{ratio:.2f}"


def environment(speeds: Speeds) -> str:
    """Where and when it was measured."""
    peaks = ", ".join(f"{name}: {peak / 1e9:,.0f}" for name, peak in speeds.peaks.items())
    versions = ", ".join(f"{name} {version}" for name, version in speeds.versions.items())
    return (
        f"Peak of products of matrices in the same call, in units of 10^9 operations per second: {peaks}. "
        f"{versions}. Commit {speeds.commit}, {speeds.finished[:10]}, `{speeds.command}`."
    )
