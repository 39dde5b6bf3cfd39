"""Label files: the state of each 10 ms frame of a recording, as users have them from an alignment of their own."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from datamodules.errors import DataError
from datamodules.speech.alignment import FRAMES_OFF, fitted
from datamodules.speech.features import LeftOut
from datamodules.text import read_text

SHARE_OFF = 1 / 8
"""Most of a recording's frames by which a label file may be off: labels of 20 or 12.5 ms frames are off by more."""
_PAIR = re.compile(r"\[[^\[\]()]*\]|\([^\[\]()]*\)")
"""A pair of brackets and what is in it, as in `[sil]`, which may be the name of a state."""
_BRACKET = re.compile(r"[\[\]()]")


def read_labels(path: Path, frames: int, headings: Collection[str] = ()) -> tuple[list[str], bool]:
    """A label file: the state of each 10 ms frame, separated by white space, and whether they had to be fitted.

    Args:
        path: the file.
        frames: frames of its audio.
        headings: states that are the first one of files and no other, of which a label too many is none; see `headed`.

    Raises:
        LeftOut: it is missing, is a list of some language rather than states, begins with an id or a heading, or its
            length does not match the audio: it is off by FRAMES_OFF or SHARE_OFF.
    """
    try:
        states = _states(path)
    except DataError as error:
        raise LeftOut("label file cannot be read", str(error)) from error
    if odd := next(filter(_is_listed, dict.fromkeys(states)), "") or _quoted(states):
        detail = f"{odd!r} is none; write states alone, without brackets, commas and quotation marks around them"
        raise LeftOut("label file is not states separated by spaces", detail)
    most = min(FRAMES_OFF, SHARE_OFF * frames)
    labels = fitted(states, frames, "label file does not match its audio", most)
    if len(states) > frames and states[0] in headings:
        detail = f"{states[0]!r} is the state of no other frame, and there are {len(states)} labels for {frames} frames"
        raise LeftOut("label file begins with an id or a heading before the labels", detail)
    return labels, len(states) != frames


def headed(paths: Iterable[Path | None]) -> set[str]:
    """States that label files begin with and that no other frame of any of them has, as an id or a heading would be.

    Files that cannot be read are left to `read_labels`.
    """
    first: set[str] = set()
    others: set[str] = set()
    for path in filter(None, paths):
        try:
            states = _states(path)
        except DataError:
            continue
        first.update(states[:1])
        others.update(states[1:])
    return first - others


def _states(path: Path) -> list[str]:
    return " ".join(read_text(path)).split()


def _is_listed(state: str) -> bool:
    """Whether a state has a comma after something or a bracket without its pair, as an item of a list: `[0,`."""
    return "," in state[1:] or bool(_BRACKET.search(_PAIR.sub("", state)))


def _quoted(states: list[str]) -> str:
    """The first of states that have quotation marks around each of them, or around them all; else nothing."""
    marks = states[0][0] + states[-1][-1] if states else ""
    return states[0] if marks in ("''", '""') else ""
