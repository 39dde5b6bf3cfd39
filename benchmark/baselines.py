"""The committed reference runs that `rnnreg check` holds new runs against."""

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark import UserError, rows
from benchmark.configs import Metric, Row
from benchmark.environment import describe_commit
from benchmark.lines import gather, model_name
from benchmark.records import Record, Store

STORE = Path("runs")
BASELINE = Path("results/baseline.json")

LEAST_REFERENCES = 5
"""Reference runs of a row below which their spread says too little."""


@dataclass(frozen=True)
class Reference:
    """What the baseline keeps of a reference run."""

    seed: int
    metrics: dict[str, float]
    """Final metrics, and the training metric of the last epoch."""
    fingerprint: str
    """Configuration and protocol; see Record."""
    data_sha256: str
    log_probabilities_sha256: str
    platform: str
    """Device and versions: where these are the same, runs are expected to be the same to the last bit."""
    commit: str


@dataclass(frozen=True)
class Expected:
    """The reference runs of a row, and why they are the reference."""

    references: tuple[Reference, ...]
    accepted: tuple[dict[str, str], ...]
    """Each acceptance: its reason, the commit and the time; the newest is last."""


def compared(row: Row) -> tuple[Metric, ...]:
    """The metrics of a row that are held against its references: the training metric shows faults that others hide."""
    return (row.config.training, *row.config.headline)


def all_metrics(record: Record, row: Row) -> dict[str, float]:
    """The final metrics of a run, and its training metric in the last epoch."""
    name = row.config.training.name
    last = {name: record.curve[-1][name]} if record.curve and name in record.curve[-1] else {}
    return {**last, **record.metrics}


def platform(record: Record) -> str:
    """Device and versions of a run: where these are the same, a run is expected to be the same to the last bit."""
    return f"{record.device}; " + ", ".join(f"{name} {text}" for name, text in sorted(record.versions.items()))


def baseline(
    action: Literal["show", "update"] = "show",
    only: str = "",
    reason: str = "",
    store: Path = STORE,
    baseline: Path = BASELINE,
    rows_file: Path | None = None,
) -> int:
    """Show the reference runs of `rnnreg check`, or take the runs of a store as new ones.

    Args:
        action: show or update.
        only: names of the rows to update, separated by commas; those of the baseline if not given.
        reason: why the new runs are what is expected from now on; kept with the commit.
        store: folder that holds the new runs.
        baseline: file of the reference runs.
        rows_file: Python file with rows of your own.
    """
    expected = read(baseline) if baseline.exists() or action == "show" else {}
    if action == "show":
        for name, one in expected.items():
            last = one.accepted[-1]
            print(f"{name}: {len(one.references)} runs, {last['when']}, {last['commit'][:12]}: {last['reason']}")
        return 0
    if not reason.strip():
        raise UserError("--reason: say why these runs are what is expected from now on")
    names = only.split(",") if only else list(expected)
    if not names:
        raise UserError(f"{baseline} has no rows yet; name those to take up with --only")
    every = rows.load(rows_file)
    table = gather([rows.find(name, every) for name in names], Store(store).records(skipped=[]))
    accepted = {
        "reason": reason.strip(),
        "commit": describe_commit(),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    for line in table:
        if len(line.records) < LEAST_REFERENCES:
            raise UserError(
                f"{store} has {len(line.records)} runs of {model_name(line.row)} ({line.row.name}); a reference needs "
                f"{LEAST_REFERENCES}: `rnnreg reproduce --only {line.row.name} --seeds {LEAST_REFERENCES}` trains them"
            )
        references = tuple(
            Reference(
                seed=record.seed,
                metrics=all_metrics(record, line.row),
                fingerprint=record.fingerprint,
                data_sha256=record.data_sha256,
                log_probabilities_sha256=record.log_probabilities_sha256,
                platform=platform(record),
                commit=record.commit,
            )
            for record in line.records
        )
        before = expected[line.row.name].accepted if line.row.name in expected else ()
        expected[line.row.name] = Expected(references, (*before, accepted))
        print(f"{line.row.name}: {len(references)} reference runs")
    write(expected, baseline)
    return 0


def read(path: Path) -> dict[str, Expected]:
    """The baseline: row name to its reference runs.

    Raises:
        UserError: there is no such file, or it is not a baseline.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Expected(
                tuple(Reference(**one) for one in row["references"]),
                tuple(row["accepted"]),
            )
            for name, row in content.items()
        }
    except FileNotFoundError as error:
        raise UserError(f"there is no baseline {path}; `rnnreg baseline update` makes one") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a baseline of this suite ({error}); restore it from git") from error


def write(expected: dict[str, Expected], path: Path) -> None:
    """Keep a baseline.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({name: asdict(row) for name, row in expected.items()}, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
