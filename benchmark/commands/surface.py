"""The command that shows where dropout pays: surface."""

from pathlib import Path
from typing import Annotated

from jsonargparse.typing import PositiveInt

from benchmark.commands.arguments import POSITIONAL, listed
from benchmark.commands.reproduce import show_plan
from benchmark.grid.launchers import LaunchOptions
from benchmark.tasks import registry
from benchmark.training.options import Options, require_at_most
from datamodules.errors import UserError


def surface(
    rows: Annotated[str, POSITIONAL] = "sotu-small,sotu-medium,sotu-large",
    options: Options = Options(),  # noqa: B008  frozen
    fractions: str = "1/8,1/4,1/2,1",
    rates: str = "0,0.25,0.5",
    seeds: PositiveInt = 2,
    launching: LaunchOptions = LaunchOptions(),  # noqa: B008  frozen
    dry_run: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Train language models of several sizes on parts of the text, without dropout and with it.

    It shows how much text dropout is worth, and at which size it starts to pay. Runs lie in the folder `surface` of the
    store and never read the test set; an interrupted command resumes.

    Args:
        rows: Names of the rows, one of each size, separated by commas.
        options: Where and how to run.
        fractions: Parts of the training text from 1/1000 to 1, separated by commas.
        rates: Probabilities of dropping a unit; 0 must be among them.
        seeds: Runs of each; single runs decide nothing.
        launching: Where runs are executed, and how many at a time.
        dry_run: Run nothing; say what would be run and about how long it takes.
        rows_file: Python file with rows of your own.
    """
    from dataclasses import replace

    from benchmark.grid.grid import run_grid
    from benchmark.grid.surface import runs_of
    from benchmark.reports import surface as report
    from benchmark.reports import write
    from benchmark.store.tunings import SURFACE

    require_at_most("--seeds", seeds)
    every = registry.load(rows_file)
    chosen = [registry.find_trained(name, every) for name in listed("ROWS", rows)]
    probabilities = numbers("--rates", rates)
    if 0.0 not in probabilities or len(probabilities) < 2:
        raise UserError(f"--rates {rates}: expected 0 and another probability at least, to compare")
    inside = replace(options, store=options.store / SURFACE)
    grid = runs_of(chosen, numbers("--fractions", fractions), probabilities, seeds, rows_file)
    if dry_run:
        show_plan(grid, inside, launching)
        return 0
    failures = run_grid(grid, launching.make(inside, len(grid)), launching.retries, rows_file)
    files = report.files(options.store, options.store)
    write.write(files)
    print(*(text for path, text in files.items() if path.suffix == ".md"), sep="\n")
    if failures:
        raise UserError(f"{sum(failures.values())} runs failed, the others are kept: {'; '.join(failures)}")
    return 0


def numbers(option: str, text: str) -> list[float]:
    """Numbers separated by commas, such as 0.25 or 1/4, in their order and each once.

    Raises:
        UserError: one is no number, or is given twice.
    """
    from fractions import Fraction

    words = listed(option, text)
    try:
        return list(dict.fromkeys(float(Fraction(word)) for word in words))
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{option} {text}: expected numbers such as 0.25 or 1/4, separated by commas") from error
