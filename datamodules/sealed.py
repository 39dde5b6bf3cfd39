"""Checksums that files carry in themselves, at their end or in their JSON, by which damage anywhere in them is seen."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from datamodules.errors import require_file

DIGEST = 32
"""Bytes of the checksum at the end of a file."""
READ_AT_ONCE = 1 << 20
END_OF_ZIP, OF_ITS_RECORD = b"PK\x05\x06", 22
"""Begin and length of the record that ends a file of `torch.save`."""


class Sealing:
    """A file that is written, and the checksum of what has been written.

    Args:
        file: the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self._digest = file, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        """Write more."""
        self._digest.update(content)
        return self.file.write(content)

    def seal(self) -> None:
        """Write the checksum, after which nothing may follow."""
        self.file.write(self._digest.digest())


def is_sealed(path: Path) -> bool:
    """Whether a file ends in the checksum of all before it."""
    size = path.stat().st_size - DIGEST
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while rest := min(READ_AT_ONCE, size - file.tell()) if size > file.tell() else 0:
            digest.update(file.read(rest))
        return file.read() == digest.digest()


def save_tensors(content: Any, path: Path) -> None:
    """Write what `torch.save` writes, sealed; `torch.load` reads it too.

    It is composed in memory first, so that a full disk is an error of writing and of nothing else.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with path.open("wb") as file:
        sealing = Sealing(file)
        sealing.write(buffer.getbuffer())
        sealing.seal()


def load_tensors(path: Path) -> Any:
    """Read what `save_tensors` has written, on the CPU; nothing in it is executed.

    The checksums within a zip archive are not enough: PyTorch looks at none, and takes an entry whose attributes have
    become those of a folder for read, so that its tensor has what was in memory. A file without seal, which earlier
    versions have written, is held to these checksums.

    Raises:
        ValueError: the file is not as it was written. One that never was such a file raises whatever `torch.load` does.
        DataError: it is a folder or a pipe.
    """
    require_file(path)
    if not is_sealed(path):
        with path.open("rb") as file:
            file.seek(-OF_ITS_RECORD, io.SEEK_END)
            unsealed = file.read().startswith(END_OF_ZIP)
        if not unsealed:
            raise ValueError("its checksum does not hold")
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise ValueError(f"the checksum of {broken} differs")
    return torch.load(path, map_location="cpu", weights_only=True)


def checksum_of(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the fields of a JSON object, in any order, but for the field `sha256`, which holds it."""
    own = {name: value for name, value in fields.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
