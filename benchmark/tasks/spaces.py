"""Spaces of settings that `rnnreg tune` draws trials from, declared beside a row as its `space`."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from datamodules.errors import UserError
from models.options import fits, shown

if TYPE_CHECKING:
    from benchmark.tasks.base import Config, Row

OPTIONS = "backbone_options."
"""Begin of the name of an option that a class of the user's own declares."""

SIGNIFICANT_DIGITS = 4
"""Digits of a number that is drawn, so that it reads well on a command line."""


@dataclass(frozen=True)
class Range:
    """Numbers from one end to another, equally likely, or if `log` equally likely in their logarithm.

    Raises:
        ValueError: the ends are not in order, or of a logarithm not above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        numbers = all(fits(end, float) and math.isfinite(end) for end in (self.low, self.high))
        if not numbers or not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"expected two numbers in order{', above 0' * self.log}, got {shown(self.low)} and {shown(self.high)}"
            )

    def at(self, share: float) -> float:
        """The number so far from the low end to the high one, from 0 to 1."""
        evenly = self.low + share * (self.high - self.low)
        value = self.low * (self.high / self.low) ** share if self.log else evenly
        return min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """A few values, equally likely.

    Raises:
        ValueError: there is none.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("expected a value at least")

    def at(self, share: float) -> Any:
        """The value so far from the first to the last one, from 0 to 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


Space = Mapping[str, Range | Choice]
"""The settings that are drawn, by name."""

SHARED: Space = {
    "lr": Range(0.3, 3.0, log=True),
    "clip": Range(1.0, 10.0, log=True),
    "epochs": Choice((6, 10, 16)),
    "decay": Range(1.1, 1.8),
}
"""What is tuned of every method on the State of the Union: how long and how fast it learns. A model that overfits needs
few epochs and a fast decay, one with much regularization many epochs and a slow one."""


def parse(given: Mapping[str, Any]) -> Space:
    """A space as the command line has it: [low, high] or [low, high, "log"] for a range, {"choices": [...]} for a few.

    Raises:
        UserError: a setting is neither; the message says which.
    """
    found: dict[str, Range | Choice] = {}
    for name, value in given.items():
        try:
            match value:
                case [low, high]:
                    found[name] = Range(low, high)
                case [low, high, "log"]:
                    found[name] = Range(low, high, log=True)
                case {"choices": [*values], **others} if not others:
                    found[name] = Choice(tuple(values))
                case _:
                    raise ValueError(f'expected [low, high], [low, high, "log"] or {{"choices": [...]}}, got {value!r}')
        except ValueError as error:
            raise UserError(f"--space: {name}: {error}") from error
    return found


def as_json(space: Space) -> dict[str, Any]:
    """A space as `parse` reads it."""
    return {
        name: {"choices": list(one.values)} if isinstance(one, Choice) else [one.low, one.high, *["log"] * one.log]
        for name, one in space.items()
    }


def require_space(row: "Row", space: Space) -> None:
    """Refuse a space that has nothing to draw, or names a field that the row's configuration does not have.

    Raises:
        UserError: see above.
    """
    if not space:
        raise UserError(f"{row.name} declares no space to tune in; give one with --space, or declare it in its row")
    known = [one.name for one in fields(row.config) if one.name not in ("validation_only", "backbone_options")]
    for name in space:
        if name in row.config.of_data:
            raise UserError(f"{row.name}: {name} decides the data, and trials of different data cannot be ranked")
        if name not in known and not name.startswith(OPTIONS):
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            raise UserError(
                f"{row.name}: there is no field {name!r} to tune"
                + (f"; did you mean {', '.join(near)}?" if near else "")
            )


def as_changes(config: "Config", drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that settings change; options of a backbone stand together in one."""
    options = {name.removeprefix(OPTIONS): value for name, value in drawn.items() if name.startswith(OPTIONS)}
    changes = {name: value for name, value in drawn.items() if not name.startswith(OPTIONS)}
    return {**changes, "backbone_options": {**config.backbone_options, **options}} if options else changes


def trial_changes(config: "Config", drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that a trial of settings changes: a trial never reads the test set."""
    return {**as_changes(config, drawn), "validation_only": True}
