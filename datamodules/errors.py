"""The suite's errors: each message is one line that says what was wrong, where, and what would be right."""

from typing import ClassVar


class UserError(Exception):
    """A mistake of the user or of their machine, which the command line reports without a traceback."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with it."""


class DataError(UserError):
    """Data that is missing, altered or unusable."""
