"""Commands of the regression check: check, baseline."""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from jsonargparse.typing import OpenUnitInterval, PositiveInt

from benchmark.commands.arguments import POSITIONAL, listed, refuse_unused
from benchmark.formatting import count
from benchmark.tasks import registry
from benchmark.training.options import DATA, STORE, Options, require_at_most
from datamodules.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.analysis.results import RowResults
    from benchmark.tasks.base import Row

LEVELS = (0.5, 0.9999)
"""Chances of passing that a check can have: nearer to 1 its intervals have no end, and everything passes."""

BASELINE = Path("results/baseline.json")
SPEEDS = Path("results/speed.json")
REPETITIONS = 5
"""Measurements of a row's speed that the baseline takes."""
DEFAULTS = Options(store=STORE / "check")

VERDICTS = {
    0: "every metric is where the reference runs predict it",
    1: "a metric has moved; if that is intended, `rnnreg baseline update --reason ...` accepts it",
    2: "no metric has moved, but some comparisons are undecided: see above",
}


FAILED = 1
"""Exit code of a check of which a run failed, whatever the others show."""


class NotChecked(UserError):
    """A mistake that prevents a check; its exit code is not 1, which says that a metric has moved."""

    exit_code = 2


def baseline(
    action: Annotated[Literal["show", "update", "add", "speed"], POSITIONAL] = "show",
    only: str = "",
    reason: str = "",
    store: Path = STORE,
    baseline: Path = BASELINE,
    speeds: Path = SPEEDS,
    data: Path = DATA,
    rows_file: Path | None = None,
) -> int:
    """Show the reference runs of `rnnreg check`, or take the runs of a store as new ones.

    With reference runs from more than one kind of processor, a check compares new runs with those of the same seeds
    and finds much smaller changes.

    Args:
        action: Whether to show the reference runs, to update them (the runs of the store replace them), to add to them
            (the runs of the store join those of other platforms), or to take the speed of the rows, measured here, as
            that of this kind of processor.
        only: Names of the rows to update, separated by commas; those of the baseline if not given.
        reason: Why the new runs are expected from now on; kept with the commit.
        store: Folder that holds the new runs.
        baseline: File of the reference runs.
        speeds: File of the speeds.
        data: Folder that holds the data, for speeds.
        rows_file: Python file with rows of your own.
    """
    from benchmark.analysis import references

    places = {"store": store, "speeds": speeds, "data": data, "rows_file": rows_file}
    _refuse_unused_of_baseline(action, only=only, reason=reason, **places)
    if action == "speed":
        return _measure_baseline(only, speeds, Options(data=data, threads=1), baseline, rows_file)

    expected = references.read(baseline) if baseline.exists() or action == "show" else {}
    if action == "show":
        for name, row in expected.items():
            last = row.accepted[-1]
            print(f"{name}: {len(row.references)} runs, {last['when']}, {last['commit'][:12]}: {last['reason']}")
        return 0
    if not reason.strip():
        raise UserError("--reason: say why these runs are expected from now on")
    names = listed("--only", only) if only else list(expected)
    if not names:
        raise UserError(f"{baseline} has no rows yet; name those to take up with --only")
    every = registry.load(rows_file)
    table = _with_runs([registry.find(name, every) for name in names], store)
    expected = references.update(expected, table, reason.strip(), add=action == "add")
    references.write(expected, baseline)
    for name in names:
        print(f"{name}: {len(expected[name].references)} reference runs")
    return 0


def _with_runs(rows: "Sequence[Row]", store: Path) -> "list[RowResults]":
    """The rows with their runs in a store, those that diverged among them."""
    from benchmark.analysis.results import gather
    from benchmark.store.records import Store

    runs = Store(store)
    return gather(rows, runs.records(), store=runs)


UNUSED = {
    "show": ("only", "reason", "store", "speeds", "data", "rows_file"),
    "speed": ("reason", "store"),
    "update": ("speeds", "data"),
    "add": ("speeds", "data"),
}
"""Options that an action of `rnnreg baseline` has no use for."""


def _refuse_unused_of_baseline(action: str, **values: object) -> None:
    refuse_unused(baseline, f"to baseline {action}", **{name: values[name] for name in UNUSED[action]})


