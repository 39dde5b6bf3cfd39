"""What makes a row usable: a user's file may put anything into it, and a run of it should not have to fail first."""

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, get_args

from benchmark.tasks.spaces import Choice, Range

if TYPE_CHECKING:
    from benchmark.tasks.base import Row

Profile = Literal["quick", "standard", "paper", "atlas"]
Size = Literal["small", "medium", "large"]

NO_FOLDER = re.compile(r"[/\x00-\x1f\x7f]")
"""What the name of a folder cannot have, or nobody can read."""

LARGEST = 2**31 - 1
"""Largest whole number of a field: a larger one overflows what PyTorch counts in."""
MOST = {"init_range": 1000, "layers": 1000}
"""Largest values of fields of which more would fill the memory, or overflow, before anything else is said."""


def limits(name: str, value: object, kind: object) -> tuple[bool, str]:
    """Whether the value of a field of this type is a number that computers can work with, and what would be right."""
    finite = sys.float_info.max
    most = MOST.get(name, LARGEST if kind in (int, int | None) else finite)
    return not isinstance(value, int | float) or -finite <= value <= most, (
        "finite" if most == finite else f"at most {most:,}"
    )


def require_row(row: "Row") -> None:
    """Refuse a row that no command could handle.

    Raises:
        ValueError: a field is of another type or has a value that is none of those it can have; the message names it.
    """
    for field in ("name", "note", "tried", "label", "ensemble_of"):
        if not isinstance(getattr(row, field), str):
            raise ValueError(f"{field}: expected a text, got {getattr(row, field)!r}")
    if not row.name[:1].isalnum() or NO_FOLDER.search(row.name):
        raise ValueError(f"name: {row.name!r} names no folder; begin with a letter or digit, and use no slashes")
    if row.size not in get_args(Size):
        raise ValueError(f"size: expected one of {', '.join(get_args(Size))}, got {row.size!r}")
    if not isinstance(row.profiles, tuple | list) or not set(row.profiles) <= set(get_args(Profile)):
        raise ValueError(f"profiles: expected a tuple of some of {', '.join(get_args(Profile))}, got {row.profiles!r}")
    for field in ("seeds", "members"):
        if not isinstance(getattr(row, field), int) or getattr(row, field) < 1:
            raise ValueError(f"{field}: expected a whole number from 1, got {getattr(row, field)!r}")
    if row.ensemble_of and row.members < 2:
        raise ValueError(f"members: an ensemble averages 2 models at least, got {row.members}")
    if wrong := [one for one in row.space.values() if not isinstance(one, Range | Choice)]:
        raise ValueError(f"space: expected a Range or a Choice of benchmark.tasks.spaces, got {wrong[0]!r}")


def fault_of_ensemble(row: "Row", rows: "Mapping[str, Row]") -> str:
    """What is wrong with an ensemble, and what would be right: it averages a trained row of its own configuration.

    Args:
        row: a row; of one that is trained nothing is wrong.
        rows: every row, by name.
    """
    if not row.ensemble_of:
        return ""
    if (single := rows.get(row.ensemble_of)) is None:
        return "which is no row"
    if single.ensemble_of:
        return f"which is an ensemble itself; name the row that is trained, {single.ensemble_of!r}"
    if single.config == row.config:
        return ""
    own, other = ({"task": config.task, **asdict(config)} for config in (row.config, single.config))
    different = [name for name in own if name not in other or own[name] != other[name]]
    shown = different[:1] if different[0] == "task" else different
    return f"whose {' and '.join(shown)} differ{'s' * (len(shown) == 1)}; give it the config of that row"
