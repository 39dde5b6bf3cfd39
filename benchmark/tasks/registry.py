"""All rows of the suite, in the order of the tables, and those of a user's own file."""

import difflib
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmark.tasks import captioning, language_modeling, speech, translation
from benchmark.tasks.base import Config, Row
from datamodules.errors import UserError

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmark", "datamodules", "models")
"""The suite's packages, which lie in ROOT."""

TASKS = (language_modeling, speech, translation, captioning)

ROWS: tuple[Row, ...] = tuple(row for task in TASKS for row in task.ROWS)
"""All shipped rows."""

SOURCES = tuple(source for task in TASKS for source in task.SOURCES)
"""All data sets that can be named."""

DATA_SETS = {source: data_set for task in TASKS for source, data_set in task.DATA_SETS.items()}
"""The description of each data set, by the name of its source."""


def find(name: str, rows: Iterable[Row] = ROWS) -> Row:
    """The row of a name.

    Raises:
        UserError: there is no such row; the message gives the nearest names.
    """
    by_name = {row.name: row for row in rows}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`rnnreg list` shows them all"
    raise UserError(f"there is no row {name!r}; {hint}")


def config_class(task: str) -> type[Config]:
    """The class of a task's configurations.

    Raises:
        UserError: there is no such task.
    """
    classes = {row.config.task: type(row.config) for row in ROWS}
    if task not in classes:
        raise UserError(f"there is no task {task!r}; there are {', '.join(classes)}")
    return classes[task]


def load(path: Path | None) -> tuple[Row, ...]:
    """The suite's rows and, after them, those of a user's own Python file: its `ROWS`.

    The file's folder is put on the import path, so that its rows may name classes in it as backbone.

    Raises:
        UserError: the file cannot be imported, is or lies beside a module of the name of one of the suite's packages,
            has no ROWS, or a row of it takes a name that is taken.
    """
    if path is None:
        return ROWS
    if not path.is_file():
        raise UserError(f"--rows_file {path}: there is no such file")
    folder = path.resolve().parent
    _refuse_names_of_the_suite(path, folder)
    if str(folder) != sys.path[0]:
        sys.path.insert(0, str(folder))
    try:
        own = tuple(importlib.import_module(path.stem).ROWS)
    except Exception as error:  # anything can go wrong in a user's file
        raise UserError(f"--rows_file {path}: {type(error).__name__}: {error}") from error
    if others := [item for item in own if not isinstance(item, Row)]:
        raise UserError(f"--rows_file {path}: its ROWS has {others[0]!r}, which is no benchmark.tasks.base.Row")
    names = [row.name for row in (*ROWS, *own)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--rows_file {path}: the name {twice[0]} is taken; give the row another one")
    return (*ROWS, *own)


def _refuse_names_of_the_suite(path: Path, folder: Path) -> None:
    """Refuse modules in the folder of a rows file that Python would confuse with the suite's own packages."""
    for package in PACKAGES:
        own = folder / package
        found = [*([own] if any(own.glob("*.py")) else []), *folder.glob(f"{package}.py")]
        if found and own != ROOT / package:
            raise UserError(
                f"--rows_file {path}: {found[0]} has the name of one of the suite's packages ({', '.join(PACKAGES)}); "
                f"rename it, for example to my_{package}, or keep the rows file in another folder"
            )
