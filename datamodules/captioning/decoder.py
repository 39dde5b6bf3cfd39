"""Pictures decoded in a process of their own, as nobody vouches for them.

A program of its own as well: reads pictures from standard input, writes their pixels to standard output. It can open no
file and no connection, since it may have no further file descriptors; its memory is limited, and the process that asks
limits its time. Whatever a picture does to the decoder, it costs that one picture.
"""

import errno
import io
import os
import re
import resource
import struct
import sys
from contextlib import suppress
from typing import Any, BinaryIO
from xml.etree import ElementTree

REQUEST = struct.Struct("<?IQQ")
"""A picture to decode: whether it is an SVG, the side to draw it at, the most pixels, and its length in bytes."""
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of a TIFF; a photometric interpretation of 0 says that white is zero."""
XLINK = "{http://www.w3.org/1999/xlink}href"
"""Attribute of an SVG's element that names what it shows; newer drawings write `href`."""
HUFFMAN = (0xC0, 0xC1, 0xC2)
"""Markers of a JPEG's frame whose coding is Huffman's, in which every block of pixels takes some bits."""
SCAN_END = re.compile(rb"\xff+([\x01-\xfe])")
"""Marker within or after a scan of a JPEG; of the scan's own bytes 255 only a zero may follow one."""
STUFFING = bytes(37 * place % 251 for place in range(64))
"""Bytes that are no marker, and that a scan which has all its blocks leaves unread."""
REPLY = struct.Struct("<?IIQ")
"""The answer: whether it was decoded, width, height, and the length of the RGB pixels or of the message."""


def decode(content: bytes, most_pixels: int) -> Any:
    """A picture as `as_shown` has it.

    Raises:
        Exception: it is no picture, has too many pixels, or is a JPEG whose data end before the picture does.
    """
    image = _open(content)
    if image.width * image.height > most_pixels:
        raise ValueError(f"{image.width * image.height:,} pixels; at most {most_pixels:,} are read")
    shown = as_shown(image)
    stuffed = _stuffed(content) if image.format in ("JPEG", "MPO") else b""
    if stuffed and as_shown(_open(stuffed)).tobytes() != shown.tobytes():
        raise ValueError("its data end before the picture does, and the rest would be gray")
    return shown


def _open(content: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(content))


def _stuffed(content: bytes) -> bytes:
    """A JPEG with further bytes at the end of each scan, or nothing where that would tell nothing.

    Where a scan ends too early, libjpeg makes up the rest, and Pillow does not pass on its warning. Further bytes make
    another picture of such a one, and of no whole one, as a decoder skips what it does not need.

    Raises:
        ValueError: the parts that its scans are divided in are not all there.
    """
    parts, at, begin, frame = list[bytes](), 2, 0, 0
    while content[at : at + 1] == b"\xff" and len(content) > at + 1:
        marker = content[at + 1]
        if marker == 0xD9:  # the end
            return b"".join([*parts, content[begin:]])
        if marker == 0xFF:  # a byte before a marker
            at += 1
            continue
        frame = marker if marker & 0xF0 == 0xC0 and marker not in (0xC4, 0xC8, 0xCC) else frame
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        restart = 0xD0  # the marker after the next part of a scan
        while marker == 0xDA and frame in HUFFMAN and (end := SCAN_END.search(content, at)):
            parts += [content[begin : end.start()], STUFFING]
            begin, at = end.start(), end.end()
            if not 0xD0 <= end[1][0] <= 0xD7:
                parts += [bytes((0xFF, restart)), STUFFING]  # read as a part if one is missing
                at -= 2
                break
            if end[1][0] != restart:
                raise ValueError("a part of its data is missing")
            restart = 0xD0 + (restart + 1) % 8
    return b""


