"""Files of tensors, as PyTorch writes them, with a checksum at their end."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from datamodules.errors import count, require_file
from datamodules.sealed import Sealing, is_sealed

END_OF_ZIP, OF_ITS_RECORD = b"PK\x05\x06", 22
"""Begin and length of the record that ends a file of `torch.save`."""


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
        if (size := path.stat().st_size) < OF_ITS_RECORD:
            raise ValueError(f"it ends after {count(size, 'byte')}")
        with path.open("rb") as file:
            file.seek(-OF_ITS_RECORD, io.SEEK_END)
            unsealed = file.read().startswith(END_OF_ZIP)
        if not unsealed:
            raise ValueError("its checksum does not hold")
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise ValueError(f"the checksum of {broken} differs")
    return torch.load(path, map_location="cpu", weights_only=True)
