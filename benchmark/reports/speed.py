"""The tables and figures of the outcomes of `rnnreg benchmark`, made from their files only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.intervals import Interval, of_median
from benchmark.formatting import Table, count
from benchmark.reports.figures import INK, NEITHER, PAPER, STYLE, WITH, WITHOUT, as_svg, legend
from benchmark.store.speeds import CELLS, LIGHTNING, OURS, OURS_RECURRENT, PLAIN, Case, Measurement, Speeds, read
from benchmark.tasks.methods import METHODS

OF_PAPER = "dropout"
"""The method whose step the step of every other method is compared with."""
STEP_TIME = "time of a step, relative to the paper's dropout"

ABOUT = (
    "Whole training steps of the paper's language models at batch 20 and a vocabulary of 10,000, measured by "
    "`rnnreg benchmark`. Contenders take turns, each in a process of its own; figures are medians over rounds. "
    "The plain loop around nn.LSTM, the loop around nn.LSTMCell and Lightning with default logging are those of "
    "`benchmark/speed/plain.py`. Ratios are to the plain loop beside it, and to the plain loop in precision 32. "
    "The share of the peak is that of the matrix multiplications in the whole step. On a GPU, precision 32 means TF32 "
    "for all of them in the suite, and PyTorch's defaults for the loops, by which only those of the LSTM are in TF32."
)
ABOUT_METHODS = (
    "The suite with each method of the atlas in the place of the paper's dropout, with the settings of the method's "
    "source, by `rnnreg benchmark --methods`. A step is compared with one with the paper's dropout, by the median over "
    "rounds that were next to each other, with its 95 % interval from order statistics (of 9 rounds the 2nd to the "
    "8th); of fewer than 6 rounds, which have none, the range is given. In the figure, methods whose interval holds 1 "
    "are gray. NT-ASGD, also in AWD-LSTM, is measured before it begins to average."
)

COLORS = {OURS: WITH, OURS_RECURRENT: "#8db4dd", PLAIN: WITHOUT, CELLS: "#d9a08f", LIGHTNING: "#8a8a8a"}
"""Color of each contender's bars."""


@dataclass(frozen=True)
class StepTime:
    """How many times as long a step with a method takes as one with the paper's dropout."""

    median: float
    """Over rounds."""
    interval: Interval | None
    """Of the median; None of fewer rounds than have one."""
    range: Interval
    """The shortest and the longest of all rounds."""

    @property
    def is_decided(self) -> bool:
        """Whether the interval shows that it takes longer or shorter."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    def __str__(self) -> str:
        low, high = self.interval or self.range
        return f"{self.median:.2f} ({'' if self.interval else 'range '}{low:.2f} to {high:.2f})"


def outcomes(folder: Path) -> list[Speeds]:
    """The outcomes that a folder has."""
    return [read(path) for path in sorted(folder.glob("benchmark-*.json"))]


def tables(folder: Path) -> dict[Path, str]:
    """The tables of a folder's outcomes, by path; none if it has no outcome."""
    if not (found := outcomes(folder)):
        return {}
    loops, methods = _by_kind(found)
    parts = ["# Speed of training"]
    if loops:
        parts += [ABOUT, "![Speed of training](benchmark.svg)"]
    for speeds in loops:
        parts += [f"## {speeds.device}", table(speeds).markdown(), environment(speeds)]
    if methods:
        parts += ["## Ways to regularize", ABOUT_METHODS, "![Speed of training](benchmark-methods.svg)"]
    for speeds in methods:
        parts += [f"### {speeds.device}", table_of_methods(speeds).markdown(), environment(speeds)]
    return {folder / "benchmark.md": "\n\n".join(parts) + "\n"}


def draw(folder: Path) -> dict[str, str]:
    """The figures of a folder's outcomes as SVG, by name; none if it has no outcome."""
    loops, methods = _by_kind(outcomes(folder))
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        drawn = {}
        if loops:
            drawn["benchmark"] = as_svg(_figure_of_loops(loops))
        if methods:
            drawn["benchmark-methods"] = as_svg(_figure_of_methods(methods))
        return drawn


def _by_kind(found: Sequence[Speeds]) -> tuple[list[Speeds], list[Speeds]]:
    """The outcomes of the loops beside the suite, and those of methods."""
    return [one for one in found if not one.of_methods], [one for one in found if one.of_methods]


def _figure_of_loops(found: Sequence[Speeds]) -> Figure:
    """A panel for each device."""
    figure, axes = plt.subplots(len(found), 1, figsize=(8, 3.2 * len(found) + 0.6), squeeze=False, layout="constrained")
    for axis, speeds in zip(axes[:, 0], found, strict=True):
        _bars(axis, speeds)
    legend(figure, 3)
    return figure


def _figure_of_methods(found: Sequence[Speeds]) -> Figure:
    """A panel for each device, size and precision: how long a step takes with each method."""
    panels = [(speeds, group) for speeds in found for group in _by_group(speeds).values()]
    height = sum(0.25 * len(group) + 0.9 for _, group in panels)
    figure, axes = plt.subplots(len(panels), 1, figsize=(8, height + 0.3), squeeze=False, layout="constrained")
    for axis, (speeds, group) in zip(axes[:, 0], panels, strict=True):
        _bars_of_methods(axis, speeds, group)
    legend(figure, 2)
    return figure


