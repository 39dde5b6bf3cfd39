"""One vector per picture from a frozen network, extracted once, kept in a memory-mapped file, or read from a user's."""

import hashlib
import logging
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from datamodules.bounds import ARRAY_BYTES, BATCH_PIXELS
from datamodules.captioning.images import BrokenPicture, Picture
from datamodules.captioning.networks import NETWORKS, Network
from datamodules.errors import DataError, damaged
from datamodules.scratch import scratch_file
from datamodules.sealed import Sealing, is_sealed
from datamodules.sources import flush, sha256_of
from datamodules.text import opened, read_json

BATCH = 64
"""Pictures in memory at once while features are extracted."""
ROWS = 4096
"""Records of a file written, or looked at, at once."""
LEAST_DEVIATION = 1e-3
"""Least deviation from picture to picture that a captioner scales a value of the vectors by."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """The vectors of some pictures."""

    network: str
    """Checksum of the network that they come from, or the name that a user's file gives it."""
    sha256: str
    """Checksum of the network, or of a user's file."""
    table: np.ndarray
    """[pictures in the file, size], memory-mapped where the suite wrote it."""
    rows: dict[str, int]
    """Picture id to row of the table."""
    origin: str = ""
    """See Network; empty for a user's file."""
    place: str = ""
    """Path of a user's file."""
    broken: dict[str, str] = field(default_factory=dict)
    """What is wrong with each picture that has no vector because it is broken, by its id."""

    def require(self, pictures: Sequence[Picture]) -> None:
        """Refuse pictures that a user's file has no features of, or the same ones for two.

        Raises:
            DataError: a picture has none, or two pictures have one name.
        """
        stamps: dict[str, str] = {}
        for picture in pictures:
            if stamps.setdefault(picture.id, picture.stamp) != picture.stamp:
                raise DataError(
                    f"{self.place} would give two pictures of the name {picture.id!r} the same features; give each "
                    "picture a name of its own, or one of the two at a time"
                )
        if lacking := [picture.id for picture in pictures if picture.id not in self.rows]:
            raise DataError(
                f"{self.place} has no features of {lacking[0]!r} ({len(lacking)} of {len(pictures)} are missing); its "
                f"ids are such as {next(iter(self.rows))!r}"
            )

    def of(self, ids: Sequence[str]) -> torch.Tensor:
        """Vectors [ids, size], single precision."""
        return torch.from_numpy(self.table[[self.rows[id] for id in ids]].astype(np.float32))

    @property
    def size(self) -> int:
        """Length of a vector."""
        return int(self.table.shape[1])


def vectors_of(pictures: Sequence[Picture], network: Network, broken: dict[str, str]) -> Iterator[np.ndarray]:
    """Vectors of pictures, some [pictures, size] at a time: at most BATCH pictures, or as many as BATCH_PIXELS allows.

    Args:
        pictures: the pictures.
        network: network that computes the vectors.
        broken: takes what is wrong with each broken picture, by its id; such a one has no vector.

    Raises:
        DataError: a picture cannot be read for another reason; the vectors of those before it have been given.
    """
    images: list[Image.Image] = []
    pixels = 0
    for picture in pictures:
        try:
            image = picture.read()
        except BrokenPicture as error:
            broken[picture.id] = str(error)
            continue
        except BaseException:
            if images:
                yield network(images)
            raise
        size = image.width * image.height
        if images and (len(images) == BATCH or pixels + size > BATCH_PIXELS.most):
            yield network(images)
            images, pixels = [], 0
        images.append(image)
        pixels += size
    if images:
        yield network(images)


