"""The command that lists, downloads and checks data sources."""

from pathlib import Path
from typing import Annotated, Literal

from benchmark.commands.arguments import POSITIONAL, Suggestions
from benchmark.formatting import print_columns
from benchmark.tasks import registry
from benchmark.training.options import DATA
from datamodules.errors import DataError, UserError
from datamodules.sources import FolderSource, Source


def source_names() -> list[str]:
    """The names of all data sources, in the order of the tasks."""
    return [source.name for source in registry.SOURCES]


def data(
    action: Annotated[Literal["list", "fetch", "verify"], POSITIONAL] = "list",
    names: Annotated[tuple[str, ...], POSITIONAL, Suggestions(source_names)] = (),
    data: Path = DATA,
) -> int:
    """List the data sources, download them, or check what is there.

    Args:
        action: Whether to list the sources, to fetch them (download what is missing, then verify), or to verify them.
        names: Names of the sources; all of them if none is given.
        data: Folder that holds the data, one folder per source.
    """
    by_name = {source.name: source for source in registry.SOURCES}
    for name in names:
        if name not in by_name:
            raise UserError(f"there is no source {name!r}; there are {', '.join(by_name)}")
    chosen = [by_name[name] for name in names or by_name]
    if action == "list":
        listing = [
            (source.name, source.task, _here(source, data), source.description, source.terms) for source in chosen
        ]
        print_columns([("source", "task", "here", "content", "terms"), *listing])
        return 0
    failures = []
    for source in chosen:
        try:
            (source.fetch if action == "fetch" else source.verify)(data)
            print(f"{source.name}: {data / source.name} {source.verified}")
        except DataError as error:
            failures.append(str(error))
    if failures:
        raise UserError("; ".join(failures))
    return 0


def _here(source: Source | FolderSource, data: Path) -> str:
    """Whether a source is in the data folder, for the list."""
    try:
        source.verify(data)
    except DataError:
        return "incomplete" if (data / source.name).exists() else "no"
    return "yes"
