"""All rows of the suite, in the order of the tables, and those of a user's own file."""

import difflib
import importlib
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from benchmark.tasks import captioning, language_modeling, speech, translation
from benchmark.tasks.base import Config, Row
from benchmark.tasks.row_checks import fault_of_ensemble
from datamodules.errors import UserError

if TYPE_CHECKING:
    from benchmark.store.records import Record

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmark", "datamodules", "models")
"""The suite's packages, which lie in ROOT."""

TASKS = (language_modeling, speech, translation, captioning)

ROWS: tuple[Row, ...] = tuple(row for task in TASKS for row in task.ROWS)
"""All shipped rows."""

SOURCES = tuple(source for task in TASKS for source in task.SOURCES)
"""All data sets that can be named."""

DATA_SETS = {source: data_set for task in TASKS for source, data_set in task.DATA_SETS.items()}
"""The description of each data set, by Config.data_set_name."""


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


def find_trained(name: str, rows: Iterable[Row] = ROWS) -> Row:
    """The row of a name, which is to be trained.

    Raises:
        UserError: there is no such row, or it is an ensemble.
    """
    row = find(name, rows)
    if row.ensemble_of:
        raise UserError(
            f"{name} is an ensemble, which is not trained; `rnnreg reproduce --only {name}` trains {row.ensemble_of} "
            "and makes it"
        )
    return row


def config_class(task: str) -> type[Config]:
    """The class of a task's configurations.

    Raises:
        UserError: there is no such task.
    """
    classes = {row.config.task: type(row.config) for row in ROWS}
    if task not in classes:
        raise UserError(f"there is no task {task!r}; there are {', '.join(classes)}")
    return classes[task]


def configuration_of(record: "Record") -> Config:
    """The configuration of a record's run.

    Raises:
        UserError: this version of the suite has no such task or field, or takes no such value.
    """
    try:
        return config_class(record.task)(**record.configuration)
    except (TypeError, ValueError) as error:
        raise UserError(f"the configuration of {record.run} cannot be read: {error}") from error


def load(path: Path | None) -> tuple[Row, ...]:
    """The suite's rows and, after them, those of a user's own Python file: its `ROWS`.

    The folder in which the file is named is put on the import path, and that of the file that a symbolic link leads to
    after it, so that its rows may name classes in it as backbone, and other processes find these by the same name.

    Raises:
        UserError: the file cannot be imported by its name, see `_spec_of`, is or lies beside a module of the name of
            one of the suite's packages, has no ROWS, or a row of it takes a name that is taken or is an ensemble
            of another configuration.
    """
    if path is None:
        return ROWS
    if not path.is_file():
        raise UserError(f"--rows_file {path}: there is no such file")
    folders = (path.parent.resolve(), path.resolve().parent)
    for folder in folders:
        _refuse_names_of_the_suite(path, folder)
    spec = _spec_of(path, folders[0])
    sys.path[:] = dict.fromkeys((*map(str, folders), *sys.path))
    try:
        own = _import(spec).ROWS
    except Exception as error:  # anything can go wrong in a user's file
        raise UserError(f"--rows_file {path}: {type(error).__name__}: {error}") from error
    if not isinstance(own, list | tuple):  # a generator has rows for the first who asks only
        raise UserError(
            f"--rows_file {path}: its ROWS is of type {type(own).__name__}; make it a list or a tuple of rows"
        )
    if others := [item for item in own if not isinstance(item, Row)]:
        raise UserError(f"--rows_file {path}: its ROWS has {others[0]!r}, which is no benchmark.tasks.base.Row")
    _require_names(path, own)
    return (*ROWS, *own)


def _require_names(path: Path, own: Sequence[Row]) -> None:
    """Refuse rows of names that are taken or that commands take apart, and ensembles of what is not their own."""
    names = [row.name for row in (*ROWS, *own)]
    by_name = {row.name: row for row in (*ROWS, *own)}
    for row in own:
        if found := [sign for sign in row.name if sign in ",@" or sign.isspace()]:
            raise UserError(f"--rows_file {path}: the name {row.name!r} has {found[0]!r}, which commands take apart")
        if fault := fault_of_ensemble(row, by_name):
            raise UserError(f"--rows_file {path}: {row.name} is an ensemble of {row.ensemble_of!r}, {fault}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--rows_file {path}: the name {twice[0]} is taken; give the row another one")


def _spec_of(path: Path, folder: Path) -> ModuleSpec:
    """How the file itself is imported, under the name by which every process finds it in its folder.

    Raises:
        UserError: its name is none of a Python module, or is that of another module, which Python would take for it.
    """
    name = path.stem
    if path.suffix != ".py" or not name.isidentifier():
        raise UserError(
            f"--rows_file {path}: its name is none of a Python module, by which worker processes import it; name it "
            "with letters, digits, underscores and .py, such as my_rows.py"
        )
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(name, [str(folder)])
    installed = PathFinder.find_spec(name, [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    other = ""
    if spec is None or spec.origin != str(folder / path.name):
        other = f"the package or module {(spec and spec.origin) or name} beside it"
    elif name in sys.builtin_module_names or name in sys.stdlib_module_names:
        other = f"Python's own module {name}"
    elif installed and installed.origin != spec.origin:
        other = f"the installed package {name}"
    elif name in sys.modules and not _is_of(sys.modules[name], path):
        other = f"{getattr(sys.modules[name], '__file__', None) or f'module {name}'}, which is imported already"
    if spec is None or other:
        raise UserError(f"--rows_file {path}: has the name of {other}; rename it, for example to my_{name}.py")
    return spec


def _is_of(module: ModuleType, path: Path) -> bool:
    """Whether a module was imported from a file."""
    origin = Path(getattr(module, "__file__", None) or "")
    return origin.is_file() and origin.samefile(path)


def _import(spec: ModuleSpec) -> ModuleType:
    """The module of a file, executed unless it is imported already."""
    if spec.name not in sys.modules:
        module = sys.modules[spec.name] = module_from_spec(spec)
        try:
            assert spec.loader
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[spec.name]
            raise
    return sys.modules[spec.name]


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
