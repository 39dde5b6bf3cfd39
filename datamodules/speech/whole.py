"""Whether the file of a recording has lost a part, which libsndfile passes over in silence."""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

UNKNOWN_LENGTH = 0x7FFF0000
"""Lengths from here on are written by programs that did not know the length, such as those that write to a pipe."""
LONGEST_PAGE = 65_307
"""Most bytes of a page of Ogg."""
MP3_FRAME = 1152
"""Most samples of a frame of MP3, which some encoders count in their header without there being any sound in it."""
KILOBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)
"""Bit rate by the index in a frame's header, of MPEG-2 and MPEG-1; 0 where it is not fixed."""


class Chunks(NamedTuple):
    """How a file is made of chunks."""

    head: str
    """Layout of a chunk's name and size."""
    first: int = 12
    """Where the first chunk begins."""
    align: int = 2
    """Bytes of which chunks fill a multiple."""
    counts_head: bool = False
    """Whether a chunk's size includes its name and size."""


CHUNKED = {
    b"RIFF": Chunks("<4sI"),
    b"RF64": Chunks("<4sI"),
    b"RIFX": Chunks(">4sI"),
    b"FORM": Chunks(">4sI"),
    b"caff": Chunks(">4sQ", first=8, align=1),
    b"riff": Chunks("<16sQ", first=40, align=8, counts_head=True),
}
"""Files of WAV, AIFF, CAF and W64 by their first four bytes."""


def missing_end(path: Path, named: int, read: int) -> str:
    """What tells that a recording breaks off or has lost its middle, or nothing.

    A WAV, AIFF, AU, CAF or W64 file is compared with the length in its header, the last page of an Ogg file is to be
    whole and to end the stream, and an MP3 file is compared with its header; without one its bit rate must be constant,
    as its length is written nowhere. Files of FLAC that break off cannot be read at all. Of every file but MP3, whose
    encoders may count a frame more, as many samples are to be read as it names.

    Args:
        path: the recording.
        named: samples that libsndfile says it has.
        read: samples that were read from it.
    """
    with path.open("rb") as file:
        start = file.read(4)
        if start[:3] == b"ID3" or start[:1] == b"\xff":
            return _missing_frames(file, named, read)
        found = ""
        if form := CHUNKED.get(start):
            found = _missing_chunk(file, form, path.stat().st_size)
        elif start == b".snd":  # AU, whose header has no chunks
            begin, size = struct.unpack(">2I", file.read(8).ljust(8, b"\0"))
            found = _missing_bytes(path.stat().st_size - begin, size)
        elif start == b"OggS":
            found = _missing_pages(file, path.stat().st_size)
    return found or (_count(read, named) if read < named else "")


def _count(read: int, named: int) -> str:
    return f"{read:,} of its {named:,} samples are there"


def _missing_chunk(file: BinaryIO, form: Chunks, length: int) -> str:
    """Compare the length that a chunk of samples names with what is left of the file."""
    file.seek(form.first)
    long_size = 0
    width = struct.calcsize(form.head)
    while len(head := file.read(width)) == width:
        name, size = struct.unpack(form.head, head)
        size -= width if form.counts_head else 0
        if name == b"ds64":  # RF64 has the length here, since the chunk of samples has no room for it
            long_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
            file.seek(-16, 1)
        elif name[:4] in (b"data", b"SSND"):
            is_short = width == 8 and not long_size
            return _missing_bytes(length - file.tell(), long_size or size, UNKNOWN_LENGTH if is_short else 2**63)
        if not 0 <= size < length:
            break
        file.seek(size + -size % form.align, 1)
    return ""


def _missing_bytes(left: int, named: int, unknown: int = UNKNOWN_LENGTH) -> str:
    """What is missing of bytes of samples; from `unknown` on, the header does not know how many there are."""
    return f"{left:,} of the {named:,} bytes that its header names are there" if left < named < unknown else ""


def _missing_pages(file: BinaryIO, length: int) -> str:
    file.seek(max(0, length - 2 * LONGEST_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS") :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if not lengths or len(page) < 27 + len(lengths) + sum(lengths):
        return "its last page of Ogg is not whole"
    return "" if page[5] & 4 else "its last page of Ogg does not end the stream"


def _missing_frames(file: BinaryIO, named: int, read: int) -> str:
    """Compare an MP3 file with its header; without one, libsndfile guesses the length by the first frame's bit rate."""
    file.seek(0)
    content = file.read()
    at = 0
    if content.startswith(b"ID3"):
        at = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=False))
    if any(tag in content[at : at + 256] for tag in (b"Xing", b"Info", b"VBRI")):
        return _count(read, named) if read < named - MP3_FRAME else ""
    if read >= named and len(_bit_rates(content, at)) > 1:
        return "its bit rate varies and no header has its length; save it as FLAC or WAV"
    return ""


def _bit_rates(content: bytes, at: int) -> set[int]:
    """The bit rates of the frames of an MP3 file, from one frame to the next until there is none."""
    found = set()
    while len(content) - at >= 4 and content[at] == 0xFF and content[at + 1] & 0xE6 == 0xE2:  # of layer III
        version, third = content[at + 1] >> 3 & 3, content[at + 2]
        kilobits = KILOBITS[version == 3][third >> 4]
        rate = (44_100, 48_000, 32_000, 0)[third >> 2 & 3] >> {3: 0, 2: 1}.get(version, 2)
        if not kilobits or not rate:
            break
        found.add(kilobits)
        at += (144_000 if version == 3 else 72_000) * kilobits // rate + (third >> 1 & 1)
    return found
