"""Whether a recording's file has lost a part, or holds more than its header names: libsndfile is silent on both."""

import hashlib
import math
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FORMATS = {"AIFF", "AU", "CAF", "FLAC", "MP3", "NIST", "OGG", "RF64", "W64", "WAV", "WAVEX"}
"""Formats, by libsndfile's names, of which it is known here how to tell that a file is whole; others are not read."""
NIST = re.compile(rb"NIST_1A\n *(\d{1,9})\n")
"""How a file of NIST's SPHERE begins, such as those of TIMIT: with the size of its header."""
NIST_SIZES = (rb"sample_count", rb"sample_n_bytes", rb"channel_count")
"""The fields of its header whose product is the size of its samples; each but the first is 1 where it is left out."""
UNKNOWN_LENGTH = 0x7FFF0000
"""Lengths from here on are written by programs that did not know the length, such as those that write to a pipe."""
LONGEST_PAGE = 65_307
"""Most bytes of a page of Ogg."""
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Bytes with their bits in the other order."""
MP3_FRAME = 1152
"""Most samples of a frame of MP3, which some encoders count in their header without there being any sound in it."""
MP3_DELAY = 3
"""Most frames that encoders of MP3 add to the sound, before it and after it, and for the header."""
TAGS = 1024
"""Bytes after the samples that are a tag of some program, and hardly a sound."""
SECOND_FLAC = re.compile(rb"fLaC[\0\x80]\0\0\x22")
"""Where a stream of FLAC begins, with its block of 34 bytes that says how it is made."""
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


def without_tags(content: bytes) -> bytes:
    """A recording's file without the tags of ID3 before it, which belong to MP3, but stand before others as well."""
    rest = content[_after_tags(content, 0) :]
    return rest if rest[:4] in (*CHUNKED, b".snd", b"fLaC", b"OggS", b"NIST") else content


def missing_end(content: bytes, named: int, read: int) -> str:
    """What tells that a recording breaks off or has lost its middle, or nothing.

    A WAV, AIFF, AU, CAF, W64 or NIST file is compared with the length in its header, the last page of an Ogg file is to
    be whole, without damage, and to end the stream, and an MP3 file is compared with its header; without one its bit
    rate must be constant, as its length is written nowhere. Files of FLAC that break off cannot be read at all. Of
    every file but MP3, whose encoders may count a frame more, as many samples are to be read as it names.

    Args:
        content: the file of the recording, without tags before it.
        named: samples that libsndfile says it has.
        read: samples that were read from it.
    """
    if _is_mp3(content):
        return _missing_frames(content, named, read)
    found = ""
    if samples := _samples(content):
        found = _missing_bytes(len(content), *samples)
    elif content.startswith(b"OggS"):
        found = _missing_pages(content)
    return found or (_count(read, named) if read < named else "")


def unread_rest(content: bytes, named: int) -> str:
    """What tells that a file holds more sound than its header names, which is all that is read, or nothing.

    After the samples of a WAV, AIFF, AU, CAF, W64 or NIST file other chunks may come, a file of Ogg or FLAC has one
    stream, and an MP3 file with a header has no more frames than it names and encoders add.

    Args:
        content: the file of the recording, without tags before it.
        named: samples that libsndfile says it has.
    """
    if _is_mp3(content):
        return _more_frames(content, named)
    if samples := _samples(content):
        return _more_bytes(content, *samples)
    streams = 1
    if content.startswith(b"OggS"):
        streams = sum(flags & 2 > 0 for flags in _page_flags(content))
    elif content.startswith(b"fLaC"):
        streams = len(SECOND_FLAC.findall(content))
    return f"it holds {streams} recordings one after another, and the first is read" if streams > 1 else ""


