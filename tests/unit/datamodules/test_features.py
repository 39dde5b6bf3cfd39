"""Pictures and the vectors that stand for them: bad ones are named, nothing is computed twice, nothing is lost."""

import errno
import hashlib
import io
import json
import os
import sys
import urllib.error
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.pretended_gpu import pretended_gpu

from datamodules.captioning import features
from datamodules.captioning.datamodule import CaptionData
from datamodules.captioning.features import extract, features_of
from datamodules.captioning.images import decode_image, picture_file, read_image
from datamodules.captioning.networks import Descriptor, GoogLeNet, Network
from datamodules.errors import DataError


class MeanColor(Network):
    """A network for tests that counts the pictures it is shown."""

    name, size = "mean", 3
    sha256 = hashlib.sha256(b"mean").hexdigest()

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.seen += len(images)
        return np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])


def pictures_in(folder: Path):
    return [picture_file(path) for path in sorted((folder / "Images").iterdir())]


def test_a_broken_picture_is_named(tmp_path: Path, picture_folder: Path) -> None:
    whole = (picture_folder / "Images" / "000.png").read_bytes()
    for name, content in {"half.png": whole[: len(whole) // 2], "text.jpg": b"no picture", "empty.png": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: not a whole picture"):
            read_image(tmp_path / name)
    (tmp_path / "bad.svg").write_text("<svg")
    with pytest.raises(DataError, match=r"bad.svg: not an SVG drawing"):
        read_image(tmp_path / "bad.svg")
    with pytest.raises(DataError, match=r"none.png: there is no such picture"):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize("side", [8_000, 20_000])
def test_a_huge_picture_is_refused_before_it_fills_the_memory(side: int) -> None:
    out = io.BytesIO()
    Image.new("1", (side, 8)).save(out, "PNG")
    claimed = out.getvalue()[:20] + side.to_bytes(4, "big") + out.getvalue()[24:]  # the header's height
    claimed = claimed[:29] + zlib.crc32(claimed[12:29]).to_bytes(4, "big") + claimed[33:]
    with pytest.raises(DataError, match=rf"huge.png: not .* \({side * side:,} pixels; at most 50,000,000 are read\)"):
        decode_image(claimed, "huge.png")


def test_transparent_parts_are_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(out, "PNG")
    assert decode_image(out.getvalue(), "x").getpixel((1, 1)) == (255, 255, 255)


def test_descriptor_by_hand() -> None:
    """A picture of one color has no edges, its color in the layout, and all its pixels in one cell of the cube."""
    (vector,) = Descriptor()([Image.new("RGB", (90, 50), (200, 100, 0))])
    assert len(vector) == Descriptor.size
    assert not vector[:144].any()
    assert vector[144:192].reshape(16, 3) == pytest.approx(np.tile(np.array([200, 100, 0]) / 255, (16, 1)))
    assert vector[192:].tolist() == [float(cell == 3 * 16 + 1 * 4 + 0) for cell in range(64)]


def test_descriptor_tells_directions_of_edges_apart() -> None:
    stripes = np.tile(np.repeat([0, 255], 8), (64, 4)).astype(np.uint8)
    upright, lying = (Image.fromarray(array).convert("RGB") for array in (stripes, stripes.T.copy()))
    first, second = Descriptor()([upright, lying])
    assert first[:144].reshape(16, 9).mean(axis=0).argmax() != second[:144].reshape(16, 9).mean(axis=0).argmax()
    assert np.array_equal(first, Descriptor()([upright])[0])


def test_features_are_extracted_once(picture_folder: Path, tmp_path: Path) -> None:
    pictures, network, path = pictures_in(picture_folder), MeanColor(), tmp_path / "features" / "mean.npy"
    found = extract(pictures, network, path)
    assert network.seen == 60
    assert isinstance(found.table, np.memmap)
    assert found.of(["003.png"])[0].numpy() == pytest.approx(network([pictures[3].read()])[0])
    assert extract(pictures[:10], network, path).of(["003.png"]).equal(found.of(["003.png"]))
    assert network.seen == 61

    Image.new("RGB", (9, 9), "black").save(picture_folder / "Images" / "003.png")
    changed = extract(pictures_in(picture_folder), network, path)
    assert network.seen == 62
    assert changed.of(["003.png"]).tolist() == [[0, 0, 0]]
    assert changed.of(["004.png"]).equal(found.of(["004.png"]))


def test_a_broken_picture_does_not_cost_the_others_their_features(picture_folder: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(features, "BATCH", 8)
    broken = picture_folder / "Images" / "037.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:50])
    network, path = MeanColor(), tmp_path / "mean.npy"
    found = extract(pictures_in(picture_folder), network, path)
    assert list(found.broken) == ["037.png"]
    assert "037.png: not a whole picture" in found.broken["037.png"]
    assert sorted(found.rows) == [f"{number:03}.png" for number in range(60) if number != 37]
    assert found.of(["038.png"]).equal(extract(pictures_in(picture_folder)[38:], MeanColor(), path).of(["038.png"]))
    assert network.seen == 59
    broken.write_bytes(whole)
    assert len(extract(pictures_in(picture_folder), network, path).rows) == 60
    assert network.seen == 60


def test_a_broken_file_of_features_is_said_and_made_again(picture_folder: Path, tmp_path: Path, caplog) -> None:
    path, pictures = tmp_path / "mean.npy", pictures_in(picture_folder)
    whole = extract(pictures, MeanColor(), path).of(["003.png"])
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (content[:-100], bytes(flipped), b""):
        path.write_bytes(damaged)
        network = MeanColor()
        assert extract(pictures, network, path).of(["003.png"]).equal(whole)
        assert network.seen == 60
        assert path.read_bytes() == content
    assert caplog.text.count("its checksum does not hold") == 3


def test_a_full_disk_leaves_nothing_of_the_features_behind(picture_folder: Path, tmp_path: Path, monkeypatch) -> None:
    def full(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(features.Sealing, "write", full)
    with pytest.raises(DataError, match=r"cannot write .*mean.npy: No space left on device"):
        extract(pictures_in(picture_folder), MeanColor(), tmp_path / "mean.npy")
    assert not [path for path in tmp_path.iterdir() if "mean" in path.name]


def test_a_picture_that_is_replaced_is_another_one(picture_folder: Path, tmp_path: Path) -> None:
    """The same size and the same date do not make it the same picture, neither for its vector nor for the checksum."""

    def data() -> CaptionData:
        made = CaptionData(str(picture_folder), tmp_path, 4, "descriptor", 1)
        made.setup()
        return made

    path, before = picture_folder / "Images" / "003.png", data()
    time, content = path.stat().st_mtime_ns, bytearray(path.read_bytes())
    Image.new("RGB", (80, 60), "black").save(path)
    path.write_bytes(path.read_bytes().ljust(len(content), b"\0"))
    os.utime(path, ns=(time, time))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (len(content), time)
    after = data()
    assert after.sha256 != before.sha256
    assert not after.features.of(["003.png"]).equal(before.features.of(["003.png"]))
    assert after.features.of(["004.png"]).equal(before.features.of(["004.png"]))


def test_a_picture_that_changes_before_it_is_decoded_gets_no_vector(picture_folder: Path, tmp_path: Path) -> None:
    """Its vector would be that of another picture, and be kept under the checksum of this one."""
    path, other = (picture_folder / "Images" / name for name in ("003.png", "004.png"))
    whole = path.read_bytes()
    pictures, network = pictures_in(picture_folder), MeanColor()
    path.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match=r"003.png has changed since its checksum was taken; leave it, and run"):
        extract(pictures, network, tmp_path / "mean.npy")
    path.write_bytes(whole)
    vector = extract(pictures_in(picture_folder), network, tmp_path / "mean.npy").of(["003.png"])[0]
    assert vector.numpy() == pytest.approx(network([read_image(path)])[0])


def test_own_features_that_change_while_they_are_read_are_refused(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, ids=["a"], features=np.ones((1, 2)), network="my net")

    def replaced(table) -> bool:
        np.savez(path, ids=["a"], features=np.zeros((1, 2)), network="my net")
        return True

    monkeypatch.setattr(features, "_is_finite", replaced)
    with pytest.raises(DataError, match=r"own.npz: not a file of features \(it changed while it was read\)"):
        features_of([], str(path), tmp_path, "x")


def test_a_users_own_features(picture_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    ids = [picture.id for picture in pictures_in(picture_folder)]
    np.savez(path, ids=ids, features=np.arange(120).reshape(60, 2), network="my net")
    data = CaptionData(str(picture_folder), tmp_path, 4, str(path), 1)
    data.prepare_data()
    data.setup()
    assert data.features.of(["002.png"]).tolist() == [[4, 5]]
    assert data.details["features"]["network"] == "my net"
    first = data.sha256
    np.savez(path, ids=ids, features=np.ones((60, 2)), network="my net")
    again = CaptionData(str(picture_folder), tmp_path, 4, str(path), 1)
    again.setup()
    assert again.sha256 != first

    np.savez(path, ids=ids[:50], features=np.ones((50, 2)), network="my net")
    with pytest.raises(DataError, match=r"own.npz has no features of '\d+.png' \(10 of 60 .*ids are such as '000.png'"):
        CaptionData(str(picture_folder), tmp_path, 4, str(path), 1).prepare_data()
    for content in ({"ids": ids}, {"ids": ids, "features": np.ones((3, 2)), "network": "n"}):
        np.savez(path, **content)
        with pytest.raises(DataError, match=r"own.npz: not a file of features .* expected an .npz with ids"):
            features_of(pictures_in(picture_folder), str(path), tmp_path, "x")
    with pytest.raises(DataError, match="or one of efficientnet-lite0, descriptor, googlenet"):
        features_of(pictures_in(picture_folder), "resnet", tmp_path, "x")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((60, 2), 1e300), "features of float64: expected real numbers, all finite in single precision"),
        (np.full((60, 2), np.nan), "features of float64"),
        (np.full((60, 2), 1 + 1j), "features of complex128"),
        (np.full((60, 2), "1"), "features of <U1"),
        (np.ones((60, 0)), r"features \(60, 0\): expected \[n\] and \[n, size\], size at least 1"),
    ],
)
def test_features_that_single_precision_does_not_hold_are_refused(features, message, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", ids=np.arange(60), features=features, network="my net")
    with pytest.raises(DataError, match=message):
        features_of([], str(tmp_path / "own.npz"), tmp_path, "x")


def test_ids_may_be_bytes_as_older_files_have_them(picture_folder: Path, tmp_path: Path) -> None:
    ids = np.array([picture.id for picture in pictures_in(picture_folder)], "S")
    np.savez(tmp_path / "own.npz", ids=ids, features=np.arange(120).reshape(60, 2), network="my net")
    found = features_of(pictures_in(picture_folder), str(tmp_path / "own.npz"), tmp_path, "x")
    assert found.of(["002.png"]).tolist() == [[4, 5]]


def test_a_users_own_features_from_an_array_and_its_labels(picture_folder: Path, tmp_path: Path) -> None:
    path, labels = tmp_path / "own.npy", tmp_path / "own.json"
    ids = [picture.id for picture in pictures_in(picture_folder)]
    np.save(path, np.arange(120, dtype=np.float32).reshape(60, 2))
    labels.write_text(json.dumps({"ids": ids, "network": "my net"}))
    found = features_of(pictures_in(picture_folder), str(path), tmp_path, "x")
    assert isinstance(found.table, np.memmap)
    assert found.of(["002.png", "000.png"]).tolist() == [[4, 5], [0, 1]]
    assert found.network == "my net"
    labels.write_text(json.dumps({"ids": ids[::-1], "network": "my net"}))  # other vectors of the same pictures
    assert features_of(pictures_in(picture_folder), str(path), tmp_path, "x").sha256 != found.sha256

    labels.write_text(json.dumps({"ids": ids[:-1], "network": "my net"}))
    with pytest.raises(DataError, match=r"own.npy: not a file of features \(ids \(59,\), features \(60, 2\)"):
        features_of(pictures_in(picture_folder), str(path), tmp_path, "x")
    labels.unlink()
    with pytest.raises(DataError, match=r"own.json is missing; expected an .npz .* in a .json beside it"):
        features_of(pictures_in(picture_folder), str(path), tmp_path, "x")


def test_googlenet_gives_its_last_pooling_layer() -> None:
    pytest.importorskip("torchvision")
    network = GoogLeNet(pretrained=False)
    image = Image.new("RGB", (300, 260), "red")
    vectors = network([image, Image.new("RGB", (30, 26), "blue")])
    assert vectors.shape == (2, GoogLeNet.size)
    assert np.isfinite(vectors).all()
    with pretended_gpu():
        assert (GoogLeNet(pretrained=False)([image, Image.new("RGB", (30, 26), "blue")]) == vectors).all()
    assert network([image])[0] == pytest.approx(vectors[0], rel=1e-3, abs=1e-4)
    state = network.network.state_dict()
    with torch.no_grad():
        state["conv1.conv.weight"].add_(1.0)
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(key.encode() + value.cpu().numpy().tobytes())
    assert digest.hexdigest() != network.sha256


def test_googlenet_without_a_network_is_one_line(monkeypatch) -> None:
    models = pytest.importorskip("torchvision.models")

    def unreachable(**_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(models, "googlenet", unreachable)
    with pytest.raises(DataError, match=r"cannot download GoogLeNet's weights \(no network\?\): .*no route to host"):
        GoogLeNet()


def test_googlenet_without_torchvision_is_one_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(DataError, match=r"need torchvision: pip install -e '\.\[captions\]'"):
        GoogLeNet()
