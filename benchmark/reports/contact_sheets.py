"""Pictures with lines of text under them, as one picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from datamodules.errors import UserError

SIDE = 140
"""Longer side of a picture, in pixels."""
WIDTH = 215
"""Of a column."""
MARGIN = 12
FONT_SIZE = 13
STEP = 18
"""From one line of text to the next."""
CHARACTERS = 29
"""Of a line of text under a picture."""
COLUMNS = 5
GREY = "#666666"


@dataclass(frozen=True)
class Captioned:
    """A picture and what stands under it."""

    image: Image.Image
    texts: Sequence[tuple[str, str]]
    """Who says it, in grey, empty for nobody; and what."""

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Colour and text of each line."""
        found = []
        for speaker, text in self.texts:
            found += [(GREY, speaker)] if speaker else []
            found += [("black", line) for line in textwrap.wrap(text, CHARACTERS) or ["(nothing)"]]
        return found


def contact_sheet(groups: dict[str, Sequence[Captioned]], footer: str = "") -> Image.Image:
    """Groups of pictures, each under its heading, and a line at the end.

    Args:
        groups: heading, empty for none, to pictures.
        footer: what the reader must know, such as the pictures' licence.
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
            for index, (colour, line) in enumerate(item.lines):
                pen.text((left, top + SIDE + MARGIN // 2 + index * STEP), line, colour, font)
        top = below
    for line in footer_lines:
        pen.text((MARGIN, top), line, GREY, font)
        top += STEP
    return sheet


def save(sheet: Image.Image, path: Path) -> None:
    """Write a picture in the format that its name says.

    Raises:
        UserError: the name says none, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, optimize=True)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {path}: {error}; a name such as captions.png says the format") from error
