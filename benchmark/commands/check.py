"""Commands of the regression check: check, baseline."""

import datetime
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jsonargparse.typing import OpenUnitInterval, PositiveInt

from benchmark.analysis.references import (
    BASELINE,
    LEAST_REFERENCES,
    STORE,
    Expected,
    Reference,
    all_metrics,
    platform,
    read,
    write,
)
from benchmark.analysis.regression import compare_all
from benchmark.analysis.results import gather, model_name
from benchmark.grid.grid import Run, run_grid
from benchmark.grid.launchers.local import Local
from benchmark.store.provenance import describe_commit, rebuild_command
from benchmark.store.records import Store
from benchmark.tasks import registry
from benchmark.training.options import Options
from datamodules.errors import UserError


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
    every = registry.load(rows_file)
    table = gather([registry.find(name, every) for name in names], Store(store).records(skipped=[]))
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


def check(
    options: Options,
    only: str = "",
    seeds: PositiveInt = 2,
    jobs: PositiveInt | None = None,
    level: OpenUnitInterval = 0.99,
    baseline: Path = BASELINE,
    junit: Path | None = None,
    trained: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Train the rows of the baseline again and fail when a metric has moved.

    The mean of the new runs has to lie in the two-sided prediction interval that the spread of the reference runs gives
    for it. A metric that is better than that has moved too; `rnnreg baseline update` accepts it. Ends with 0 when all
    is as expected, 1 when a metric has moved, 2 when that could not be decided. Where GITHUB_STEP_SUMMARY is set, the
    table goes there too.

    Args:
        options: where and how.
        only: names of the rows to check, separated by commas; all of the baseline if not given.
        seeds: new runs of each row, with seeds 1 to this.
        jobs: runs at a time; as many as there are cores, or one on a GPU, if not given.
        level: chance that a check of unchanged code passes, over all its comparisons.
        baseline: file of the reference runs.
        junit: file that takes the outcome as JUnit XML.
        trained: train nothing, compare what the store has.
        rows_file: Python file with rows of your own.
    """
    expected, every = read(baseline), registry.load(rows_file)
    names = only.split(",") if only else list(expected)
    for name in names:
        if name not in expected:
            raise UserError(f"{baseline} has no reference runs of {name}; there are {', '.join(expected) or 'none'}")
    chosen = [registry.find(name, every) for name in names]
    failures: dict[str, int] = {}
    if not trained:  # into a new folder: a run of older code must not stand in for one of today's
        options = replace(options, store=options.store / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H%M%S.%f}")
        grid = [
            Run(row, seed, rebuild_command(row.name, seed, rows_file)) for seed in range(1, seeds + 1) for row in chosen
        ]
        failures = run_grid(grid, Local(options, jobs), rows_file=rows_file)
    report = compare_all(gather(chosen, Store(options.store).records(skipped=[])), expected, level)
    print(report.markdown())
    try:
        if junit:
            junit.parent.mkdir(parents=True, exist_ok=True)
            junit.write_text(report.junit(), encoding="utf-8")
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(f"## rnnreg check\n\n{report.markdown()}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from error
    for failure in failures:
        print(f"failed: {failure}")
    print(f"runs: {options.store}")
    print(VERDICTS[report.code])
    return report.code


VERDICTS = {
    0: "every metric is where the reference runs say",
    1: "a metric has moved; if that is meant, `rnnreg baseline update --reason ...` accepts it",
    2: "nothing has moved, but not all could be decided: see above",
}