def extract(pictures: Sequence[Picture], network: Network, path: Path) -> Features:
    """Vectors of pictures that are not broken, from a file of earlier ones as far as it has them, or from the network.

    The file is one array of records (id, stamp, vector), memory-mapped, with a checksum at its end. Whatever stops the
    extraction, such as Ctrl-C, the vectors computed before it are kept.

    Args:
        pictures: pictures whose vectors are wanted.
        network: network that computes the missing vectors.
        path: .npy file of this network's vectors; made, or made anew with more of them.

    Raises:
        DataError: a picture cannot be read though it is not broken, or the file cannot be written.
    """
    old = _read(path, network)
    known = {(str(id), str(stamp)): row for row, (id, stamp) in enumerate(zip(old["id"], old["stamp"], strict=True))}
    missing = [picture for picture in pictures if (picture.id, picture.stamp) not in known]
    broken: dict[str, str] = {}
    if missing:
        done: list[np.ndarray] = []
        try:
            done.extend(vectors_of(missing, network, broken))
        finally:
            if done:
                missing = [picture for picture in missing if picture.id not in broken]
                wanted = {picture.id for picture in missing}
                kept = [row for row, id in enumerate(old["id"]) if str(id) not in wanted]
                _write(path, old[kept], missing, np.concatenate(done))
        old = _read(path, network)
    rows = {str(id): row for row, id in enumerate(old["id"])}
    return Features(network.sha256, network.sha256, old["vector"], rows, network.origin, broken=broken)


def _read(path: Path, network: Network) -> Any:
    """The records of a file; none where there is no file, or none as it was written."""
    nothing = np.empty(0, _record_type(1, 1, network.size))
    if not path.exists():
        return nothing
    try:
        with damaged(path):
            if not is_sealed(path):
                raise ValueError("its checksum does not hold")
            table = np.load(path, mmap_mode="r", allow_pickle=False)
            if table["vector"].shape[1:] != (network.size,):
                raise ValueError(f"vectors of {table['vector'].shape[1:]}, expected ({network.size},)")
    except DataError as error:
        logger.warning("%s; the features are extracted again", error)
        return nothing
    return table


def _write(path: Path, old: Any, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
    """Write the file anew; not through a memory map, by which a full disk kills the process."""
    pictures = pictures[: len(vectors)]
    ids = [*map(str, old["id"]), *(picture.id for picture in pictures)]
    stamps = [*map(str, old["stamp"]), *(picture.stamp for picture in pictures)]
    kind = _record_type(max(map(len, ids)), max(map(len, stamps)), vectors.shape[1])
    scratch = scratch_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            sealing = Sealing(file)
            header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (len(ids),)}
            np.lib.format.write_array_header_1_0(sealing, header)
            for begin in range(0, len(ids), ROWS):
                block = np.empty(len(ids[begin : begin + ROWS]), kind)
                block["id"], block["stamp"] = ids[begin : begin + ROWS], stamps[begin : begin + ROWS]
                from_old = old["vector"][begin : begin + ROWS]
                new = max(0, begin - len(old))
                block["vector"][: len(from_old)] = from_old
                block["vector"][len(from_old) :] = vectors[new : new + len(block) - len(from_old)]
                sealing.write(block.tobytes())
            sealing.seal()
        flush(scratch)
        scratch.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        scratch.unlink(missing_ok=True)


def _record_type(id_length: int, stamp_length: int, size: int) -> np.dtype:
    return np.dtype([("id", f"U{id_length}"), ("stamp", f"U{stamp_length}"), ("vector", np.float32, (size,))])


