"""Pictures: read from files or drawn from SVG, never trusted; a broken or huge one is named in one line."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from datamodules.errors import DataError

MOST_PIXELS = 50_000_000
"""Most pixels of a picture that is decoded: no camera's photograph has more, a file made to fill the memory has."""

DRAWN_PIXELS = 72
"""Width and height that an SVG is drawn at; the grid of OpenMoji's drawings."""


@dataclass(frozen=True)
class Picture:
    """A picture of a data set, read only when it is needed."""

    id: str
    """Name within its data set."""
    stamp: str
    """Changes when the picture does."""
    read: Callable[[], Image.Image]
    """Function that reads it in RGB; it raises DataError when the picture is broken or huge."""


def picture_file(path: Path, id: str | None = None) -> Picture:
    """A picture in a file, which must be there; its size in bytes is its stamp.

    Raises:
        DataError: there is no such file.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: there is no such picture ({error.strerror})") from None
    return Picture(id or path.name, str(size), lambda: read_image(path))


def read_image(path: Path) -> Image.Image:
    """Decode a picture file (JPEG, PNG, SVG and whatever else Pillow reads) to RGB.

    Raises:
        DataError: the file is missing, broken, no picture, or larger than MOST_PIXELS.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return draw_svg(content, str(path)) if path.suffix.lower() == ".svg" else decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> Image.Image:
    """Decode a picture to RGB; transparent parts become white.

    Raises:
        DataError: see read_image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            image: Image.Image = Image.open(io.BytesIO(content))
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")
    except Image.DecompressionBombError:
        raise DataError(
            f"{name}: the picture is too large; at most {MOST_PIXELS // 10**6} million pixels are decoded"
        ) from None
    except Exception as error:  # each of Pillow's decoders fails in its own way
        raise DataError(f"{name}: not a whole picture in a format that Pillow reads ({error})") from error


def draw_svg(content: bytes, name: str, pixels: int = DRAWN_PIXELS) -> Image.Image:
    """Draw an SVG on white, pixels x pixels.

    Raises:
        DataError: it is not an SVG.
    """
    import resvg_py

    try:
        png = resvg_py.svg_to_bytes(svg_string=content.decode(), width=pixels, height=pixels)
    except Exception as error:  # what the library raises is not documented
        raise DataError(f"{name}: not an SVG drawing ({error})") from error
    return decode_image(bytes(png), name)
