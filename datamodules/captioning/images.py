"""Pictures: read from files or drawn from SVG, never trusted; a broken or huge one is named in one line."""

import atexit
import hashlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from datamodules.bounds import DRAWING_MEMORY, DRAWING_SECONDS, PICTURE_BYTES, PICTURE_PIXELS, SVG_BYTES
from datamodules.captioning import decoder
from datamodules.errors import DataError, damaged

DRAWN_PIXELS = 72
"""Width and height that an SVG is drawn at; the grid of OpenMoji's drawings."""


class BrokenPicture(DataError):
    """A picture that cannot be decoded, whoever asks and however often; the others of its data set can."""


@dataclass(frozen=True)
class Picture:
    """A picture of a data set, read only when it is needed."""

    id: str
    """Name within its data set."""
    stamp: str
    """Checksum of its content."""
    read: Callable[[], Image.Image]
    """Function that reads it in RGB; it raises BrokenPicture when the picture is broken or huge, and DataError when it
    is not that of the stamp."""
    size: int = 0
    """Size of its file in bytes, if it has one of its own."""


def picture_file(path: Path, id: str | None = None) -> Picture:
    """A picture in a file, which must be there.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    content = _read(path)
    stamp = _stamp(content)

    def read() -> Image.Image:
        content = _read(path)
        if _stamp(content) != stamp:  # its vector would be kept under the checksum of another picture
            raise DataError(f"{path} has changed since its checksum was taken; leave it, and run the command again")
        return _decode(content, path)

    return Picture(id or path.name, stamp, read, len(content))


def _stamp(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def read_image(path: Path) -> Image.Image:
    """Decode a picture file (JPEG, PNG, SVG and whatever else Pillow reads) to RGB.

    Raises:
        DataError: the file is missing, broken, no picture, or beyond the bounds.
    """
    return _decode(_read(path), path)


def _decode(content: bytes, path: Path) -> Image.Image:
    return draw_svg(content, str(path)) if path.suffix.lower() == ".svg" else decode_image(content, str(path))


def _read(path: Path) -> bytes:
    with damaged(path):
        if not path.is_file():
            raise DataError(f"{path}: there is no such picture")
        (SVG_BYTES if path.suffix.lower() == ".svg" else PICTURE_BYTES).check(path.stat().st_size, path)
        return path.read_bytes()


def decode_image(content: bytes, name: str) -> Image.Image:
    """Decode a picture to RGB as a viewer shows it: upright, of 16 bits the upper 8; transparent parts become white.

    Raises:
        DataError: see read_image.
    """
    return _decoder.ask(content, name, 0, "not a whole picture in a format that Pillow reads")


def read_open(picture: Image.Image) -> Image.Image:
    """An open picture in RGB; one of which nothing but the head is read yet is decoded from its file, as that would be.

    Raises:
        DataError: see read_image.
    """
    name = "the open picture"
    PICTURE_PIXELS.check(picture.width * picture.height, name)
    file: Any = getattr(picture, "fp", None)
    with damaged(name):
        is_in_file = bool(file and getattr(picture, "tile", None))  # neither loaded nor drawn
        if not is_in_file or picture.tell():  # nor a later one of several in the file
            shown: Image.Image = decoder.as_shown(picture)
            return shown
        place = file.tell()
        file.seek(0)
        content = file.read(PICTURE_BYTES.most + 1)
        file.seek(place)
    PICTURE_BYTES.check(len(content), name)
    return decode_image(content, name)


def draw_svg(content: bytes, name: str, pixels: int = DRAWN_PIXELS) -> Image.Image:
    """Draw an SVG on white, pixels x pixels.

    Raises:
        DataError: it is not an SVG, or takes too much time or memory to draw.
    """
    SVG_BYTES.check(len(content), name)
    return _decoder.ask(content, name, pixels, "not an SVG drawing")


class Decoder:
    """The process that decodes pictures, which is started when it is needed, and anew when a picture has ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0
        """Process that has started it: one that was forked starts its own."""
        self.lock = threading.Lock()

    def ask(self, content: bytes, name: str, side: int, wrong: str) -> Image.Image:
        """Decode a picture, or with a side draw an SVG.

        Raises:
            BrokenPicture: the decoder refuses it.
            DataError: it cannot be done, within the bounds of time and memory; the others are not concerned.
        """
        request = decoder.REQUEST.pack(bool(side), side, PICTURE_PIXELS.most, len(content))
        with self.lock:
            try:
                done, width, height, answer = self._answer(request + content)
            except TimeoutError:
                self.end()
                raise DataError(f"{name}: {wrong} ({self._bounds()}: it took too long)") from None
            except OSError as error:
                self.end()
                raise DataError(f"{name}: {wrong} ({self._bounds()}: it ended its decoder)") from error
            except BaseException:  # Ctrl-C: the rest of the answer would be taken for the next one
                self.end()
                raise
        if not done:
            raise BrokenPicture(f"{name}: {wrong} ({answer.decode(errors='replace')})")
        return Image.frombytes("RGB", (width, height), answer)

    def _answer(self, request: bytes) -> tuple[bool, int, int, bytes]:
        """Ask once more if the decoder ends: the system may have killed it, for memory that others took."""
        try:
            return self._exchange(self._running(), request)
        except TimeoutError:
            raise
        except OSError:
            self.end()
            return self._exchange(self._running(), request)

    @staticmethod
    def _bounds() -> str:
        return f"at most {DRAWING_SECONDS.most} s and {DRAWING_MEMORY.most >> 20:,} MB are given to a picture"

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.owner != os.getpid() or self.process.poll() is not None:
            self.process, self.owner = None, os.getpid()
            with damaged("the process that decodes pictures", wrong="cannot be started"):
                self.process = subprocess.Popen(
                    [sys.executable, "-P", decoder.__file__, str(DRAWING_MEMORY.most)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the process that asks
                )
                for pipe in (self.process.stdin, self.process.stdout):
                    os.set_blocking(pipe.fileno(), False)  # type: ignore[union-attr]
        return self.process

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], request: bytes) -> tuple[bool, int, int, bytes]:
        """Send a request and wait for the answer.

        Raises:
            TimeoutError: it takes too long.
            OSError: the process has ended.
        """
        assert process.stdin
        assert process.stdout
        deadline = time.monotonic() + DRAWING_SECONDS.most
        _send(process.stdin, request, deadline)
        header = _receive(process.stdout, decoder.REPLY.size, deadline)
        done, width, height, length = decoder.REPLY.unpack(header)
        if length > 3 * PICTURE_PIXELS.most:
            raise OSError("not an answer")
        return done, width, height, _receive(process.stdout, length, deadline)

    def end(self) -> None:
        """End the process."""
        if self.process and self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
        self.process = None


def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
    ready = select.poll()
    ready.register(pipe, event)
    if not ready.poll(1000 * max(0, deadline - time.monotonic())):
        raise TimeoutError


def _send(pipe: IO[bytes], content: bytes, deadline: float) -> None:
    rest = memoryview(content)
    while rest:
        _wait(pipe, select.POLLOUT, deadline)
        rest = rest[os.write(pipe.fileno(), rest[: 1 << 20]) :]


def _receive(pipe: IO[bytes], length: int, deadline: float) -> bytes:
    found = bytearray()
    while len(found) < length:
        _wait(pipe, select.POLLIN, deadline)
        if not (block := os.read(pipe.fileno(), min(1 << 20, length - len(found)))):
            raise OSError("the process has ended")
        found += block
    return bytes(found)


_decoder = Decoder()
atexit.register(_decoder.end)
