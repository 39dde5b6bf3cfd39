"""The suite's errors."""


class UserError(Exception):
    """A mistake of the user's or of their machine's: one line that says what, where, and what would be right."""


class DataError(Exception):
    """Data that is missing, altered or unusable: one line that says what, where, and what would be right."""
