"""The grid that shows where dropout pays: part of the training text x size x probability of dropping a unit."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.grid.grid import Run
from benchmark.store.provenance import rebuild_command
from benchmark.tasks.base import Row
from benchmark.tasks.language_modeling import LanguageModelConfig, part_changes
from datamodules.errors import UserError


def runs_of(
    rows: Iterable[Row], fractions: Sequence[float], rates: Sequence[float], seeds: int, rows_file: Path | None
) -> list[Run]:
    """A run for each row, part of the text, probability and seed, seed by seed.

    Args:
        rows: a row of each size; whether it has dropout itself makes no difference.
        fractions: parts of the training text.
        rates: probabilities of dropping a unit.
        seeds: number of runs of each; their seeds count from 1.
        rows_file: the user's file of rows.

    Raises:
        UserError: a row is no language model, or a part or probability is not possible.
    """
    runs = []
    by_size: dict[int, str] = {}
    for row in rows:
        if (other := by_size.setdefault(row.config.hidden_size, row.name)) != row.name:
            raise UserError(f"{other} and {row.name} have {row.config.hidden_size} units both; name one row of a size")
        if not isinstance(row.config, LanguageModelConfig):
            raise UserError(f"{row.name} is no language model; other tasks have no part of the text to train on")
        for fraction in fractions:
            for rate in rates:
                try:
                    changes = part_changes(row.config, fraction, rate)
                    variant = row.variant(f"{row.name}-text-{fraction:g}-dropout-{rate:g}", row.note, **changes)
                except ValueError as error:
                    raise UserError(str(error)) from error
                runs += [
                    Run(variant, seed, rebuild_command(row.name, seed, rows_file, changes), row.name, changes)
                    for seed in range(1, seeds + 1)
                ]
    return sorted(runs, key=lambda run: run.seed)
