"""What each command does; `benchmark.cli` parses for it."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from benchmark import UserError, figures, rows, tables
from benchmark.records import Store
from benchmark.rows import Profile, Row
from benchmark.suite import Run, duration, headline, run_grid
from benchmark.tables import Line
from benchmark.training import CHECKPOINT, Options, rebuild_command, train
from datamodules.language_modeling import PENN_TREEBANK, STATE_OF_THE_UNION
from datamodules.sources import DataError, Source
from datamodules.vocabulary import EOS, UNK, Vocabulary
from models.decoding import sample as sample_words
from models.language_model import LanguageModel

LONGEST_NAME = 150
"""Of a variant, which names a folder; what the name leaves out still tells its runs apart, by their fingerprint."""

SOURCES = (STATE_OF_THE_UNION, PENN_TREEBANK)


def list_rows(profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Show the rows, their configurations in short, and the paper's figures for them.

    Args:
        profile: only the rows of this profile.
        rows_file: Python file with rows of your own.
    """
    table = [("row", "profiles", "size", "dropout", "paper", "")]
    for row in rows.load(rows_file):
        if profile is None or profile in row.profiles:
            table.append(
                (row.name, ", ".join(row.profiles), row.size, tables.placement(row.config), paper(row), row.note)
            )
    _print_columns(table)
    return 0