def wrong_samples(content: bytes, samples: np.ndarray) -> str:
    """What tells that samples are not those that were encoded, or nothing: most files of FLAC have a checksum of them.

    Where a frame is lost, libsndfile gives others in its place and says nothing.

    Args:
        content: the file of the recording, without tags before it.
        samples: float32 [samples, channels], on the scale from -1 to 1.
    """
    bits, expected = (int.from_bytes(content[20:22], "big") >> 4 & 31) + 1, content[26:42]
    if not (content.startswith(b"fLaC") and any(expected)) or bits > 24:  # which float32 does not hold
        return ""
    whole = np.rint(samples * np.float32(2 ** (bits - 1))).astype("<i4")
    kept = whole.reshape(-1, 1).view(np.uint8)[:, : -(-bits // 8)].tobytes()
    found = hashlib.md5(kept, usedforsecurity=False).digest()
    return "" if found == expected else "its samples have another checksum than its header names"


def _count(read: int, named: int) -> str:
    return f"{read:,} of its {named:,} samples are there"


def _samples(content: bytes) -> tuple[int, int, int] | None:
    """Where the samples of a file of chunks, AU or NIST begin, their size, and the size from which on it was not known.

    None where it has no chunk of samples, and of other files.
    """
    if content.startswith(b".snd"):  # AU, whose header has no chunks
        begin, size = struct.unpack(">2I", content[4:12].ljust(8, b"\0"))
        return begin, size, UNKNOWN_LENGTH
    if start := NIST.match(content):
        return _samples_of_nist(content[: int(start[1])])
    if not (form := CHUNKED.get(content[:4])):
        return None
    at, width, long_size = form.first, struct.calcsize(form.head), 0
    while len(content) - at >= width:
        name, size = struct.unpack_from(form.head, content, at)
        at += width
        size -= width if form.counts_head else 0
        if name == b"ds64":  # RF64 has the length here, since the chunk of samples has no room for it
            long_size = struct.unpack("<8xQ", content[at : at + 16].ljust(16, b"\0"))[0]
        elif name[:4] in (b"data", b"SSND"):
            return at, long_size or size, UNKNOWN_LENGTH if width == 8 and not long_size else 2**63
        if not 0 <= size < len(content):
            break
        at += size + -size % form.align
    return None


def _samples_of_nist(header: bytes) -> tuple[int, int, int] | None:
    """What `_samples` gives, of a file of NIST; None if its header does not name all of it."""
    found = [re.search(rb"^%b -i (\d{1,18})\b" % field, header, re.MULTILINE) for field in NIST_SIZES]
    return (len(header), math.prod(int(one[1]) for one in found if one), 2**63) if found[0] else None


def _missing_bytes(length: int, begin: int, named: int, unknown: int) -> str:
    """What is missing of the samples of a file of some length; see `_samples`."""
    left = length - begin
    return f"{left:,} of the {named:,} bytes that its header names are there" if left < named < unknown else ""


def _more_bytes(content: bytes, begin: int, named: int, unknown: int) -> str:
    """What follows a file's samples and is neither chunks, nor zeros, nor as short as a tag; see `_samples`."""
    form = CHUNKED.get(content[:4])
    rest = content[begin + named :] if named < unknown else b""
    if len(rest) <= TAGS or not any(rest) or (form and any(_are_chunks(rest[skip:], form) for skip in (named % 2, 0))):
        return ""
    return f"{len(rest):,} bytes follow the {named:,} bytes of samples that its header names"


def _are_chunks(content: bytes, form: Chunks) -> bool:
    """Whether the content is one chunk after another, up to a tag."""
    at, width = 0, struct.calcsize(form.head)
    while len(content) - at > TAGS:
        name, size = struct.unpack_from(form.head, content, at)
        size += 0 if form.counts_head else width
        if not name[:4].isascii() or not name[:4].decode().isprintable() or name[:4] in CHUNKED or size < width:
            return False
        at += size + -size % form.align
        if at > len(content):
            return False
    return True


def _page_flags(content: bytes) -> Iterator[int]:
    """The flags of each page of Ogg, from one page to the next until there is none."""
    at = 0
    while content[at : at + 4] == b"OggS" and len(content) > at + 26:
        yield content[at + 5]
        lengths = content[at + 27 : at + 27 + content[at + 26]]
        at += 27 + len(lengths) + sum(lengths)


def _missing_pages(content: bytes) -> str:
    end = content[-2 * LONGEST_PAGE :]
    page = end[end.rfind(b"OggS") :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if not lengths or len(page) < 27 + len(lengths) + sum(lengths):
        return "its last page of Ogg is not whole"
    if _checksum(page[: 27 + len(lengths) + sum(lengths)]) != int.from_bytes(page[22:26], "little"):
        return "its last page of Ogg is damaged"  # which libsndfile leaves out of the length that it names
    return "" if page[5] & 4 else "its last page of Ogg does not end the stream"


def _checksum(page: bytes) -> int:
    """The checksum that a page of Ogg is to have: CRC-32 as zlib's, but of bits in the other order, from 0 on."""
    bits = zlib.crc32((page[:22] + bytes(4) + page[26:]).translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{bits:032b}"[::-1], 2)


def _is_mp3(content: bytes) -> bool:
    return content.startswith((b"ID3", b"\xff"))


def _missing_frames(content: bytes, named: int, read: int) -> str:
    """Compare an MP3 file with its header; without one, libsndfile guesses the length by the first frame's bit rate."""
    if _has_header(content):
        return _count(read, named) if read < named - MP3_FRAME else ""
    if read >= named and len({kilobits for kilobits, _ in _frames(content)}) > 1:
        return "its bit rate varies and no header has its length; save it as FLAC or WAV"
    return ""


def _more_frames(content: bytes, named: int) -> str:
    """Compare the frames of an MP3 file with the samples that its header names."""
    if not _has_header(content):
        return ""
    samples = sum(length for _, length in _frames(content))
    if samples <= named + MP3_DELAY * MP3_FRAME:
        return ""
    return f"its frames have {samples:,} samples, and its header names {named:,}"


def _has_header(content: bytes) -> bool:
    """Whether an MP3 file says how long it is, in its first frame."""
    at = _after_tags(content, 0)
    return any(tag in content[at : at + 256] for tag in (b"Xing", b"Info", b"VBRI"))


def _after_tags(content: bytes, at: int) -> int:
    """Where the frames of an MP3 file begin or go on: after tags of ID3."""
    while content[at : at + 3] in (b"ID3", b"TAG"):
        if content[at : at + 3] == b"TAG":
            at += 128
        else:
            sizes = zip(content[at + 6 : at + 10], (21, 14, 7, 0), strict=False)
            at += 10 + sum(byte << shift for byte, shift in sizes)
    return at


def _frames(content: bytes) -> Iterator[tuple[int, int]]:
    """The bit rate and the samples of each frame of an MP3 file, from one to the next until there is none."""
    at = _after_tags(content, 0)
    while len(content) - at >= 4 and content[at] == 0xFF and content[at + 1] & 0xE6 == 0xE2:  # of layer III
        version, third = content[at + 1] >> 3 & 3, content[at + 2]
        kilobits = KILOBITS[version == 3][third >> 4]
        rate = (44_100, 48_000, 32_000, 0)[third >> 2 & 3] >> {3: 0, 2: 1}.get(version, 2)
        if not kilobits or not rate:
            break
        samples = MP3_FRAME if version == 3 else MP3_FRAME // 2
        yield kilobits, samples
        at = _after_tags(content, at + samples // 8 * 1000 * kilobits // rate + (third >> 1 & 1))
