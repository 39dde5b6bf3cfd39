"""The files that are made from records: tables, figures, the page and the README's table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.analysis.atlas import Atlas, atlases, lost, not_run
from benchmark.analysis.claims import Judgment
from benchmark.analysis.evaluations import by_method
from benchmark.analysis.precision import all_diverged, comparisons
from benchmark.analysis.results import RowResults
from benchmark.analysis.sequential import judged
from benchmark.files import write_text
from benchmark.reports import atlas, atlas_figures, figures, precision, speed, surface, tables
from benchmark.reports import evaluations as evaluation_table
from benchmark.reports.page import page
from benchmark.store.evaluations import read_evaluations
from datamodules.errors import UserError

PAGE = "report.html"

BEGIN = "<!-- results: made by `make table`, do not edit -->"
END = "<!-- end of results -->"
"""The lines of a README between which its table stands."""


def tables_and_figures(table: Sequence[RowResults], store: Path, folder: Path) -> dict[Path, str]:
    """The tables and figures of a folder, by path.

    Args:
        table: the rows with their records.
        store: the store of these records, which may have evaluations and runs on parts of a text beside them.
        folder: where the files go.

    Raises:
        CorruptRecord: an evaluation or a record cannot be trusted.
    """
    return _tables_and_figures(table, judged(table, store), store, folder)


def _tables_and_figures(
    table: Sequence[RowResults], judgments: Sequence[Judgment], store: Path, folder: Path
) -> dict[Path, str]:
    found = atlases(table)
    tables = _tables(table, judgments, found, folder)
    others = {**evaluations(store, folder), **surface.files(store, folder), **_of_precision(table, store, folder)}
    return {**tables, **_figures(_draw(table, found, folder), folder), **others}


def everything(table: Sequence[RowResults], store: Path, folder: Path) -> dict[Path, str]:
    """The tables, the figures and the page of a folder, by path; each figure is drawn once."""
    judgments = judged(table, store)
    files = _tables_and_figures(table, judgments, store, folder)
    drawn = {path.stem: text for path, text in files.items() if path.suffix == ".svg"}
    return {**files, **_page(table, judgments, drawn, folder)}


def page_alone(table: Sequence[RowResults], store: Path, folder: Path) -> dict[Path, str]:
    """The page of a folder, by path; it shows the folder's pictures of captions, *-captions.png."""
    drawn = {**_draw(table, atlases(table), folder), **surface.figures_of(store)}
    return _page(table, judged(table, store), drawn, folder)


def of_speed(folder: Path) -> dict[Path, str]:
    """The table and the figure of a folder's outcomes of `rnnreg benchmark`, by path."""
    return {**speed.tables(folder), **_figures(speed.draw(folder), folder)}


def evaluations(store: Path, folder: Path) -> dict[Path, str]:
    """The table of a store's evaluations by other methods, by path; nothing if the store has none."""
    found = by_method(read_evaluations(store))
    return {folder / "evaluations.md": evaluation_table.markdown(found)} if found else {}


def _of_precision(table: Sequence[RowResults], store: Path, folder: Path) -> dict[Path, str]:
    """The table of a store's runs in another precision, by path; nothing if the store has none."""
    text = precision.markdown(comparisons(table, store), all_diverged(table, store))
    return {folder / "precision.md": text} if text else {}


def _draw(table: Sequence[RowResults], found: Sequence[Atlas], folder: Path) -> dict[str, str]:
    """Every figure of a folder, as SVG by name."""
    return {**figures.draw(table), **atlas_figures.draw(found), **speed.draw(folder)}


def _tables(
    table: Sequence[RowResults], judgments: Sequence[Judgment], found: Sequence[Atlas], folder: Path
) -> dict[Path, str]:
    of_methods = atlas.markdown(found, not_run(table), lost(table))
    return {
        **({folder / "atlas.md": of_methods} if of_methods else {}),
        folder / "table.md": tables.markdown(table),
        folder / "table.csv": tables.as_csv(table),
        folder / "claims.md": tables.claims(judgments),
        **speed.tables(folder),
    }


def _figures(drawn: Mapping[str, str], folder: Path) -> dict[Path, str]:
    return {folder / f"{name}.svg": svg for name, svg in drawn.items()}


def _page(
    table: Sequence[RowResults], judgments: Sequence[Judgment], drawn: Mapping[str, str], folder: Path
) -> dict[Path, str]:
    pictures = {path.stem: path.read_bytes() for path in sorted(folder.glob("*-captions.png"))}
    return {folder / PAGE: page(table, judgments, drawn, pictures)}


def readme(table: Sequence[RowResults], path: Path) -> dict[Path, str]:
    """A README with the table of the front page between its markers, by path.

    Raises:
        UserError: the README cannot be read or has no such markers.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"--readme {path}: {error.strerror}") from error
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise UserError(f"{path} has no place for the results; it needs the lines {BEGIN!r} and {END!r}")
    return {path: f"{text[: begin + len(BEGIN)]}\n\n{tables.summary(table)}\n{text[end:]}"}


def stale(files: Mapping[Path, str]) -> list[Path]:
    """The files that are missing or differ from what they should be."""
    return [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def write(files: Mapping[Path, str]) -> list[Path]:
    """Write the files that are missing or differ, each as a whole or not at all, and return them.

    Raises:
        UserError: a file cannot be written.
    """
    changed = stale(files)
    for path in changed:
        write_text(path, files[path])
    return changed