def _bars_of_methods(axis: Axes, speeds: Speeds, group: Sequence[Measurement]) -> None:
    """A bar for each method, the fastest on top, with the interval of its median or the range of its rounds."""
    known = [(time, _label(one)) for one in group if (time := step_time(speeds, one))]
    known.sort(key=lambda one: one[0].median, reverse=True)
    labels = [label for _, label in known]
    for is_decided, color in ((True, WITH), (False, NEITHER)):
        own = [(time, label) for time, label in known if time.is_decided == is_decided]
        about = "longer or shorter than with the paper's dropout" if is_decided else "not shown to differ from it"
        places, times = [labels.index(label) for _, label in own], [time for time, _ in own]
        bars = axis.barh(places, [time.median for time in times], color=color, label=about)
        axis.bar_label(bars, list(map(str, times)), label_type="center", color=PAPER)
    ends = [time.interval or time.range for time, _ in known]
    reach = [
        [time.median - low for (time, _), (low, _) in zip(known, ends, strict=True)],
        [high - time.median for (time, _), (_, high) in zip(known, ends, strict=True)],
    ]
    medians = [time.median for time, _ in known]
    axis.errorbar(medians, range(len(known)), xerr=reach, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    axis.set_yticks(range(len(known)), labels)
    axis.axvline(1, color=INK, linewidth=0.8, zorder=0)
    with_ends = "95 % interval" if all(time.interval for time, _ in known) else "range over rounds"
    axis.set_xlabel(f"{STEP_TIME} ({with_ends})")
    case = group[0].case
    axis.set_title(f"{case.size}, {case.precision}, {speeds.device}, {count(case.threads, 'thread')}")


def _by_group(speeds: Speeds) -> dict[tuple[str, str], list[Measurement]]:
    """The measurements of each size and precision."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in speeds.measurements:
        groups.setdefault((one.case.size, one.case.precision), []).append(one)
    return groups


def _label(one: Measurement) -> str:
    """What a method is called; its key if this version of the suite has no such method."""
    key = one.case.method
    return METHODS[key].label if key in METHODS else key


def step_time(speeds: Speeds, one: Measurement) -> StepTime | None:
    """How long a step with a method takes; None where the paper's dropout was not measured beside it."""
    paper = speeds.find(replace(one.case, method=OF_PAPER))
    if paper is None:
        return None
    times = [1 / ratio for ratio in one.ratios_to(paper)]
    return StepTime(median(times), of_median(times), (min(times), max(times)))


def _bars(axis: Axes, speeds: Speeds) -> None:
    """A group of bars for each size and precision, in one process with one thread."""
    alone = [one for one in speeds.measurements if (one.case.threads, one.case.processes) == (1, 1)]
    groups = list(dict.fromkeys((one.case.size, one.case.precision) for one in alone))
    for place, (contender, color) in enumerate(COLORS.items()):
        own = [one for one in alone if one.case.contender == contender]
        places = [groups.index((one.case.size, one.case.precision)) + 0.16 * (place - 2) for one in own]
        heights = [_ratio(speeds, one, replace(one.case, precision="32")) or 0.0 for one in own]  # 0: not measured
        axis.bar(places, heights, width=0.15, color=color, label=contender)
    axis.axhline(1, color=INK, linewidth=0.8)
    axis.set_xticks(range(len(groups)), [f"{size}\n{precision}" for size, precision in groups])
    axis.set_ylabel("speed, plain loop in 32 = 1")
    axis.set_title(f"{speeds.device}, one process, one thread")


def table(speeds: Speeds) -> Table:
    """A line for each measurement."""
    header = (
        "size", "precision", "threads", "processes", "contender", "tokens/s", "x plain loop", "x plain loop in 32",
        "share of peak", "memory, MiB",
    )  # fmt: skip
    return Table(header, tuple(_cells(speeds, one) for one in speeds.measurements))


def table_of_methods(speeds: Speeds) -> Table:
    """A line for each method at each size and in each precision."""
    header = ("size", "precision", "method", "tokens/s", STEP_TIME, "memory, MiB")
    body = [
        (
            one.case.size,
            one.case.precision,
            _label(one),
            f"{one.tokens_per_second:,.0f}",
            str(step_time(speeds, one) or ""),
            f"{one.memory:,.0f}" if one.memory else "",
        )
        for one in speeds.measurements
    ]
    return Table(header, tuple(body))


def _cells(speeds: Speeds, one: Measurement) -> tuple[str, ...]:
    case = one.case
    return (
        case.size,
        case.precision,
        str(case.threads),
        str(case.processes),
        case.contender,
        f"{one.tokens_per_second:,.0f}",
        _shown(_ratio(speeds, one, case)),
        _shown(_ratio(speeds, one, replace(case, precision="32"))),
        f"{speeds.share_of_peak(one):.0%}",
        f"{one.memory:,.0f}" if one.memory else "",
    )


def _ratio(speeds: Speeds, one: Measurement, case: Case) -> float | None:
    """How many times the speed of the plain loop in a case a measurement has; None where that was not measured."""
    plain = speeds.find(replace(case, contender=PLAIN))
    return one.times_as_fast_as(plain) if plain else None


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def environment(speeds: Speeds) -> str:
    """Where and when it was measured."""
    peaks = ", ".join(f"{name}: {peak / 1e9:,.0f}" for name, peak in speeds.peaks.items())
    versions = ", ".join(f"{name} {version}" for name, version in speeds.versions.items())
    return (
        f"Peak rate of matrix multiplication in the same call, in units of 10^9 operations per second: {peaks}. "
        f"{versions}. Commit {speeds.commit}, {speeds.finished[:10]}, `{speeds.command}`."
    )
