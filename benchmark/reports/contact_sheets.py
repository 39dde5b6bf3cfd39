"""Pictures with lines of text under them, as one picture."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmark.files import asked_for
from datamodules.errors import UserError

SIDE = 140
"""Longer side of a picture, in pixels."""
WIDTH = 215
"""Width of a column, in pixels."""
MARGIN = 12
FONT_SIZE = 13
STEP = 18
"""Distance from one line of text to the next, in pixels."""
CHARACTERS = 29
"""Longest line of text under a picture."""
COLUMNS = 5
GRAY = "#666666"


@dataclass(frozen=True)
class Captioned:
    """A picture and the texts under it."""

    image: Image.Image
    texts: Sequence[tuple[str, str]]
    """The author of each text, shown in gray, or an empty string; and the text."""

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Color and text of each line."""
        found = []
        for speaker, text in self.texts:
            found += [(GRAY, line) for line in textwrap.wrap(speaker, CHARACTERS)]
            found += [("black", line) for line in textwrap.wrap(text, CHARACTERS) or ["(nothing)"]]
        return found


def contact_sheet(groups: Mapping[str, Sequence[Captioned]], footer: str = "") -> Image.Image:
    """Groups of pictures, each under its heading, and a footer.

    Args:
        groups: heading, or an empty string, to pictures.
        footer: text under the pictures, such as their license.
    """
    rows: list[tuple[str, Sequence[Captioned]]] = [
        (heading if begin == 0 else "", group[begin : begin + COLUMNS])
        for heading, group in groups.items()
        for begin in range(0, len(group), COLUMNS)
    ]
    footer_lines = textwrap.wrap(footer, 130)
    heights = [
        (STEP + MARGIN if heading else 0) + SIDE + 2 * MARGIN + STEP * max(len(item.lines) for item in row)
        for heading, row in rows
    ]
    columns = max(len(row) for _, row in rows)
    size = (columns * WIDTH + 2 * MARGIN, sum(heights) + STEP * len(footer_lines) + 2 * MARGIN)
    sheet = Image.new("RGB", size, "white")
    pen, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE), MARGIN
    for (heading, row), height in zip(rows, heights, strict=True):
        below = top + height
        if heading:
            pen.text((MARGIN, top), heading, "black", ImageFont.load_default(FONT_SIZE + 3))
            top += STEP + MARGIN
        for column, item in enumerate(row):
            left, scale = MARGIN + column * WIDTH, SIDE / max(item.image.size)
            shown = item.image.resize(
                (max(1, round(item.image.width * scale)), max(1, round(item.image.height * scale))),
                Image.Resampling.LANCZOS,
            )
            sheet.paste(shown, (left, top + SIDE - shown.height))
            for index, (color, line) in enumerate(item.lines):
                pen.text((left, top + SIDE + MARGIN // 2 + index * STEP), line, color, font)
        top = below
    for line in footer_lines:
        pen.text((MARGIN, top), line, GRAY, font)
        top += STEP
    return sheet


def save(sheet: Image.Image, path: Path) -> None:
    """Write a picture in the format of its name.

    Raises:
        UserError: the name has no known format, or the file cannot be written.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise UserError(f"cannot write {path}: no such format; the format is that of the name, as in captions.png")
    with asked_for(path) as scratch:
        sheet.save(scratch, kind, optimize=True)
