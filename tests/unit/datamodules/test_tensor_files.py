"""Files that end in a checksum: damage anywhere is seen, most of all where a zip archive's own checksums see none."""

import zipfile
from pathlib import Path

import pytest
import torch

from datamodules.sealed import is_sealed
from datamodules.tensor_files import load_tensors, save_tensors

CONTENT = {"weights": torch.arange(6.0), "name": "a"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_tensors(CONTENT, tmp_path / "file")
    return tmp_path / "file"


def test_what_is_written_is_read_and_by_torch_too(path: Path) -> None:
    for found in (load_tensors(path), torch.load(path, weights_only=True)):
        assert str(found) == str(CONTENT)


def test_a_flipped_bit_anywhere_and_a_cut_are_seen(path: Path) -> None:
    written = path.read_bytes()
    for place in range(len(written)):
        flipped = bytearray(written)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="its checksum does not hold"):
            load_tensors(path)
    for length in (0, 1, 21, 40, len(written) - 32, len(written) - 1):
        path.write_bytes(written[:length])
        assert not is_sealed(path)


def test_an_entry_that_has_become_a_folder_is_seen(path: Path) -> None:
    """Its attributes stand in no checksum of the archive, and PyTorch leaves its tensor unread."""
    with zipfile.ZipFile(path) as archive:
        entry = next(one for one in archive.infolist() if one.filename.endswith("data/0"))
    written = bytearray(path.read_bytes())
    at = written.index(entry.filename.encode(), archive.start_dir) - 8
    written[at] |= 0x10
    path.write_bytes(written)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.getinfo(entry.filename).external_attr == 0x10
    with pytest.raises(ValueError, match="its checksum does not hold"):
        load_tensors(path)


def test_a_file_of_an_earlier_version_is_held_to_the_checksums_in_it(path: Path) -> None:
    torch.save(CONTENT, path)
    assert str(load_tensors(path)) == str(CONTENT)
    written = bytearray(path.read_bytes())
    written[written.index(torch.arange(6.0).numpy().tobytes()) + 5] ^= 1
    path.write_bytes(written)
    with pytest.raises(ValueError, match=r"the checksum of .*data/0 differs"):
        load_tensors(path)
