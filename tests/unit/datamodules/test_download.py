"""Downloads: by TLS only, bounded, resumed, and kept only with the published checksum."""

import hashlib
import http.client
import io
import subprocess
import urllib.error
from pathlib import Path

import pytest

from datamodules import bounds, download
from datamodules.errors import DataError
from datamodules.sources import Source, SourceFile

CONTENT = bytes(range(256)) * 40
URL = "https://example.org/a.bin"


class Server:
    """Answers as a web server would that breaks off after so many bytes, and may know no ranges."""

    def __init__(self, breaks: int, ranges: bool = True, content: bytes = CONTENT) -> None:
        self.breaks, self.ranges, self.content = breaks, ranges, content
        self.begins: list[int] = []

    def open(self, request, timeout: float):
        begin = int(request.get_header("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        self.begins.append(begin)
        if begin >= len(self.content):
            raise urllib.error.HTTPError(request.full_url, 416, "", http.client.HTTPMessage(), None)
        rest = self.content[begin:]
        answer = io.BytesIO(rest[: self.breaks])
        answer.status = 206 if begin else 200
        answer.headers = {"Content-Length": str(len(rest))}
        return answer


def source(sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Source:
    return Source("set", "task", "", "", (SourceFile("a.bin", sha256, url=URL),))


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path, monkeypatch) -> None:
    server = Server(breaks=4000)
    monkeypatch.setattr(download, "open_url", server.open)
    source().fetch(tmp_path)
    assert (tmp_path / "set" / "a.bin").read_bytes() == CONTENT
    assert server.begins == [0, 4000, 8000]


def test_a_later_try_goes_on_as_well_and_a_server_without_ranges_begins_anew(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "set").mkdir()
    for server, begins in ((Server(99_999), [5000]), (Server(99_999, ranges=False), [0])):
        (tmp_path / "set" / ".a.bin.part").write_bytes(CONTENT[:5000])
        (tmp_path / "set" / "a.bin").unlink(missing_ok=True)
        monkeypatch.setattr(download, "open_url", server.open)
        source().fetch(tmp_path)
        assert server.begins == begins


def test_only_what_is_as_published_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(download, "open_url", Server(99_999, content=b"altered").open)
    with pytest.raises(DataError, match=r"gave 7 bytes of sha256 .*; not kept"):
        source().fetch(tmp_path)
    assert [path.name for path in (tmp_path / "set").iterdir() if path.suffix != ".lock"] == []
    (tmp_path / "set" / "a.bin").write_bytes(b"tex")
    with pytest.raises(DataError, match="is not the published file"):
        source().fetch(tmp_path)


def test_a_part_that_is_longer_than_the_file_is_thrown_away(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / ".a.bin.part").write_bytes(CONTENT + b"more")
    monkeypatch.setattr(download, "open_url", Server(99_999).open)
    source().fetch(tmp_path)
    assert (tmp_path / "set" / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (urllib.error.URLError("no route to host"), "no route to host"),
        (http.client.RemoteDisconnected("closed"), "closed"),
        (TimeoutError("timed out"), "timed out"),
    ],
)
def test_no_network_is_one_line(tmp_path: Path, monkeypatch, error: Exception, reason: str) -> None:
    def offline(*_, **__):
        raise error

    monkeypatch.setattr(download, "open_url", offline)
    with pytest.raises(DataError, match=rf"cannot download {URL} \(no network\?\): {reason}; or put a.bin where"):
        source().fetch(tmp_path)


def test_an_endless_file_ends_at_the_bound(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(download, "DOWNLOAD_BYTES", bounds.Bound(1000, "bytes of a download"))
    monkeypatch.setattr(download, "open_url", Server(99_999).open)
    with pytest.raises(DataError, match="10,240 bytes of a download; at most 1,000 are read"):
        source().fetch(tmp_path)


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd"])
def test_nothing_is_downloaded_but_by_tls(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="is not downloaded: only https:// is"):
        download.download(url, tmp_path / "part")
    with pytest.raises(DataError, match="is not downloaded: only https:// is"):
        download._OnlyTls().redirect_request(None, None, 302, "", {}, url)


def test_wheels_come_with_their_hash_and_nothing_else_comes(tmp_path: Path, monkeypatch) -> None:
    """pip would execute the code of a source package to find out about it."""
    seen = {}

    def pip(command, env, **_):
        words = list(map(str, command))
        folder = Path(words[words.index("--dest") + 1])
        seen.update(words=words, text=(folder / "requirements.txt").read_text(), temporary=env["TMPDIR"])
        (folder / "w-1-py3-none-any.whl").write_bytes(CONTENT)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    wheel = SourceFile("w-1-py3-none-any.whl", sha256, requirement="w==1")
    Source("set", "task", "", "", (wheel,)).fetch(tmp_path)
    assert seen["words"][seen["words"].index("--only-binary") + 1] == ":all:"
    assert {"--require-hashes", "--ignore-requires-python"} <= set(seen["words"])
    assert seen["text"] == f"w==1 --hash=sha256:{sha256}\n"
    assert Path(seen["temporary"]).parent == tmp_path / "set"
