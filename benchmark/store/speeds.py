"""Outcomes of `rnnreg benchmark`: one JSON file for each kind of device."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from benchmark.files import write_text
from benchmark.formatting import count
from datamodules.errors import damaged

OURS, OURS_RECURRENT = "rnnreg", "rnnreg, recurrent dropout"
PLAIN, CELLS, LIGHTNING = "plain loop", "LSTMCell loop", "Lightning"
"""Contenders: the suite, also with dropout on the recurrent connections, and the loops beside it, see Case."""


@dataclass(frozen=True)
class Case:
    """What is trained, by what, and how."""

    contender: str
    """What trains it: OURS, PLAIN and so on."""
    size: str
    """The paper's name for the model's size."""
    precision: Literal["32", "bf16-mixed"]
    """Arithmetic of products: Options.precision."""
    threads: int = 1
    """CPU threads of each process."""
    processes: int = 1
    """Processes that do the same side by side."""
    method: str = ""
    """Method of the atlas that the suite trains with, by its key; empty for the paper's row as it is."""


@dataclass(frozen=True)
class Measurement:
    """The rounds of one case."""

    case: Case
    seconds: Sequence[float]
    """Seconds of a step in each round, the mean over its steps; with several processes over all of theirs."""
    tokens: int
    """Tokens of a step, in all processes together."""
    flops: float
    """Floating-point operations that a step's products of matrices take, in all processes together."""
    memory: float
    """MiB that one process takes beyond its libraries, on a GPU there, at most; 0 where it cannot be measured."""

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second in the median round."""
        return self.tokens / median(self.seconds)

    def times_as_fast_as(self, other: "Measurement") -> float:
        """How many times another's speed this one has, the median over rounds that were run next to each other."""
        return median(self.ratios_to(other))

    def ratios_to(self, other: "Measurement") -> list[float]:
        """How many times another's speed this one has, in each of the rounds that were run next to each other."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return [theirs / own * self.tokens / other.tokens for own, theirs in pairs]


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """All measurements of one call of `rnnreg benchmark`."""

    device: str
    """The device, for a reader."""
    versions: dict[str, str]
    """Versions of Python, of the packages and of CUDA, and the kind of processor."""
    commit: str
    """Git commit of the suite, with "-dirty" when the working tree had changes."""
    finished: str
    """Time of the end, UTC, ISO 8601."""
    command: str
    """Command line that measures it again."""
    peaks: dict[str, float]
    """Floating-point operations per second of one process in a large product of matrices, in the same call, by
    precision and threads, such as "32, 1 thread"."""
    measurements: Sequence[Measurement]

    @property
    def of_methods(self) -> bool:
        """Whether methods of the atlas were measured, in place of the loops beside the suite."""
        return any(one.case.method for one in self.measurements)

    def find(self, case: Case) -> Measurement | None:
        """The measurement of a case, None if it was not measured."""
        return next((one for one in self.measurements if one.case == case), None)

    def share_of_peak(self, measurement: Measurement) -> float:
        """The operations of a step's products per second, as a share of what its processes could do at most."""
        case = measurement.case
        peak = self.peaks[name_of_peak(case)] * case.processes
        return measurement.flops / median(measurement.seconds) / peak


def name_of_peak(case: Case) -> str:
    """Name under which Speeds.peaks holds the peak of a case's processes."""
    return f"{case.precision}, {count(case.threads, 'thread')}"


def write(speeds: Speeds, path: Path) -> None:
    """Write the outcome.

    Raises:
        UserError: it cannot be written.
    """
    write_text(path, json.dumps(asdict(speeds), indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Speeds:
    """Read an outcome.

    Raises:
        UserError: the file is not one.
    """
    with damaged(path, "measure it again", "is not an outcome of `rnnreg benchmark`"):
        content = json.loads(path.read_text(encoding="utf-8"))
        measurements = [
            Measurement(**{**fields, "case": Case(**fields["case"])}) for fields in content.pop("measurements")
        ]
        return Speeds(**content, measurements=measurements)