def check(
    options: Options = DEFAULTS,
    only: str = "",
    seeds: PositiveInt = 2,
    jobs: PositiveInt | None = None,
    level: OpenUnitInterval = 0.99,
    baseline: Path = BASELINE,
    junit: Path | None = None,
    trained: bool = False,
    speed: bool = False,
    speeds: Path = SPEEDS,
    rows_file: Path | None = None,
) -> int:
    """Train the rows of the baseline again and fail when a metric has moved.

    The mean of the new runs has to lie in the two-sided prediction interval that the reference runs give for it: those
    of the same seeds if there are any from several platforms, else all of them by their spread. A metric that is better
    than that has moved too; `rnnreg baseline update` accepts it. The table says which shift each comparison would find.
    The exit code is 0 if all is as expected, 1 if a metric has moved or a run failed, and 2 if nothing has moved but
    some comparison could not be decided. If GITHUB_STEP_SUMMARY is set, the table is added to the job summary.

    Args:
        options: Options of the runs.
        only: Names of the rows to check, separated by commas; all of the baseline if not given.
        seeds: New runs of each row, with seeds 1 to this.
        jobs: Runs at a time; as many as there are cores, or one on a GPU, if not given.
        level: Chance that a check of unchanged code passes, over all its comparisons.
        baseline: File of the reference runs.
        junit: File to write the outcome to as JUnit XML.
        trained: Train nothing; compare the runs that the store has.
        speed: Compare the speed of training instead, on one thread; 1 then says that a row has become slower.
        speeds: File of the committed speeds.
        rows_file: Python file with rows of your own.
    """
    from benchmark.analysis import references
    from benchmark.analysis.regression import compare_all
    from benchmark.reports import check as shown
    from benchmark.reports.outcome import publish

    with _mistakes_are_undecided():
        of_runs = {"seeds": seeds, "jobs": jobs}
        if speed:
            _refuse_unused_of_speed(options, **of_runs, level=level, trained=trained, baseline=baseline)
            return _check_speed(only, speeds, options, junit, rows_file)
        refuse_unused(check, "without --speed", speeds=speeds)
        _require_bounds(level, seeds)
        expected = references.read(baseline)
        rows = references.rows_to_check(expected, listed("--only", only) if only else [], registry.load(rows_file))
        failures: dict[str, int] = {}
        if trained:
            _refuse_others("with --trained, which takes the runs that there are", options, "store", **of_runs)
        else:  # in a new folder, so that no run of older code is compared
            now = datetime.datetime.now(datetime.UTC)
            options = replace(options, store=options.store / f"{now:%Y-%m-%dT%H%M%S.%f}")
            failures = _train(rows, seeds, options, jobs, rows_file)
        report = compare_all(_with_runs(rows, options.store), expected, level)
        publish("rnnreg check", shown.markdown(report), shown.junit(report, list(failures)), junit)
    return _conclude(report.code, failures, options.store)


def _require_bounds(level: float, seeds: int) -> None:
    require_at_most("--seeds", seeds)
    if not LEVELS[0] <= level <= LEVELS[1]:
        raise UserError(f"--level {level}: expected {LEVELS[0]} to {LEVELS[1]}; of others a check says nothing")


def _refuse_unused_of_speed(options: Options, **values: object) -> None:
    _refuse_others("with --speed", options, "data", "threads", **values)
    if options.threads not in (None, 1):
        raise UserError("--threads: of no use with --speed, which measures on one thread; leave it out")


def _refuse_others(mode: str, options: Options, *used: str, **values: object) -> None:
    """Refuse options of runs but for those that a mode uses, and other options that it does not."""
    refuse_unused(check, mode, **{name: value for name, value in vars(options).items() if name not in used}, **values)


def _conclude(code: int, failures: Mapping[str, int], store: Path) -> int:
    """Say how the check ended, and how many runs failed; returns the exit code."""
    for failure in failures:
        print(f"failed: {failure}")
    print(f"runs: {store}")
    print(VERDICTS[code])
    if failed := sum(failures.values()):
        print(f"that is of the other runs only: {count(failed, 'run')} failed, see above")
    return FAILED if failed else code


@contextmanager
def _mistakes_are_undecided() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if error.exit_code != UserError.exit_code:  # an interrupted check keeps its own
            raise
        raise NotChecked(str(error)) from error


def _train(
    rows: "Sequence[Row]", seeds: int, options: Options, jobs: int | None, rows_file: Path | None
) -> dict[str, int]:
    """Train the rows with seeds 1 to this; returns the runs that failed."""
    from benchmark.grid.grid import Run, run_grid
    from benchmark.grid.launchers.local import Local
    from benchmark.store.provenance import rebuild_command

    grid = [Run(row, seed, rebuild_command(row.name, seed, rows_file)) for seed in range(1, seeds + 1) for row in rows]
    return run_grid(grid, Local(options, jobs), rows_file=rows_file)


def _check_speed(only: str, speeds: Path, options: Options, junit: Path | None, rows_file: Path | None) -> int:
    """Measure the rows' speeds, and compare them with the committed ones."""
    from benchmark.analysis.steadiness import SpeedComparison, compare_speed, confirmed, exit_code, read_speed
    from benchmark.reports.check import speed_junit, speed_markdown
    from benchmark.reports.outcome import publish
    from benchmark.speed.steady import measure
    from benchmark.store.provenance import describe_processor

    known, every = read_speed(speeds), registry.load(rows_file)

    def compare(name: str) -> SpeedComparison:
        step = measure(registry.find(name, every), replace(options, threads=1))
        return compare_speed(name, step.ratio, step.error, describe_processor(), known)

    found = [confirmed(partial(compare, name)) for name in (listed("--only", only) if only else known)]
    publish("rnnreg check --speed", speed_markdown(found), speed_junit(found), junit)
    return exit_code(found)


def _measure_baseline(only: str, speeds: Path, options: Options, baseline: Path, rows_file: Path | None) -> int:
    """Measure the rows' speeds several times, and keep them as those of this kind of processor."""
    from benchmark.analysis.references import read
    from benchmark.analysis.steadiness import read_speed, write_speed
    from benchmark.speed.steady import measure
    from benchmark.store.provenance import describe_processor

    known = {row: dict(of_row) for row, of_row in (read_speed(speeds) if speeds.exists() else {}).items()}
    every, processor = registry.load(rows_file), describe_processor()
    for name in listed("--only", only) if only else known or read(baseline):
        ratios = [measure(registry.find(name, every), options).ratio for _ in range(REPETITIONS)]
        known.setdefault(name, {})[processor] = ratios
        print(
            f"{name}: a step takes as long as {', '.join(f'{one:.3f}' for one in ratios)} of the plain loop", flush=True
        )
        write_speed(known, speeds)
    return 0
