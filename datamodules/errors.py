"""The suite's errors: each message is one line that says what was wrong, where, and what would be right."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

LONGEST_MESSAGE = 2000
"""Most characters of an error's line: a message may quote what the user gave, however long."""
LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Characters that end a line, which names and texts of users may have."""


def shortened(message: str) -> str:
    """A message in one line, without the middle if it is too long: its ends say where, and what would be right."""
    message = LINE_BREAK.sub(lambda found: found[0].encode("unicode_escape").decode(), message)
    half = LONGEST_MESSAGE // 2
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:half]} [...] {message[-half:]}"


class UserError(Exception):
    """A mistake of the user or of their machine, which the command line reports without a traceback.

    Args:
        message: one line; line breaks that it quotes are escaped, and the middle of one that is too long is left out.
    """

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with it."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(message))


class DataError(UserError):
    """Data that is missing, altered or unusable."""


@contextmanager
def damaged(place: Path | str | Callable[[], str], right: str = "", wrong: str = "cannot be read") -> Iterator[None]:
    """Read something that users or disks can damage: any exception becomes one line.

    Which exceptions a reader of damaged bytes raises is known to nobody, so that none is named here.

    Args:
        place: the file, and where it is known the line or entry; a function of it if it changes while one reads.
        right: what would be right, in a few words.
        wrong: what is wrong, in a few words; the exception's own message follows in parentheses.

    Raises:
        DataError: in place of any other exception; a UserError passes as it is. Also, before anything is read, if the
            place is a pipe.
    """
    try:
        if isinstance(place, Path) and not place.is_dir():
            require_file(place)
        yield
    except UserError:
        raise
    except Exception as error:
        where = place() if callable(place) else place
        raise DataError(f"{where}: {wrong} ({in_one_line(error)}){'; ' if right else ''}{right}") from error


def require_file(path: Path, right: str = "") -> None:
    """Refuse a pipe, which would wait for somebody to write to it, and whatever else is there and no file.

    Args:
        path: the file.
        right: what would be right, in a few words.

    Raises:
        DataError: it is no file. One that is missing is left to whoever opens it.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a file{'; ' if right else ''}{right}")


def in_one_line(error: BaseException) -> str:
    """The message of an exception, or its kind where it has none, in one line."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)[:300]


def count(number: int, noun: str) -> str:
    """A number of things in words: 1 run, 1,234 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def counted(number: int, noun: str, verb: str, plural: str) -> str:
    """A number of things with the verb that follows, which agrees with it: 1 line is, 1,234 lines are."""
    return f"{count(number, noun)} {verb if number == 1 else plural}"