def run(
    row: str,
    options: Options,
    seed: NonNegativeInt = 1,
    rows_file: Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> int:
    """Train and evaluate one row with one seed.

    Args:
        row: name of the row; `rnnreg run ROW --help` shows every field of its configuration, each an option.
        options: where and how.
        seed: of initialisation, dropout masks and data order.
        rows_file: Python file with rows of your own.
        overrides: fields of the configuration to change; the run then counts as a variant, not as the row.
    """
    chosen = rows.find(row, rows.load(rows_file))
    changes = {name: value for name, value in (overrides or {}).items() if value != getattr(chosen.config, name)}
    if changes:
        name = "+".join([row, *(f"{field}={value}" for field, value in changes.items())])
        try:
            chosen = chosen.variant(name.replace("/", "_")[:LONGEST_NAME], **changes)
        except ValueError as error:
            raise UserError(str(error)) from error
    record = train(chosen, seed, options, command=rebuild_command(row, seed, rows_file, changes))
    print(f"{chosen.name} seed {seed}: {headline(chosen, record)}, {duration(record.wall_seconds)}")
    print(f"record: {options.store / record.run / 'record.json'}")
    return 0


def reproduce(
    options: Options,
    profile: Profile = "quick",
    seeds: PositiveInt = 2,
    jobs: PositiveInt | None = None,
    only: str = "",
    rows_file: Path | None = None,
) -> int:
    """Train all rows of a profile and print the table they make.

    Runs that have a record are not trained again, half-finished ones go on after their last epoch.

    Args:
        options: where and how.
        profile: quick (CPU, minutes), standard (one GPU) or paper.
        seeds: runs of each row, with seeds 1 to this.
        jobs: runs at a time; as many as there are cores, or one on a GPU, if not given.
        only: names of the rows to run, separated by commas; all of the profile if not given.
        rows_file: Python file with rows of your own, which join their profiles.
    """
    every = rows.load(rows_file)
    chosen = (
        [rows.find(name, every) for name in only.split(",")]
        if only
        else [row for row in every if profile in row.profiles]
    )
    grid = [
        Run(row, seed, rebuild_command(row.name, seed, rows_file)) for seed in range(1, seeds + 1) for row in chosen
    ]
    failures = run_grid(grid, options, jobs, rows_file)
    _generate(chosen, options.store, options.store, readme=None, check=False)
    print((options.store / "table.md").read_text(encoding="utf-8"))
    print(f"table and figures: {options.store}/table.md, {options.store}/table.csv, {options.store}/*.svg")
    if failures:
        raise UserError(f"{len(failures)} of {len(grid)} runs failed, the others are kept: {'; '.join(failures)}")
    return 0


def table(
    store: Path = Path("runs"),
    output: Path | None = None,
    readme: Path | None = None,
    check: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Make the tables and figures again from records, without training anything.

    Args:
        store: folder that holds the records.
        output: folder that takes table.md, table.csv and the figures; that of the records if not given.
        readme: page to insert the table into, between its markers.
        check: write nothing, and fail when what is there is not what the records give.
        rows_file: Python file with rows of your own.
    """
    if not store.is_dir():
        raise UserError(f"--store {store}: there is no such folder; `rnnreg reproduce` makes one")
    stale = _generate(rows.load(rows_file), store, output or store, readme, check)
    if check and stale:
        raise UserError(f"stale: {', '.join(map(str, stale))}; `make table` makes them anew from the records")
    print("up to date" if not stale else f"written: {', '.join(map(str, stale))}")
    return 0


def _generate(chosen: Sequence[Row], store: Path, output: Path, readme: Path | None, check: bool) -> list[Path]:
    lines = _lines(chosen, store)
    text = tables.markdown(lines)
    files = {output / "table.md": text, output / "table.csv": tables.as_csv(lines)}
    for source, group in tables.by_source(lines).items():
        caption = tables.CAPTIONS.get(source, source).split(" (")[0]
        if figure := figures.learning_curves(group, caption):
            files[output / f"{Path(source).name}.svg"] = figure
    if readme:
        try:
            page = readme.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"--readme {readme}: {error.strerror}") from error
        files[readme] = tables.insert(text, page, str(readme))
    return tables.write(files, check)


def _lines(chosen: Sequence[Row], store: Path) -> list[Line]:
    """The rows with their records in a store; names on standard error what is left out."""
    notes: list[str] = []
    lines = tables.lines(chosen, Store(store).records(skipped=notes), notes)
    for note in notes:
        _left_out(note)
    return lines


def _left_out(note: str) -> None:
    print(f"rnnreg: left out: {note}", file=sys.stderr)


def collect(store: Path = Path("runs"), into: Path = Path("results/records")) -> int:
    """Copy the finished runs of shipped rows to where they are committed: records and log-probabilities only.

    Runs of changed configurations and of a changed working tree are named and left where they are.

    Args:
        store: folder that holds the runs.
        into: folder of committed records.
    """
    copied = 0
    for line in _lines(rows.ROWS, store):
        for record in line.records:
            if record.commit == "unknown" or record.commit.endswith("-dirty"):
                _left_out(f"{record.run}: ran from uncommitted code ({record.commit})")
            elif not (into / record.run / "record.json").exists():
                (into / record.run).mkdir(parents=True, exist_ok=True)
                for name in ("log_probabilities.npz", "record.json"):
                    shutil.copyfile(store / record.run / name, into / record.run / name)
                copied += 1
    print(f"{copied} records copied to {into}; `make table` shows them")
    return 0


def sample(
    row: str,
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    prompt: str = "the meaning of life is",
    words: PositiveInt = 60,
    temperature: PositiveFloat = 1.0,
    exclude: str = "<unk>,N,$",
    draw: NonNegativeInt = 0,
    rows_file: Path | None = None,
) -> int:
    """Continue a text with a trained language model (paper figure 4).

    Args:
        row: name of a language model row, or of a variant of it, that has been trained.
        seed: of the run.
        store: folder that holds the run.
        prompt: text to continue.
        words: how many to draw.
        temperature: below 1 likely words get likelier.
        exclude: words never drawn, separated by commas; the default is the paper's.
        draw: seed of the drawing; another one gives another text.
        rows_file: Python file with rows of your own.
    """
    rows.load(rows_file)
    model = _trained(row, seed, store)
    vocabulary = Vocabulary(model.hparams["vocabulary"])
    tokens = prompt.lower().split()
    if not tokens:
        raise UserError("--prompt is empty; give at least one word")
    if unknown := [token for token in tokens if token not in vocabulary.ids]:
        print(f"rnnreg: read as {UNK}, not in the vocabulary: {', '.join(unknown)}", file=sys.stderr)
    forbidden = {vocabulary.ids[word] for word in exclude.split(",") if word in vocabulary.ids}
    drawn = sample_words(model, vocabulary.encode(tokens), words, forbidden, temperature, draw)
    print(" ".join([*tokens, *(vocabulary.words[index] for index in drawn)]).replace(f" {EOS}", "."))
    return 0


def _trained(row: str, seed: int, store: Path) -> LanguageModel:
    """The model of a finished or half-finished run."""
    found = sorted(store.glob(f"{row}/seed-{seed}-*/{CHECKPOINT}"))
    if not found:
        there = sorted(
            {
                f"{path.parent.parent.name} seed {path.parent.name.split('-')[1]}"
                for path in store.glob(f"*/*/{CHECKPOINT}")
            }
        )
        hint = f"trained there: {', '.join(there)}" if there else f"train it with `rnnreg run {row} --seed {seed}`"
        raise UserError(f"{store} has no trained {row} with seed {seed}; {hint}")
    if len(found) > 1:
        raise UserError(
            f"{store} has several runs of {row} with seed {seed}; move all but one away: {', '.join(map(str, found))}"
        )
    try:
        return LanguageModel.load_from_checkpoint(found[0], map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{found[0]} cannot be loaded ({type(error).__name__}: {error})") from error


def data(
    action: Literal["list", "fetch", "verify"] = "list", names: list[str] | None = None, data: Path = Path("data")
) -> int:
    """List the data sources, download them, or check what is there.

    Args:
        action: list, fetch (download what is missing, then verify) or verify.
        names: of the sources; all if not given.
        data: folder that holds the data, one folder per source.
    """
    by_name = {source.name: source for source in SOURCES}
    for name in names or []:
        if name not in by_name:
            raise UserError(f"there is no source {name!r}; there are {', '.join(by_name)}")
    chosen = [by_name[name] for name in names or by_name]
    if action == "list":
        listing = [
            (source.name, source.task, _here(source, data), source.description, source.terms) for source in chosen
        ]
        _print_columns([("source", "task", "here", "what", "terms"), *listing])
        return 0
    for source in chosen:
        (source.fetch if action == "fetch" else source.verify)(data)
        print(f"{source.name}: {len(source.files)} files in {data / source.name}, as published")
    return 0


def _here(source: Source, data: Path) -> str:
    try:
        source.verify(data)
    except DataError:
        return "incomplete" if (data / source.name).exists() else "no"
    return "yes"


def paper(row: Row) -> str:
    """The paper's figures for a row, in short."""
    if not row.published:
        return "–"
    figures = " / ".join(f"{value:g}" for value in row.published.metrics.values())
    return f"{row.published.source}: {figures}"


def _print_columns(table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
