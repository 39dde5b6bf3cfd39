"""The suite's errors: each message is one line that says what was wrong, where, and what would be right."""


class UserError(Exception):
    """A mistake of the user or of their machine, which the command line reports without a traceback."""

    exit_code = 1


class DataError(UserError):
    """Data that is missing, altered or unusable."""