def as_shown(image: Any) -> Any:
    """An open picture in RGB as a viewer shows it: upright, transparent parts white, of 16 bits the upper 8.

    Raises:
        Exception: it is broken, or its gray values have 32 bits or a sign.
    """
    from PIL import Image, ImageOps

    image.load()
    image = _eight_bits(image)
    with suppress(Exception):  # a broken tag turns no viewer away
        image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(image: Any) -> Any:
    """A gray picture of 12 or 16 bits in 8, which Pillow would clip to white; its orientation is kept."""
    from PIL import Image, ImageOps

    if not image.mode.startswith(("I", "F")):
        return image
    # By the depth of the file: small values are dark, and do not tell how many bits there are.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ValueError("its gray values have 32 bits or a sign; save it with 8 or 16 bits")
    tags = image.tag_v2 if image.format == "TIFF" else {}
    white = 2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1
    scaled = image.convert("I").point(lambda value: value * (1 / (white / 255)) + 0.5)
    gray = Image.frombytes("L", image.size, scaled.convert("L").tobytes())
    if tags.get(PHOTOMETRIC) == 0:  # which Pillow heeds in pictures of 8 bits only
        gray = ImageOps.invert(gray)
    with suppress(Exception):
        gray.info["exif"] = image.getexif().tobytes()
    return gray


def draw(content: bytes, side: int) -> Any:
    """An SVG on white, side x side.

    Raises:
        Exception: it is no SVG, or a part of it would be missing in silence.
    """
    import resvg_py

    if missing := _not_drawn(content):
        raise ValueError(missing)
    return decode(bytes(resvg_py.svg_to_bytes(svg_string=content.decode(), width=side, height=side)), side * side)


def _not_drawn(content: bytes) -> str:
    """What an SVG shows that is not in the file itself, such as letters of a font, or nothing."""
    for element in ElementTree.fromstring(content).iter():
        name = str(element.tag).rpartition("}")[2]
        target = element.get("href") or element.get(XLINK) or ""
        if name in ("text", "foreignObject") and "".join(element.itertext()).strip():
            return "it has text, and no fonts are read to draw it; turn the text into paths, or save it as PNG"
        if name in ("image", "feImage", "use") and not target.startswith(("#", "data:")):
            return f"it shows another file, {target!r}, and none is read; embed it, or save the drawing as PNG"
    return ""


def limit(memory: int) -> None:
    """Load all that decoding needs, then give up what it does not need.

    Args:
        memory: bytes of memory that this process may have.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # `decode` has a limit of its own
    Image.init()  # every format, before no file can be opened any more
    samples = (("RGB", "JPEG"), ("I;16", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("RGB", "TIFF"), ("RGB", "WEBP"))
    for mode, format in samples:
        sample, out = Image.new(mode, (2, 2)), io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        with suppress(Exception):  # a build without that format
            sample.save(out, format, **({"exif": exif} if format == "JPEG" else {}))
            decode(out.getvalue(), 4)
    with suppress(Exception):
        draw(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>', 2)
    for kind, value in (("AS", memory), ("CORE", 0), ("FSIZE", 0), ("NOFILE", 0)):
        with suppress(AttributeError, ValueError, OSError):  # a system without that limit
            resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (value, value))


def serve(source: BinaryIO, sink: BinaryIO, memory: int) -> None:
    """Decode pictures until there are no more."""
    limit(memory)
    while header := source.read(REQUEST.size):
        is_svg, side, most_pixels, length = REQUEST.unpack(header)
        content = source.read(length)
        try:
            image = draw(content, side) if is_svg else decode(content, most_pixels)
            width, height, answer, done = image.width, image.height, image.tobytes(), True
        except Exception as error:  # each decoder fails in its own way
            message = " ".join(str(error).split())[:300] or type(error).__name__
            if isinstance(error, OSError) and error.errno == errno.EMFILE:  # such as a profile of colors
                message = "to decode it, further files would have to be opened; save it in RGB as PNG or JPEG"
            width, height, answer, done = 0, 0, message.encode(errors="replace"), False
        sink.write(REPLY.pack(done, width, height, len(answer)))
        sink.write(answer)
        sink.flush()


if __name__ == "__main__":
    # Decoders may write to standard output: the pixels go where they do not.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, out, int(sys.argv[1]))
