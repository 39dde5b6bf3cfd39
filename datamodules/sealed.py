"""Checksums that files carry in themselves, at their end or in their JSON, by which damage anywhere in them is seen."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

DIGEST = 32
"""Bytes of the checksum at the end of a file."""
READ_AT_ONCE = 1 << 20


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


def checksum_of(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the fields of a JSON object, in any order, but for the field `sha256`, which holds it."""
    own = {name: value for name, value in fields.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
