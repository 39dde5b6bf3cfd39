"""How a tuning is shown: its trials, its curve, and the row value of its best trial."""

from pathlib import Path
from typing import Any

from benchmark.analysis.tuning import Tuned
from benchmark.formatting import Table, count, rounded
from benchmark.reports import tuning_figure
from benchmark.reports.write import write as write_files
from benchmark.store.records import FLOAT32, in_other_precisions
from benchmark.tasks import registry
from benchmark.tasks.spaces import as_changes

ROWS_FILE = '''"""The best of {trials} trials of {row} by {metric}: {value}. Made by `rnnreg tune`."""

from pathlib import Path

from benchmark.tasks import registry

EVERY = registry.load({rows_file})
BASE = registry.find({row!r}, EVERY)
ROWS = [
    *EVERY[len(registry.ROWS) :],
    BASE.variant(
        {name!r},
        f"{{BASE.note}}, tuned".removeprefix(", "),
{changes}
    ),
]
'''


def tuned_name(row: str) -> str:
    """Name of the row that has the settings of a row's best trial."""
    return f"{row}-tuned"


def rows_file_of(row: str, folder: Path) -> Path:
    """The file of rows that has it; its name is that of a Python module, unlike any other's."""
    return folder / f"tuned_{''.join(one if one.isalnum() else '_' for one in row)}.py"


def write(tuned: Tuned, folder: Path, rows_file: Path | None) -> None:
    """Write the rows file of a tuning and the figure of its curve into its folder.

    Args:
        tuned: the tuning.
        folder: folder of tunings.
        rows_file: the user's file that has the row which was tuned.

    Raises:
        UserError: a file cannot be written.
    """
    if tuned.best is None:
        return
    row = tuned.tuning.row
    files = {folder / f"{row}.svg": tuning_figure.draw([tuned])}
    files[rows_file_of(row, folder)] = ROWS_FILE.format(
        trials=len(tuned.tuning.settings),
        row=row,
        metric=tuned.metric.label,
        value=rounded(tuned.values[tuned.best] or 0.0, tuned.metric.digits),
        rows_file=f"Path({str(rows_file.resolve())!r})" if rows_file else None,
        name=tuned_name(row),
        changes="\n".join(f"        {name}={value!r}," for name, value in _changes(tuned, rows_file).items()),
    )
    write_files(files)


def _changes(tuned: Tuned, rows_file: Path | None) -> dict[str, Any]:
    row = registry.find(tuned.tuning.row, registry.load(rows_file))
    return as_changes(row.config, tuned.winner)


def as_text(tuned: Tuned, folder: Path, rows_file: Path | None) -> str:
    """The trials of a tuning from the best to the worst, its curve, and the best one as a row value, for a terminal."""
    tuning, metric = tuned.tuning, tuned.metric
    if tuned.best is None:
        return f"{tuning.row}: all {len(tuning.settings)} trials diverged; a smaller lr may help"
    body = []
    for place in [*tuned.order, *(place for place, value in enumerate(tuned.values) if value is None)]:
        value, settings = tuned.values[place], tuning.settings[place].values()
        figure = "diverged" if value is None else rounded(value, metric.digits)
        body.append((str(place + 1), figure, *(f"{one:g}" if isinstance(one, float) else str(one) for one in settings)))
    table = Table(("trial", metric.label, *tuning.settings[0]), tuple(body))
    changes = _changes(tuned, rows_file)
    best = ", ".join([repr(tuned_name(tuning.row)), *(f"{name}={one!r}" for name, one in changes.items())])
    command = f"rnnreg reproduce --rows_file {rows_file_of(tuning.row, folder)} --only {tuned_name(tuning.row)}"
    precision = tuned.records[tuning.fingerprints[tuned.best]].precision
    command += f" --precision {precision}" if precision != FLOAT32 else ""
    lines = (
        f"\n{tuning.row}: {in_words(tuned)}; curve: {folder / tuning.row}.svg",
        table.text(),
        f"best settings as a row: registry.find({tuning.row!r}).variant({best})",
        f"on fresh seeds: {command}",
    )
    return "\n".join(lines)


def in_words(tuned: Tuned) -> str:
    """Trials, those of another precision, cost and the expected best of 1, 2, 4, ... trials in one sentence."""
    digits = tuned.metric.digits
    diverged = f", {len(tuned.tuning.diverged)} of them diverged" if tuned.tuning.diverged else ""
    others = in_other_precisions(tuned.records.values())
    numbers = ", ".join(str(number) for number, _ in tuned.expected)
    best = ", ".join(rounded(value, digits) for _, value in tuned.expected)
    cost = f"{count(len(tuned.judged), 'trial')}{diverged}{others}, {tuned.core_hours:.2f} core hours"
    return f"{cost}; expected best {tuned.metric.label} of {numbers} trials: {best}"
