"""Compares the speed of training with that of committed measurements on the same kind of processor."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.files import write_text
from datamodules.errors import UserError, damaged

TOLERANCE = 0.10
"""Difference of logarithms by which a step may take longer or shorter before it counts: about half of the change of
20 % that is to be found."""
DOUBT = 0.07
"""Difference of logarithms from which a longer step is measured twice more."""
LARGEST_ERROR = 0.04
"""Relative standard error of the comparison with which that change is told from noise."""
FEWEST = 3
"""Fewest committed measurements of a row on one kind of processor."""

SpeedBaseline = Mapping[str, Mapping[str, Sequence[float]]]
"""Committed measurements, by the row and by the kind of processor: times of a step in steps of a plain loop."""

Outcome = Literal["passed", "slower", "faster", "undecided"]


@dataclass(frozen=True)
class SpeedComparison:
    """The time of a training step of one row beside the committed ones."""

    row: str
    outcome: Outcome
    message: str
    """Why it has not passed, in words."""
    ratio: float
    """Time of a step, in steps of a plain loop measured in the same run."""
    expected: float | None = None
    change: float | None = None
    """Relative change of that time."""
    error: float | None = None
    """Relative standard error of the change."""


def compare_speed(row: str, ratio: float, error: float, processor: str, baseline: SpeedBaseline) -> SpeedComparison:
    """Compare one measurement.

    Args:
        row: name of the row.
        ratio: time of a step, in steps of a plain loop.
        error: its relative standard error.
        processor: kind of the processor.
        baseline: the committed measurements.
    """
    known = baseline.get(row, {}).get(processor, ())
    if len(known) < FEWEST:
        message = (
            f"{len(known)} committed measurements on this kind of processor, needs {FEWEST}: `rnnreg baseline speed`"
        )
        return SpeedComparison(row, "undecided", message, ratio)
    logs = [math.log(one) for one in known]
    change = math.log(ratio) - statistics.fmean(logs)
    spread = statistics.variance(logs)
    total = math.sqrt(max(error**2, spread) + spread / len(logs))
    outcome: Outcome = "passed"
    message = ""
    if total > LARGEST_ERROR:
        outcome, message = "undecided", f"too much else runs here: the error is {total:.1%}, needs {LARGEST_ERROR:.0%}"
    elif abs(change) > TOLERANCE:
        outcome = "slower" if change > 0 else "faster"
        message = f"a step takes {abs(math.expm1(change)):.0%} {'longer' if change > 0 else 'less'} than before"
    return SpeedComparison(row, outcome, message, ratio, math.exp(statistics.fmean(logs)), math.expm1(change), total)


def confirmed(measure: Callable[[], SpeedComparison]) -> SpeedComparison:
    """One comparison or, where the row may be slower, the middle one of three: chance strikes one alone.

    Args:
        measure: makes a measurement and compares it.
    """
    first = measure()
    if first.change is None or math.log1p(first.change) < DOUBT:
        return first
    return sorted((first, measure(), measure()), key=lambda one: one.ratio)[1]


def exit_code(comparisons: Sequence[SpeedComparison]) -> int:
    """1 if a row has become slower, 2 if none has but one is undecided, else 0: a faster one is good news."""
    outcomes = {one.outcome for one in comparisons}
    return 1 if "slower" in outcomes else 2 if "undecided" in outcomes or not outcomes else 0


def read_speed(path: Path) -> SpeedBaseline:
    """The committed measurements.

    Raises:
        UserError: there is no such file, or it is none of speeds.
    """
    if not path.exists():
        raise UserError(f"there is no baseline {path}; `rnnreg baseline speed` makes one")
    with damaged(path, "restore it from git", "is no baseline of speeds"):
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(row): {str(processor): [float(one) for one in ratios] for processor, ratios in of_row.items()}
            for row, of_row in content.items()
        }


def write_speed(baseline: SpeedBaseline, path: Path) -> None:
    """Write the committed measurements.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(path, json.dumps(baseline, indent=1) + "\n")
