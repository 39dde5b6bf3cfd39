"""Messages of errors for the user."""

import pickle

from datamodules.errors import LONGEST_MESSAGE, DataError


def test_a_message_that_quotes_too_much_keeps_its_two_ends() -> None:
    error = DataError(f"transcripts.tsv:1: {'a ' * 5000}; expected a tab")
    said = str(error)
    assert said.startswith("transcripts.tsv:1: a a")
    assert said.endswith("a ; expected a tab")
    assert LONGEST_MESSAGE < len(said) < LONGEST_MESSAGE + 10
    assert str(pickle.loads(pickle.dumps(error))) == said  # as when it comes from another process
    assert str(DataError("short")) == "short"


def test_a_message_that_quotes_line_breaks_is_one_line() -> None:
    breaks = [chr(code) for code in range(0x3000) if len(f"a{chr(code)}b".splitlines()) > 1]
    said = str(DataError(f"list.txt names {'-'.join(breaks)}.png"))
    assert said.splitlines() == [said]
    assert said.startswith(r"list.txt names \n-\x0b-")
    assert r"\u2028" in said
