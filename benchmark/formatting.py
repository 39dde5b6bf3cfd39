"""How durations, columns and tables are written."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datamodules.errors import count as count


def print_columns(table: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells in columns, each as wide as its widest cell."""
    print(columns(table))


def columns(table: Sequence[tuple[str, ...]]) -> str:
    """Rows of cells in columns, each as wide as its widest cell."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join(lines)


def print_left_out(lines: Iterable[str]) -> None:
    """Name on standard error what was left out, a line each."""
    for line in lines:
        print(f"rnnreg: left out: {line}", file=sys.stderr)


def with_diverged(runs: str, diverged: int) -> str:
    """A number of runs with that of further ones that diverged, if any did: 10, 3 more diverged."""
    return f"{runs}, {diverged} more diverged" if diverged else runs


def duration(seconds: float) -> str:
    """Seconds for a reader: 41 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes for a reader: 412 bytes, 1.2 MB."""
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.{bool(power):d}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


LARGEST_FIGURE = 1e9
"""Size from which on a figure is written with an exponent, as the perplexity of a run that diverged may have."""


def rounded(value: float, digits: int) -> str:
    """A figure with so many decimals: 114.5, or 1e+81 where it would be many digits wide."""
    return f"{value:.{digits}f}" if abs(value) < LARGEST_FIGURE else f"{value:.0e}"


MARKUP = re.compile(r"[\\<>|\[\]`*~$]|(?<!\w)_+|_+(?!\w)|&(?=#?\w+;)")
"""What GitHub takes for markup in a line. Underscores within a word, as in ptb_small, are none, and stay readable."""


def as_markdown(text: str) -> str:
    """Text for one line or one cell of Markdown: no tag, link, code, emphasis, formula or end of a cell is in it."""
    return MARKUP.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), " ".join(text.split()))


class Marked(str):
    """Text that is Markdown already, such as a verdict in bold; in a table all other text is text alone."""

    __slots__ = ()


def bold(text: str, rest: str = "") -> Marked:
    """Text in bold, and text after it that is not."""
    return Marked(f"**{as_markdown(text)}**{as_markdown(rest)}")


@dataclass(frozen=True)
class Table:
    """A table that Markdown and HTML are made of."""

    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As Markdown."""
        body = ([cell if isinstance(cell, Marked) else as_markdown(cell) for cell in row] for row in self.body)
        rows = [map(as_markdown, self.header), ("---",) * len(self.header), *body]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)

    def text(self) -> str:
        """For a terminal."""
        return columns([self.header, *self.body])