def read_feature_file(path: Path) -> Features:
    """A user's own features: `ids` [n], `features` [n, size] and `network`, a name or checksum.

    Either an .npz of the three, or an .npy of the features, which is memory-mapped, with the other two in a .json
    of the same name beside it.

    Raises:
        DataError: it is not such a file, or a value is none of single precision.
    """
    right = (
        "expected an .npz with ids [n], features [n, size] and network, an .npy of features with ids and network in a "
        f".json beside it, or one of {', '.join(NETWORKS)}"
    )
    with damaged(path, right, "not a file of features"):
        ARRAY_BYTES.check(path.stat().st_size, path)
        sha256 = _checksum(path, right)
        if path.suffix == ".npy":
            labels = read_json(path.with_suffix(".json"), right)
            ids, network = np.array(labels["ids"], str), str(labels["network"])
            table = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with zipfile.ZipFile(path) as archive:
                ARRAY_BYTES.check(sum(member.file_size for member in archive.infolist()), path)
            with np.load(path, allow_pickle=False) as file:
                ids, table, network = file["ids"], file["features"], str(file["network"])
        if table.ndim != 2 or ids.shape != table.shape[:1] or not table.size:
            raise ValueError(f"ids {ids.shape}, features {table.shape}: expected [n] and [n, size], size at least 1")
        if ids.dtype.kind == "S":
            ids = np.char.decode(ids, "utf-8")
        if table.dtype.kind not in "fiub" or not _is_finite(table):
            raise ValueError(f"features of {table.dtype}: expected real numbers, all finite in single precision")
        if _is_flat(table):
            raise ValueError(
                f"its vectors differ by less than {LEAST_DEVIATION}, to which a captioner is blind; multiply them by a "
                "constant"
            )
        if twice := [id for id, count in Counter(map(str, ids)).items() if count > 1]:
            raise ValueError(f"{twice[0]!r} is among its ids twice")
        if _checksum(path, right) != sha256:
            raise ValueError("it changed while it was read")
    return Features(network, sha256, table, {str(id): row for row, id in enumerate(ids)}, place=str(path))


def _checksum(path: Path, right: str) -> str:
    """Checksum of a file of features, and of the labels beside an .npy."""
    sha256, labels = sha256_of(path), path.with_suffix(".json")
    if path.suffix != ".npy":
        return sha256
    with opened(labels, right):
        return hashlib.sha256(f"{sha256} {sha256_of(labels)}".encode()).hexdigest()


def _is_finite(table: np.ndarray) -> bool:
    """Whether all values are numbers of single precision; looked at in blocks, as a file may be larger than memory."""
    with np.errstate(over="ignore"):
        blocks = (table[begin : begin + ROWS].astype(np.float32) for begin in range(0, len(table), ROWS))
        return all(bool(np.isfinite(block).all()) for block in blocks)


def _is_flat(table: np.ndarray) -> bool:
    """Whether half of the values that differ from picture to picture hardly do, by the first pictures of the file."""
    deviations = table[:ROWS].astype(np.float64).std(axis=0)
    own = deviations[deviations > 0]
    return bool(own.size and np.median(own) < LEAST_DEVIATION)


def features_of(pictures: Sequence[Picture], source: str, data: Path, name: str) -> Features:
    """Vectors of pictures by the name of a network or the path of a feature file.

    Args:
        pictures: pictures whose vectors are wanted.
        source: a name in NETWORKS, or the path of a feature file.
        data: folder of the data; DATA/features takes the vectors that a network gives.
        name: of the data set, with which the name of its file begins; the network's checksum completes it.

    Raises:
        DataError: a picture has no features, the network cannot be had, the file is not one of features.
    """
    if source in NETWORKS:
        network = NETWORKS[source](data)
        return extract(pictures, network, data / "features" / f"{name}-{network.name}-{network.sha256[:12]}.npy")
    return given_features(pictures, Path(source))


def known_as(path: Path, ids: Iterable[str]) -> str:
    """The longest of some names that the path of a picture ends in, such as `sub/1.jpg`; its file's name without."""
    known, parts = set(ids), path.absolute().parts
    ends = ("/".join(parts[place:]) for place in range(len(parts)))
    return next((end for end in ends if end in known), path.name)


def given_features(pictures: Sequence[Picture], source: Path) -> Features:
    """Vectors of pictures from a user's file; see read_feature_file.

    Raises:
        DataError: a picture has none, two pictures have one name, or the file is not one of features.
    """
    found = read_feature_file(source)
    found.require(pictures)
    return found
