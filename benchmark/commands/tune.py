"""The command that chooses settings on the validation set: tune."""

from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmark.commands.arguments import RowName, listed
from benchmark.commands.reproduce import show_plan
from benchmark.grid.launchers import LaunchOptions
from benchmark.tasks import registry
from benchmark.tasks.spaces import parse
from benchmark.training.options import Options, require_at_most
from datamodules.errors import UserError


def tune(
    row: RowName,
    options: Options = Options(),  # noqa: B008  frozen
    trials: PositiveInt = 8,
    space: dict[str, Any] | None = None,
    seed: NonNegativeInt = 1,
    launching: LaunchOptions = LaunchOptions(),  # noqa: B008  frozen
    dry_run: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Try settings of a row, drawn from the space that it declares, and print those that are best in validation.

    Trials lie in the folder `tuning` of the store and never read the test set. They have seed 0, which no grid gives
    a row's own runs: the figures to report are those of `rnnreg reproduce`, whose seeds are fresh. An interrupted
    command resumes, and more trials go on from those that are there.

    Args:
        row: Name of the row, or of several separated by commas, each of which gets as many trials.
        options: Where and how to run.
        trials: Trials of each row; a power of two fills the space most evenly.
        space: Settings to draw, beside those that the row declares or in place of them:
            '{"lr": [0.1, 10, "log"], "dropout": [0, 0.7], "epochs": {"choices": [8, 16]}}'.
        seed: Seed of the draws.
        launching: Where trials are executed, and how many at a time.
        dry_run: Run nothing; say what would be run and about how long it takes.
        rows_file: Python file with rows of your own.
    """
    from dataclasses import replace

    from benchmark.analysis.tuning import read_tuned
    from benchmark.grid import tuning
    from benchmark.reports import tuning as report
    from benchmark.store.tunings import TUNING

    require_at_most("--trials", trials)
    every = registry.load(rows_file)
    rows = [registry.find_trained(name, every) for name in listed("ROW", row)]
    given = parse(space or {})
    studies = [(one, tuning.plan(one, {**one.space, **given}, trials, seed)) for one in rows]
    inside = replace(options, store=options.store / TUNING)
    if dry_run:
        show_plan([run for one, drawn in studies for run in tuning.runs_of(one, drawn, rows_file)], inside, launching)
        return 0
    _, failures = tuning.tune(studies, launching.make(inside, trials * len(rows)), launching.retries, rows_file)
    if failures:
        raise UserError(f"{sum(failures.values())} trials failed, the others are kept: {'; '.join(failures)}")
    found = {tuned.tuning.row: tuned for tuned in read_tuned(inside.store)}
    for one in rows:
        report.write(found[one.name], inside.store, rows_file)
        print(report.as_text(found[one.name], inside.store, rows_file))
    return 0
