"""Tables of the outcomes of `rnnreg benchmark`, made from their files only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.formatting import Table
from benchmark.store.speeds import Case, Measurement, Speeds, read

OURS, PLAIN = "rnnreg", "plain loop"
"""The suite, and what its speed is given as a multiple of."""

REPORT = "benchmark.md"


ABOUT = (
    "Whole training steps of the paper's language models at batch 20 and a vocabulary of 10,000, measured by "
    "`rnnreg benchmark`. Contenders take turns, each in a process of its own; figures are medians over rounds. "
    "The plain loop around nn.LSTM, the loop around nn.LSTMCell and Lightning with default logging are those of "
    "`benchmark/speed/plain.py`. Ratios are to the plain loop beside it, and to the plain loop in precision 32. "
    "The share of the peak is that of the products of matrices in the whole step."
)


def outcomes(folder: Path) -> list[Speeds]:
    """The outcomes that a folder has."""
    return [read(path) for path in sorted(folder.glob("benchmark-*.json"))]


def write(folder: Path) -> list[Path]:
    """Write the tables of a folder's outcomes beside them; returns what was written."""
    path = folder / REPORT
    path.write_text(markdown(outcomes(folder)), encoding="utf-8")
    return [path]


def markdown(found: Sequence[Speeds]) -> str:
    """All tables."""
    parts = ["# Speed of training", ABOUT]
    for speeds in found:
        parts += [f"## {speeds.device}", table(speeds).markdown(), environment(speeds)]
    return "\n\n".join(parts) + "\n"


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
