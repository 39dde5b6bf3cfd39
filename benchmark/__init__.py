"""The suite: rows of the paper, running them, records, tables and the command line."""


class UserError(Exception):
    """A mistake of the user's or of their machine's: one line that says what, where, and what would be right."""
